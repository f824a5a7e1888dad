"""The audit trail and the walls: each change of a trade tells before, after and why, and the database itself
refuses a second active trade and a second unsettled order."""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from peewee import IntegrityError

from botctl.domain.errors import BelowMinimum, ExchangeRefused, OutcomeUnknown, Refused
from botctl.domain.orders import UNSETTLED, Execution, ExitReason, IllegalStep, OrderState
from botctl.store.journal import Journal, StopUpdate
from botctl.store.kill_switch import Switch
from botctl.store.location import DatabaseLocation
from botctl.store.models import Event, Order, Trade
from tests.databases import execute

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
BOUGHT = Execution("OBUY", True, Decimal("0.002"), Decimal("100.00"), Decimal("0.40"), NOON)
STOP = 49000.0
SOLD = Execution("OSELL", True, Decimal("0.002"), Decimal("110.00"), Decimal("0.44"), LATER)


@pytest.fixture
def journal(opened: DatabaseLocation) -> Journal:
    return Journal("demo")


def intend(journal: Journal, symbol: str = "BTC/USD") -> Order:
    return journal.intend_entry(symbol, Decimal("0.002"), 500.0, check=lambda: None, deadline=LATER, now=NOON)


def sent(journal: Journal, order: Order) -> Order:
    journal.submit(order)
    journal.accept(order, "OBUY")
    return order


def opened(journal: Journal, symbol: str = "BTC/USD") -> Trade:
    order = sent(journal, intend(journal, symbol))
    journal.settle(order, BOUGHT, NOON, stop=STOP)
    trade: Trade = Trade.get_by_id(order.trade_id)
    return trade


def exiting(journal: Journal, trade: Trade, reason: ExitReason = ExitReason.MANUAL) -> Order:
    order = journal.intend_exit(trade, trade.amount, reason, whole=True, check=lambda: None, deadline=LATER, now=LATER)
    return sent(journal, order)


def columns_of(trade_id: int) -> dict[str, Any]:
    return dict(Trade.get_by_id(trade_id).__data__)


def check_trail(trade: Trade, change: Callable[[], object]) -> set[str]:
    """Whatever the change altered stands in the new events, with its old and new value, and each says why."""
    before, last = columns_of(trade.id), Event.select().count()
    change()
    after = columns_of(trade.id)
    events = list(Event.select().where(Event.id > last).order_by(Event.id))
    altered = {name for name in after if after[name] != before[name]}
    told_before: dict[str, Any] = {}
    told_after: dict[str, Any] = {}
    for event in events:
        assert event.trade_id == trade.id
        assert event.why
        assert set(event.before) == set(event.after)
        told_before = {**event.before, **told_before}
        told_after |= event.after
    assert altered - {"checked_at"} <= set(told_after), "changed without a word"
    for name in altered & set(told_after):
        assert text(told_before[name]) == text(before[name])
        assert text(told_after[name]) == text(after[name])
    return altered


def text(value: Any) -> str:
    return "" if value is None else str(value)


def test_an_intent_is_told_with_the_trade_it_reserves(journal: Journal) -> None:
    order = intend(journal)

    [event] = Event.select()
    assert event.trade_id == order.trade_id
    assert event.after["status"] == "PENDING"
    assert Decimal(event.after["amount"]) == Decimal("0.002")
    assert event.before == {}


def test_every_way_that_an_entry_ends_is_told(journal: Journal) -> None:
    def refuse(order: Order) -> None:
        journal.submit(order)
        journal.reject(order, ExchangeRefused("no funds"), LATER)

    ends: dict[str, Callable[[Order], object]] = {
        "BTC/USD": lambda order: journal.settle(sent(journal, order), BOUGHT, LATER, stop=STOP),
        "ETH/USD": lambda order: journal.settle(sent(journal, order), replace(BOUGHT, filled=Decimal(0)), LATER),
        "SOL/USD": refuse,
        "ADA/USD": lambda order: journal.mark_absent(order, "it never left", LATER),
    }

    for symbol, end in ends.items():
        order = intend(journal, symbol)
        assert "status" in check_trail(order.trade, lambda end=end, order=order: end(order))  # type: ignore[misc]

    assert [trade.status for trade in Trade.select().order_by(Trade.id)] == ["OPEN", "FAILED", "FAILED", "FAILED"]


