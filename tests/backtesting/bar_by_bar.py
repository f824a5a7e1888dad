"""The reference for backtests: one run at every bar, each with the candles closed by then and the bot's own functions.

It shares the stop rule and the indicators with the bot, and nothing with the backtest engine.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal
from functools import partial
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

from botctl.domain.candles import Candle, CandleColumns
from botctl.domain.configuration.settings import Settings
from botctl.domain.costs import COST_DECIMALS, cost_and_fee, fill_price
from botctl.domain.council_rules import CouncilRule, combine
from botctl.domain.decisions import TECHNICAL_STANCES, Action, Verdict
from botctl.domain.errors import Refused
from botctl.domain.money import floor_to, price_of
from botctl.domain.orders import Side, stop_reason
from botctl.domain.sentiment import SentimentSeries
from botctl.domain.sizing import Sizing
from botctl.domain.stops import StopRule, advance_stop, covers_costs, initial_stop
from botctl.market_data.indicators import calculate_atr, calculate_trend


@dataclass
class Position:
    symbol: str
    entry_time: int
    amount: Decimal
    entry: float
    atr: float
    stop: float
    high: float
    break_even: float
    cost: Decimal
    exit_time: int | None = None
    reason: str | None = None


@dataclass
class ReferenceRun:
    """The positions of a reference backtest, and the equity at each bar after its orders."""

    positions: list[Position] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    equity: list[Decimal] = field(default_factory=list)
    cash: Decimal = Decimal(0)
    tripped_at: int | None = None

    def days(self) -> list[tuple[int, float]]:
        """The last bar of each UTC day, which ends with the bar at 24:00: when it closed, and the equity."""
        ends: dict[date, tuple[int, float]] = {}
        for time, worth in zip(self.times, self.equity, strict=True):
            ends[datetime.fromtimestamp(time - 1, UTC).date()] = time, float(worth)
        return [ends[day] for day in sorted(ends)]

    def ratios(self, begun: float) -> tuple[float | None, float | None]:
        """Sharpe and Sortino of its days, the cash at the start being the day before the first."""
        worths = [begun, *(worth for _, worth in self.days())]
        changes = [after / before - 1 for before, after in pairwise(worths)]
        if len(changes) < 2:
            return None, None
        mean, spread = fmean(changes), stdev(changes)
        downside = sqrt(fmean(min(change, 0.0) ** 2 for change in changes))
        year = sqrt(365)
        return (mean / spread * year if spread else None), (mean / downside * year if downside else None)


def run_every_bar(histories: Sequence[CandleColumns], settings: Settings, sentiment: SentimentSeries) -> ReferenceRun:
    """One run at each candle's close, from the first with an ATR for every symbol to the last with a next price."""
    closed = {h.symbol: [int(time) + h.seconds for time in h.times] for h in histories}
    signals = {h.symbol: put_together(h, settings.signal_seconds or h.seconds) for h in histories}
    signals_closed = {s.symbol: [int(time) + s.seconds for time in s.times] for s in signals.values()}
    needed = warm_up(settings.atr_period)
    begin = max(times[needed - 1] for times in signals_closed.values())
    end = min(times[-2] for times in closed.values())
    run = ReferenceRun(cash=settings.initial_balance or Decimal(0))
    begun = peak = float(run.cash)
    tripped = False
    rested: dict[str, int] = {}
    decided: dict[str, int] = {}
    for now in sorted({time for times in closed.values() for time in times if time <= end}):
        signalled = {symbol: bisect_right(times, now) for symbol, times in signals_closed.items()}
        before, decided = decided, signalled
        if now < begin:
            continue
        seen = {h.symbol: bisect_right(closed[h.symbol], now) for h in histories}
        price = {h.symbol: float(h.closes[seen[h.symbol] - 1]) for h in histories}
        following = {h.symbol: Decimal(repr(float(h.opens[seen[h.symbol]]))) for h in histories}
        active = [position for position in run.positions if position.exit_time is None]
        equity = _worth(run, price)
        worth = float(equity)
        peak = max(peak, worth)
        run.times.append(now)
        if not tripped and _is_too_deep(worth, begun, peak, settings):
            run.tripped_at = now
            tripped = True
            for position in active:
                _close_position(run, position, following, now, "DRAWDOWN", settings)
            run.equity.append(_worth(run, price))
            continue
        opinions = {
            symbol: Action.HOLD
            if settings.signal_seconds and signalled[symbol] == before.get(symbol)
            else _decide(own, signalled[symbol], sentiment, now)
            for symbol, own in signals.items()
        }
        for position in active:
            position.stop, position.high, hit = advance_stop(
                price[position.symbol],
                position.stop,
                position.high,
                position.entry,
                position.atr,
                settings.atr_multiple,
                settings.breakeven_atr,
                position.break_even,
            )
            if hit:
                reason = stop_reason(position.stop, position.entry, position.break_even)
                _close_position(run, position, following, now, reason, settings)
                rested[position.symbol] = now + 60 * settings.cooldown_minutes
            elif opinions[position.symbol] is Action.SELL:
                _close_position(run, position, following, now, "COUNCIL", settings)
                rested[position.symbol] = now + 60 * settings.cooldown_minutes
        for h in histories:
            if opinions[h.symbol] is Action.BUY and not tripped and rested.get(h.symbol, 0) <= now:
                symbol = h.symbol
                budget = partial(_budget, run, equity, price, now, symbol, settings)
                _open_position(run, signals[symbol], signalled[symbol], following[symbol], now, settings, budget)
        run.equity.append(_worth(run, price))
    return run


