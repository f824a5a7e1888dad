"""The services of one run, put together by wiring."""

from dataclasses import dataclass

from botctl.domain.configuration.settings import Settings
from botctl.domain.errors import ConfigError
from botctl.ports import Clock, Exchange, Sentiment
from botctl.store.journal import Journal
from botctl.store.kill_switch import Switch
from botctl.trading.account_fees import AccountFees
from botctl.trading.council.council import Council
from botctl.trading.drawdown_guard import DrawdownGuard
from botctl.trading.evidence.api_key import KeyCheck
from botctl.trading.evidence.unpriced import UnpricedAssets
from botctl.trading.evidence.unrecorded_orders import UnrecordedOrdersCheck
from botctl.trading.execution import ExecutionService
from botctl.trading.orders.resting_stops import RestingStops
from botctl.trading.orders.settlement import OrderSettlement
from botctl.trading.position_manager import PositionManager
from botctl.trading.risk import RiskService
from botctl.trading.sizing import EntrySizing
from botctl.trading.snapshot import SnapshotService
from botctl.trading.time_budget import TimeBudget


@dataclass(frozen=True)
class Bot:
    settings: Settings
    clock: Clock
    exchange: Exchange
    switch: Switch
    journal: Journal
    snapshots: SnapshotService
    risk: RiskService
    sentiment: Sentiment
    settlement: OrderSettlement
    resting: RestingStops
    unrecorded: UnrecordedOrdersCheck
    execution: ExecutionService
    positions: PositionManager
    drawdown: DrawdownGuard
    unpriced: UnpricedAssets
    council: Council
    key_check: KeyCheck
    fees: AccountFees
    sizing: EntrySizing
    time_budget: TimeBudget
    problems: tuple[ConfigError, ...] = ()
    """What is wrong with the settings: open positions are guarded, and nothing is bought."""

    @property
    def validate_only(self) -> bool:
        """Whether the exchange only checks orders, and nothing is recorded."""
        return self.execution.validate_only

    @property
    def no_buys(self) -> ConfigError | None:
        """Why the settings allow no buys; None when they do."""
        return self.execution.pre_trade_checks.no_buys
