"""Trades a history as the bot would have: the Council's entries, the stop rule's exits, one account for all symbols."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botctl.backtesting.engine import (
    BUY,
    COUNCIL,
    DRAWDOWN,
    SENTIMENT_STANCE_COUNT,
    STILL_OPEN,
    BacktestBuffers,
    BacktestParameters,
    MarketArrays,
)
from botctl.backtesting.jit import Kernel, compiled, interpreted
from botctl.backtesting.results import BacktestTrade, BacktestView
from botctl.backtesting.summary import RunOutcome, summarize
from botctl.domain.candles import KRAKEN_CANDLE_LIMIT, CandleColumns, from_unix
from botctl.domain.costs import COST_DECIMALS, calculate_pnl, cost_and_fee, fill_price
from botctl.domain.decisions import RSI_CEILING, TECHNICAL_STANCES, Action
from botctl.domain.money import floor_to, price_of
from botctl.domain.orders import ExitReason, Side, TradeStatus, stop_reason
from botctl.domain.sentiment import (
    MAX_READING_AGE_SECONDS,
    SENTIMENT_STANCES,
    FixedSentiment,
    SentimentSeries,
    decision_table,
)
from botctl.domain.settings import DEFAULT_BALANCE, Settings
from botctl.domain.symbols import base_of
from botctl.market_data.indicators import EMA_FAST, EMA_SLOW, RSI_PERIOD
from botctl.market_data.timeline import Timeline, align_histories

if TYPE_CHECKING:
    import numpy as np

COMPILE_FROM = 160_000
"""Candles from which on loading compiled code is quicker than running without."""
FADED = 1e-17
"""What a float no longer feels beside one."""
REASONS = {COUNCIL: ExitReason.COUNCIL, DRAWDOWN: ExitReason.DRAWDOWN}
"""Why a trade ended; one whose stop was hit is told by where the stop stood."""


@dataclass(frozen=True)
class Run:
    """A backtest with all that it went through, for those who draw it."""

    view: BacktestView
    timeline: Timeline
    known: MarketArrays
    equity: Any
    """Of each bar of the grid, as the drawdown guard saw it."""


class Backtest:
    """Trades histories through on one line of time: what is known at each bar, the terms, and what playing wrote."""

    def __init__(
        self,
        histories: Sequence[CandleColumns],
        settings: Settings,
        sentiment: SentimentSeries,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        """Raises BadValue for histories that can't be traded together or are too short."""
        self.histories = histories
        self.settings = settings
        self.sentiment = sentiment
        self.timeline = align_histories(histories, settings.atr_period, since, until)
        self.kernel = compiled() if sum(len(history.closes) for history in histories) >= COMPILE_FROM else interpreted()
        self.known = read_histories(self.kernel, self.timeline, histories, sentiment, settings.atr_period)
        self.parameters = parameters_of(settings)
        self.buffers = new_buffers(self.kernel, len(histories), len(self.timeline.times))

    def run(self) -> Run:
        """What botctl would have done, with every bar of it."""
        import numpy as np

        timeline = self.timeline
        count, _, deepest = self.kernel.play(self.known, self.parameters, self.buffers)
        equity = np.asarray(self.buffers.equity)
        curve = np.ascontiguousarray(equity[timeline.first : timeline.last + 1])
        below = np.flatnonzero(curve < self.parameters.cash * (1.0 - self.parameters.max_drawdown))
        outcome = RunOutcome(
            curve=curve,
            deepest_fall=deepest,
            trades=[self._trade(number) for number in range(count)],
            tripped_at=from_unix(timeline.times[timeline.first + below[0]]) if len(below) else None,
        )
        return Run(
            summarize(timeline, self.histories, self.settings, self.sentiment, outcome), timeline, self.known, equity
        )

    def _trade(self, number: int) -> BacktestTrade:
        """One trade to the last digit: what the playback found, with the paper broker's own arithmetic."""
        buffers, settings = self.buffers, self.settings
        symbol, entered, end = int(buffers.symbols[number]), int(buffers.entries[number]), int(buffers.ends[number])
        ask = self._next_price(symbol, entered)
        amount = floor_to(settings.trade_amount_usd / ask, COST_DECIMALS)
        cost, fee = cost_and_fee(amount, fill_price(Side.BUY, ask, settings.slippage), settings.fee_rate)
        entry_price = price_of(cost, amount)
        stop, high = self._stop_and_high(number, float(entry_price))
        trade = BacktestTrade(
            id=number + 1,
            symbol=self.timeline.symbols[symbol],
            asset=base_of(self.timeline.symbols[symbol]),
            mode="backtest",
            status=TradeStatus.OPEN,
            entry_at=from_unix(self.timeline.times[entered]),
            amount=amount,
            entry_price=entry_price,
            entry_cost=cost,
            entry_fee=fee,
            atr=float(self.known.atrs[symbol, entered]),
            stop_loss_price=stop,
            high_price=high,
        )
        return trade if end == STILL_OPEN else self._closed(trade, number)

    def _closed(self, trade: BacktestTrade, number: int) -> BacktestTrade:
        """The same trade with its exit."""
        buffers, settings = self.buffers, self.settings
        left, end = int(buffers.exits[number]), int(buffers.ends[number])
        bid = self._next_price(int(buffers.symbols[number]), left)
        price = fill_price(Side.SELL, bid, settings.slippage)
        proceeds, fee = cost_and_fee(trade.amount, price, settings.fee_rate)
        return replace(
            trade,
            status=TradeStatus.CLOSED,
            exit_at=from_unix(self.timeline.times[left]),
            exit_price=price_of(proceeds, trade.amount),
            exit_proceeds=proceeds,
            exit_fee=fee,
            exit_reason=REASONS.get(end) or stop_reason(trade.stop_loss_price, float(trade.entry_price)),
            pnl=calculate_pnl(trade.entry_cost, trade.entry_fee, proceeds, fee),
        )

    def _next_price(self, symbol: int, bar: int) -> Decimal:
        """What an order of this bar is filled at, before slippage: the shortest digits that mean this float."""
        return Decimal(repr(float(self.known.fills[symbol, bar])))

    def _stop_and_high(self, number: int, entry_price: float) -> tuple[float, float]:
        """Where a trade's stop and its high stood at last."""
        buffers, known = self.buffers, self.known
        symbol, entered = int(buffers.symbols[number]), int(buffers.entries[number])
        # The guard comes before the stop is looked at.
        last = int(buffers.exits[number]) - 1 if buffers.ends[number] == DRAWDOWN else self.timeline.last
        _, _, stop, high = self.kernel.find_exit(
            known.closes,
            known.decisions,
            symbol,
            entered,
            last,
            entry_price,
            float(known.atrs[symbol, entered]),
            self.parameters.atr_multiple,
            self.parameters.breakeven_atr,
        )
        return stop, high


