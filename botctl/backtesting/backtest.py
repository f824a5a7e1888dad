"""Trades histories as the bot would have: the Council's entries, the stop rule's exits, one account for all symbols."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botctl.backtesting.engine import (
    BUY,
    COUNCIL,
    DRAWDOWN,
    HOLD,
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
from botctl.domain.configuration.settings import DEFAULT_BALANCE, Settings
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
from botctl.domain.symbols import base_of
from botctl.market_data.indicators import EMA_FAST, EMA_SLOW, RSI_PERIOD
from botctl.market_data.timeline import Timeline, align_histories

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]

MIN_COMPILED_CANDLES = 160_000
"""From so many candles on, loading compiled code is faster than running without."""
NEGLIGIBLE_WEIGHT = 1e-17
"""A weight that changes no float of about one."""
EXIT_REASONS = {COUNCIL: ExitReason.COUNCIL, DRAWDOWN: ExitReason.DRAWDOWN}
"""By ending. Where a stop was hit, the reason follows from its price."""


@dataclass(frozen=True)
class Run:
    """A finished backtest with its arrays, for reports."""

    view: BacktestView
    timeline: Timeline
    arrays: MarketArrays
    equity: Any
    """At each bar, after its orders."""


class Backtest:
    def __init__(
        self,
        histories: Sequence[CandleColumns],
        settings: Settings,
        sentiment: SentimentSeries,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        """Raises BadValue for histories that don't fit together or are too short."""
        self.histories = histories
        self.settings = settings
        self.sentiment = sentiment
        self.timeline = align_histories(histories, settings.atr_period, since, until, settings.signal_seconds)
        candles = sum(len(history.closes) for history in histories)
        self.kernel = compiled() if candles >= MIN_COMPILED_CANDLES else interpreted()
        self.arrays = build_arrays(self.kernel, self.timeline, histories, sentiment, settings.atr_period)
        self.parameters = parameters_of(settings)
        self.buffers = new_buffers(self.kernel, len(histories), len(self.timeline.times))

    def run(self) -> Run:
        import numpy as np

        timeline = self.timeline
        played = self.kernel.simulate(self.arrays, self.parameters, self.buffers)
        equity = np.asarray(self.buffers.equity)
        curve = np.ascontiguousarray(equity[timeline.first : timeline.last + 1])
        outcome = RunOutcome(
            curve=curve,
            max_drawdown=played.max_drawdown,
            trades=[self._trade(number) for number in range(played.trades)],
            tripped_at=from_unix(timeline.times[played.tripped]) if played.tripped <= timeline.last else None,
        )
        view = summarize(timeline, self.histories, self.settings, self.sentiment, outcome)
        return Run(view, timeline, self.arrays, equity)

    def _trade(self, number: int) -> BacktestTrade:
        """One trade with exact money: the engine's bars, the paper broker's arithmetic."""
        buffers, settings = self.buffers, self.settings
        symbol, entered, ending = int(buffers.symbols[number]), int(buffers.entries[number]), buffers.endings[number]
        ask = self._next_price(symbol, entered)
        amount = floor_to(settings.trade_amount_usd / ask, COST_DECIMALS)
        cost, fee = cost_and_fee(amount, fill_price(Side.BUY, ask, settings.slippage), settings.fee_rate)
        entry_price = price_of(cost, amount)
        break_even = settings.stop_rule.break_even(float(price_of(cost + fee, amount)), float(settings.fee_rate))
        stop, high = self._stop_and_high(number, float(entry_price), break_even)
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
            atr=float(self.arrays.atrs[symbol, entered]),
            stop_loss_price=stop,
            high_price=high,
        )
        return trade if ending == STILL_OPEN else self._close(trade, number, break_even)

    def _close(self, trade: BacktestTrade, number: int, break_even: float) -> BacktestTrade:
        buffers, settings = self.buffers, self.settings
        exited, ending = int(buffers.exits[number]), int(buffers.endings[number])
        bid = self._next_price(int(buffers.symbols[number]), exited)
        price = fill_price(Side.SELL, bid, settings.slippage)
        proceeds, fee = cost_and_fee(trade.amount, price, settings.fee_rate)
        by_stop = stop_reason(trade.stop_loss_price, float(trade.entry_price), break_even)
        return replace(
            trade,
            status=TradeStatus.CLOSED,
            exit_at=from_unix(self.timeline.times[exited]),
            exit_price=price_of(proceeds, trade.amount),
            exit_proceeds=proceeds,
            exit_fee=fee,
            exit_reason=EXIT_REASONS.get(ending) or by_stop,
            pnl=calculate_pnl(trade.entry_cost, trade.entry_fee, proceeds, fee),
        )

    def _next_price(self, symbol: int, bar: int) -> Decimal:
        """What an order of this bar fills at, before slippage: the shortest decimal of this float."""
        return Decimal(repr(float(self.arrays.fills[symbol, bar])))

    def _stop_and_high(self, number: int, entry_price: float, break_even: float) -> tuple[float, float]:
        buffers, arrays = self.buffers, self.arrays
        symbol, entered = int(buffers.symbols[number]), int(buffers.entries[number])
        # The drawdown guard sells before stops are checked.
        last = int(buffers.exits[number]) - 1 if buffers.endings[number] == DRAWDOWN else self.timeline.last
        _, _, stop, high = self.kernel.find_exit(
            arrays.closes,
            arrays.decisions,
            symbol,
            entered,
            last,
            entry_price,
            float(arrays.atrs[symbol, entered]),
            self.parameters.atr_multiple,
            self.parameters.breakeven_atr,
            break_even,
        )
        return stop, high


