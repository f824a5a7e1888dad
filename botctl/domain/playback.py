"""A history traded through: entries where the Council said BUY, exits by the stop rule, one account for all symbols.

The same steps in the same order as a tick, on plain numbers, so that it runs as it stands and compiled by numba alike.
A bar stands for the tick that comes when its candle closes: prices seen are the bar's close, orders are filled at the
next price. Walking from event to event instead of from bar to bar changes nothing but the time that it takes.
"""

from collections.abc import MutableSequence, Sequence
from typing import NamedTuple

from botctl.domain.stops import advance_stop, initial_stop

HOLD, BUY, SELL = 0, 1, 2
"""Decisions of the Council, as numbers that fit into an array."""

MOODS_TOLD = 4
"""How many moods there are."""

STILL_OPEN, STOPPED, COUNCIL, DRAWDOWN = 0, 1, 2, 3
"""How a trade ended."""

PLACES = 1e8
"""Lots, costs and fees have eight decimals, as at the paper broker."""
LAST_BITS = 1e-15
"""By such a part of itself a product of a few floats may miss what it is exactly."""


WHOLE = 2.0**53
"""From here on every float is a whole number."""


class History(NamedTuple):
    """What was known at each bar: first index the symbol, second the bar."""

    closes: Sequence[Sequence[float]]
    fills: Sequence[Sequence[float]]
    """The next price after the bar: what an order of this bar is filled at, before slippage."""
    decisions: Sequence[Sequence[int]]
    atrs: Sequence[Sequence[float]]
    buys: Sequence[Sequence[int]]
    """The bars whose decision is BUY, in order, and behind them bars beyond the last."""
    times: Sequence[int]
    """When each bar closed, in unix seconds."""
    first: int
    last: int
    """The bars that are traded: `last` is the last one whose orders can still be filled."""


class Terms(NamedTuple):
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


class Book(NamedTuple):
    """What is written while playing, and what is kept meanwhile for each symbol."""

    equity: MutableSequence[float]
    """Of each bar, as the guard sees it: before the bar's own orders."""
    symbols: MutableSequence[int]
    entries: MutableSequence[int]
    exits: MutableSequence[int]
    ends: MutableSequence[int]
    """Of each trade, in the order of entries: its symbol, its bars, and how it ended."""
    known: Sequence[MutableSequence[int]]
    """Exits found before, by symbol and entry bar; 0 where none was: sets of terms that differ in other things than
    the exit's own find them here."""
    held: MutableSequence[float]
    due: MutableSequence[int]
    number: MutableSequence[int]
    ready: MutableSequence[int]
    pointer: MutableSequence[int]


