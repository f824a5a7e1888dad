"""What must hold whatever happened: each invariant a named function of a world and of all rows of its journal.

Those of `ALWAYS` hold at any moment, also while an order's ending is still unknown. Those of `SETTLED` hold once the
journal is settled: after a crash and the ticks that follow it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from botctl.domain.orders import UNSETTLED, ExitReason, TradeStatus
from botctl.store.models import Event, Order, SystemConfig, Trade
from tests.chaos.world import World
from tests.fake_kraken.markets import asset_named

LEAST_LOT = Decimal("1e-8")


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
    """Of each asset, and of each trade: botctl sells only what it bought itself. A resting stop sells what the owner
    made of it."""
    ledger = ledger_by_client_id(world)
    left: defaultdict[str, Decimal] = defaultdict(Decimal)
    assets = {trade.id: trade.asset for trade in journal.trades}
    for order in journal.orders:
        filled = ledger[order.client_order_id].amount if order.client_order_id in ledger else Decimal(0)
        if order.client_order_id in world.external_actions.edited:
            filled = min(filled, order.amount)
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


LOOKS = ("checked_at", "seen_at")


def every_change_of_a_trade_has_its_event(_world: World, journal: Journal) -> None:
    """The events of a trade, told one after the other, lead from nothing to exactly the row that is there."""
    for trade in journal.trades:
        told: dict[str, object] = {}
        for event in journal.events_of(trade):
            silent = {
                name: (told[name], value)
                for name, value in event.before.items()
                if name in told and name not in LOOKS and not _same(value, told[name])
            }
            assert silent == {}, f"trade {trade.id} changed without an event before {event.kind}"
            told |= event.after
        for name in LOOKS:  # a look that changes nothing else is no change
            told.pop(name, None)
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
        shrunk = any(event.kind in ("shrunk", "dust") for event in journal.events_of(trade))
        entry = {
            "entry amount": (trade.entry_amount or 0, bought.amount),
            "entry cost": (trade.entry_cost or 0, bought.cost),
            "entry fee": (trade.entry_fee or 0, bought.fee),
        }
        exit_ = {
            "sold": (trade.sold_amount, sold.amount),
            "proceeds": (trade.exit_proceeds, sold.cost),
            "exit fee": (trade.exit_fee, sold.fee),
        }
        if shrunk:  # what left it took its share of the entry with it
            entry = {f"{name} grew": (max(mine, most), most) for name, (mine, most) in entry.items()}
        if trade.exit_reason == ExitReason.EXTERNAL:  # it may include a sale of the owner's
            exit_ = {f"{name} is not in it": (max(mine, least), mine) for name, (mine, least) in exit_.items()}
        facts = entry | exit_
        if trade.status == TradeStatus.OPEN and trade.asset not in world.external_actions.touched:
            facts["held"] = (trade.amount, bought.amount - sold.amount)
        if trade.pnl is not None:
            spent = (trade.entry_cost or 0) + (trade.entry_fee or 0)
            facts["P&L"] = (trade.pnl, trade.exit_proceeds - trade.exit_fee - spent)
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
    """What the account holds in dollars is what the orders and the owner's own doings say."""
    cash = world.external_actions.cash
    for fill in world.kraken.trades:
        if fill.order_txid in world.external_actions.owner_orders:
            cash += -fill.cost - fill.fee if fill.side == "buy" else fill.cost - fill.fee
    for order in journal.orders:
        cash += (-1 if order.side == "buy" else 1) * (order.cost or 0) - (order.fee or 0)
    assert world.kraken.balances["ZUSD"] == cash


def each_open_trade_has_its_resting_stop(world: World, journal: Journal) -> None:
    """One, of its size and not above its stop; and none rests without a trade."""
    resting: defaultdict[int, list[Any]] = defaultdict(list)
    trades = {order.client_order_id: order.trade_id for order in journal.orders}
    for order in world.kraken.orders:
        if order.is_waiting and order.txid not in world.external_actions.owner_orders:
            resting[trades[str(order.cl_ord_id)]].append(order)
    opened = {trade.id: trade for trade in journal.trades if trade.status == TradeStatus.OPEN}
    wanted = {id for id, trade in opened.items() if not _is_below_a_minimum(world, trade)}
    if world.settings.get("EXCHANGE_STOP") != "on":
        wanted &= resting.keys()
    missing, beyond = wanted - resting.keys(), resting.keys() - opened.keys()
    assert (missing, beyond) == (set(), set()), f"of trades {missing} none rests, of {beyond} one too many: {resting}"
    for trade_id, [order] in resting.items():
        trade = opened[trade_id]
        assert order.volume == trade.amount, f"trade {trade_id}: {order.volume} rests of {trade.amount}"
        if order.cl_ord_id not in world.external_actions.edited:  # one that the owner has raised stays there
            assert order.trigger <= trade.stop_loss_price, f"trade {trade_id}: {order.trigger}"


def _is_below_a_minimum(world: World, trade: Trade) -> bool:
    """Whether its resting stop, one ATR below its stop, would be too small for the exchange."""
    market, trigger = world.kraken.markets[trade.symbol], Decimal(trade.stop_loss_price - trade.atr)
    return bool(trade.amount < market.ordermin or trade.amount * trigger < market.costmin)


