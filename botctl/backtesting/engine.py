"""Trades a history: the Council's entries, the stop rule's exits, one account for all symbols.

The steps and their order are those of a tick, on plain numbers, so that the same functions run interpreted and compiled
by numba. A bar is the tick that comes when its candle closes: decisions use the bar's close, orders fill at the next
price. Going from event to event instead of from bar to bar saves time and changes no result.
"""

from collections.abc import MutableSequence, Sequence
from typing import NamedTuple

from botctl.backtesting.equity_curve import (
    begin_tracking,
    look_before_orders,
    worth_at,
    write_equity,
    write_equity_after_orders,
)
from botctl.backtesting.exits import (
    BUY,
    ENDING_COUNT,
    LOTS_PER_UNIT,
    NO_RESTING_STOP,
    RESTING,
    SELL,
    find_exit,
    truncate_to_lot,
)
from botctl.backtesting.performance import sharpe_of_curve
from botctl.backtesting.sales import sell_all, sell_due, sell_rested
from botctl.backtesting.tables import Table, WritableTable, unsigned_index
from botctl.domain.sizing import compounded, entry_budget
from botctl.domain.stops import break_even_price, covers_costs, initial_stop, is_entry_price

SENTIMENT_STANCE_COUNT = 4
"""The length of `sentiment.SENTIMENT_STANCES`. Written out, because the cache of compiled code depends on this file."""


class MarketArrays(NamedTuple):
    """Prices and decisions at each bar."""

    closes: Table[float]
    fills: Table[float]
    """The next price after the bar: what an order of this bar is filled at, before slippage."""
    decisions: Table[int]
    """One bar longer than the others and BUY there, so that the search for the next BUY always ends."""
    atrs: Table[float]
    lows: Table[float]
    """The low of the candle that has closed since the bar before; infinite without one. No bars where no stop rests at
    the exchange."""
    times: Sequence[int]
    """When each bar closed, in unix seconds."""
    shares: Sequence[float]
    """Per symbol the largest fraction of the equity in it; 0.0 without a limit."""
    spacing: int
    """The shortest time from one bar to the next, in seconds."""
    first: int
    last: int
    """The bars that are traded: `last` is the last one whose orders can still be filled."""


class BacktestParameters(NamedTuple):
    """The settings of a run. Money in quote, fractions as fractions."""

    cash: float
    trade_amount: float
    max_open_trades: int
    cooldown_seconds: int
    max_drawdown: float
    fee_rate: float
    slippage: float
    atr_multiple: float
    breakeven_atr: float
    breakeven_fees: float
    """1.0 where the breakeven stop covers both fees, else 0.0."""
    min_stop_costs: float
    max_drawdown_peak: float
    """1.0 without a limit below the peak: nothing falls by more."""
    exit_slippage: float
    """The slippage of sells; `slippage` is that of buys."""
    risk_per_trade: float = 0.0
    """0.0 where entries cost `trade_amount`."""
    compound: float = 0.0
    """1.0 where `trade_amount` grows and shrinks with the equity, else 0.0."""
    max_trade_amount: float = 0.0
    max_exposure: float = 0.0
    """0.0 is a limit that is not set."""
    exchange_stop: float = 0.0
    """1.0 where a stop rests at the exchange for each trade, else 0.0."""
    exchange_stop_atr: float = 0.0
    """How many average true ranges that lies below the stop of the rule."""


class BacktestBuffers(NamedTuple):
    """The results of a run and its state per symbol."""

    equity: MutableSequence[float]
    """At each bar, after the bar's own orders. The drawdown guard goes by what it was before them."""
    symbols: MutableSequence[int]
    entries: MutableSequence[int]
    exits: MutableSequence[int]
    endings: MutableSequence[int]
    """Per trade, in the order of entries: its symbol, its entry and exit bars, and how it ended."""
    budgets: MutableSequence[float]
    """Per trade what it was to cost at the ask, before slippage and fee."""
    exit_cache: WritableTable[int]
    """Exits by symbol and entry bar, 0 where unknown, for parameter sets that share the exit's parameters. Without bars
    nothing is cached."""
    bid_cache: WritableTable[float]
    """Beside it the prices of exits by a resting stop. Without bars where none rests."""
    held: MutableSequence[float]
    exit_bar: MutableSequence[int]
    exit_bid: MutableSequence[float]
    """The price of an exit by a resting stop, before slippage; 0.0 for another exit, which sells at the next price."""
    prefetch_sink: MutableSequence[float]
    """Where `prefetch` writes, so that the compiler can't leave it out. Never read."""
    trade: MutableSequence[int]
    last_exit: MutableSequence[int]
    next_buy: MutableSequence[int]


