"""Orders and fills as they go to an exchange and come back from it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botctl.domain.order_states import Side


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