def a_bare_trade_is_said(world: World, journal: Journal) -> None:
    """The newest run did not end with 0 while an open trade that is not being sold had no stop at the exchange."""
    run = world.newest_run
    if world.settings.get("EXCHANGE_STOP") != "on" or run is None or run.exit_code != 0:
        return
    waiting = {order.cl_ord_id for order in world.kraken.orders if order.is_waiting}
    guarded = {order.trade_id for order in journal.orders if order.client_order_id in waiting}
    opened = [trade for trade in journal.trades if trade.status == TradeStatus.OPEN and not trade.exiting]
    assert [trade.id for trade in opened if trade.id not in guarded] == [], run.words


def a_tripped_drawdown_ends_flat(_world: World, journal: Journal) -> None:
    if journal.tripped_at:
        assert [trade.symbol for trade in journal.trades if trade.status == TradeStatus.OPEN] == []


# Amid lies


MOST_OF_THE_AMOUNT = Decimal("1.05")
TOO_SMALL = ("minimum not met",)
"""In the exchange's refusals of an order that is too small."""


def nothing_of_the_owners_is_sold(world: World, _journal: Journal) -> None:
    """The account holds at least what the owner has beside botctl."""
    balances = world.kraken.balances
    held = {asset: balances.get(asset_named(asset).id, Decimal(0)) for asset in world.external_actions.coins}
    own = world.external_actions.coins
    assert {asset: (held[asset], own[asset]) for asset in own if held[asset] < own[asset]} == {}


def no_trade_closes_while_its_coins_are_there(world: World, journal: Journal) -> None:
    """Except dust: less than a lot, or what the exchange itself refused as too small."""
    ledger = ledger_by_client_id(world)
    for trade in journal.trades:
        if trade.status == TradeStatus.OPEN:
            continue
        left, refused = Decimal(0), False
        for order in journal.orders_of(trade):
            if total := ledger.get(order.client_order_id):
                left += total.amount if order.side == "buy" else -total.amount
            refused |= order.side == "sell" and any(text in (order.error or "") for text in TOO_SMALL)
        own = world.external_actions.coins.get(trade.asset, Decimal(0))
        there = min(left, world.kraken.balances.get(asset_named(trade.asset).id, Decimal(0)) - own)
        dust = refused or there < LEAST_LOT
        assert dust or trade.status == TradeStatus.PENDING, (
            f"trade {trade.id} is {trade.status} ({trade.exit_reason}), and {there} {trade.asset} are there"
        )


def no_cost_is_beyond_the_amount(world: World, _journal: Journal) -> None:
    """No buy costs more than 1.05 times what it was to cost."""
    amount, own = world.external_actions.amount, world.external_actions.owner_orders
    if amount is not None:
        buys = [order for order in world.kraken.orders if order.side == "buy" and order.txid not in own]
        assert [order.cost for order in buys if order.cost > MOST_OF_THE_AMOUNT * amount] == []


def no_stop_is_above_the_highest_price(world: World, journal: Journal) -> None:
    """Of all that the symbol ever cost, and of what lies showed that nothing contradicted."""
    for trade in journal.trades:
        highest = max(world.kraken.markets[trade.symbol].highest, world.external_actions.shown.get(trade.symbol, 0))
        stop = trade.stop_loss_price
        assert stop is None or stop <= float(highest), f"trade {trade.id}: {stop} is above {highest}"


def what_is_not_settled_is_said(world: World, journal: Journal) -> None:
    """The newest run did not end with 0 while an order has no known ending, or an exit has begun and not ended."""
    if world.newest_run is None or world.newest_run.exit_code != 0:
        return
    unsettled = [(order.client_order_id, order.state) for order in journal.orders if order.state in UNSETTLED]
    exiting = [trade.id for trade in journal.trades if trade.status == TradeStatus.OPEN and trade.exiting]
    assert (unsettled, exiting) == ([], []), world.newest_run.words


def no_open_trade_is_below_its_stop(world: World, journal: Journal) -> None:
    """Once the truth is told again and a tick has seen it."""
    for trade in journal.trades:
        if trade.status == TradeStatus.OPEN:
            price = float(min(world.kraken.markets[trade.symbol].last, world.kraken.markets[trade.symbol].ask))
            assert price > trade.stop_loss_price, f"trade {trade.id}: {price} is not above {trade.stop_loss_price}"


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
    nothing_of_the_owners_is_sold,
    no_cost_is_beyond_the_amount,
)
AMID_LIES: tuple[Invariant, ...] = (
    *ALWAYS,
    no_trade_closes_while_its_coins_are_there,
    no_stop_is_above_the_highest_price,
    what_is_not_settled_is_said,
)
"""After each run of the chapter `lies`."""
SETTLED: tuple[Invariant, ...] = (
    *ALWAYS,
    every_order_has_ended,
    every_fill_is_in_the_journal_and_the_other_way_round,
    every_trade_is_the_sum_of_its_fills,
    nothing_is_held_that_no_trade_guards,
    cash_agrees_to_the_last_digit,
    each_open_trade_has_its_resting_stop,
    a_tripped_drawdown_ends_flat,
)
AFTER_LIES: tuple[Invariant, ...] = (*AMID_LIES, *SETTLED, no_open_trade_is_below_its_stop)
"""Once the truth is told again and the journal is settled."""


def check(world: World, invariants: Iterable[Invariant]) -> None:
    """Assert each of them on this world; raises Broken with the name of the first that does not hold."""
    with world.models():
        journal = read_journal()
    for invariant in invariants:
        try:
            invariant(world, journal)
        except AssertionError as error:
            raise Broken(f"{invariant.__name__}: {error}") from error
