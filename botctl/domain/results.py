"""What the commands answer: frozen values that know nothing of tables. The fields of `--json` are these fields."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.documents import FOR_PEOPLE
from botctl.domain.positions import LivePosition, TradeView


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


@dataclass(frozen=True)
class OrderResult:
    """What came of one buy or sell.

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


@dataclass(frozen=True)
class DecisionView:
    """What the Council said once, and what came of it."""

    symbol: str
    decided_at: datetime
    decision: str
    reason: str
    verdicts: list[dict[str, str]]
    outcome: str
    price: Decimal | None


@dataclass(frozen=True)
class EventView:
    """One entry of the audit trail. `before` and `after` are columns by name."""

    id: int
    at: datetime
    kind: str
    trade_id: int | None
    symbol: str | None
    before: dict[str, Any]
    after: dict[str, Any]
    why: str


@dataclass(frozen=True)
class StoryStep:
    """One thing that happened to a trade."""

    at: datetime
    kind: str
    detail: str
    price: Decimal | None = None
    """The market's, or the fill's."""
    stop_loss_price: float | None = None
    """From here on, where it changed."""
    client_order_id: str | None = None


@dataclass(frozen=True)
class StoryView:
    """The whole life of one trade."""

    trade: TradeView
    steps: list[StoryStep]
    fees: Decimal | None
    slippage_cost: Decimal | None
    """What its orders lost against the best price known before each, in quote; None where none is known."""


@dataclass(frozen=True)
class TickFigures:
    """What a monitor wants to know after each tick. Money in the quote currency; None is unknown."""

    mode: str
    last_success_at: float | None
    """Seconds since 1970, as all moments here."""
    last_tick_at: float
    seconds: float
    exit_code: int
    requests: int
    equity: Decimal | None
    drawdown: Decimal | None
    open_trades: int
    unguarded: int
    unsettled_orders: int
    missed_runs: int


@dataclass(frozen=True)
class NotifyView:
    """Whether one address of NOTIFY_URLS could be written to."""

    service: str
    """Its scheme; all else of an address may be a secret."""
    ok: bool
    detail: str


@dataclass(frozen=True)
class BalanceView:
    """What the exchange holds of one currency; `value` in the quote currency, None when it has no price."""

    currency: str
    total: Decimal
    free: Decimal
    value: Decimal | None


@dataclass(frozen=True)
class DrawdownView:
    """What the account is worth. Fractions; equity and drawdown are None while they are unknown."""

    equity: Decimal | None
    initial_balance: Decimal
    drawdown: Decimal | None
    max_drawdown: Decimal
    tripped: bool
    exits: list[OrderResult] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StepView:
    """One step of a tick."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class TickView:
    """One visit from cron."""

    at: datetime
    mode: str
    ok: bool
    steps: list[StepView]
    exits: list[OrderResult]
    entries: list[OrderResult]
    decisions: list[DecisionView]
    equity: Decimal | None
    drawdown: Decimal | None
    errors: list[str]
    notes: list[str] = field(default_factory=list, metadata=FOR_PEOPLE)


@dataclass(frozen=True)
class CheckView:
    """What one round of stop checks did, and what is open after it."""

    positions: list[LivePosition]
    exits: list[OrderResult]
    errors: list[str]


@dataclass(frozen=True)
class LiquidationView:
    """What the eject button did."""

    exits: list[OrderResult]
    open_trades: int
    buy_enabled: bool
    errors: list[str]


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


@dataclass(frozen=True)
class DemoView:
    """What a played tape brought."""

    ticks: int
    trades: list[TradeView]
    equity: Decimal | None
    initial_balance: Decimal
    decisions: dict[str, int]


@dataclass(frozen=True)
class BacktestTrade:
    """One trade of a backtest, told with the paper broker's arithmetic. What it lacks at the end is still open."""

    symbol: str
    entry_at: datetime
    amount: Decimal
    entry_price: Decimal
    entry_cost: Decimal
    entry_fee: Decimal
    atr: float
    stop_loss_price: float
    high_price: float
    exit_at: datetime | None = None
    exit_price: Decimal | None = None
    exit_proceeds: Decimal | None = None
    exit_fee: Decimal | None = None
    exit_reason: str | None = None
    pnl: Decimal | None = None


