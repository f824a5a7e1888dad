"""The results of the trading commands; their fields are the fields of `--json`."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from botctl.domain.serialization import NOT_IN_JSON
from botctl.store.rows import DecisionRow


@dataclass(frozen=True)
class OrderResult:
    """The result of one buy or sell.

    `state` is the order's; VALIDATED when the exchange only checked it, NONE when there was nothing to send.
    """

    side: str
    symbol: str
    state: str
    amount: Decimal
    filled: Decimal
    average_price: Decimal | None
    cost: Decimal | None
    fee: Decimal | None
    client_order_id: str | None
    exchange_order_id: str | None
    trade_id: int | None = None
    trade_status: str | None = None
    stop_loss_price: float | None = None
    atr: float | None = None
    reason: str | None = None
    pnl: Decimal | None = None
    note: str = ""
    errors: list[str] = field(default_factory=list)
    """What went wrong beside what was traded: it sets the exit code."""


@dataclass(frozen=True)
class DecisionView:
    symbol: str
    decided_at: datetime
    decision: str
    reason: str
    verdicts: list[dict[str, str]]
    outcome: str
    price: Decimal | None


def view_decision(row: DecisionRow) -> DecisionView:
    return DecisionView(row.symbol, row.decided_at, row.decision, row.reason, row.verdicts, row.outcome, row.price)


@dataclass(frozen=True)
class DrawdownView:
    """The account's drawdown, as a fraction. Equity and drawdown are None while they are unknown."""

    equity: Decimal | None
    initial_balance: Decimal
    drawdown: Decimal | None
    max_drawdown: Decimal
    tripped: bool
    base: Decimal | None = None
    """What `drawdown` is measured from: INITIAL_BALANCE, with what came and went since then."""
    drawdown_peak: Decimal | None = None
    max_drawdown_peak: Decimal | None = None
    exits: list[OrderResult] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StepView:
    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class StopView:
    """The stop of one open trade after its check. Prices in quote per asset."""

    trade_id: int
    symbol: str
    price: Decimal | None
    """The last price; None when there was none."""
    entry_price: Decimal | None
    stop_before: float | None
    stop: float | None

    @property
    def moved(self) -> bool:
        return self.stop != self.stop_before

    @property
    def distance(self) -> Decimal | None:
        """How far below the price the stop is, as a fraction of it."""
        if self.price is None or self.stop is None:
            return None
        return 1 - Decimal(repr(self.stop)) / self.price

    @property
    def gain(self) -> Decimal | None:
        """How far the price is above the entry, as a fraction, before fees."""
        return self.price / self.entry_price - 1 if self.price is not None and self.entry_price else None


@dataclass(frozen=True)
class TickView:
    at: datetime
    mode: str
    ok: bool
    steps: list[StepView]
    exits: list[OrderResult]
    entries: list[OrderResult]
    decisions: list[DecisionView]
    equity: Decimal | None
    drawdown: Decimal | None
    drawdown_peak: Decimal | None
    errors: list[str]
    stops: list[StopView] = field(default_factory=list)
    """Of the trades that were open before the check and still are."""
    notes: list[str] = field(default_factory=list, metadata=NOT_IN_JSON)


@dataclass(frozen=True)
class LiquidationView:
    exits: list[OrderResult]
    open_trades: int
    buy_enabled: bool
    errors: list[str]
