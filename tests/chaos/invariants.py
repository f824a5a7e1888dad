"""What must hold whatever happened: each invariant a named function of a world and of all rows of its journal.

Those of `ALWAYS` hold at any moment, also while an order's ending is still unknown. Those of `SETTLED` hold once the
journal is settled: after a crash and the ticks that follow it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from botctl.domain.orders import UNSETTLED, ExitReason, TradeStatus
from botctl.store.models import Event, Order, SystemConfig, Trade
from tests.chaos.world import World


class Broken(AssertionError):
    """An invariant that does not hold, by its name."""


@dataclass
class Sum:
    """What the exchange's own ledger says of one client order id, or of one trade's side."""

    amount: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)

    def add(self, amount: Decimal, cost: Decimal, fee: Decimal) -> None:
        self.amount, self.cost, self.fee = self.amount + amount, self.cost + cost, self.fee + fee


def ledger_by_client_id(world: World) -> dict[str, Sum]:
    """Every fill of an order that has a client order id and is not the owner's own, summed from the ledger."""
    ids = {
        order.txid: order.cl_ord_id or order.txid
        for order in world.kraken.orders
        if order.txid not in world.external_actions.owner_orders
    }
    sums: defaultdict[str, Sum] = defaultdict(Sum)
    for fill in world.kraken.trades:
        if fill.order_txid in ids:
            sums[ids[fill.order_txid]].add(fill.volume, fill.cost, fill.fee)
    return dict(sums)


@dataclass(frozen=True)
class Journal:
    """Every trade, order and event of a world, in the order in which they were written down."""

    trades: list[Trade]
    orders: list[Order]
    events: list[Event]
    tripped_at: str
    """When the drawdown guard fired; empty when it has not."""

    def orders_of(self, trade: Trade) -> list[Order]:
        return [order for order in self.orders if order.trade_id == trade.id]

    def events_of(self, trade: Trade) -> list[Event]:
        return [event for event in self.events if event.trade_id == trade.id]


def read_journal() -> Journal:
    """What is in the database that is open."""
    row = SystemConfig.get_or_none(SystemConfig.key == "tripped_at")
    trades, orders, events = (list(model.select().order_by(model.id)) for model in (Trade, Order, Event))
    return Journal(trades, orders, events, row.value if row else "")


Invariant = Callable[[World, Journal], None]


# At any moment


def at_most_one_exchange_order_per_intent(world: World, _journal: Journal) -> None:
    ours = [order.cl_ord_id for order in world.kraken.orders if order.txid not in world.external_actions.owner_orders]
    assert [client_id for client_id, count in Counter(ours).items() if count > 1] == []


def every_order_on_the_exchange_was_written_down_first(world: World, journal: Journal) -> None:
    known = {order.client_order_id for order in journal.orders}
    ours = [order for order in world.kraken.orders if order.txid not in world.external_actions.owner_orders]
    assert [order.cl_ord_id for order in ours if order.cl_ord_id not in known] == []


def no_more_is_sold_than_was_bought(world: World, journal: Journal) -> None:
    """Of each asset, and of each trade: botctl sells only what it bought itself."""
    ledger = ledger_by_client_id(world)
    left: defaultdict[str, Decimal] = defaultdict(Decimal)
    assets = {trade.id: trade.asset for trade in journal.trades}
    for order in journal.orders:
        filled = ledger[order.client_order_id].amount if order.client_order_id in ledger else Decimal(0)
        left[f"trade {order.trade_id} of {assets[order.trade_id]}"] += filled if order.side == "buy" else -filled
    assert {name: amount for name, amount in left.items() if amount < 0} == {}


def one_active_trade_per_asset(_world: World, journal: Journal) -> None:
    active = Counter(trade.asset for trade in journal.trades if trade.status in ("PENDING", "OPEN"))
    assert [asset for asset, count in active.items() if count > 1] == []