# The engine's input


def parameters_of(settings: Settings) -> BacktestParameters:
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
        breakeven_fees=float(settings.breakeven_fees),
        min_stop_costs=settings.min_stop_costs,
        max_drawdown_peak=float(settings.max_drawdown_peak or 1),
    )


def build_arrays(
    kernel: Kernel, timeline: Timeline, histories: Sequence[CandleColumns], sentiment: SentimentSeries, atr_period: int
) -> MarketArrays:
    """Prices, ATRs and the Council's decisions at every bar of the timeline."""
    import numpy as np

    bars = len(timeline.times)
    shape = (len(histories), bars)
    closes, fills, atrs = np.empty((3, *shape))  # one block: the system gives large ones large pages
    decisions = np.full((len(histories), bars + 1), BUY, np.int8)
    sentiments, (buys, sells) = kernel.view(_sentiments_on(timeline, sentiment)), decision_bits()
    for number, (history, places) in enumerate(zip(histories, timeline.candle_indexes, strict=True)):
        signals, signal_places = timeline.signals[number], timeline.signal_indexes[number]
        opinions, own_atrs = _analyze(kernel, signals, atr_period)
        candles = np.maximum(places, 0)
        signal_candles = candles if signals is history else np.maximum(signal_places, 0)
        opinions = np.where(signal_places >= 0, opinions[signal_candles], 0).astype(np.int8)
        closes[number] = np.asarray(history.closes, dtype=float)[candles]
        fills[number] = np.append(np.asarray(history.opens, dtype=float), np.nan)[candles + 1]
        atrs[number] = own_atrs[signal_candles]
        kernel.decide(kernel.view(opinions), sentiments, buys, sells, kernel.view(decisions[number]))
        if signals is not history:
            decisions[number, :-1][timeline.bars_without_signal(number)] = HOLD
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