def warm_up(period: int) -> int:
    """The candles of an ATR's first value, and as many as it takes to leave less than a thousandth of it."""
    count, left = period, 1.0
    while left >= 0.001:
        count, left = count + 1, left * (1 - 1 / period)
    return max(count, 114)


def _worth(run: ReferenceRun, price: dict[str, float]) -> Decimal:
    return run.cash + sum(p.amount * Decimal(repr(price[p.symbol])) for p in run.positions if p.exit_time is None)


def _is_too_deep(worth: float, begun: float, peak: float, settings: Settings) -> bool:
    below_peak = settings.max_drawdown_peak
    if worth < begun * (1 - float(settings.max_drawdown)):
        return True
    return below_peak is not None and worth < peak * (1 - float(below_peak))


def put_together(history: CandleColumns, seconds: int) -> CandleColumns:
    """The candles of `seconds` that lie in the history, from what there is of each."""
    if seconds == history.seconds:
        return history
    groups: dict[int, list[Candle]] = {}
    for candle in candles_of(history, len(history.times)):
        groups.setdefault(candle.time - candle.time % seconds, []).append(candle)
    rows = [
        (opened, parts[0].open, max(c.high for c in parts), min(c.low for c in parts), parts[-1].close, 1.0)
        for opened, parts in groups.items()
        if history.times[0] <= opened and opened + seconds <= history.times[-1] + history.seconds
    ]
    return CandleColumns(history.symbol, seconds, *(map(list, zip(*rows, strict=True)) if rows else [[]] * 6))  # type: ignore[arg-type]


def candles_of(history: CandleColumns, count: int) -> list[Candle]:
    """The first `count` candles."""
    columns = (history.opens, history.highs, history.lows, history.closes, history.volumes)
    rows = zip(history.times[:count], *(column[:count] for column in columns), strict=True)
    return [Candle(int(time), *figures) for time, *figures in rows]


def _shown_candles(history: CandleColumns, count: int) -> list[Candle]:
    """The newest of them that a run is given."""
    return candles_of(history, count)[-720:]


def _decide(history: CandleColumns, count: int, sentiment: SentimentSeries, now: int) -> Action:
    opinion = TECHNICAL_STANCES[calculate_trend(_shown_candles(history, count))[0]]
    verdicts = (Verdict("technical", opinion, ""), Verdict("sentiment", sentiment.stance_at(now), ""))
    return combine(CouncilRule.STORY, verdicts)[0]