def test_a_moved_stop_is_told_with_the_price_that_moved_it(journal: Journal) -> None:
    trade = opened(journal)
    update = StopUpdate(trade, 50500.0, 51500.0, LATER, 51500.0, "price 51500")

    altered = check_trail(trade, lambda: journal.save_stops([update]))

    assert altered == {"stop_loss_price", "high_price", "checked_at"}
    event = Event.select().order_by(Event.id.desc()).first()
    assert (event.why, event.price) == ("price 51500", Decimal(51500))


def test_the_price_that_moved_a_stop_is_kept_with_all_its_digits(journal: Journal) -> None:
    trade = opened(journal)

    journal.save_stops([StopUpdate(trade, 50500.0, 51500.125, LATER, 51500.125, f"price {51500.125:g}")])

    event = Event.select().order_by(Event.id.desc()).first()
    assert (event.why, str(event.price)) == ("price 51500.1", "51500.125")


def test_a_look_that_moved_nothing_is_no_event(journal: Journal) -> None:
    trade = opened(journal)
    assert trade.stop_loss_price is not None
    assert trade.high_price is not None
    before = Event.select().count()

    journal.save_stops([StopUpdate(trade, trade.stop_loss_price, trade.high_price, LATER, 50000.0, "price 50000")])

    assert Event.select().count() == before
    assert columns_of(trade.id)["checked_at"] == LATER


def test_a_stop_never_falls_whoever_asks(journal: Journal) -> None:
    trade = opened(journal)
    stop = trade.stop_loss_price
    assert stop is not None

    journal.save_stops([StopUpdate(trade, stop - 1000, 50001.0, LATER, 50001.0, "a mistake")])

    assert columns_of(trade.id)["stop_loss_price"] == stop


def test_the_initial_stop_stays_when_the_stop_moves(journal: Journal) -> None:
    trade = opened(journal)

    journal.save_stops([StopUpdate(trade, 50500.0, 51500.0, LATER, 51500.0, "price 51500")])

    row = columns_of(trade.id)
    assert (row["stop_loss_price"], row["initial_stop_loss_price"]) == (50500.0, STOP)


def test_a_stop_that_somebody_raised_meanwhile_does_not_fall_either(journal: Journal) -> None:
    trade = opened(journal)
    Trade.update(stop_loss_price=49900.0).where(Trade.id == trade.id).execute()

    altered = check_trail(
        trade, lambda: journal.save_stops([StopUpdate(trade, 49500.0, 51000.0, LATER, 51000.0, "price 51000")])
    )

    assert columns_of(trade.id)["stop_loss_price"] == trade.stop_loss_price == 49900.0
    assert altered == {"high_price", "checked_at"}


def test_many_stops_are_saved_together_each_as_if_it_were_alone(journal: Journal) -> None:
    moved, higher, hit, still = (opened(journal, f"{asset}/USD") for asset in ("BTC", "ETH", "SOL", "DOT"))
    updates = [
        StopUpdate(moved, 50500.0, 51500.0, LATER, 51500.0, "price 51500"),
        StopUpdate(higher, 49000.0, 50001.0, LATER, 50001.0, "price 50001"),
        StopUpdate(hit, 50100.0, 51100.0, LATER, 50000.0, "price 50000", exiting=ExitReason.TRAILING_STOP),
        StopUpdate(still, 49000.0, 50000.0, LATER, 49500.0, "price 49500"),
    ]
    before = Event.select().count()

    journal.save_stops(updates)

    events = list(Event.select().order_by(Event.id))[before:]
    assert [(event.trade_id, event.kind, event.why, event.price) for event in events] == [
        (moved.id, "stop moved", "price 51500", Decimal(51500)),
        (higher.id, "new high", "price 50001", Decimal(50001)),
        (hit.id, "stop moved", "price 50000", Decimal(50000)),
        (hit.id, "stop hit", "price 50000", Decimal(50000)),
    ]
    for trade in (moved, higher, hit, still):
        assert columns_of(trade.id) == dict(trade.__data__)
        assert columns_of(trade.id)["checked_at"] == LATER
    assert columns_of(hit.id)["exiting"] == "TRAILING_STOP"


