"""Results of `reconcile` and `recover`; their fields are the fields of `--json`."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class ReconciledOrder:
    """One order in the journal and at the exchange; None where that side lacks it."""

    trade_id: int | None
    symbol: str
    role: str
    """entry, the reason of a sell, or `resting stop` for one that has not sold."""
    client_order_id: str
    exchange_order_id: str | None
    journal_state: str | None
    exchange_state: str | None
    journal_filled: Decimal | None
    exchange_filled: Decimal | None
    journal_cost: Decimal | None
    exchange_cost: Decimal | None
    journal_fee: Decimal | None
    exchange_fee: Decimal | None
    same: bool
    verdict: str


@dataclass(frozen=True)
class ReconciledPosition:
    """A trade's amount, what the exchange's orders leave of it, and the balance of its asset."""

    trade_id: int | None
    symbol: str
    asset: str
    held: Decimal
    exchange_held: Decimal | None
    """None when the entry is outside the period."""
    balance: Decimal
    same: bool
    verdict: str


@dataclass(frozen=True)
class ReconcileView:
    since: datetime
    same: bool
    orders: list[ReconciledOrder]
    positions: list[ReconciledPosition]
    foreign_orders: int
    """The user's own orders."""


@dataclass(frozen=True)
class RecoverAction:
    """One thing that recover does, would do, or can't do."""

    trade_id: int | None
    symbol: str
    action: str
    """add, reduce, close, adopt, settle, leave or problem."""
    database: str
    """The id of the database whose trade it is."""
    amount: Decimal | None
    """The trade's amount after it."""
    entry_price: Decimal | None
    stop_loss_price: float | None
    detail: str


@dataclass(frozen=True)
class RecoverView:
    since: datetime
    applied: bool
    database: str
    """The id of this database."""
    actions: list[RecoverAction]
    same_trades: int
    foreign_orders: int
    damaged_file: str | None
    """Where the damaged database was moved to."""
    notes: list[str]
    errors: list[str]
