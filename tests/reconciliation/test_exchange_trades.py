"""What a trade bought, sold and holds follows from the exchange's records alone, in whatever order they come."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.client_order_ids import ClientId, format_trade_tag
from botctl.domain.orders import ExitReason, Fill, OrderRecord, OrderReport, OrderState, Side
from botctl.reconciliation.exchange_trades import ExchangeTrade, build_exchange_trades

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MARK = format_trade_tag(7)
amounts = st.decimals("0.001", "10", places=3)


def client_id(reason: ExitReason | None = None, attempt: int = 0, *, mark: str = MARK, whole: bool = True) -> str:
    return str(ClientId(mark, 3, reason, whole, attempt, "d00f"))


def record(
    name: str | None,
    side: Side,
    filled: Decimal | str,
    *,
    minutes: int = 0,
    status: str = "closed",
    txid: str = "",
) -> OrderRecord:
    """An order at 100 a piece, with one fill of a fee of 1; its own record's cost is cut to whole units."""
    filled, at = Decimal(filled), NOON + timedelta(minutes=minutes)
    report = OrderReport(
        exchange_order_id=txid or f"O{name}",
        client_order_id=name,
        open=status == "open",
        final=status != "open",
        complete=status == "closed",
        filled=filled,
        fill_ids=(f"T{name}",) if filled else (),
        cost=Decimal(int(filled * 100)),
        fee=Decimal(0),
        opened_at=at,
        closed_at=None if status == "open" else at,
    )
    return OrderRecord("BTC/USD", side, max(filled, Decimal(1)), report)


def fills_of(records: Sequence[OrderRecord]) -> list[Fill]:
    """One fill for each order that traded."""
    return [
        Fill(f"T{r.report.client_order_id}", r.report.exchange_order_id, r.report.filled, r.report.filled * 100,
             Decimal(1), r.report.opened_at + timedelta(seconds=1))
        for r in records if r.report.filled
    ]  # fmt: skip


def ledger_of(records: Sequence[OrderRecord]) -> list[ExchangeTrade]:
    return build_exchange_trades(records, fills_of(records), {})


def only(trades: Sequence[ExchangeTrade]) -> ExchangeTrade:
    [trade] = trades
    return trade


@given(bought=amounts, sold=st.lists(amounts, max_size=4), seed=st.integers(0, 99))
def test_what_is_held_is_what_was_bought_less_what_was_sold(bought: Decimal, sold: list[Decimal], seed: int) -> None:
    records = [record(client_id(), Side.BUY, bought)]
    records += [
        record(client_id(ExitReason.MANUAL, number, whole=False), Side.SELL, amount, minutes=number + 1)
        for number, amount in enumerate(sold)
    ]
    random.Random(seed).shuffle(records)

    trade = only(ledger_of(records))

    assert trade.held == bought - sum(sold)
    assert (trade.bought.cost, trade.bought.fee) == (bought * 100, 1)
    assert (trade.sold.cost, trade.sold.fee) == (sum(sold) * 100, len(sold))
    assert [order.side for order in trade.orders] == [Side.BUY, *[Side.SELL] * len(sold)]
    assert trade.exiting is None
    assert all(order.exact for order in trade.orders)


@given(st.permutations([format_trade_tag(number) for number in range(5)]))
def test_trades_of_one_number_do_not_mix(marks: list[str]) -> None:
    records = [record(client_id(mark=mark), Side.BUY, str(number + 1)) for number, mark in enumerate(marks)]

    held = {trade.tag: trade.held for trade in ledger_of(records)}

    assert held == {mark: number + 1 for number, mark in enumerate(marks)}


def test_the_owners_orders_belong_to_no_trade() -> None:
    foreign = [record(None, Side.BUY, "1"), record("6d1b345e-2821-40e2-ad83-4ecb18a06876", Side.SELL, "1")]

    assert ledger_of(foreign) == []


def test_an_order_that_only_the_journal_knows_belongs_to_its_trade() -> None:
    name = "6d1b345e-2821-40e2-ad83-4ecb18a06876"
    old = record(name, Side.BUY, "2")
    sale = record(client_id(ExitReason.STOP_LOSS), Side.SELL, "2", minutes=5)

    trade = only(build_exchange_trades([old, sale], fills_of([old, sale]), {name: ClientId(MARK, 3, None, True, 0)}))

    assert (trade.tag, trade.held, trade.number) == (MARK, 0, 3)


def test_an_order_that_still_works_counts_with_its_end() -> None:
    records = [
        record(client_id(), Side.BUY, "2"),
        record(client_id(ExitReason.COUNCIL), Side.SELL, "0.5", minutes=1, status="open"),
    ]

    trade = only(ledger_of(records))

    assert (trade.held, trade.sold.amount, trade.last_sale) == (2, 0, None)
    assert [order.state for order in trade.working] == [OrderState.ACCEPTED]
    assert trade.exiting is ExitReason.COUNCIL


def test_an_exit_begins_with_the_first_sell_of_the_whole() -> None:
    records = [
        record(client_id(), Side.BUY, "2"),
        record(client_id(ExitReason.MANUAL, whole=False), Side.SELL, "0.5", minutes=1),
        record(client_id(ExitReason.STOP_LOSS), Side.SELL, "0.5", minutes=2, status="canceled"),
        record(client_id(ExitReason.DRAWDOWN), Side.SELL, "0", minutes=3, status="canceled"),
    ]

    trade = only(ledger_of(records))

    assert trade.exiting is ExitReason.STOP_LOSS
    assert trade.last_sale is not None
    assert trade.last_sale.state is OrderState.CANCELED
    assert [order.average_price for order in trade.exits] == [100, 100, None]


def test_an_id_that_names_two_orders_at_the_exchange_is_one_intent() -> None:
    twice = [
        record(client_id(), Side.BUY, "2", txid="OFIRST"),
        record(client_id(), Side.BUY, "1", txid="OSECOND", minutes=1),
    ]

    [order] = only(ledger_of(twice)).orders

    assert (order.filled, order.cost, order.fee, order.exchange_order_id) == (3, 300, 2, "OFIRST")


def test_without_its_fills_an_orders_own_record_serves_and_is_not_exact() -> None:
    trade = only(build_exchange_trades([record(client_id(), Side.BUY, "0.015")], [], {}))

    assert trade.bought[:2] == (Decimal("0.015"), 1)
    assert not trade.orders[0].exact
