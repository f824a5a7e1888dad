"""Trades histories as the bot would have: the Council's entries, the stop rule's exits, one account for all symbols."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botctl.backtesting.council.members import COMPILED, label_of
from botctl.backtesting.council.scene import Decided, DecisionSource, Scene
from botctl.backtesting.engine import (
    SENTIMENT_STANCE_COUNT,
    BacktestBuffers,
    BacktestParameters,
    MarketArrays,
    resting_distance,
)
from botctl.backtesting.exact_equity import deepest_drawdown, equity_of_trades
from botctl.backtesting.exits import BUY, COUNCIL, DRAWDOWN, HOLD, RESTING, STILL_OPEN
from botctl.backtesting.jit import Kernel, compiled, interpreted
from botctl.backtesting.live_window import atrs_of_windows, forget_old_moves
from botctl.backtesting.refusals import count_refusals
from botctl.backtesting.results import BacktestTrade, BacktestView
from botctl.backtesting.summary import RunOutcome, summarize
from botctl.domain.candles import CandleColumns, from_unix
from botctl.domain.configuration.settings import DEFAULT_BALANCE, Settings
from botctl.domain.costs import COST_DECIMALS, calculate_pnl, cost_and_fee, fill_price, r_multiple
from botctl.domain.council_rules import CouncilRule, combine
from botctl.domain.decisions import RSI_CEILING, TECHNICAL_STANCES, Action, Verdict
from botctl.domain.errors import BotError
from botctl.domain.money import floor_to, price_of
from botctl.domain.orders import ExitReason, Side, TradeStatus, stop_reason
from botctl.domain.sentiment import (
    MAX_READING_AGE_SECONDS,
    SENTIMENT_STANCES,
    FixedSentiment,
    SentimentSeries,
)
from botctl.domain.sizing import Allocation
from botctl.domain.symbols import base_of
from botctl.market_data.indicators import EMA_FAST, EMA_SLOW, RSI_PERIOD
from botctl.market_data.timeline import Timeline, align_histories
from botctl.ports import Progress

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]

MIN_COMPILED_CANDLES = 160_000
"""From so many candles on, loading compiled code is faster than running without."""
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
        council: DecisionSource | None = None,
    ) -> None:
        """`council` decides in place of the compiled agents. Raises BadValue for histories that don't fit together or
        are too short."""
        self.histories = histories
        self.settings = settings
        self.sentiment = sentiment
        self.timeline = align_histories(histories, settings.atr_period, since, until, settings.signal_seconds)
        candles = sum(len(history.closes) for history in histories)
        self.kernel = compiled() if candles >= MIN_COMPILED_CANDLES else interpreted()
        self.council = council
        bits = decision_bits(settings.council_rule, settings.council)
        wanted = settings.atr_period, bits, settings.allocation
        rests = settings.exchange_stop
        self.arrays = build_arrays(self.kernel, self.timeline, histories, sentiment, *wanted, resting_stops=rests)
        self.parameters = parameters_of(settings)
        self.buffers = new_buffers(self.kernel, len(histories), len(self.timeline.times))

    def run(self, progress: Progress = lambda done, total: None) -> Run:
        """`progress` is told of the bars at which the Council has sat. Raises BotError for one that can't sit."""
        import numpy as np

        timeline = self.timeline
        decided = None if self.council is None else self._ask(self.council, progress)
        played = self.kernel.simulate(self.arrays, self.parameters, self.buffers)
        trades = [self._trade(number) for number in range(played.trades)]
        equity = np.zeros(len(timeline.times))
        equity[timeline.first : timeline.last + 1] = curve = self._curve(trades)
        outcome = RunOutcome(
            curve=curve,
            max_drawdown=deepest_drawdown(curve, self.parameters.cash),
            trades=trades,
            tripped_at=from_unix(timeline.times[played.tripped]) if played.tripped <= timeline.last else None,
        )
        view = summarize(timeline, self.histories, self.settings, self.sentiment, outcome)
        label = label_of(self.settings) if self.council is None else self.council.label
        if decided is not None:
            self._check_trades(decided.trades, played.trades)
        errors = [] if decided is None else decided.errors
        refused = count_refusals(self.arrays, self.parameters, self.buffers, played.trades, played.tripped)
        return Run(replace(view, council=label, refused=refused, errors=errors), timeline, self.arrays, equity)

    def _ask(self, council: DecisionSource, progress: Progress) -> Decided:
        scene = build_scene(self.kernel, self.timeline, self.histories, self.sentiment)
        decided = council.prepare(scene) or council.ask(scene, self.arrays, self.parameters, progress)
        self.arrays = self.arrays._replace(decisions=self.kernel.view(decided.table))
        return decided

    def _check_trades(self, told: list[tuple[int, int, int, int]] | None, count: int) -> None:
        """Raises BotError when the Council was asked about other trades than those of the result."""
        buffers = self.buffers
        columns = (buffers.symbols, buffers.entries, buffers.exits, buffers.endings)
        if told is not None and told != [tuple(int(column[at]) for column in columns) for at in range(count)]:
            raise BotError("the Council was told trades that differ from those of the backtest", hint="report this bug")

    def _curve(self, trades: Sequence[BacktestTrade]) -> "Array":
        """The equity at each traded bar."""
        import numpy as np

        buffers, timeline, count = self.buffers, self.timeline, len(trades)
        entries, exits = (np.asarray(column)[:count] - timeline.first for column in (buffers.entries, buffers.exits))
        return equity_of_trades(
            trades,
            np.asarray(buffers.symbols)[:count].tolist(),
            entries.tolist(),
            exits.tolist(),
            np.asarray(self.arrays.closes)[:, timeline.first : timeline.last + 1],
            self.settings.initial_balance or DEFAULT_BALANCE,
        )

    def _trade(self, number: int) -> BacktestTrade:
        """One trade with exact money: the engine's bars, the paper broker's arithmetic."""
        buffers, settings = self.buffers, self.settings
        symbol, entered, ending = int(buffers.symbols[number]), int(buffers.entries[number]), buffers.endings[number]
        ask = self._next_price(symbol, entered)
        plain = settings.size_rule.is_plain
        budget = settings.trade_amount_usd if plain else Decimal(repr(float(buffers.budgets[number])))
        amount = floor_to(budget / ask, COST_DECIMALS)
        cost, fee = cost_and_fee(amount, fill_price(Side.BUY, ask, settings.slippage), settings.fee_rate)
        entry_price = price_of(cost, amount)
        break_even = settings.stop_rule.break_even(float(price_of(cost + fee, amount)), float(settings.fee_rate))
        stop, high, resting = self._find_exit(number, float(entry_price), break_even)
        atr = float(self.arrays.atrs[symbol, entered])
        trade = BacktestTrade(
            id=number + 1,
            symbol=self.timeline.symbols[symbol],
            asset=base_of(self.timeline.symbols[symbol]),
            mode="backtest",
            status=TradeStatus.OPEN,
            entry_time=from_unix(self.timeline.times[entered]),
            amount=amount,
            entry_price=entry_price,
            entry_cost=cost,
            entry_fee=fee,
            atr=atr,
            initial_stop_loss_price=settings.stop_rule.initial_stop(float(entry_price), atr),
            stop_loss_price=stop,
            high_price=high,
        )
        return trade if ending == STILL_OPEN else self._close(trade, number, break_even, resting)

    def _close(self, trade: BacktestTrade, number: int, break_even: float, resting: float) -> BacktestTrade:
        """The trade with its exit; `resting` is the price of a resting stop that has ended it."""
        buffers, settings = self.buffers, self.settings
        exited, ending = int(buffers.exits[number]), int(buffers.endings[number])
        fired = ending == RESTING
        bid = _exact(resting) if fired else self._next_price(int(buffers.symbols[number]), exited)
        price = fill_price(Side.SELL, bid, settings.exit_slippage)
        proceeds, fee = cost_and_fee(trade.amount, price, settings.fee_rate)
        pnl = calculate_pnl(trade.entry_cost, trade.entry_fee, proceeds, fee)
        by_stop = stop_reason(trade.stop_loss_price, float(trade.entry_price), break_even)
        return replace(
            trade,
            status=TradeStatus.CLOSED,
            exit_time=from_unix(self.timeline.times[exited]),
            exit_price=price_of(proceeds, trade.amount),
            exit_proceeds=proceeds,
            exit_fee=fee,
            exit_reason=EXIT_REASONS.get(ending) or by_stop,
            pnl=pnl,
            r_multiple=r_multiple(pnl, trade.entry_cost, trade.entry_price, trade.initial_stop_loss_price),
            by_resting_stop=fired,
        )

    def _next_price(self, symbol: int, bar: int) -> Decimal:
        """What an order of this bar fills at, before slippage: the shortest decimal of this float."""
        return _exact(self.arrays.fills[symbol, bar])

    def _find_exit(self, number: int, entry_price: float, break_even: float) -> tuple[float, float, float]:
        """The stop and the high at the end of a trade, and the price of a resting stop that has ended it."""
        buffers, arrays = self.buffers, self.arrays
        symbol, entered = int(buffers.symbols[number]), int(buffers.entries[number])
        # The drawdown guard sells before stops are checked.
        last = int(buffers.exits[number]) - 1 if buffers.endings[number] == DRAWDOWN else self.timeline.last
        _, _, stop, high, bid = self.kernel.find_exit(
            arrays.closes,
            arrays.fills,
            arrays.lows,
            arrays.decisions,
            symbol,
            entered,
            last,
            entry_price,
            float(arrays.atrs[symbol, entered]),
            self.parameters.atr_multiple,
            self.parameters.breakeven_atr,
            break_even,
            resting_distance(self.parameters),
        )
        return stop, high, bid