def _analyze(kernel: Kernel, history: CandleColumns, atr_period: int) -> "tuple[Array, Array]":
    """The technical opinion and the ATR at every candle of one history."""
    import numpy as np

    columns = [np.ascontiguousarray(column, dtype=float) for column in (history.highs, history.lows, history.closes)]
    highs, lows, closes = map(kernel.view, columns)
    opinions, atrs = np.empty(len(columns[0]), np.int8), np.empty(len(columns[0]))
    outcome = kernel.view(opinions), kernel.view(atrs)
    kernel.calculate_indicators(highs, lows, closes, EMA_FAST, EMA_SLOW, RSI_PERIOD, RSI_CEILING, atr_period, *outcome)
    return opinions, _atrs_as_live(atrs, *columns, period=atr_period)


def _atrs_as_live(atrs: "Array", highs: "Array", lows: "Array", closes: "Array", *, period: int) -> "Array":
    """The ATRs as a live run calculates them, whose average starts at the oldest candle that the exchange returns.

    The start keeps a weight in a long average. Here and there that weight is the same, so the difference of the two
    starts corrects each average without calculating it again.
    """
    import numpy as np

    weight = (1.0 - 1.0 / period) ** (KRAKEN_CANDLE_LIMIT - period)
    if weight < NEGLIGIBLE_WEIGHT or len(atrs) <= KRAKEN_CANDLE_LIMIT:
        return atrs
    before = np.concatenate((closes[:1], closes[:-1]))
    ranges = np.cumsum(np.maximum(highs, before) - np.minimum(lows, before))
    oldest = np.arange(1, len(atrs) - KRAKEN_CANDLE_LIMIT + 1)
    begun = oldest + period - 1
    seeds = (ranges[begun] - ranges[oldest] + highs[oldest] - lows[oldest]) / period
    corrected = atrs.copy()
    corrected[KRAKEN_CANDLE_LIMIT:] -= weight * (atrs[begun] - seeds)
    return corrected


def decision_bits() -> tuple[int, int]:
    """Which pairs of an opinion and a sentiment buy, and which sell, as `engine.decide` takes them."""
    buys = sells = 0
    for opinion, row in zip(TECHNICAL_STANCES, decision_table(list(TECHNICAL_STANCES.values())), strict=True):
        for sentiment, action in enumerate(row):
            bit = 1 << (SENTIMENT_STANCE_COUNT * opinion + sentiment)
            buys |= bit * (action is Action.BUY)
            sells |= bit * (action is Action.SELL)
    return buys, sells


def _sentiments_on(timeline: Timeline, sentiment: SentimentSeries) -> "Array":
    """The sentiment at each bar, as its index in SENTIMENT_STANCES. It changes where a reading arrives or expires."""
    import numpy as np

    if isinstance(sentiment, FixedSentiment):
        return np.full(len(timeline.times), SENTIMENT_STANCES.index(sentiment.stance), np.int8)
    measured = np.asarray(sentiment.measured, dtype=np.int64)
    changes = np.unique(np.concatenate(([0], measured, measured + MAX_READING_AGE_SECONDS + 1)))
    stances = np.array([SENTIMENT_STANCES.index(sentiment.stance_at(int(moment))) for moment in changes], np.int8)
    return np.ascontiguousarray(stances[np.searchsorted(changes, timeline.times, side="right") - 1])


def new_buffers(kernel: Kernel, symbols: int, bars: int, *, cache_exits: bool = False) -> BacktestBuffers:
    """Buffers for a run; `cache_exits` for several runs that may share exits."""
    import numpy as np

    def zeros(shape: int | tuple[int, int], kind: type = np.int64) -> Any:
        return kernel.view(np.zeros(shape, kind))

    max_trades = symbols * bars + 1
    return BacktestBuffers(
        equity=zeros(bars, float),
        symbols=zeros(max_trades),
        entries=zeros(max_trades),
        exits=zeros(max_trades),
        endings=zeros(max_trades),
        exit_cache=zeros((symbols, bars if cache_exits else 0)),
        held=zeros(symbols, float),
        exit_bar=zeros(symbols),
        prefetch_sink=zeros(symbols, float),
        trade=zeros(symbols),
        last_exit=zeros(symbols),
        next_buy=zeros(symbols),
    )