def run_backtest(
    histories: Sequence[CandleColumns],
    settings: Settings,
    sentiment: SentimentSeries,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> BacktestView:
    """What botctl would have done with these histories under these settings.

    Raises BadValue for histories that can't be traded together or are too short.
    """
    return Backtest(histories, settings, sentiment, since=since, until=until).run().view


# What a run starts from


def parameters_of(settings: Settings) -> BacktestParameters:
    """The settings as the playback takes them."""
    return BacktestParameters(
        cash=float(settings.initial_balance or DEFAULT_BALANCE),
        trade_amount=float(settings.trade_amount_usd),
        max_open_trades=settings.max_open_trades,
        cooldown_seconds=60 * settings.cooldown_minutes,
        max_drawdown=float(settings.max_drawdown),
        fee_rate=float(settings.fee_rate),
        slippage=float(settings.slippage),
        atr_multiple=settings.atr_multiple,
        breakeven_atr=settings.breakeven_atr,
    )


def read_histories(
    kernel: Kernel, timeline: Timeline, histories: Sequence[CandleColumns], sentiment: SentimentSeries, atr_period: int
) -> MarketArrays:
    """Judge every candle of every history, and lay the outcome on the grid."""
    import numpy as np

    bars = len(timeline.times)
    shape = (len(histories), bars)
    closes, fills, atrs = np.empty((3, *shape))  # one block: the system gives large ones large pages
    decisions = np.full((len(histories), bars + 1), BUY, np.int8)
    sentiments, (buys, sells) = kernel.view(_sentiment_on(timeline, sentiment)), decision_bits()
    for number, (history, places) in enumerate(zip(histories, timeline.candle_indexes, strict=True)):
        opinions, own_atrs = _judge(kernel, history, atr_period)
        seen = np.maximum(places, 0)
        opinions = np.where(places >= 0, opinions[seen], 0).astype(np.int8)
        closes[number] = np.asarray(history.closes, dtype=float)[seen]
        fills[number] = np.append(np.asarray(history.opens, dtype=float), np.nan)[seen + 1]
        atrs[number] = own_atrs[seen]
        kernel.decide(kernel.view(opinions), sentiments, buys, sells, kernel.view(decisions[number]))
    return MarketArrays(
        closes=kernel.view(closes),
        fills=kernel.view(fills),
        decisions=kernel.view(decisions),
        atrs=kernel.view(atrs),
        times=kernel.view(timeline.times),
        spacing=int(np.diff(timeline.times).min()) if bars > 1 else timeline.seconds,
        first=timeline.first,
        last=timeline.last,
    )


def _judge(
    kernel: Kernel, history: CandleColumns, atr_period: int
) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """The technical opinion and the ATR of every candle of one history."""
    import numpy as np

    columns = [np.ascontiguousarray(column, dtype=float) for column in (history.highs, history.lows, history.closes)]
    highs, lows, closes = map(kernel.view, columns)
    opinions, atrs = np.empty(len(columns[0]), np.int8), np.empty(len(columns[0]))
    outcome = kernel.view(opinions), kernel.view(atrs)
    kernel.calculate_indicators(highs, lows, closes, EMA_FAST, EMA_SLOW, RSI_PERIOD, RSI_CEILING, atr_period, *outcome)
    return opinions, _as_shown(atrs, *columns, period=atr_period)


def _as_shown(
    atrs: "np.ndarray[Any, Any]",
    highs: "np.ndarray[Any, Any]",
    lows: "np.ndarray[Any, Any]",
    closes: "np.ndarray[Any, Any]",
    *,
    period: int,
) -> "np.ndarray[Any, Any]":
    """The ATRs as a run sees them, which begins its average with the oldest candle that the exchange shows.

    A long average still feels where it began: what it feels of that moment here and what it would feel there differ
    by a known factor, so no average is worked out twice.
    """
    import numpy as np

    faded = (1.0 - 1.0 / period) ** (KRAKEN_CANDLE_LIMIT - period)
    if faded < FADED or len(atrs) <= KRAKEN_CANDLE_LIMIT:
        return atrs
    before = np.concatenate((closes[:1], closes[:-1]))
    ranges = np.cumsum(np.maximum(highs, before) - np.minimum(lows, before))
    oldest = np.arange(1, len(atrs) - KRAKEN_CANDLE_LIMIT + 1)
    begun = oldest + period - 1
    seeds = (ranges[begun] - ranges[oldest] + highs[oldest] - lows[oldest]) / period
    shown = atrs.copy()
    shown[KRAKEN_CANDLE_LIMIT:] -= faded * (atrs[begun] - seeds)
    return shown


def decision_bits() -> tuple[int, int]:
    """Which pairs of an opinion and a mood buy, and which sell, as `decide` takes them."""
    buys = sells = 0
    for opinion, row in zip(TECHNICAL_STANCES, decision_table(list(TECHNICAL_STANCES.values())), strict=True):
        for sentiment, action in enumerate(row):
            bit = 1 << (SENTIMENT_STANCE_COUNT * opinion + sentiment)
            buys |= bit * (action is Action.BUY)
            sells |= bit * (action is Action.SELL)
    return buys, sells


def _sentiment_on(timeline: Timeline, sentiment: SentimentSeries) -> "np.ndarray[Any, Any]":
    """The mood at each bar, as its place in MOODS. It can only change where a reading comes in or grows too old."""
    import numpy as np

    if isinstance(sentiment, FixedSentiment):
        return np.full(len(timeline.times), SENTIMENT_STANCES.index(sentiment.stance), np.int8)
    measured = np.asarray(sentiment.measured, dtype=np.int64)
    changes = np.unique(np.concatenate(([0], measured, measured + MAX_READING_AGE_SECONDS + 1)))
    stances = np.array([SENTIMENT_STANCES.index(sentiment.stance_at(int(moment))) for moment in changes], np.int8)
    return np.ascontiguousarray(stances[np.searchsorted(changes, timeline.times, side="right") - 1])


def new_buffers(kernel: Kernel, symbols: int, bars: int, *, once: bool = True) -> BacktestBuffers:
    """Room for what a playback writes down; `once` for a single one, which finds no exit twice."""
    import numpy as np

    def room(count: int) -> Any:
        return kernel.view(np.zeros(count, np.int64))

    most = symbols * bars + 1
    return BacktestBuffers(
        equity=kernel.view(np.zeros(bars)),
        symbols=room(most),
        entries=room(most),
        exits=room(most),
        ends=room(most),
        known=kernel.view(np.zeros((symbols, 0 if once else bars), np.int64)),
        held=kernel.view(np.zeros(symbols)),
        exit_bar=room(symbols),
        felt=kernel.view(np.zeros(symbols)),
        number=room(symbols),
        left=room(symbols),
        pointer=room(symbols),
    )
