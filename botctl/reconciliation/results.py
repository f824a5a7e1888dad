"""What `reconcile` and `recover` answer. The fields of `--json` are these fields."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class ReconciledOrder:
    """One order as the journal has it beside what the exchange has; None where that side has nothing."""

    trade_id: int | None
    symbol: str
    role: str
    """entry, or why it sells."""
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
    """What a trade holds beside what the exchange's orders leave of it, and what the balance holds of its asset."""

    trade_id: int | None
    symbol: str
    asset: str
    held: Decimal
    exchange_held: Decimal | None
    """None when the entry lies before what was looked at."""
    balance: Decimal
    same: bool
    verdict: str


@dataclass(frozen=True)
class ReconcileView:
    """Journal, trades and exchange side by side."""

    since: datetime
    same: bool
    orders: list[ReconciledOrder]
    positions: list[ReconciledPosition]
    foreign_orders: int
    """Orders of the account that are not botctl's."""


@dataclass(frozen=True)
class RecoverAction:
    """One thing that recover does or would do, or can't."""

    trade_id: int | None
    symbol: str
    action: str
    """add, reduce, close, adopt, settle, leave or problem."""
    amount: Decimal | None
    """What the trade holds after it."""
    entry_price: Decimal | None
    stop_loss_price: float | None
    detail: str


@dataclass(frozen=True)
class RecoverView:
    """What differs between the database and the exchange, and whether the database was mended."""

    since: datetime
    applied: bool
    actions: list[RecoverAction]
    same_trades: int
    """Trades of which database and exchange tell the same."""
    foreign_orders: int
    """Orders of the account that are not botctl's."""
    damaged_file: str | None
    """Where the damaged database was moved."""
    notes: list[str]
    errors: list[str]