def test_a_thousand_stops_take_as_many_statements_as_one(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    trade = opened(journal)
    rows = [{**columns_of(trade.id), "id": None, "asset": f"A{n}", "mark": f"{n:09x}"} for n in range(1000)]
    for row in rows:
        del row["id"]
    Trade.insert_many(rows).execute()
    caplog.set_level(logging.DEBUG, "peewee")

    journal.save_stops([StopUpdate(row, 50500.0, 51500.0, LATER, 51500.0, "price 51500") for row in Trade.select()])

    assert len([record for record in caplog.records if record.name == "peewee"]) < 10
    assert Trade.select().where(Trade.stop_loss_price == 50500.0).count() == 1001
    assert Event.select().where(Event.kind == "stop moved").count() == 1001


@pytest.mark.parametrize("reason", list(ExitReason))
def test_a_whole_exit_is_told_from_intent_to_end(journal: Journal, reason: ExitReason) -> None:
    trade = opened(journal)
    orders: list[Order] = []

    check_trail(trade, lambda: orders.append(exiting(journal, trade, reason)))
    altered = check_trail(trade, lambda: journal.settle(orders[0], SOLD, LATER))

    assert {"status", "exit_reason", "exit_time", "exit_price"} <= altered
    closed = columns_of(trade.id)
    assert (closed["status"], closed["exit_reason"]) == ("CLOSED", reason)
    if reason is not ExitReason.EXTERNAL:
        assert closed["pnl"] == Decimal("110.00") - Decimal("0.44") - Decimal("100.00") - Decimal("0.40")


def test_a_partial_exit_leaves_the_trade_open_and_is_told(journal: Journal) -> None:
    trade = opened(journal)
    order = exiting(journal, trade)
    part = replace(SOLD, complete=False, filled=Decimal("0.0005"), cost=Decimal("27.5"), fee=Decimal("0.11"))

    altered = check_trail(trade, lambda: journal.settle(order, part, LATER))

    assert {"amount", "sold_amount", "exit_proceeds", "exit_fee"} <= altered
    row = columns_of(trade.id)
    assert (row["status"], row["amount"]) == ("OPEN", Decimal("0.0015"))
    assert Order.get_by_id(order.id).state == OrderState.CANCELED


@pytest.mark.parametrize(("rederived", "stop"), [(STOP + 10, STOP + 10), (STOP - 10, STOP)])
def test_exact_figures_of_an_entry_raise_its_stop_and_never_lower_it(
    journal: Journal, rederived: float, stop: float
) -> None:
    trade = opened(journal)
    entry = Order.get(Order.trade == trade.id)
    exact = replace(BOUGHT, cost=Decimal("100.02"), fee=Decimal("0.41"))

    altered = check_trail(trade, lambda: journal.correct_figures(entry, exact, LATER, stop=rederived))

    assert {"entry_cost", "entry_fee", "entry_price"} <= altered
    row = columns_of(trade.id)
    assert (row["entry_cost"], row["entry_fee"], row["stop_loss_price"]) == (exact.cost, exact.fee, stop)
    assert row["initial_stop_loss_price"] == stop


def test_exact_figures_of_an_exit_change_the_profit_of_a_closed_trade(journal: Journal) -> None:
    trade = opened(journal)
    order = exiting(journal, trade)
    journal.settle(order, SOLD, LATER)
    before = columns_of(trade.id)
    exact = replace(SOLD, cost=SOLD.cost + Decimal("0.02"), fee=SOLD.fee + Decimal("0.01"))

    check_trail(trade, lambda: journal.correct_figures(order, exact, LATER, stop=None))

    after = columns_of(trade.id)
    assert after["pnl"] == before["pnl"] + Decimal("0.01")
    assert after["exit_proceeds"] == exact.cost
    assert after["exit_price"] == exact.cost / exact.filled


@pytest.mark.parametrize("state", [OrderState.REJECTED, OrderState.ABSENT])
@pytest.mark.parametrize("reason", [ExitReason.MANUAL, ExitReason.STOP_LOSS])
def test_an_exit_that_came_to_nothing_is_told_and_a_stop_goes_on(
    journal: Journal, state: OrderState, reason: ExitReason
) -> None:
    trade = opened(journal)
    order = journal.intend_exit(trade, trade.amount, reason, whole=True, check=lambda: None, deadline=LATER, now=LATER)

    def end() -> None:
        if state is OrderState.ABSENT:
            journal.mark_absent(order, "it never left", LATER)
        else:
            journal.submit(order)
            journal.reject(order, ExchangeRefused("Market in cancel_only mode"), LATER)

    check_trail(trade, end)

    row = columns_of(trade.id)
    assert row["status"] == "OPEN"
    assert row["exiting"] == (None if reason is ExitReason.MANUAL else "STOP_LOSS")


@pytest.mark.parametrize(
    ("refusal", "too_small"),
    [(BelowMinimum("too little"), True), (ExchangeRefused("no funds, and below the minimum"), False)],
)
def test_the_class_of_a_refusal_is_kept_and_not_its_wording_says_what_it_was(
    journal: Journal, refusal: ExchangeRefused, too_small: bool
) -> None:
    trade = opened(journal)
    order = journal.intend_exit(
        trade, trade.amount, ExitReason.STOP_LOSS, whole=True, check=lambda: None, deadline=LATER, now=LATER
    )
    journal.submit(order)

    journal.reject(order, refusal, LATER)

    assert Order.get_by_id(order.id).error_class == type(refusal).__name__
    assert journal.refused_below_minimum(trade) == too_small


def test_an_order_that_was_in_doubt_and_never_was_has_no_error_class(journal: Journal) -> None:
    order = intend(journal)
    journal.submit(order)
    journal.mark_unknown(order, OutcomeUnknown("no answer"))
    doubted = Order.get_by_id(order.id)

    journal.mark_absent(order, "no such order", LATER)

    assert (doubted.error, doubted.error_class) == ("no answer", "OutcomeUnknown")
    mark_absent = Order.get_by_id(order.id)
    assert (mark_absent.error, mark_absent.error_class) == ("no such order", None)


def test_a_trade_that_shrank_or_vanished_is_told(journal: Journal) -> None:
    trade = opened(journal)
    before = columns_of(trade.id)

    assert check_trail(trade, lambda: journal.shrink(trade, Decimal("0.0005"), "sold by hand", LATER)) == {
        "amount", "entry_amount", "entry_cost", "entry_fee"
    }  # fmt: skip
    shrunk = columns_of(trade.id)
    altered = check_trail(trade, lambda: journal.close_external(trade, "nothing is left", LATER))

    assert [shrunk[name] / before[name] for name in ("amount", "entry_cost", "entry_fee")] == [Decimal("0.75")] * 3
    assert {"status", "exit_reason", "exit_time"} <= altered
    assert columns_of(trade.id)["pnl"] is None


def test_dust_takes_its_share_of_cost_and_fee_with_it(journal: Journal) -> None:
    trade = opened(journal)
    order = exiting(journal, trade)
    part = replace(SOLD, complete=False, filled=Decimal("0.0015"), cost=Decimal("82.5"), fee=Decimal("0.33"))
    journal.settle(order, part, LATER)
    trade = journal.trade(trade.id)

    check_trail(trade, lambda: journal.close_as_dust(trade, ExitReason.STOP_LOSS, "too small", LATER))

    closed = columns_of(trade.id)
    assert (closed["status"], closed["exit_reason"]) == ("CLOSED", "STOP_LOSS")
    assert (closed["amount"], closed["entry_cost"], closed["entry_fee"]) == (Decimal("0.0015"), 75, Decimal("0.3"))
    assert closed["pnl"] == Decimal("82.5") - Decimal("0.33") - 75 - Decimal("0.3")


def test_every_turn_of_the_switch_is_told(opened: DatabaseLocation, tmp_path: Path) -> None:
    switch = Switch((tmp_path / "HALT",))
    turns: list[Callable[[], object]] = [
        lambda: switch.pause(NOON, freeze=True, reason="upgrade"),
        lambda: switch.resume(NOON, enable_buys=False),
        lambda: switch.disable_buys(NOON, "liquidate"),
        lambda: switch.trip(NOON, "too deep"),
        lambda: switch.resume(NOON, enable_buys=True),
    ]

    for turn in turns:
        turn()

    events = list(Event.select().order_by(Event.id))
    assert [event.why for event in events] == ["upgrade", "resume", "liquidate", "too deep", "resume --enable-buys"]
    assert {event.kind for event in events} == {"switch"}
    assert events[0].before["system_status"] == "ACTIVE"
    assert events[0].after["system_status"] == "PAUSED"


@pytest.mark.parametrize("status", ["PENDING", "OPEN"])
@pytest.mark.parametrize("other", ["PENDING", "OPEN"])
@pytest.mark.parametrize("symbol", ["BTC/USD", "BTC/EUR"])
def test_the_database_refuses_a_second_active_trade_of_an_asset(
    opened: DatabaseLocation, status: str, other: str, symbol: str
) -> None:
    write_trade("BTC/USD", status)

    with pytest.raises(IntegrityError):
        write_trade(symbol, other)

    assert Trade.select().count() == 1


def test_the_wall_stands_for_any_program_that_opens_it(opened: DatabaseLocation) -> None:
    write_trade("BTC/USD", "OPEN")
    write_trade("BTC/USD", "CLOSED")

    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
        execute(opened, "UPDATE trade SET status = 'OPEN' WHERE status = 'CLOSED'")


@pytest.mark.parametrize("status", ["CLOSED", "FAILED"])
def test_an_ended_trade_makes_room_for_the_next(opened: DatabaseLocation, status: str) -> None:
    write_trade("BTC/USD", status)
    write_trade("BTC/USD", status)

    write_trade("BTC/USD", "OPEN")
    write_trade("ETH/USD", "OPEN")


def test_the_journal_explains_the_wall(journal: Journal) -> None:
    intend(journal, "BTC/USD")

    with pytest.raises(Refused, match="BTC already has trade 1"):
        intend(journal, "BTC/EUR")

    assert (Trade.select().count(), Order.select().count(), Event.select().count()) == (1, 1, 1)


@pytest.mark.parametrize("state", UNSETTLED)
@pytest.mark.parametrize("other", UNSETTLED)
def test_the_database_refuses_a_second_unsettled_order_of_a_trade(
    opened: DatabaseLocation, state: OrderState, other: OrderState
) -> None:
    trade = write_trade("BTC/USD", "OPEN")
    write_order(trade, state, "one")

    with pytest.raises(IntegrityError):
        write_order(trade, other, "two")


def test_a_settled_order_makes_room_for_the_next(opened: DatabaseLocation) -> None:
    trade = write_trade("BTC/USD", "OPEN")
    for number, state in enumerate(set(OrderState) - set(UNSETTLED)):
        write_order(trade, state, f"ended {number}")

    write_order(trade, OrderState.INTENDED, "next")


def test_a_client_order_id_is_used_once(opened: DatabaseLocation) -> None:
    trade = write_trade("BTC/USD", "OPEN")
    write_order(trade, OrderState.FILLED, "same")

    with pytest.raises(IntegrityError):
        write_order(trade, OrderState.INTENDED, "same")


def test_an_order_without_its_trade_is_refused(opened: DatabaseLocation) -> None:
    with pytest.raises(IntegrityError):
        write_order(Trade(id=99), OrderState.FILLED, "orphan")


def test_a_step_that_nobody_foresaw_changes_nothing(journal: Journal) -> None:
    order = sent(journal, intend(journal))
    journal.settle(order, BOUGHT, NOON, stop=STOP)
    before = columns_of(order.trade_id)

    with pytest.raises(IllegalStep):
        journal.settle(order, BOUGHT, NOON, stop=STOP)

    assert columns_of(order.trade_id) == before


def write_trade(symbol: str, status: str) -> Trade:
    trade: Trade = Trade.create(
        symbol=symbol, asset=symbol.split("/")[0], mode="demo", status=status, created_at=NOON, amount=Decimal(1)
    )
    return trade


def write_order(trade: Trade, state: OrderState, client_order_id: str) -> None:
    Order.create(
        client_order_id=client_order_id,
        trade=trade,
        side="sell",
        symbol="BTC/USD",
        state=state,
        amount=Decimal(1),
        deadline=LATER,
        created_at=NOON,
    )
