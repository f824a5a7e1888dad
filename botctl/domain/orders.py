"""Orders, their states, and the fills that an exchange reports."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderState(StrEnum):
    INTENDED = "INTENDED"
    """Recorded, not sent."""
    SUBMITTED = "SUBMITTED"
    """About to be sent, perhaps already sent."""
    UNKNOWN = "UNKNOWN"
    """Sent, and the answer was lost or unclear."""
    ACCEPTED = "ACCEPTED"
    """The exchange gave it an id. A resting stop that is to end is in this state again."""
    RESTING = "RESTING"
    """A stop order that waits at the exchange for its trigger."""
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    """Ended by the exchange; with filled > 0 it is a partial fill, and counts as one."""
    REJECTED = "REJECTED"
    """Refused by the exchange: nothing was placed."""
    ABSENT = "ABSENT"
    """Proved never to have been placed or sent."""


NEXT: dict[OrderState, frozenset[OrderState]] = {
    OrderState.INTENDED: frozenset({OrderState.SUBMITTED, OrderState.ABSENT}),
    OrderState.SUBMITTED: frozenset({OrderState.ACCEPTED, OrderState.RESTING, OrderState.REJECTED, OrderState.UNKNOWN}),
    OrderState.UNKNOWN: frozenset(
        {OrderState.ACCEPTED, OrderState.RESTING, OrderState.FILLED, OrderState.CANCELED, OrderState.ABSENT}
    ),
    OrderState.ACCEPTED: frozenset({OrderState.FILLED, OrderState.CANCELED}),
    OrderState.RESTING: frozenset({OrderState.ACCEPTED, OrderState.FILLED, OrderState.CANCELED}),
    OrderState.FILLED: frozenset(),
    OrderState.CANCELED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.ABSENT: frozenset(),
}

UNSETTLED = tuple(state for state, following in NEXT.items() if following and state is not OrderState.RESTING)
"""The states that settlement must bring to a final one. A resting stop waits as long as its trade is open."""

DEADLINE_AFTER = timedelta(seconds=30)
"""From intent to deadline, in exchange time. Kraken accepts 2 to 60 seconds; the middle tolerates most skew."""

ABSENT_AFTER = timedelta(seconds=90)
"""An order missing from every list counts as never placed this long after its deadline (one surfaced late)."""


STOP_ABSENT_AFTER = timedelta(seconds=10)
"""The same for a stop that was to rest. One that surfaces later is found among the open orders, and canceled."""


class IllegalStep(Exception):
    """A transition that `NEXT` does not allow: a bug."""


def advance(state: OrderState, to: OrderState) -> OrderState:
    """`to`, if `NEXT` allows it from `state`. Raises IllegalStep."""
    if to not in NEXT[state]:
        raise IllegalStep(f"an order cannot go from {state} to {to}")
    return to


class TradeStatus(StrEnum):
    PENDING = "PENDING"
    """Its entry order is not settled; the asset is reserved."""
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


def stop_reason(stop: float, entry: float, break_even: float = 0.0) -> ExitReason:
    """The reason of an exit at this stop: below entry a loss, at entry (or at the price that pays for both fees, where
    that is the rule) breakeven, else above it trailing."""
    if stop < entry:
        return ExitReason.STOP_LOSS
    return ExitReason.BREAKEVEN if stop in (entry, break_even) else ExitReason.TRAILING_STOP


@dataclass(frozen=True)
class OrderRequest:
    """A market order to send. `amount` is in the asset, `deadline` in exchange time."""

    client_order_id: str
    side: Side
    symbol: str
    amount: Decimal
    deadline: datetime


@dataclass(frozen=True)
class StopRequest:
    """A stop order to send: a sell of `amount` at market once the last price is at `trigger` or below."""

    client_order_id: str
    symbol: str
    amount: Decimal
    trigger: Decimal
    deadline: datetime


@dataclass(frozen=True)
class OrderReport:
    """What an exchange reports of one order. `filled` decides, never the status alone."""

    exchange_order_id: str
    client_order_id: str | None
    open: bool
    """Whether it is still working."""
    final: bool
    """Whether it has ended. A record that is neither open nor final contradicts itself, and is fetched again."""
    complete: bool
    """Whether it was filled as requested; the rest of any other final order was canceled or expired."""
    filled: Decimal
    fill_ids: tuple[str, ...]
    cost: Decimal
    """From the order record: truncated to the price's decimals."""
    fee: Decimal
    opened_at: datetime
    closed_at: datetime | None
    reason: str | None = None
    """Why the exchange canceled it, in its own words."""
    price: Decimal | None = None
    """The average price of its fills, to the price's decimals."""
    trigger: Decimal | None = None
    """Of a stop order: the price that sets it off."""
    fired: bool = False
    """Whether a stop order has been set off: then it is a market order."""

    @property
    def estimated_cost(self) -> Decimal:
        """Closer than the truncated `cost`; only used where the fills are unavailable."""
        return self.filled * self.price if self.price else self.cost


@dataclass(frozen=True)
class OrderRecord:
    """An order as an exchange lists it: the request and the outcome."""

    symbol: str
    """The exchange's own name where the market no longer exists."""
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
class FillRecord:
    """A fill as an exchange lists it among all of the account's."""

    symbol: str
    """The exchange's own name where the market no longer exists."""
    side: Side
    fill: Fill


@dataclass(frozen=True)
class Execution:
    """The outcome of an ended order: the sum of its fills."""

    exchange_order_id: str
    complete: bool
    filled: Decimal
    cost: Decimal
    fee: Decimal
    at: datetime
    canceled_why: str | None = None
    """The exchange's reason, when it canceled the rest."""
    exact: bool = True
    """Whether cost and fee are the sums of the fills, not estimates from the order's record."""