def _budget(
    run: ReferenceRun,
    equity: Decimal,
    price: dict[str, float],
    now: int,
    symbol: str,
    settings: Settings,
    ask: Decimal,
    atr: float,
) -> Decimal:
    """What an entry is to cost at the ask, exactly, from the sentences of docs/rules.md."""
    worse, fee = 1 + settings.slippage, settings.fee_rate
    wanted, left = settings.trade_amount_usd, []
    grain = min(Decimal(1), Decimal(1).scaleb(equity.adjusted() - 7))
    if settings.sizing is Sizing.RISK:
        entry = ask * worse
        stop = entry - Decimal(settings.atr_multiple) * Decimal(atr)
        lost = entry * (1 + fee) - stop * (1 - settings.exit_slippage) * (1 - fee)
        risked = (settings.risk_per_trade or Decimal(0)) * equity / lost * ask
        wanted = _whole(risked, grain)
        left.append(_whole(run.cash / worse / (1 + fee), grain))
    elif settings.compound:
        wanted = _whole(wanted * equity / (settings.initial_balance or 0), grain)
    if settings.max_trade_amount is not None:
        wanted = min(wanted, settings.max_trade_amount / worse)
    for asset, share in settings.allocation.shares if settings.allocation is not None else ():
        wanted = min(wanted, _whole(share * equity / worse, grain)) if asset == symbol.split("/")[0] else wanted
    if settings.max_exposure is not None:
        held = [position for position in run.positions if position.exit_time is None]
        new = sum(position.cost for position in held if position.entry_time == now)
        older = sum(p.amount * Decimal(repr(price[p.symbol])) for p in held if p.entry_time != now)
        wanted = min(wanted, _whole(settings.max_exposure * equity / worse, grain))
        left.append(_whole((settings.max_exposure * equity - new - older) / worse, grain))
    budget = min([wanted, *left])
    return budget if budget * 100 >= wanted else Decimal(0)


def _whole(figure: Decimal, grain: Decimal) -> Decimal:
    return figure.quantize(grain, rounding=ROUND_DOWN) if figure > 0 else Decimal(0)


def _open_position(
    run: ReferenceRun,
    history: CandleColumns,
    count: int,
    ask: Decimal,
    now: int,
    settings: Settings,
    budget: Callable[[Decimal, float], Decimal],
) -> None:
    active = [position for position in run.positions if position.exit_time is None]
    if len(active) >= settings.max_open_trades or any(p.symbol == history.symbol for p in active):
        return
    try:
        atr = calculate_atr(_shown_candles(history, count), settings.atr_period)
    except Refused:
        return
    if not float(history.closes[count - 1]) / 2 <= float(ask) <= 2 * float(history.closes[count - 1]):
        return
    stop = initial_stop(float(ask), atr, settings.atr_multiple)
    if not 0 < stop < float(ask):
        return
    if not covers_costs(float(ask), stop, float(settings.fee_rate), settings.min_stop_costs):
        return
    amount = floor_to(budget(ask, atr) / ask, COST_DECIMALS)
    cost, fee = cost_and_fee(amount, fill_price(Side.BUY, ask, settings.slippage), settings.fee_rate)
    if not amount or cost + fee > run.cash:
        return
    run.cash -= cost + fee
    entry = float(cost / amount)
    stop = initial_stop(entry, atr, settings.atr_multiple)
    rule = StopRule(settings.atr_multiple, settings.breakeven_atr, settings.breakeven_fees)
    break_even = rule.break_even(float(price_of(cost + fee, amount)), float(settings.fee_rate))
    run.positions.append(Position(history.symbol, now, amount, entry, atr, stop, entry, break_even, cost))


def _close_position(
    run: ReferenceRun, position: Position, following: dict[str, Decimal], now: int, reason: str, settings: Settings
) -> None:
    price = fill_price(Side.SELL, following[position.symbol], settings.exit_slippage)
    proceeds, fee = cost_and_fee(position.amount, price, settings.fee_rate)
    run.cash += proceeds - fee
    position.exit_time, position.reason = now, reason