def _exact(price: float) -> Decimal:
    """The shortest decimal of this float."""
    return Decimal(repr(float(price)))


# The engine's input


def parameters_of(settings: Settings) -> BacktestParameters:
    rule = settings.size_rule
    return BacktestParameters(
        cash=float(settings.initial_balance or DEFAULT_BALANCE),
        trade_amount=rule.amount,
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
        exit_slippage=float(settings.exit_slippage),
        risk_per_trade=rule.risk,
        compound=float(rule.compound),
        max_trade_amount=rule.max_amount,
        max_exposure=rule.max_exposure,
        exchange_stop=float(settings.exchange_stop),
        exchange_stop_atr=settings.exchange_stop_atr,
    )


def build_arrays(
    kernel: Kernel,
    timeline: Timeline,
    histories: Sequence[CandleColumns],
    sentiment: SentimentSeries,
    atr_period: int,
    bits: tuple[int, int] | None = None,
    allocation: Allocation | None = None,
    *,
    resting_stops: bool = False,
) -> MarketArrays:
    """Prices, ATRs and the compiled agents' decisions at every bar of the timeline, by the story's rule or `bits`.
    `resting_stops` adds the lows."""
    shares = [(allocation or Allocation()).share(base_of(symbol)) for symbol in timeline.symbols]
    import numpy as np

    bars = len(timeline.times)
    shape = (len(histories), bars)
    closes, fills, atrs = np.empty((3, *shape))  # one block: the system gives large ones large pages
    decisions = np.full((len(histories), bars + 1), BUY, np.int8)
    sentiments, (buys, sells) = kernel.view(_sentiments_on(timeline, sentiment)), bits or decision_bits()
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
        lows=kernel.view(_lows(timeline, histories) if resting_stops else np.empty((len(histories), 0))),
        times=kernel.view(timeline.times),
        shares=kernel.view(np.array(shares)),
        spacing=int(np.diff(timeline.times).min()) if bars > 1 else timeline.seconds,
        first=timeline.first,
        last=timeline.last,
    )