class Simulated(NamedTuple):
    trades: int
    cash: float
    max_drawdown: float
    tripped: int
    """The bar at which the drawdown guard tripped; beyond the last one if it did not."""


def find_cached_exit(
    closes: Table[float],
    fills: Table[float],
    lows: Table[float],
    decisions: Table[int],
    atrs: Table[float],
    cache: WritableTable[int],
    bids: WritableTable[float],
    symbol: int,
    entered: int,
    last: int,
    entry: float,
    break_even: float,
    parameters: BacktestParameters,
) -> tuple[int, float]:
    """The exit's bar and how it ends, as one number: `bar * ENDING_COUNT + ending`; and the resting stop's price where
    that ends it, else zero."""
    caching, bid = cache.shape[1] > 0, 0.0
    found = cache[symbol, entered] if caching else 0
    if found == 0:
        bar, ending, _, _, bid = find_exit(
            closes,
            fills,
            lows,
            decisions,
            symbol,
            entered,
            last,
            entry,
            atrs[symbol, entered],
            parameters.atr_multiple,
            parameters.breakeven_atr,
            break_even,
            resting_distance(parameters),
        )
        found = ENDING_COUNT * bar + ending
        if caching:
            cache[symbol, entered] = found
            if ending == RESTING:
                bids[symbol, entered] = bid
    elif found % ENDING_COUNT == RESTING:
        bid = bids[symbol, entered]
    return found, bid


def resting_distance(parameters: BacktestParameters) -> float:
    """How many average true ranges a resting stop lies below that of the rule; NO_RESTING_STOP without one."""
    return parameters.exchange_stop_atr if parameters.exchange_stop > 0.0 else NO_RESTING_STOP


