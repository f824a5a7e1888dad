"""Trades a history as the bot would have: the Council's entries, the stop rule's exits, one account for all symbols."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botctl.domain import performance
from botctl.domain.candles import CandleColumns, base_of, quote_of
from botctl.domain.errors import BadValue
from botctl.domain.fills import COST_DECIMALS, cost_and_fee, fill_price
from botctl.domain.indicators import SEED_FADES_AFTER
from botctl.domain.money import floor_to, price_of
from botctl.domain.moods import MOODS, TRUSTED_SECONDS, FixedMood, Mood, decision_table
from botctl.domain.orders import ExitReason, Side, stop_reason
from botctl.domain.playback import BUY, COUNCIL, DRAWDOWN, HOLD, SELL, STILL_OPEN, Book, History, Terms
from botctl.domain.pnl import calculate_pnl
from botctl.domain.results import BacktestTrade, BacktestView, EquityPoint
from botctl.domain.settings import DEFAULT_BALANCE, Settings
from botctl.domain.votes import RSI_CEILING, TECHNICAL_STANCES, Action
from botctl.market.compiled import compiled, plain
from botctl.market.indicators import EMA_FAST, EMA_SLOW, RSI_PERIOD

if TYPE_CHECKING:
    import numpy as np

COMPILE_FROM = 160_000
"""Candles from which on loading compiled code is quicker than running without."""
DAY = 86_400
DECISIONS = {Action.HOLD: HOLD, Action.BUY: BUY, Action.SELL: SELL}


@dataclass(frozen=True)
class Grid:
    """All symbols on one line of time: per symbol and bar the newest candle that had closed."""

    symbols: tuple[str, ...]
    seconds: int
    times: Any
    """When each bar closed, in unix seconds."""
    places: Any
    """Per symbol and bar: the candle's place in its own history."""
    first: int
    last: int
    """The bars to be traded."""


@dataclass(frozen=True)
class Run:
    """A backtest with all that it went through, for those who draw it."""

    view: BacktestView
    grid: Grid
    known: History
    equity: Any
    """Of each bar of the grid, as the drawdown guard saw it."""