def _lows(timeline: Timeline, histories: Sequence[CandleColumns]) -> "Array":
    """The low of the candle that has closed since the bar before, by symbol and bar; infinite where none has."""
    import numpy as np

    lows = np.full((len(histories), len(timeline.times)), np.inf)
    for number, (history, places) in enumerate(zip(histories, timeline.candle_indexes, strict=True)):
        closed = np.diff(places, prepend=-1) != 0
        lows[number, closed] = np.asarray(history.lows, dtype=float)[places[closed]]
    return lows


def _analyze(kernel: Kernel, history: CandleColumns, atr_period: int) -> "tuple[Array, Array]":
    """The technical opinion and the ATR at every candle of one history."""
    import numpy as np

    columns = [np.ascontiguousarray(column, dtype=float) for column in (history.highs, history.lows, history.closes)]
    highs, lows, closes = map(kernel.view, columns)
    opinions, atrs = np.empty(len(columns[0]), np.int8), np.empty(len(columns[0]))
    outcome = kernel.view(opinions), kernel.view(atrs)
    kernel.calculate_indicators(highs, lows, closes, EMA_FAST, EMA_SLOW, RSI_PERIOD, RSI_CEILING, atr_period, *outcome)
    forget_old_moves(opinions, columns[2])
    return opinions, atrs_of_windows(atrs, *columns, period=atr_period)