def every_open_trade_has_a_stop(_world: World, journal: Journal) -> None:
    naked = [
        trade.id
        for trade in journal.trades
        if trade.status == TradeStatus.OPEN
        and (
            None in (trade.stop_loss_price, trade.high_price, trade.atr, trade.entry_price)
            or trade.stop_loss_price <= 0
        )
    ]
    assert naked == []


def no_stop_ever_fell(_world: World, journal: Journal) -> None:
    for trade in journal.trades:
        moves = journal.events_of(trade)
        stops = [event.after["stop_loss_price"] for event in moves if "stop_loss_price" in event.after]
        assert stops == sorted(stops), f"trade {trade.id}: {stops}"


def paused_enters_nothing(world: World, journal: Journal) -> None:
    """No entry is written down between the end of `pause` and the start of `resume`."""
    for order in journal.orders:
        if order.side != "buy":
            continue
        moment = order.created_at.timestamp()
        during = [pause for pause in world.external_actions.pauses if pause[0] < moment < pause[1]]
        assert during == [], f"order {order.client_order_id} was intended while paused"


def nothing_is_intended_against_the_switch(_world: World, journal: Journal) -> None:
    """Events are numbered in the order of their commits: no entry comes after a pause, none while buys are disabled,
    and no exit but a liquidation's after a freeze."""
    switch = {"system_status": "ACTIVE", "frozen": "false", "buy_enabled": "true", "tripped_at": ""}
    may_enter = dict(switch)
    for event in journal.events:
        if event.kind == "switch":
            switch |= {name: value for name, value in event.after.items() if name in switch}
        elif event.kind == "entry intended":
            assert switch == may_enter, f"event {event.id}: trade {event.trade_id} was entered against {switch}"
        elif event.kind == "exit intended" and event.after["exiting"] != ExitReason.LIQUIDATION:
            assert switch["frozen"] == "false", f"event {event.id}: trade {event.trade_id} was sold while frozen"


def every_change_of_a_trade_has_its_event(_world: World, journal: Journal) -> None:
    """The events of a trade, told one after the other, lead from nothing to exactly the row that is there."""
    for trade in journal.trades:
        told: dict[str, object] = {}
        for event in journal.events_of(trade):
            silent = {
                name: (told[name], value)
                for name, value in event.before.items()
                if name in told and name != "checked_at" and not _same(value, told[name])
            }
            assert silent == {}, f"trade {trade.id} changed without an event before {event.kind}"
            told |= event.after
        told.pop("checked_at", None)  # a look that changes nothing else is no change
        wrong = {
            name: (value, getattr(trade, name)) for name, value in told.items() if not _same_as(trade, name, value)
        }
        assert wrong == {}, f"trade {trade.id}"
        assert told.get("status") == trade.status


# Once the journal is settled


def every_order_has_ended(_world: World, journal: Journal) -> None:
    assert [(order.client_order_id, order.state) for order in journal.orders if order.state in UNSETTLED] == []


def every_fill_is_in_the_journal_and_the_other_way_round(world: World, journal: Journal) -> None:
    """Amount, cost and fee of each order, to the last digit."""
    written = {
        order.client_order_id: (order.filled, order.cost, order.fee) for order in journal.orders if order.filled > 0
    }
    exchange = {
        client_id: (total.amount, total.cost, total.fee)
        for client_id, total in ledger_by_client_id(world).items()
        if total.amount > 0
    }
    assert written == exchange


