"""What is really there after a run: the trades and the switch as botctl's books have them, the orders as Kraken has."""

import json
from dataclasses import dataclass
from decimal import Decimal

from botctl.domain.orders import UNSETTLED, TradeStatus
from botctl.store.models import KeyValue, Order, SystemConfig, Trade
from tests.chaos.world import World
from tests.fake_kraken import Order as KrakenOrder

SWITCH = {
    "paused": ("system_status", "PAUSED"),
    "frozen": ("frozen", "true"),
    "buys": ("buy_enabled", "true"),
}


@dataclass(frozen=True)
class Closed:
    """A trade that has ended."""

    trade_id: int
    symbol: str
    reason: str
    at: float


@dataclass(frozen=True)
class Facts:
    """One look into the books."""

    open: dict[str, Trade]
    """By symbol, the oldest first."""
    pending: frozenset[str]
    closed: tuple[Closed, ...]
    switch: dict[str, bool]
    unsettled: int
    unended: frozenset[str]
    """The client order ids of resting stops that the books know no ending of."""
    base: Decimal
    """What drawdown is measured from; zero while it is not known."""


def read_facts(world: World) -> Facts:
    with world.models():
        trades = list(Trade.select().order_by(Trade.id))
        settings = {row.key: row.value for row in SystemConfig.select()}
        return Facts(
            open={trade.symbol: trade for trade in trades if trade.status == TradeStatus.OPEN},
            pending=frozenset(trade.symbol for trade in trades if trade.status == TradeStatus.PENDING),
            closed=tuple(
                Closed(trade.id, trade.symbol, str(trade.exit_reason), trade.exit_time.timestamp())
                for trade in trades
                if trade.status == TradeStatus.CLOSED
            ),
            switch={name: settings[key] == value for name, (key, value) in SWITCH.items()}
            | {"tripped": settings["tripped_at"] != ""},
            unsettled=Order.select().where(Order.state.in_(UNSETTLED)).count(),
            unended=frozenset(
                order.client_order_id
                for order in Order.select().where(Order.trigger.is_null(False) & Order.settled_at.is_null())
            ),
            base=_base(),
        )


def _base() -> Decimal:
    saved = KeyValue.get_or_none(KeyValue.key == "drawdown.performance")
    return Decimal(0) if saved is None else Decimal(json.loads(saved.value)["base"])


def orders_of_botctl(world: World) -> list[KrakenOrder]:
    """Every order on the exchange that is not the owner's, oldest first."""
    return [order for order in world.kraken.orders if order.txid not in world.external_actions.owner_orders]


@dataclass
class Holding:
    """What the exchange did for the newest trade of one symbol."""

    entry: KrakenOrder
    sold: Decimal = Decimal(0)

    @property
    def left(self) -> Decimal:
        return self.entry.vol_exec - self.sold

    @property
    def price(self) -> float:
        return float(self.entry.cost / self.entry.vol_exec)


def newest_holding(world: World, symbol: str) -> Holding | None:
    """The last entry that bought something, and what was sold after it."""
    newest: Holding | None = None
    for order in orders_of_botctl(world):
        if order.symbol != symbol or order.vol_exec == 0:
            continue
        if order.side == "buy":
            newest = Holding(order)
        elif newest:
            newest.sold += order.vol_exec
    return newest