def run_backtest(
    histories: Sequence[CandleColumns],
    settings: Settings,
    mood: Mood,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> BacktestView:
    """What botctl would have done with these histories under these settings.

    Raises BadValue for histories that can't be traded together or are too short.
    """
    return play_backtest(histories, settings, mood, since=since, until=until).view


def play_backtest(
    histories: Sequence[CandleColumns],
    settings: Settings,
    mood: Mood,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Run:
    """The same with every bar of it."""
    import numpy as np

    grid = line_up(histories, settings.atr_period, since, until)
    code = compiled() if sum(len(history.closes) for history in histories) >= COMPILE_FROM else plain()
    known = read_histories(code, grid, histories, mood, settings.atr_period)
    terms = terms_of(settings)
    book = new_book(code, len(histories), len(grid.times))
    count, _ = code.play(known, terms, book)
    trades = [_trade(code, number, grid, known, terms, book, settings) for number in range(count)]
    equity = np.asarray(book.equity)
    view = _view(grid, known, settings, mood, equity, trades, code)
    view = replace(view, absent_candles=sum(history.absent for history in histories))
    return Run(view, grid, known, equity)


def terms_of(settings: Settings) -> Terms:
    """The settings as the playback takes them."""
    return Terms(
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


def line_up(
    histories: Sequence[CandleColumns], atr_period: int, since: datetime | None, until: datetime | None
) -> Grid:
    """Put histories on one line of time, and find the bars that can be traded in all of them."""
    import numpy as np

    _check_together(histories)
    seconds = histories[0].seconds
    closed = [np.asarray(history.times, dtype=np.int64) + seconds for history in histories]
    times = closed[0] if len(closed) == 1 else np.unique(np.concatenate(closed))
    places = np.stack([np.searchsorted(own, times, side="right") - 1 for own in closed])
    warm = atr_period + SEED_FADES_AFTER - 1
    begin = max(int(own[warm]) if len(own) > warm else int(own[-1]) + 1 for own in closed)
    end = min(int(own[-2]) if len(own) > 1 else 0 for own in closed)
    if since:
        begin = max(begin, int(since.timestamp()))
    if until:
        end = min(end, int(until.timestamp()))
    first, last = int(np.searchsorted(times, begin)), int(np.searchsorted(times, end, side="right")) - 1
    if first > last:
        raise BadValue(
            f"there is nothing to trade in these histories: {warm + 1} candles of each warm up the ATR",
            hint="give longer ones, or other --from and --to",
        )
    return Grid(tuple(history.symbol for history in histories), seconds, times, places, first, last)


def _check_together(histories: Sequence[CandleColumns]) -> None:
    if not histories:
        raise BadValue("there is no history to trade", hint="name a file of candles")
    if len({history.seconds for history in histories}) > 1:
        raise BadValue("these histories have candles of different lengths", hint="give files of one timeframe")
    if len({quote_of(history.symbol) for history in histories}) > 1:
        raise BadValue("these histories are in different quote currencies", hint="give files of one")
    assets = [base_of(history.symbol) for history in histories]
    if len(set(assets)) < len(assets):
        raise BadValue("two of these histories are of one asset", hint="give each asset once")


def read_histories(
    code: SimpleNamespace, grid: Grid, histories: Sequence[CandleColumns], mood: Mood, atr_period: int
) -> History:
    """Judge every candle of every history, and lay the outcome on the grid."""
    import numpy as np

    bars = len(grid.times)
    shape = (len(histories), bars)
    closes, fills, atrs = np.empty(shape), np.empty(shape), np.empty(shape)
    decisions, buys = np.empty(shape, np.int8), np.full((len(histories), bars + 1), bars, np.int64)
    moods, table = _moods_on(grid, mood), code.view(_decision_table())
    for number, (history, places) in enumerate(zip(histories, grid.places, strict=True)):
        opinions, own_atrs = _judge(code, history, atr_period)
        seen = np.maximum(places, 0)
        opinions = np.where(places >= 0, opinions[seen], 0).astype(np.int8)
        closes[number] = np.asarray(history.closes, dtype=float)[seen]
        fills[number] = np.append(np.asarray(history.opens, dtype=float), np.nan)[seen + 1]
        atrs[number] = own_atrs[seen]
        code.decide(*map(code.view, (opinions, moods)), table, *map(code.view, (decisions[number], buys[number])))
        buys[number][buys[number] == 0] = bars
    return History(
        closes=code.view(closes),
        fills=code.view(fills),
        decisions=code.view(decisions),
        atrs=code.view(atrs),
        buys=code.view(buys),
        times=code.view(grid.times),
        first=grid.first,
        last=grid.last,
    )


def _judge(
    code: SimpleNamespace, history: CandleColumns, atr_period: int
) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """The technical opinion and the ATR of every candle of one history."""
    import numpy as np

    columns = [np.ascontiguousarray(column, dtype=float) for column in (history.highs, history.lows, history.closes)]
    opinions, atrs = np.empty(len(columns[0]), np.int8), np.empty(len(columns[0]))
    views = map(code.view, columns)
    code.read_market(
        *views, EMA_FAST, EMA_SLOW, RSI_PERIOD, RSI_CEILING, atr_period, code.view(opinions), code.view(atrs)
    )
    return opinions, atrs


def _decision_table() -> "np.ndarray[Any, Any]":
    import numpy as np

    table = np.zeros((len(TECHNICAL_STANCES), len(MOODS)), np.int8)
    for opinion, row in zip(TECHNICAL_STANCES, decision_table(list(TECHNICAL_STANCES.values())), strict=True):
        table[opinion] = [DECISIONS[action] for action in row]
    return table


def _moods_on(grid: Grid, mood: Mood) -> "np.ndarray[Any, Any]":
    """The mood at each bar, as its place in MOODS. It can only change where a reading comes in or grows too old."""
    import numpy as np

    if isinstance(mood, FixedMood):
        return np.full(len(grid.times), MOODS.index(mood.stance), np.int8)
    measured = np.asarray(mood.measured, dtype=np.int64)
    changes = np.unique(np.concatenate(([0], measured, measured + TRUSTED_SECONDS + 1)))
    stances = np.array([MOODS.index(mood.stance_at(int(moment))) for moment in changes], np.int8)
    return np.ascontiguousarray(stances[np.searchsorted(changes, grid.times, side="right") - 1])


def new_book(code: SimpleNamespace, symbols: int, bars: int) -> Book:
    """Room for what a playback writes down."""
    import numpy as np

    def room(count: int) -> Any:
        return code.view(np.zeros(count, np.int64))

    most = symbols * bars + 1
    return Book(
        equity=code.view(np.zeros(bars)),
        symbols=room(most),
        entries=room(most),
        exits=room(most),
        ends=room(most),
        known=code.view(np.zeros((symbols, bars), np.int64)),
        held=code.view(np.zeros(symbols)),
        due=room(symbols),
        number=room(symbols),
        ready=room(symbols),
        pointer=room(symbols),
    )


# From bars to money


def _trade(
    code: SimpleNamespace, number: int, grid: Grid, known: History, terms: Terms, book: Book, settings: Settings
) -> BacktestTrade:
    """One trade to the last digit: what the playback found, told with the paper broker's own arithmetic."""
    symbol, entered, left = int(book.symbols[number]), int(book.entries[number]), int(book.exits[number])
    ask = Decimal(repr(float(known.fills[symbol][entered])))
    amount = floor_to(settings.trade_amount_usd / ask, COST_DECIMALS)
    price = fill_price(Side.BUY, ask, settings.slippage)
    cost, fee = cost_and_fee(amount, price, settings.fee_rate)
    entry_price = price_of(cost, amount)
    end = int(book.ends[number])
    last = left if end == DRAWDOWN else grid.last
    _, _, stop, high = code.find_exit(
        known.closes[symbol],
        known.decisions[symbol],
        entered,
        last,
        float(entry_price),
        float(known.atrs[symbol][entered]),
        terms.atr_multiple,
        terms.breakeven_atr,
    )
    trade = BacktestTrade(
        symbol=grid.symbols[symbol],
        entry_at=_moment(grid.times[entered]),
        amount=amount,
        entry_price=entry_price,
        entry_cost=cost,
        entry_fee=fee,
        atr=float(known.atrs[symbol][entered]),
        stop_loss_price=stop,
        high_price=high,
    )
    return trade if end == STILL_OPEN else _closed(trade, end, left, symbol, grid, known, settings)


def _closed(
    trade: BacktestTrade, end: int, left: int, symbol: int, grid: Grid, known: History, settings: Settings
) -> BacktestTrade:
    bid = Decimal(repr(float(known.fills[symbol][left])))
    price = fill_price(Side.SELL, bid, settings.slippage)
    proceeds, fee = cost_and_fee(trade.amount, price, settings.fee_rate)
    reasons = {COUNCIL: ExitReason.COUNCIL, DRAWDOWN: ExitReason.DRAWDOWN}
    return replace(
        trade,
        exit_at=_moment(grid.times[left]),
        exit_price=price_of(proceeds, trade.amount),
        exit_proceeds=proceeds,
        exit_fee=fee,
        exit_reason=reasons.get(end) or stop_reason(trade.stop_loss_price, float(trade.entry_price)),
        pnl=calculate_pnl(trade.entry_cost, trade.entry_fee, proceeds, fee),
    )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


# The figures


def _view(
    grid: Grid, known: History, settings: Settings, mood: Mood, equity: Any, trades: list[BacktestTrade], code: Any
) -> BacktestView:
    import numpy as np

    traded = slice(grid.first, grid.last + 1)
    times, curve = grid.times[traded], np.ascontiguousarray(equity[traded])
    days = np.append(np.flatnonzero(np.diff(times // DAY)), len(times) - 1)
    daily = [float(settings.initial_balance or DEFAULT_BALANCE), *map(float, curve[days])]
    returns = performance.daily_returns(daily)
    pnls = [trade.pnl for trade in trades if trade.pnl is not None]
    initial = settings.initial_balance or DEFAULT_BALANCE
    final = _final_equity(initial, grid, known, trades)
    tripped = next((trade.exit_at for trade in trades if trade.exit_reason == ExitReason.DRAWDOWN), None)
    return BacktestView(
        symbols=list(grid.symbols),
        seconds=grid.seconds,
        since=_moment(times[0]),
        until=_moment(times[-1]),
        bars=len(times),
        mood=f"{mood.stance} at all times" if isinstance(mood, FixedMood) else "Fear & Greed history",
        initial_balance=initial,
        equity=final,
        returned=final / initial - 1,
        buy_and_hold=_buy_and_hold(grid, known, settings),
        max_drawdown=Decimal(repr(float(code.deepest_fall(code.view(curve))))),
        sharpe=performance.sharpe_ratio(returns),
        sortino=performance.sortino_ratio(returns),
        win_rate=performance.win_rate(pnls),
        profit_factor=performance.profit_factor(pnls),
        exposure=_exposure(grid, trades),
        fees=sum((trade.entry_fee + (trade.exit_fee or 0) for trade in trades), Decimal(0)),
        tripped_at=tripped,
        trades=trades,
        equity_curve=[EquityPoint(_moment(times[day]), float(curve[day])) for day in days],
    )


def _final_equity(initial: Decimal, grid: Grid, known: History, trades: Sequence[BacktestTrade]) -> Decimal:
    """Cash and what is still held, at the last price seen; exact."""
    equity = initial
    for trade in trades:
        equity -= trade.entry_cost + trade.entry_fee
        if trade.exit_proceeds is not None and trade.exit_fee is not None:
            equity += trade.exit_proceeds - trade.exit_fee
        else:
            last = known.closes[grid.symbols.index(trade.symbol)][grid.last]
            equity += trade.amount * Decimal(repr(float(last)))
    return equity


def _buy_and_hold(grid: Grid, known: History, settings: Settings) -> Decimal:
    """What equal parts of the cash in each symbol would have returned, bought at the first bar and never sold."""
    share = 1 / Decimal(len(grid.symbols))
    kept = Decimal(0)
    for symbol in range(len(grid.symbols)):
        paid = fill_price(Side.BUY, Decimal(repr(float(known.fills[symbol][grid.first]))), settings.slippage)
        worth = Decimal(repr(float(known.closes[symbol][grid.last])))
        kept += share * worth / (paid * (1 + settings.fee_rate))
    return kept - 1


def _exposure(grid: Grid, trades: Sequence[BacktestTrade]) -> Decimal:
    """The fraction of bars at which something was held."""
    import numpy as np

    times = grid.times[grid.first : grid.last + 1]
    held = np.zeros(len(times), bool)
    for trade in trades:
        # Whole seconds: numpy would turn all times into floats at every look-up of a float.
        begin = np.searchsorted(times, int(trade.entry_at.timestamp()))
        end = np.searchsorted(times, int(trade.exit_at.timestamp())) if trade.exit_at else len(times)
        held[begin:end] = True
    return Decimal(int(held.sum())) / len(times)
