"""Results of read-only commands; their fields are the fields of `--json`."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.serialization import NOT_IN_JSON
from botctl.queries.positions import LivePosition, TradeRecord
from botctl.trading.results import OrderResult, StopView


@dataclass(frozen=True)
class OrderView:
    """One row of the order journal."""

    id: int
    client_order_id: str
    exchange_order_id: str | None
    trade_id: int
    side: str
    symbol: str
    state: str
    amount: Decimal
    cost: Decimal | None
    filled: Decimal
    average_price: Decimal | None
    fee: Decimal | None
    deadline: datetime
    created_at: datetime
    error: str | None
    trigger: Decimal | None = None
    """Of a stop that rests at the exchange: the price that sets it off."""
    reason: str | None = field(default=None, metadata=NOT_IN_JSON)
    """Why it sells."""


@dataclass(frozen=True)
class EventView:
    """One entry of the audit trail; `before` and `after` are columns by name."""

    id: int
    at: datetime
    kind: str
    trade_id: int | None
    symbol: str | None
    before: dict[str, Any]
    after: dict[str, Any]
    why: str


@dataclass(frozen=True)
class HistoryStep:
    """One thing that happened to a trade."""

    at: datetime
    kind: str
    detail: str
    price: Decimal | None = None
    """The market's, or the fill's."""
    stop_loss_price: float | None = None
    """The stop from here on, where it changed."""
    client_order_id: str | None = None


@dataclass(frozen=True)
class TradeHistory:
    trade: TradeRecord
    steps: list[HistoryStep]
    fees: Decimal | None
    slippage_cost: Decimal | None
    """The loss against the best price known before each order, in quote; None where none is known."""


@dataclass(frozen=True)
class BalanceView:
    """The balance of one currency; `value` in the quote currency, None when it has no price."""

    currency: str
    total: Decimal
    free: Decimal
    value: Decimal | None


@dataclass(frozen=True)
class DemoView:
    ticks: int
    trades: list[TradeRecord]
    equity: Decimal | None
    initial_balance: Decimal
    decisions: dict[str, int]
    council: str
    """Who decided."""
    verdicts: dict[str, dict[str, int]]
    """By agent: how often it gave each stance."""
    errors: list[str]
    """Each kind of failure once, with how often it occurred."""


@dataclass(frozen=True)
class CheckView:
    """The result of one round of stop checks, and the positions after it."""

    positions: list[LivePosition]
    exits: list[OrderResult]
    errors: list[str]
    stops: list[StopView]