def simulate(arrays: MarketArrays, parameters: BacktestParameters, buffers: BacktestBuffers) -> Simulated:
    """Trade the history, with money in lots. Each array has a local name: see the optimizations at the end."""
    closes, fills, decisions, atrs = arrays.closes, arrays.fills, arrays.decisions, arrays.atrs
    times, last, lows, shares = arrays.times, arrays.last, arrays.lows, arrays.shares
    equity, cache, bids, budgets = buffers.equity, buffers.exit_cache, buffers.bid_cache, buffers.budgets
    held, exit_bar, exit_bid, trade = buffers.held, buffers.exit_bar, buffers.exit_bid, buffers.trade
    next_buy, last_exit, symbols, entries = buffers.next_buy, buffers.last_exit, buffers.symbols, buffers.entries
    exits, endings = buffers.exits, buffers.endings
    fee, slippage, cooldown = parameters.fee_rate, parameters.exit_slippage, parameters.cooldown_seconds
    count, active, cash, tripped = 0, 0, truncate_to_lot(parameters.cash * LOTS_PER_UNIT), last + 1
    at, prefetched = arrays.first, 0
    tracker = begin_tracking(parameters.cash, parameters.max_drawdown, parameters.max_drawdown_peak)
    sized, budget, most = has_limits(shares, parameters), parameters.trade_amount, parameters.max_open_trades
    cooldown_bars = -(-cooldown // arrays.spacing)  # after so many bars no clock needs checking
    begin_without_trades(held, exit_bar, next_buy, last_exit, last, at - cooldown_bars)
    while at <= last:
        event = next_event(decisions, next_buy, held, exit_bar, at, last, active < most and tripped > last)
        below, tracker = write_equity(closes, held, equity, cash / LOTS_PER_UNIT, active, tracker, at, event)
        if below == event and event <= last:  # not below before it
            if parameters.exchange_stop > 0.0:  # what a resting stop has sold is sold when the bar's tick begins
                cash, active = sell_rested(cash, active, held, exit_bar, exit_bid, last_exit, event, fee, slippage)
            below, tracker = look_before_orders(closes, held, cash / LOTS_PER_UNIT, tracker, event, last)
        if below <= last:  # the drawdown guard trips, even with nothing open: it sells all and ends entries
            cash += sell_all(held, fills, trade, exits, endings, below, fee, slippage)
            tracker = write_equity_after_orders(closes, held, equity, cash / LOTS_PER_UNIT, tracker, below, True)
            tripped, active, at = below, 0, below + 1
            continue
        if event > last:
            break
        if event >= prefetched:
            prefetched = prefetch(atrs, fills, buffers.prefetch_sink, event, last)
        worth = worth_at(closes, held, cash / LOTS_PER_UNIT, event) if sized else 0.0  # before its orders, as in a tick
        cash, active = sell_due(cash, active, held, exit_bar, last_exit, fills, event, fee, slippage)
        exposure = worth_at(closes, held, 0.0, event) if sized else 0.0
        for symbol in range(len(held)):
            if decisions[symbol, event] != BUY or held[symbol] > 0.0 or active >= most or tripped <= last:
                continue
            if cools_down(times, last_exit[symbol], event, cooldown, cooldown_bars):
                continue
            ask, atr = fills[symbol, event], atrs[symbol, event]
            if not can_be_stopped(ask, closes[symbol, event], atr, parameters):
                continue
            if sized:
                budget = size_by_equity(ask, atr, worth, exposure, cash / LOTS_PER_UNIT, shares[symbol], parameters)
            amount, cost = size_order(ask, budget, parameters.slippage)
            paid = cost + truncate_to_lot(cost * fee)
            if amount <= 0.0 or paid > cash:
                continue
            entry, break_even = cost / amount, break_even_of(paid / amount, parameters)
            found, exit_bid[symbol] = find_cached_exit(
                closes, fills, lows, decisions, atrs, cache, bids, symbol, event, last, entry, break_even, parameters
            )
            held[symbol], exit_bar[symbol], trade[symbol] = amount / LOTS_PER_UNIT, found // ENDING_COUNT, count
            symbols[count], entries[count] = symbol, event
            exits[count], endings[count] = found // ENDING_COUNT, found % ENDING_COUNT
            budgets[count], exposure = budget, exposure + cost / LOTS_PER_UNIT
            cash, count, active = cash - paid, count + 1, active + 1
        tracker = write_equity_after_orders(closes, held, equity, cash / LOTS_PER_UNIT, tracker, event, False)
        at = event + 1
    return Simulated(count, cash / LOTS_PER_UNIT, max(tracker.deepest, 1.0 - tracker.low / tracker.high), tripped)


def begin_without_trades(
    held: MutableSequence[float],
    exit_bar: MutableSequence[int],
    next_buy: MutableSequence[int],
    last_exit: MutableSequence[int],
    last: int,
    long_ago: int,
) -> None:
    """Set the state of each symbol to: nothing held, no exit known, its last one `long_ago`."""
    for symbol in range(len(held)):
        held[symbol], exit_bar[symbol], next_buy[symbol], last_exit[symbol] = 0.0, last + 1, 0, long_ago


def cools_down(times: Sequence[int], last_exit: int, event: int, cooldown: int, cooldown_bars: int) -> bool:
    """Whether the cool-down after a symbol's last exit lasts. After so many bars no clock needs checking."""
    bars = event - last_exit
    return bars < cooldown_bars and (bars == 0 or times[event] - times[last_exit] < cooldown)


def next_event(
    decisions: Table[int],
    next_buy: MutableSequence[int],
    held: Sequence[float],
    exit_bar: Sequence[int],
    at: int,
    last: int,
    entering: bool,
) -> int:
    """The next bar from `at` on with an exit or a possible entry; beyond `last` if there is none."""
    event = last + 1
    for symbol in range(len(held)):
        if held[symbol] > 0.0:
            event = min(event, exit_bar[symbol])
        elif entering:
            begin = max(next_buy[symbol], at)
            while decisions[unsigned_index(symbol), unsigned_index(begin)] != BUY:
                begin += 1
            next_buy[symbol] = begin
            event = min(event, begin)
    return event


def can_be_stopped(ask: float, close: float, atr: float, parameters: BacktestParameters) -> bool:
    """Whether an entry at `ask` may be made: the ask is near the last price, its stop can be hit, and is not too close
    for what a round trip costs."""
    stop = initial_stop(ask, atr, parameters.atr_multiple)
    if not 0.0 < stop < ask or atr < 1e-9 * close or not is_entry_price(ask, close):
        return False
    return covers_costs(ask, stop, parameters.fee_rate, parameters.min_stop_costs)


def has_limits(shares: Sequence[float], parameters: BacktestParameters) -> bool:
    """Whether some entry may cost anything else than `trade_amount`."""
    limited = (
        parameters.risk_per_trade + parameters.compound + parameters.max_trade_amount + parameters.max_exposure > 0.0
    )
    for symbol in range(len(shares)):
        limited = limited or shares[symbol] > 0.0
    return limited


def size_by_equity(
    ask: float,
    atr: float,
    equity: float,
    exposure: float,
    cash: float,
    share: float,
    parameters: BacktestParameters,
) -> float:
    """What a buy at `ask` is to cost there, by the rules of sizing."""
    amount = parameters.trade_amount
    if parameters.compound > 0.0:
        amount = compounded(amount, equity / parameters.cash, equity)
    return entry_budget(
        amount,
        parameters.risk_per_trade,
        equity,
        exposure,
        cash,
        ask,
        parameters.atr_multiple * atr,
        parameters.fee_rate,
        parameters.slippage,
        parameters.exit_slippage,
        parameters.max_trade_amount,
        parameters.max_exposure,
        share,
    )


def size_order(ask: float, budget: float, slippage: float) -> tuple[float, float]:
    """The amount that `budget` buys at `ask`, and its cost before the fee."""
    amount = truncate_to_lot(budget * LOTS_PER_UNIT / ask)
    return amount, truncate_to_lot(amount * ask * (1.0 + slippage))


def break_even_of(unit_cost: float, parameters: BacktestParameters) -> float:
    """The price that pays for both fees; zero where the stop does not go by it."""
    return break_even_price(unit_cost, parameters.fee_rate) if parameters.breakeven_fees > 0.0 else 0.0


def simulate_sets(
    arrays: MarketArrays,
    sets: Sequence[Sequence[float]],
    day_ends: Sequence[int],
    buffers: BacktestBuffers,
    figures: Sequence[MutableSequence[float]],
) -> None:
    """Simulate one parameter set after another. A row of `figures` gets the number of trades, the return, the deepest
    drawdown and the Sharpe ratio. `day_ends` are the last bars of each day, counted from the first traded bar.
    """
    for number in range(len(sets)):
        row = sets[number]
        parameters = BacktestParameters(
            row[0],
            row[1],
            int(row[2]),
            int(row[3]),
            row[4],
            row[5],
            row[6],
            row[7],
            row[8],
            row[9],
            row[10],
            row[11],
            row[12],
            row[13],
            row[14],
            row[15],
            row[16],
            row[17],
            row[18],
        )
        played = simulate(arrays, parameters, buffers)
        curve = buffers.equity[arrays.first : arrays.last + 1]
        result = figures[number]
        result[0], result[1] = float(played.trades), curve[len(curve) - 1] / parameters.cash - 1.0
        result[2], result[3] = played.max_drawdown, sharpe_of_curve(curve, day_ends, parameters.cash)


# Optimizations for the compiler and the processor: begin.
#
# None of them changes a result. Measured on two shared cores, the fastest of many runs, `simulate` alone (350,000
# candles: 0.86 ms; 3,000,000: 2.8 ms):
# - `unsigned_index`: with signed indexes the compiler checks at each access whether to count from the end, which takes
#   1.2 times as long on 350,000 candles and 1.9 times on 3,000,000.
# - `prefetch`: without it 3,000,000 candles take 1.4 times as long; 350,000 fit into the cache and gain nothing.
# - `decide` by the bits of two numbers: a table needs one lookup per bar, bits are shifted for many bars at once.
# - `size_by_equity` is called and not inlined (`jit.RARELY_CALLED`): inlined, 350,000 candles with fixed amounts,
#   which never call it, take 1.14 times as long. With sizes by risk they take 1.2 times as long as with fixed ones.
# - Local names for arrays in `simulate`, and each passed alone to `find_cached_exit`: compiled code counts references
#   each time an array is read from a tuple, which costs more than the work on it.

PREFETCH_BARS = 4096
"""Few enough to fit into the processor's cache, enough to be worth a call."""
FLOATS_PER_CACHE_LINE = 8


def prefetch(
    first: Table[float], second: Table[float], prefetch_sink: MutableSequence[float], event: int, last: int
) -> int:
    """Read what the next bars need into the processor's cache; return the bar up to which it is cached."""
    end = min(event + PREFETCH_BARS, last + 1)
    for symbol in range(len(prefetch_sink)):
        total = 0.0
        for bar in range(event, end, FLOATS_PER_CACHE_LINE):
            total += (
                first[unsigned_index(symbol), unsigned_index(bar)] + second[unsigned_index(symbol), unsigned_index(bar)]
            )
        prefetch_sink[symbol] = total
    return event + PREFETCH_BARS


def decide(
    opinions: Sequence[int], sentiments: Sequence[int], buys: int, sells: int, decisions: MutableSequence[int]
) -> None:
    """The Council's decision at every bar; a set bit of `buys` or `sells` is a pair of opinion and sentiment."""
    for at in range(len(opinions)):
        pair = SENTIMENT_STANCE_COUNT * opinions[at] + sentiments[at]
        decisions[at] = BUY * (buys >> pair & 1) + SELL * (sells >> pair & 1)


# Optimizations: end.
