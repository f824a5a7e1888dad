"""A history traded through: entries where the Council said BUY, exits by the stop rule, one account for all symbols.

The same steps in the same order as a tick, on plain numbers, so that it runs as it stands and compiled by numba alike.
A bar stands for the tick that comes when its candle closes: prices seen are the bar's close, orders are filled at the
next price. Walking from event to event instead of from bar to bar changes nothing but the time that it takes.
"""

from collections.abc import MutableSequence, Sequence
from typing import NamedTuple, Protocol

from botctl.backtesting.performance import steady_ratio
from botctl.domain.stops import advance_stop, initial_stop

HOLD, BUY, SELL = 0, 1, 2
"""Decisions of the Council, as numbers that fit into an array."""

SENTIMENT_STANCE_COUNT = 4
"""How many moods there are, as in `moods.MOODS`; written out, since compiled code is kept by what this file says."""

STILL_OPEN, STOPPED, COUNCIL, DRAWDOWN = 0, 1, 2, 3
"""How a trade ended."""
ENDS = 4
"""How many ways there are."""

LOTS_PER_UNIT = 1e8
"""Lots, costs and fees have eight decimals, as at the paper broker."""
LAST_BITS = 1e-15
"""By such a part of itself a product of a few floats may miss what it is exactly."""
WHOLE = 2.0**53
"""From here on every float is a whole number."""


class Table[Figure](Protocol):
    """Figures by symbol and bar, looked up as `table[symbol, bar]`: a row by itself would be one more object whose
    holders compiled code has to count."""

    def __getitem__(self, place: tuple[int, int], /) -> Figure: ...


class Notes(Table[int], Protocol):
    """A table that is written to as well."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __setitem__(self, place: tuple[int, int], figure: int, /) -> None: ...


class MarketArrays(NamedTuple):
    """What was known at each bar."""

    closes: Table[float]
    fills: Table[float]
    """The next price after the bar: what an order of this bar is filled at, before slippage."""
    decisions: Table[int]
    """Of one bar more than there are: whoever looks for the next BUY finds one there at the latest."""
    atrs: Table[float]
    times: Sequence[int]
    """When each bar closed, in unix seconds."""
    spacing: int
    """The least time from one bar to the next, in seconds."""
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


class BacktestBuffers(NamedTuple):
    """What is written while playing, and what is kept meanwhile for each symbol."""

    equity: MutableSequence[float]
    """Of each bar, as the guard sees it: before the bar's own orders."""
    symbols: MutableSequence[int]
    entries: MutableSequence[int]
    exits: MutableSequence[int]
    ends: MutableSequence[int]
    """Of each trade, in the order of entries: its symbol, its bars, and how it ended."""
    known: Notes
    """Exits found before, by symbol and entry bar; 0 where none was: sets of terms that differ in other things than
    the exit's own find them here. Without any bars nothing is kept, for whoever plays only once."""
    held: MutableSequence[float]
    exit_bar: MutableSequence[int]
    felt: MutableSequence[float]
    """Nothing that is of use: what `prefetch` came upon, so that the compiler can't leave it out."""
    number: MutableSequence[int]
    left: MutableSequence[int]
    """The bar of the last exit."""
    pointer: MutableSequence[int]


class DrawdownTracker(NamedTuple):
    """How far an equity has fallen: its high, its lowest since then, and the deepest fall from any high before, as a
    fraction of that high. No division is needed before there is a new high."""

    high: float
    low: float
    deepest: float


def find_exit(
    closes: Table[float],
    decisions: Table[int],
    symbol: int,
    entered: int,
    last: int,
    entry: float,
    atr: float,
    multiple: float,
    breakeven: float,
) -> tuple[int, int, float, float]:
    """Where a position ends that was entered at bar `entered`: the bar, how, and its stop and high then.

    It depends on the entry and on the exit's own parameters alone: neither on cash nor on other trades. Without an
    exit up to bar `last` the answer is `last` + 1 and STILL_OPEN.
    """
    stop, high = initial_stop(entry, atr, multiple), entry
    for at in range(entered + 1, last + 1):
        stop, high, hit = advance_stop(
            closes[unsigned_index(symbol), unsigned_index(at)], stop, high, entry, atr, multiple, breakeven
        )
        if hit:
            return at, STOPPED, stop, high
        if decisions[unsigned_index(symbol), unsigned_index(at)] == SELL:
            return at, COUNCIL, stop, high
    return last + 1, STILL_OPEN, stop, high