def find_exit(
    closes: Sequence[float],
    decisions: Sequence[int],
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
    prices, verdicts = closes[entered + 1 : last + 1], decisions[entered + 1 : last + 1]
    for after in range(len(prices)):
        stop, high, hit = advance_stop(prices[after], stop, high, entry, atr, multiple, breakeven)
        if hit:
            return entered + 1 + after, STOPPED, stop, high
        if verdicts[after] == SELL:
            return entered + 1 + after, COUNCIL, stop, high
    return last + 1, STILL_OPEN, stop, high


def cut(figure: float) -> float:
    """`figure` cut to eight decimals; a float that misses a whole lot by its last bits is that lot.

    Beyond 2 ** 53 a float has no fraction left to cut, and a compiled integer would soon overflow.
    """
    lots = figure * PLACES
    lots += min(max(1e-6, lots * LAST_BITS), 0.05)
    return (float(int(lots)) if lots < WHOLE else lots) / PLACES


def play(history: History, terms: Terms, book: Book) -> tuple[int, float]:
    """Trade the history through; how many trades there were, and the cash at the end."""
    # Names of its own for everything: compiled code counts who holds an array each time that it is reached through a
    # tuple, which costs more than all that is done with it.
    closes, fills, decisions, atrs, buys = history.closes, history.fills, history.decisions, history.atrs, history.buys
    times, last, equity, known = history.times, history.last, book.equity, book.known
    held, due, number, pointer, ready = book.held, book.due, book.number, book.pointer, book.ready
    symbols, entries, exits, ends = book.symbols, book.entries, book.exits, book.ends
    fee_rate, slippage = terms.fee_rate, terms.slippage
    count, active, cash, tripped, at = 0, 0, terms.cash, False, history.first
    floor = terms.cash * (1.0 - terms.max_drawdown)
    for symbol in range(len(closes)):
        held[symbol], due[symbol], pointer[symbol], ready[symbol] = 0.0, last + 1, 0, times[at]
    while at <= last:
        entering = active < terms.max_open_trades and not tripped
        event = next_event(buys, pointer, held, due, at, last, entering)
        lowest = value(closes, held, equity, cash, at, min(event, last))
        if lowest < floor and not tripped:  # as the guard does, also with nothing open
            at = first_below(floor, equity, at)
            for symbol in range(len(closes)):
                if held[symbol] > 0.0:
                    cash += proceeds(held[symbol], fills[symbol][at], fee_rate, slippage)
                    held[symbol] = 0.0
                    exits[number[symbol]], ends[number[symbol]] = at, DRAWDOWN
            tripped, active, at = True, 0, at + 1
            continue
        if event > last:
            break
        now = times[event]
        for symbol in range(len(closes)):
            if held[symbol] > 0.0 and due[symbol] == event:
                cash += proceeds(held[symbol], fills[symbol][event], fee_rate, slippage)
                held[symbol], ready[symbol] = 0.0, now + terms.cooldown_seconds
                active -= 1
        for symbol in range(len(closes)):
            wanted = decisions[symbol][event] == BUY and held[symbol] == 0.0 and ready[symbol] <= now
            if not wanted or tripped or active >= terms.max_open_trades:
                continue
            atr = atrs[symbol][event]
            amount, cost = order(fills[symbol][event], closes[symbol][event], atr, terms)
            paid = cost + cut(cost * fee_rate)
            if amount <= 0.0 or paid > cash:
                continue
            left = known[symbol][event]
            if left == 0:
                entry, multiple, breakeven = cost / amount, terms.atr_multiple, terms.breakeven_atr
                bar, end, _, _ = find_exit(
                    closes[symbol], decisions[symbol], event, last, entry, atr, multiple, breakeven
                )
                left = 4 * bar + end
                known[symbol][event] = left
            held[symbol], due[symbol], number[symbol] = amount, left // 4, count
            symbols[count], entries[count] = symbol, event
            exits[count], ends[count] = left // 4, left % 4
            cash, count, active = cash - paid, count + 1, active + 1
        at = event + 1
    return count, cash


def next_event(
    buys: Sequence[Sequence[int]],
    pointer: MutableSequence[int],
    held: Sequence[float],
    due: Sequence[int],
    at: int,
    last: int,
    entering: bool,
) -> int:
    """The next bar from `at` on at which a position is due to end or one may be entered; beyond the last if none."""
    event = last + 1
    for symbol in range(len(held)):
        if held[symbol] > 0.0:
            event = min(event, due[symbol])
        elif entering:
            wanted, next_one = buys[symbol], pointer[symbol]
            while wanted[next_one] < at:
                next_one += 1
            pointer[symbol] = next_one
            event = min(event, wanted[next_one])
    return event


def value(
    closes: Sequence[Sequence[float]],
    held: Sequence[float],
    equity: MutableSequence[float],
    cash: float,
    at: int,
    until: int,
) -> float:
    """Write the equity of bars `at` to `until`: cash and what is held at its last price. The lowest of them."""
    span, filled = equity[at : until + 1], False
    for symbol in range(len(held)):
        amount, prices = held[symbol], closes[symbol][at : until + 1]
        if amount > 0.0 and filled:
            for bar in range(len(span)):
                span[bar] += amount * prices[bar]
        elif amount > 0.0:
            for bar in range(len(span)):
                span[bar] = cash + amount * prices[bar]
            filled = True
    if not filled:
        for bar in range(len(span)):
            span[bar] = cash
        return cash
    lowest = span[0]
    for bar in range(len(span)):
        lowest = min(lowest, span[bar])
    return lowest


def first_below(floor: float, equity: Sequence[float], at: int) -> int:
    """The first bar from `at` on whose equity lies below `floor`; there is one."""
    while not equity[at] < floor:
        at += 1
    return at


def order(ask: float, close: float, atr: float, terms: Terms) -> tuple[float, float]:
    """How much a buy at `ask` is for, and what it costs before its fee; zeros where its stop could never be hit."""
    stop = initial_stop(ask, atr, terms.atr_multiple)
    if not 0.0 < stop < ask or atr < 1e-9 * close:
        return 0.0, 0.0
    amount = cut(terms.trade_amount / ask)
    return amount, cut(amount * ask * (1.0 + terms.slippage))


def proceeds(held: float, bid: float, fee_rate: float, slippage: float) -> float:
    """What a sale brings, after its fee."""
    cost = cut(held * bid * (1.0 - slippage))
    return cost - cut(cost * fee_rate)


def decide(
    opinions: Sequence[int],
    moods: Sequence[int],
    table: Sequence[int],
    decisions: MutableSequence[int],
    buys: MutableSequence[int],
) -> int:
    """The Council's decision at every bar, by the technical opinion and the mood; the bars that say BUY, in order.

    `table` has the decision of each pair, the moods of one opinion beside each other. `buys` needs room for one more
    than there are bars: each is written down, and stays only if it is a BUY. Returns how many there are.
    """
    count = 0
    for at in range(len(opinions)):
        decision = table[MOODS_TOLD * opinions[at] + moods[at]]
        decisions[at] = decision
        buys[count] = at
        count += decision == BUY
    return count