def decision_bits(rule: CouncilRule = CouncilRule.STORY, members: Sequence[str] = COMPILED) -> tuple[int, int]:
    """Which pairs of an opinion and a sentiment buy, and which sell, as `engine.decide` takes them."""
    buys = sells = 0
    for opinion, technical in TECHNICAL_STANCES.items():
        for index, mood in enumerate(SENTIMENT_STANCES):
            stances = {"technical": technical, "sentiment": mood}
            verdicts = [Verdict(name, stances[name], "") for name in members if name in stances]
            action, _ = combine(rule, verdicts)
            bit = 1 << (SENTIMENT_STANCE_COUNT * opinion + index)
            buys |= bit * (action is Action.BUY)
            sells |= bit * (action is Action.SELL)
    return buys, sells


def build_scene(
    kernel: Kernel, timeline: Timeline, histories: Sequence[CandleColumns], sentiment: SentimentSeries
) -> Scene:
    """What the compiled agents say, for a Council in which they sit beside others."""

    return Scene(
        histories=histories,
        timeline=timeline,
        sentiment=sentiment,
        signals=timeline.signals,
        places=timeline.signal_indexes,
        silent=[timeline.bars_without_signal(number) for number in range(len(histories))],
        opinions=lambda: [_analyze(kernel, signals, RSI_PERIOD)[0] for signals in timeline.signals],
        moods=_sentiments_on(timeline, sentiment),
    )


def _sentiments_on(timeline: Timeline, sentiment: SentimentSeries) -> "Array":
    """The sentiment at each bar, as its index in SENTIMENT_STANCES. It changes where a reading arrives or expires."""
    import numpy as np

    if isinstance(sentiment, FixedSentiment):
        return np.full(len(timeline.times), SENTIMENT_STANCES.index(sentiment.stance), np.int8)
    measured = np.asarray(sentiment.measured, dtype=np.int64)
    changes = np.unique(np.concatenate(([0], measured, measured + MAX_READING_AGE_SECONDS + 1)))
    stances = np.array([SENTIMENT_STANCES.index(sentiment.stance_at(int(moment))) for moment in changes], np.int8)
    return np.ascontiguousarray(stances[np.searchsorted(changes, timeline.times, side="right") - 1])


def new_buffers(
    kernel: Kernel, symbols: int, bars: int, *, cache_exits: bool = False, resting_stops: bool = False
) -> BacktestBuffers:
    """Buffers for a run; `cache_exits` for several runs that may share exits, by resting stops too."""
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
        budgets=zeros(max_trades, float),
        exit_cache=zeros((symbols, bars if cache_exits else 0)),
        bid_cache=zeros((symbols, bars if cache_exits and resting_stops else 0), float),
        held=zeros(symbols, float),
        exit_bar=zeros(symbols),
        exit_bid=zeros(symbols, float),
        prefetch_sink=zeros(symbols, float),
        trade=zeros(symbols),
        last_exit=zeros(symbols),
        next_buy=zeros(symbols),
    )