def every_trade_is_the_sum_of_its_fills(world: World, journal: Journal) -> None:
    """What a trade holds, what it cost, what it brought and what it earned, against the exchange's ledger."""
    ledger = ledger_by_client_id(world)
    for trade in journal.trades:
        bought, sold = Sum(), Sum()
        for order in journal.orders_of(trade):
            if total := ledger.get(order.client_order_id):
                (bought if order.side == "buy" else sold).add(total.amount, total.cost, total.fee)
        facts = {
            "entry amount": (trade.entry_amount or 0, bought.amount),
            "entry cost": (trade.entry_cost or 0, bought.cost),
            "entry fee": (trade.entry_fee or 0, bought.fee),
            "sold": (trade.sold_amount, sold.amount),
            "proceeds": (trade.exit_proceeds, sold.cost),
            "exit fee": (trade.exit_fee, sold.fee),
        }
        if trade.status == TradeStatus.OPEN and trade.asset not in world.external_actions.touched:
            facts["held"] = (trade.amount, bought.amount - sold.amount)
        if trade.pnl is not None:
            facts["P&L"] = (trade.pnl, sold.cost - sold.fee - bought.cost - bought.fee)
        assert {name: pair for name, pair in facts.items() if pair[0] != pair[1]} == {}, f"trade {trade.id}"


def nothing_is_held_that_no_trade_guards(world: World, journal: Journal) -> None:
    """What botctl's own orders left of an asset is in an open trade, or is too little to be sold."""
    ledger = ledger_by_client_id(world)
    for trade in journal.trades:
        if trade.status == TradeStatus.OPEN or trade.asset in world.external_actions.touched:
            continue
        left = Decimal(0)
        for order in journal.orders_of(trade):
            if total := ledger.get(order.client_order_id):
                left += total.amount if order.side == "buy" else -total.amount
        market = world.kraken.markets[trade.symbol]
        too_little = left < market.ordermin or left * market.last < market.costmin
        assert left == 0 or too_little, f"trade {trade.id} is {trade.status}, and {left} {trade.asset} are left"


def cash_agrees_to_the_last_digit(world: World, journal: Journal) -> None:
    """What the account holds in dollars is what the trades and the owner's own doings say."""
    cash = world.external_actions.cash
    for fill in world.kraken.trades:
        if fill.order_txid in world.external_actions.owner_orders:
            cash += -fill.cost - fill.fee if fill.side == "buy" else fill.cost - fill.fee
    for trade in journal.trades:
        cash += trade.exit_proceeds - trade.exit_fee - (trade.entry_cost or 0) - (trade.entry_fee or 0)
    assert world.kraken.balances["ZUSD"] == cash


def a_tripped_drawdown_ends_flat(_world: World, journal: Journal) -> None:
    if journal.tripped_at:
        assert [trade.symbol for trade in journal.trades if trade.status == TradeStatus.OPEN] == []


def _same(left: object, right: object) -> bool:
    return left == right or str(left) == str(right)


def _same_as(trade: Trade, name: str, value: object) -> bool:
    actual = getattr(trade, name)
    if isinstance(actual, Decimal):
        return value is not None and Decimal(str(value)) == actual
    return _same(value, actual)


ALWAYS: tuple[Invariant, ...] = (
    at_most_one_exchange_order_per_intent,
    every_order_on_the_exchange_was_written_down_first,
    no_more_is_sold_than_was_bought,
    one_active_trade_per_asset,
    every_open_trade_has_a_stop,
    no_stop_ever_fell,
    paused_enters_nothing,
    nothing_is_intended_against_the_switch,
    every_change_of_a_trade_has_its_event,
)
SETTLED: tuple[Invariant, ...] = (
    *ALWAYS,
    every_order_has_ended,
    every_fill_is_in_the_journal_and_the_other_way_round,
    every_trade_is_the_sum_of_its_fills,
    nothing_is_held_that_no_trade_guards,
    cash_agrees_to_the_last_digit,
    a_tripped_drawdown_ends_flat,
)


def check(world: World, invariants: Iterable[Invariant]) -> None:
    """Assert each of them on this world; raises Broken with the name of the first that does not hold."""
    with world.models():
        journal = read_journal()
    for invariant in invariants:
        try:
            invariant(world, journal)
        except AssertionError as error:
            raise Broken(f"{invariant.__name__}: {error}") from error
