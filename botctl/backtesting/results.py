"""What `backtest`, `replay` and `sweep` answer. The fields of `--json` are these fields."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from botctl.queries.positions import TradeRecord


@dataclass(frozen=True, kw_only=True)
class BacktestTrade(TradeRecord):
    """One trade of a backtest, calculated as the paper broker does. What it lacks at the end is still open.

    `amount` is what was bought.
    """

    JSON_FIELDS: ClassVar[tuple[str, ...]] = (
        "symbol",
        "entry_at",
        "amount",
        "entry_price",
        "entry_cost",
        "entry_fee",
        "atr",
        "stop_loss_price",
        "high_price",
        "exit_at",
        "exit_price",
        "exit_proceeds",
        "exit_fee",
        "exit_reason",
        "pnl",
    )
    """The columns of --csv too."""

    entry_price: Decimal
    entry_cost: Decimal
    entry_fee: Decimal
    entry_at: datetime
    atr: float
    stop_loss_price: float
    high_price: float
    exit_at: datetime | None = None
    exit_proceeds: Decimal | None = None


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