def find_exit_once(
    closes: Table[float],
    decisions: Table[int],
    atrs: Table[float],
    known: Notes,
    symbol: int,
    entered: int,
    last: int,
    entry: float,
    parameters: BacktestParameters,
) -> int:
    """The exit's bar and how it ends, as one number: `bar * ENDS + end`; from `known` where it was found before."""
    keeping = known.shape[1] > 0
    found = known[symbol, entered] if keeping else 0
    if found == 0:
        atr, multiple, breakeven = atrs[symbol, entered], parameters.atr_multiple, parameters.breakeven_atr
        bar, end, _, _ = find_exit(closes, decisions, symbol, entered, last, entry, atr, multiple, breakeven)
        found = ENDS * bar + end
        if keeping:
            known[symbol, entered] = found
    return found


def truncate_to_lot(lots: float) -> float:
    """`lots` without their fraction; a float that misses a whole lot by its last bits is that lot.

    Beyond 2 ** 53 a float has no fraction left to cut, and a compiled integer would soon overflow.
    """
    lots += min(max(1e-6, lots * LAST_BITS), 0.05)
    return float(int(lots)) if lots < WHOLE else lots


def play(history: MarketArrays, parameters: BacktestParameters, buffers: BacktestBuffers) -> tuple[int, float, float]:
    """Trade the history through; how many trades there were, the cash at the end, and the deepest fall of the equity
    from a high, as a fraction of that high.

    Money is in lots while it plays: whole numbers, which floats add up exactly and no division has to be made for.
    """
    # Each array has a name of its own: see the tricks at the end.
    closes, fills, decisions, atrs = history.closes, history.fills, history.decisions, history.atrs
    times, last, equity, known = history.times, history.last, buffers.equity, buffers.known
    held, exit_bar, number, pointer, left = (
        buffers.held,
        buffers.exit_bar,
        buffers.number,
        buffers.pointer,
        buffers.left,
    )
    symbols, entries, exits, ends = buffers.symbols, buffers.entries, buffers.exits, buffers.ends
    fee_rate, slippage = parameters.fee_rate, parameters.slippage
    count, active, cash, tripped, at, near = (
        0,
        0,
        truncate_to_lot(parameters.cash * LOTS_PER_UNIT),
        False,
        history.first,
        0,
    )
    fall, floor = (
        DrawdownTracker(parameters.cash, parameters.cash, 0.0),
        parameters.cash * (1.0 - parameters.max_drawdown),
    )
    rest = -(-parameters.cooldown_seconds // history.spacing)  # bars after which no clock needs asking
    for symbol in range(len(held)):
        held[symbol], exit_bar[symbol], pointer[symbol], left[symbol] = 0.0, last + 1, 0, at - rest
    while at <= last:
        entering = active < parameters.max_open_trades and not tripped
        event = next_event(decisions, pointer, held, exit_bar, at, last, entering)
        until = min(event, last)
        below, fall = value(closes, held, equity, cash / LOTS_PER_UNIT, active, fall, floor, at, until)
        if below <= until:  # the guard sells all and enters nothing more; it acts with nothing open as well
            for symbol in range(len(held)):
                if held[symbol] > 0.0:
                    cash += proceeds(held[symbol], fills[symbol, below], fee_rate, slippage)
                    held[symbol] = 0.0
                    exits[number[symbol]], ends[number[symbol]] = below, DRAWDOWN
            tripped, floor, active, at = True, 0.0, 0, below + 1
            continue
        if event > last:
            break
        if event >= near:
            near = prefetch(atrs, fills, buffers.felt, event, last)
        for symbol in range(len(held)):
            if held[symbol] > 0.0 and exit_bar[symbol] == event:
                cash += proceeds(held[symbol], fills[symbol, event], fee_rate, slippage)
                held[symbol], left[symbol] = 0.0, event
                active -= 1
        for symbol in range(len(held)):
            wanted = decisions[symbol, event] == BUY and held[symbol] == 0.0
            if not wanted or tripped or active >= parameters.max_open_trades:
                continue
            waited = event - left[symbol]
            if waited < rest and (waited == 0 or times[event] - times[left[symbol]] < parameters.cooldown_seconds):
                continue
            amount, cost = order(fills[symbol, event], closes[symbol, event], atrs[symbol, event], parameters)
            paid = cost + truncate_to_lot(cost * fee_rate)
            if amount <= 0.0 or paid > cash:
                continue
            found = find_exit_once(closes, decisions, atrs, known, symbol, event, last, cost / amount, parameters)
            held[symbol], exit_bar[symbol], number[symbol] = amount / LOTS_PER_UNIT, found // ENDS, count
            symbols[count], entries[count], exits[count], ends[count] = symbol, event, found // ENDS, found % ENDS
            cash, count, active = cash - paid, count + 1, active + 1
        at = event + 1
    return count, cash / LOTS_PER_UNIT, max(fall.deepest, 1.0 - fall.low / fall.high)


def next_event(
    decisions: Table[int],
    pointer: MutableSequence[int],
    held: Sequence[float],
    exit_bar: Sequence[int],
    at: int,
    last: int,
    entering: bool,
) -> int:
    """The next bar from `at` on at which a position is due to end or one may be entered; beyond the last if none.

    `pointer` remembers how far each symbol's next BUY is known.
    """
    event = last + 1
    for symbol in range(len(held)):
        if held[symbol] > 0.0:
            event = min(event, exit_bar[symbol])
        elif entering:
            begin = max(pointer[symbol], at)
            while decisions[unsigned_index(symbol), unsigned_index(begin)] != BUY:
                begin += 1
            pointer[symbol] = begin
            event = min(event, begin)
    return event


def value(
    closes: Table[float],
    held: Sequence[float],
    equity: MutableSequence[float],
    cash: float,
    active: int,
    fall: DrawdownTracker,
    floor: float,
    at: int,
    until: int,
) -> tuple[int, DrawdownTracker]:
    """Write the equity of bars `at` to `until`: cash and what is held at its last price.

    Returns the first of them that lies below `floor`, or the one after the last; what lies behind is not to be relied
    on then. And the equity's fall, as far as it is known by there.
    """
    high, low, deepest = fall
    pending, begun = active, False
    for symbol in range(len(held)):
        amount = held[symbol]
        if amount == 0.0:
            continue
        pending -= 1
        if pending > 0:
            for bar in range(at, until + 1):
                equity[unsigned_index(bar)] = (equity[unsigned_index(bar)] if begun else cash) + amount * closes[
                    unsigned_index(symbol), unsigned_index(bar)
                ]
            begun = True
            continue
        for bar in range(at, until + 1):  # the last one that is held completes the sum
            worth = (equity[unsigned_index(bar)] if begun else cash) + amount * closes[
                unsigned_index(symbol), unsigned_index(bar)
            ]
            equity[unsigned_index(bar)] = worth
            low = min(low, worth)
            if worth > high:
                deepest = max(deepest, 1.0 - low / high)
                high = low = worth
            if worth < floor:
                return bar, DrawdownTracker(high, low, deepest)
        return until + 1, DrawdownTracker(high, low, deepest)
    for bar in range(at, until + 1):
        equity[unsigned_index(bar)] = cash
    low = min(low, cash)
    if cash > high:
        deepest = max(deepest, 1.0 - low / high)
        high = low = cash
    return at if cash < floor else until + 1, DrawdownTracker(high, low, deepest)


def order(ask: float, close: float, atr: float, parameters: BacktestParameters) -> tuple[float, float]:
    """How much a buy at `ask` is for, and what it costs before its fee; zeros where its stop could never be hit."""
    stop = initial_stop(ask, atr, parameters.atr_multiple)
    if not 0.0 < stop < ask or atr < 1e-9 * close:
        return 0.0, 0.0
    amount = truncate_to_lot(parameters.trade_amount * LOTS_PER_UNIT / ask)
    return amount, truncate_to_lot(amount * ask * (1.0 + parameters.slippage))


def proceeds(held: float, bid: float, fee_rate: float, slippage: float) -> float:
    """What a sale brings, after its fee."""
    cost = truncate_to_lot(held * LOTS_PER_UNIT * bid * (1.0 - slippage))
    return cost - truncate_to_lot(cost * fee_rate)


def play_sets(
    history: MarketArrays,
    sets: Sequence[Sequence[float]],
    days: Sequence[int],
    buffers: BacktestBuffers,
    figures: Sequence[MutableSequence[float]],
) -> None:
    """Play one set of terms after the other. Of each, in the order of its row: how many trades there were, the return,
    the deepest fall and the Sharpe ratio; `days` are the bars at which days end, counted from the first one traded.
    """
    for number in range(len(sets)):
        row = sets[number]
        parameters = BacktestParameters(
            row[0], row[1], int(row[2]), int(row[3]), row[4], row[5], row[6], row[7], row[8]
        )
        count, _, deepest = play(history, parameters, buffers)
        curve = buffers.equity[history.first : history.last + 1]
        told = figures[number]
        told[0], told[1] = float(count), curve[len(curve) - 1] / parameters.cash - 1.0
        told[2], told[3] = deepest, steady_ratio(curve, days, parameters.cash)


# Tricks for the compiler and the processor: begin.
#
# None of them changes a figure: without them the same comes out, later. Measured on two shared cores, least of many
# runs, `play` alone (350,000 candles: 0.86 ms; 3,000,000: 2.8 ms):
# - `unsigned_index`, places without a sign: without it the compiler asks at each look-up whether to count from the end, which
#   takes 1.2 times as long on 350,000 candles and 1.9 times on 3,000,000.
# - `prefetch`, memory asked for ahead: without it 3,000,000 candles take 1.4 times as long; 350,000 fit into the
#   cache and take as long as with it.
# - `decide` by the bits of two numbers: a table would be looked up bar by bar, bits are shifted for many bars at once.
# - The names of its own that `play` has for each array: compiled code counts who holds an array each time that it is
#   reached through a tuple, which costs more than all that is done with it.


NEAR = 4096
"""So many bars ahead are brought near at once: few enough for the processor's cache, many enough to be quick."""
LINE = 8
"""Floats that come at once, as one line of the cache."""


def unsigned_index(place: int) -> int:
    """A place that is never counted from the end. Compiled it is a number without a sign, so that nobody asks which."""
    return place


def prefetch(first: Table[float], second: Table[float], felt: MutableSequence[float], event: int, last: int) -> int:
    """Touch what will be asked for here and there in the next bars, so that the processor has it at hand by then.

    A figure out of the blue takes it a hundred times as long as one that it saw coming. Returns the bar up to which
    all is near.
    """
    end = min(event + NEAR, last + 1)
    for symbol in range(len(felt)):
        total = 0.0
        for bar in range(event, end, LINE):
            total += (
                first[unsigned_index(symbol), unsigned_index(bar)] + second[unsigned_index(symbol), unsigned_index(bar)]
            )
        felt[symbol] = total
    return event + NEAR


def decide(
    opinions: Sequence[int], sentiments: Sequence[int], buys: int, sells: int, decisions: MutableSequence[int]
) -> None:
    """The Council's decision at every bar, by the technical opinion and the mood.

    Which pairs of them buy and which sell is told by the bits of two numbers, the moods of one opinion beside each
    other: a processor looks up many bars at once so.
    """
    for at in range(len(opinions)):
        pair = SENTIMENT_STANCE_COUNT * opinions[at] + sentiments[at]
        decisions[at] = BUY * (buys >> pair & 1) + SELL * (sells >> pair & 1)


# Tricks: end.
