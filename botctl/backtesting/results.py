"""Results of `backtest`, `replay` and `sweep`; their fields are the fields of `--json`."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from botctl.domain.symbols import Timeframe
from botctl.queries.positions import TradeRecord


@dataclass(frozen=True, kw_only=True)
class BacktestTrade(TradeRecord):
    """One trade, calculated as the paper broker does. Without an exit it is still open; `amount` is what was bought."""

    JSON_FIELDS: ClassVar[tuple[str, ...]] = (
        *("symbol", "entry_time", "amount", "entry_price", "entry_cost", "entry_fee"),
        *("atr", "initial_stop_loss_price", "stop_loss_price", "high_price"),
        *("exit_time", "exit_price", "exit_proceeds", "exit_fee", "exit_reason", "by_resting_stop", "pnl"),
        "r_multiple",
    )
    """The columns of --csv too."""

    entry_price: Decimal
    entry_cost: Decimal
    entry_fee: Decimal
    entry_time: datetime
    atr: float
    initial_stop_loss_price: float
    stop_loss_price: float
    high_price: float
    exit_time: datetime | None = None
    exit_proceeds: Decimal | None = None
    by_resting_stop: bool = False
    """Whether the stop that rests at the exchange sold it, inside a candle."""


@dataclass(frozen=True)
class TradeGroup:
    """The closed trades of one symbol, or with one exit reason."""

    name: str
    trades: int
    win_rate: Decimal
    mean_pnl: Decimal
    pnl: Decimal
    """Of all of them, after fees."""


@dataclass(frozen=True)
class Refusals:
    """At how many bars the Council said BUY of what was not held and nothing was bought, by the first reason."""

    after_guard: int
    cooldown: int
    no_room: int
    no_stop: int
    """No stop could guard it, or it would be closer than what a round trip costs."""
    no_cash: int
    """No cash for cost and fee, or nothing left below a limit."""


@dataclass(frozen=True)
class EquityPoint:
    """The equity at the end of one UTC day."""

    at: datetime
    equity: float


@dataclass(frozen=True)
class BacktestView:
    """What botctl would have done with a history. Ratios are None where they are not defined."""

    symbols: list[str]
    seconds: int
    signal_seconds: int
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
    expectancy_r: Decimal | None
    """The mean R multiple of closed trades."""
    invested: Decimal
    """The money in the market at a bar, on average: what the trades open then have cost."""
    invested_held: Decimal
    """What buy and hold of so much money would have brought."""
    by_symbol: list[TradeGroup]
    by_exit_reason: list[TradeGroup]
    best_trade: BacktestTrade | None
    worst_trade: BacktestTrade | None
    tripped_at: datetime | None
    trades: list[BacktestTrade]
    equity_curve: list[EquityPoint]
    absent_candles: int = 0
    """Candles missing in the files between their first and their last."""
    council: str = ""
    """Who decided."""
    exchange_stop_atr: float | None = None
    """How many average true ranges the resting stops lie below the others; None without them."""
    refused: Refusals | None = None
    """None for a replay, in which the Council is not asked where nothing could be bought."""
    errors: list[str] = field(default_factory=list)
    """Each kind of failure once, with how often it occurred."""

    @property
    def candles(self) -> str:
        """What it is played on, for people."""
        traded, signals = map(Timeframe.from_seconds, (self.seconds, self.signal_seconds))
        return f"{traded} candles" + ("" if signals is traded else f", with signals of {signals}")


@dataclass(frozen=True, kw_only=True)
class ReplayView(BacktestView):
    """The same, from the database that real ticks wrote."""

    ticks: int
    failed_ticks: int
    """Ticks in which a step failed, a refused order included."""


@dataclass(frozen=True)
class SweepFigures:
    """The performance of one set of settings on one part of a history."""

    trades: int
    returned: float
    max_drawdown: float
    sharpe: float | None


@dataclass(frozen=True)
class SweepRow:
    """One set of settings: on the part it is ranked by, on the part that follows, and its neighbours.

    `neighbours_low` and `neighbours_high` are the worst and the best ranking figure of the sets one step away; None if
    none was tried.
    """

    settings: dict[str, str]
    train: SweepFigures
    test: SweepFigures | None
    neighbours: int
    neighbours_low: float | None
    neighbours_high: float | None


@dataclass(frozen=True)
class SweepView:
    """The best sets of a sweep, with what to think of the first, and warnings against trusting any."""

    sets: int
    by: str
    train: float
    best: list[SweepRow]
    verdict: str
    """One sentence on the best set; empty without one."""
    warnings: list[str]