@dataclass(frozen=True)
class EquityPoint:
    """What the account was worth at the end of one UTC day."""

    at: datetime
    equity: float


@dataclass(frozen=True)
class BacktestView:
    """What botctl would have done with a history. Fractions are fractions; ratios are None where there is none."""

    symbols: list[str]
    seconds: int
    since: datetime
    until: datetime
    bars: int
    mood: str
    initial_balance: Decimal
    equity: Decimal
    returned: Decimal
    buy_and_hold: Decimal
    max_drawdown: Decimal
    sharpe: float | None
    sortino: float | None
    win_rate: Decimal | None
    profit_factor: Decimal | None
    exposure: Decimal
    fees: Decimal
    tripped_at: datetime | None
    trades: list[BacktestTrade]
    equity_curve: list[EquityPoint]
    absent_candles: int = 0
    """Candles that the files lack between their first and their last."""


@dataclass(frozen=True, kw_only=True)
class ReplayView(BacktestView):
    """The same, by what real ticks wrote into a database."""

    ticks: int
    failed_ticks: int
    """Ticks in which a step failed, a refused order included."""
    errors: list[str]


@dataclass(frozen=True)
class GapView:
    """Absent candles: when the first and the last of them opened, and how many they are."""

    since: datetime
    until: datetime
    candles: int


@dataclass(frozen=True)
class FetchView:
    """What was fetched of one symbol, and what its file has now. Moments are when candles opened."""

    symbol: str
    timeframe: str
    file: str
    fetched: int
    added: int
    candles: int
    first: datetime | None
    last: datetime | None
    oldest_told: datetime | None
    gaps: list[GapView]
    changed: list[datetime]
    """Candles that Kraken now tells otherwise than the file, which keeps its own."""


@dataclass(frozen=True)
class SweepFigures:
    """How one set of settings did on one part of a history. Fractions are fractions."""

    trades: int
    returned: float
    max_drawdown: float
    sharpe: float | None


@dataclass(frozen=True)
class SweepRow:
    """One set of settings: on the part it is judged by, on the part that follows, and what its neighbours did.

    `neighbours_low` and `neighbours_high` are the worst and the best judged figure of the sets one step away; None
    where none were tried.
    """

    settings: dict[str, str]
    train: SweepFigures
    test: SweepFigures | None
    neighbours: int
    neighbours_low: float | None
    neighbours_high: float | None


@dataclass(frozen=True)
class SweepView:
    """The best sets of a sweep. `warnings` say in words how little that may mean."""

    sets: int
    by: str
    train: float
    best: list[SweepRow]
    warnings: list[str]


@dataclass(frozen=True)
class ReportView:
    """The files that a report wrote, each None where it was not asked for, and how many trades it tells of."""

    file: str | None
    png: str | None
    trades: int
    trades_drawn: int


@dataclass(frozen=True)
class ConfigLine:
    """One setting as it acts."""

    name: str
    value: str | None
    source: str
    """`environment`, `file`, `default` or `not set`."""
    file: str | None


@dataclass(frozen=True)
class InitView:
    """What init wrote, and what to do next."""

    mode: str
    env_file: str
    env_written: bool
    database: str
    database_created: bool
    next: list[str]


@dataclass(frozen=True)
class MigrateView:
    """The schema that a database had, and the one it has."""

    database: str
    schema_before: int | None
    schema: int


@dataclass(frozen=True)
class BackupView:
    """A copy of the database; its size in bytes."""

    database: str
    file: str
    bytes: int


@dataclass(frozen=True)
class CopiedTable:
    """A table that is the same in two databases: the SHA-256 of all its values."""

    table: str
    rows: int
    checksum: str


@dataclass(frozen=True)
class CopyView:
    """What was copied from one database to another, and what to do next."""

    database: str
    to: str
    rows: int
    tables: list[CopiedTable]
    next: list[str]
