"""Orders and fills as they go to an exchange and come back from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderState(StrEnum):
    INTENDED = "INTENDED"
    """Written down; nothing has left the house."""
    SUBMITTED = "SUBMITTED"
    """About to be sent, perhaps sent."""
    UNKNOWN = "UNKNOWN"
    """Sent, and the answer was lost or unclear."""
    ACCEPTED = "ACCEPTED"
    """The exchange gave it an id."""
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    """Ended by the exchange; with filled > 0 it is a partial fill, and counts as one."""
    REJECTED = "REJECTED"
    """A definite no: nothing was placed."""
    ABSENT = "ABSENT"
    """Proved never to have existed, or never to have left."""


NEXT: dict[OrderState, frozenset[OrderState]] = {
    OrderState.INTENDED: frozenset({OrderState.SUBMITTED, OrderState.ABSENT}),
    OrderState.SUBMITTED: frozenset({OrderState.ACCEPTED, OrderState.REJECTED, OrderState.UNKNOWN}),
    OrderState.UNKNOWN: frozenset({OrderState.ACCEPTED, OrderState.FILLED, OrderState.CANCELED, OrderState.ABSENT}),
    OrderState.ACCEPTED: frozenset({OrderState.FILLED, OrderState.CANCELED}),
    OrderState.FILLED: frozenset(),
    OrderState.CANCELED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.ABSENT: frozenset(),
}

UNSETTLED = tuple(state for state, following in NEXT.items() if following)
"""The states that recovery must lead to an end."""

DEADLINE_AFTER = timedelta(seconds=30)
"""From intent to deadline, in exchange time. Kraken takes 2 to 60 seconds; the middle forgives a clock most."""

ABSENT_AFTER = timedelta(seconds=90)
"""How long past its deadline an order that is in no list counts as never placed (one was seen to surface late)."""


class IllegalStep(Exception):
    """A step that nobody foresaw. It is a bug, and stops where it happens."""


def advance(state: OrderState, to: OrderState) -> OrderState:
    """`to`, if an order may go there from `state`. Raises IllegalStep otherwise."""
    if to not in NEXT[state]:
        raise IllegalStep(f"an order cannot go from {state} to {to}")
    return to


class TradeStatus(StrEnum):
    PENDING = "PENDING"
    """Its entry order is not settled: the asset is reserved."""
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    FAILED = "FAILED"
    """Never filled."""


ACTIVE = (TradeStatus.PENDING, TradeStatus.OPEN)


class ExitReason(StrEnum):
    STOP_LOSS = "STOP_LOSS"
    BREAKEVEN = "BREAKEVEN"
    TRAILING_STOP = "TRAILING_STOP"
    COUNCIL = "COUNCIL"
    MANUAL = "MANUAL"
    DRAWDOWN = "DRAWDOWN"
    LIQUIDATION = "LIQUIDATION"
    EXTERNAL = "EXTERNAL"


def stop_reason(stop: float, entry: float) -> ExitReason:
    """What to call an exit at this stop: below entry a loss, at entry breakeven, above it trailing."""
    if stop < entry:
        return ExitReason.STOP_LOSS
    return ExitReason.BREAKEVEN if stop == entry else ExitReason.TRAILING_STOP


@dataclass(frozen=True)
class OrderRequest:
    """A market order as it goes to an exchange. `amount` is in the asset, `deadline` in exchange time."""

    client_order_id: str
    side: Side
    symbol: str
    amount: Decimal
    deadline: datetime


@dataclass(frozen=True)
class OrderReport:
    """What an exchange says of one order. `filled` decides, never the status alone."""

    exchange_order_id: str
    client_order_id: str | None
    final: bool
    complete: bool
    """Whether it ended as asked; a final order that is not complete was canceled or expired for the rest."""
    filled: Decimal
    fill_ids: tuple[str, ...]
    cost: Decimal
    """As the order record has it: cut to the price's decimals, so only good where its fills can't be had."""
    fee: Decimal
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True)
class OrderRecord:
    """An order as an exchange lists it: what was asked for, beside what became of it."""

    symbol: str
    """The exchange's own name where it is none of its markets any more."""
    side: Side
    amount: Decimal
    report: OrderReport


@dataclass(frozen=True)
class Fill:
    """One execution: amount in the asset, cost and fee in quote, exact."""

    fill_id: str
    exchange_order_id: str
    amount: Decimal
    cost: Decimal
    fee: Decimal
    at: datetime


@dataclass(frozen=True)
class Execution:
    """All that an ended order did."""

    exchange_order_id: str
    complete: bool
    filled: Decimal
    cost: Decimal
    fee: Decimal
    at: datetime
