"""What must hold whatever happened: each invariant a named function of the exchange and the database.

They are asserted when the journal is settled: after a crash and the ticks that follow it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal

from botctl.domain.orders import UNSETTLED, TradeStatus
from botctl.store.models import Event, Order, Trade
from tests.fake_kraken import FakeKraken

Invariant = Callable[[FakeKraken], None]


def every_order_has_ended(_kraken: FakeKraken) -> None:
    assert [order.state for order in Order.select() if order.state in UNSETTLED] == []


def at_most_one_exchange_order_per_intent(kraken: FakeKraken) -> None:
    twice = [client_id for client_id, count in Counter(order.cl_ord_id for order in kraken.orders).items() if count > 1]
    assert twice == []


def the_journal_and_the_exchange_tell_the_same(kraken: FakeKraken) -> None:
    journal = {order.client_order_id: order.filled for order in Order.select() if order.exchange_order_id}
    exchange = {order.cl_ord_id: order.vol_exec for order in kraken.orders}
    assert journal == exchange


def no_more_is_sold_than_was_bought(kraken: FakeKraken) -> None:
    left: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in kraken.orders:
        left[order.symbol] += order.vol_exec if order.side == "buy" else -order.vol_exec
    assert {symbol: amount for symbol, amount in left.items() if amount < 0} == {}


def one_active_trade_per_asset(_kraken: FakeKraken) -> None:
    active = Counter(trade.asset for trade in Trade.select() if trade.status in ("PENDING", "OPEN"))
    assert [asset for asset, count in active.items() if count > 1] == []


def every_open_trade_has_a_stop_that_never_fell(_kraken: FakeKraken) -> None:
    for trade in Trade.select().where(Trade.status == TradeStatus.OPEN):
        assert trade.stop_loss_price is not None
        moves = Event.select().where(Event.trade_id == trade.id).order_by(Event.id)
        stops = [event.after["stop_loss_price"] for event in moves if "stop_loss_price" in event.after]
        assert stops == sorted(stops)
        assert stops[-1] == trade.stop_loss_price


def what_is_held_is_what_the_trades_say(kraken: FakeKraken) -> None:
    held = sum((trade.amount for trade in Trade.select().where(Trade.status == TradeStatus.OPEN)), Decimal(0))
    assert sum((amount for name, amount in kraken.balances.items() if name != "ZUSD"), Decimal(0)) == held


def money_agrees_to_the_last_digit(kraken: FakeKraken) -> None:
    """What left the account in cash is what the trades say: cost and fees in, proceeds less fees out."""
    cash = Decimal(10000)
    for trade in Trade.select():
        cash += trade.exit_proceeds - trade.exit_fee - (trade.entry_cost or 0) - (trade.entry_fee or 0)
        if trade.status == TradeStatus.CLOSED and trade.exit_reason != "EXTERNAL":
            assert trade.pnl == trade.exit_proceeds - trade.exit_fee - trade.entry_cost - trade.entry_fee
    assert kraken.balances["ZUSD"] == cash


def every_change_of_a_trade_has_its_event(_kraken: FakeKraken) -> None:
    """The last event that names a column has the value that the row has."""
    for trade in Trade.select():
        told: dict[str, object] = {}
        for event in Event.select().where(Event.trade_id == trade.id).order_by(Event.id):
            told |= event.after
        told.pop("checked_at", None)  # a look that changes nothing else is no change
        wrong = {name: (value, getattr(trade, name)) for name, value in told.items() if not _same(value, trade, name)}
        assert wrong == {}


def _same(value: object, trade: Trade, name: str) -> bool:
    actual = getattr(trade, name)
    if isinstance(actual, Decimal):
        return value is not None and Decimal(str(value)) == actual
    return value == actual or str(value) == str(actual)


INVARIANTS: tuple[Invariant, ...] = (
    every_order_has_ended,
    at_most_one_exchange_order_per_intent,
    the_journal_and_the_exchange_tell_the_same,
    no_more_is_sold_than_was_bought,
    one_active_trade_per_asset,
    every_open_trade_has_a_stop_that_never_fell,
    what_is_held_is_what_the_trades_say,
    money_agrees_to_the_last_digit,
    every_change_of_a_trade_has_its_event,
)
