"""One contract, two exchanges: Kraken (a fake one, over HTTP) and the paper broker (on the tape) answer alike."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from botctl.adapters.demo import load_demo_market
from botctl.adapters.kraken.exchange import KrakenExchange
from botctl.adapters.kraken.session import KrakenSession
from botctl.adapters.paper import PaperBroker
from botctl.domain.configuration.settings import Mode, Secret
from botctl.domain.errors import BadValue, BelowMinimum, BotError, ExchangeRefused
from botctl.domain.money import floor_to
from botctl.domain.orders import Fill, OrderReport, OrderRequest, Side
from botctl.domain.symbols import Timeframe
from botctl.ports import Exchange
from botctl.store.database import close_database, open_database
from botctl.store.location import SqliteFile
from tests.fake_kraken import FakeKraken

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

SYMBOL = "BTC/USD"


@pytest.fixture(params=["kraken", "paper"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Exchange]:
    """An account with 10000 USD and nothing else."""
    live = request.param == "kraken"
    open_database(SqliteFile(tmp_path / "contract.db"), Mode.LIVE if live else Mode.DEMO, create=True)
    if live:
        server: FakeKraken = request.getfixturevalue("kraken")
        key, secret = Secret(server.api_key), Secret(server.secret)
        yield KrakenExchange(lambda: KrakenSession(base_url=server.url, api_key=key, private_key=secret))
    else:
        tape = load_demo_market()
        cash, fee_rate, slippage, exit_slippage = map(Decimal, ("10000", "0.008", "0.0005", "0.0015"))
        yield PaperBroker(
            tape, tape, quote_currency="USD", opening_cash=cash, fee_rate=fee_rate, slippage=slippage,
            exit_slippage=exit_slippage, timeframe=Timeframe("15m"),
        )  # fmt: skip
    close_database()


def order(exchange: Exchange, side: Side, amount: Decimal, symbol: str = SYMBOL) -> OrderRequest:
    return OrderRequest(str(uuid.uuid4()), side, symbol, amount, exchange.now() + timedelta(seconds=30))


def trade(exchange: Exchange, side: Side, amount: Decimal) -> tuple[OrderReport, list[Fill]]:
    """A market order, its record and its fills."""
    exchange_order_id = exchange.add_order(order(exchange, side, amount))
    assert exchange_order_id
    report = exchange.fetch_orders([exchange_order_id])[exchange_order_id]
    return report, exchange.fetch_fills([report])


def total(figures: list[Decimal]) -> Decimal:
    return sum(figures, Decimal(0))


def test_a_new_account_has_its_cash_and_no_coins(exchange: Exchange) -> None:
    balances = exchange.fetch_balances()

    assert balances.currencies() == {"USD"}
    assert balances.spendable("USD") == balances.total("USD") == 10000
    assert balances.spendable("BTC") == balances.total("BTC") == 0


def test_a_buy_ends_whole_and_its_fills_add_up_to_what_the_account_paid(exchange: Exchange) -> None:
    report, fills = trade(exchange, Side.BUY, Decimal("0.0123"))

    assert (report.final, report.complete, report.filled) == (True, True, Decimal("0.0123"))
    assert total([fill.amount for fill in fills]) == report.filled
    cost, fee = total([fill.cost for fill in fills]), total([fill.fee for fill in fills])
    assert cost > 0
    assert abs(fee / cost - Decimal("0.008")) < Decimal("0.0001")
    balances = exchange.fetch_balances()
    assert balances.spendable("BTC") == Decimal("0.0123")
    assert abs(Decimal(10000) - cost - fee - balances.spendable("USD")) < Decimal(
        "0.0002"
    )  # Kraken shows four decimals


def test_a_sell_gives_back_the_coins_and_pays_cost_less_fee(exchange: Exchange) -> None:
    trade(exchange, Side.BUY, Decimal("0.02"))
    before = exchange.fetch_balances()

    report, fills = trade(exchange, Side.SELL, Decimal("0.005"))

    after = exchange.fetch_balances()
    proceeds = total([fill.cost for fill in fills]) - total([fill.fee for fill in fills])
    assert report.complete
    assert before.total("BTC") - after.total("BTC") == Decimal("0.005")
    assert abs(after.total("USD") - before.total("USD") - proceeds) < Decimal("0.0002")


def test_an_order_is_found_by_the_client_id_it_was_sent_with(exchange: Exchange) -> None:
    first, second = (order(exchange, Side.BUY, Decimal("0.001")) for _ in range(2))
    ids = [exchange.add_order(request) for request in (first, second)]

    for request, exchange_order_id in zip((first, second), ids, strict=True):
        [report] = exchange.find_orders([request.client_order_id], LONG_AGO)[request.client_order_id]
        assert report.exchange_order_id == exchange_order_id
        assert report.client_order_id == request.client_order_id
        assert (report.final, report.filled) == (True, Decimal("0.001"))


def test_a_client_id_that_was_never_used_finds_nothing(exchange: Exchange) -> None:
    trade(exchange, Side.BUY, Decimal("0.001"))

    assert exchange.find_orders(["never-used"], LONG_AGO) == {"never-used": []}


def test_an_order_that_it_does_not_know_is_missing_from_the_answer(exchange: Exchange) -> None:
    report, _ = trade(exchange, Side.BUY, Decimal("0.001"))

    found = exchange.fetch_orders([report.exchange_order_id, "OAAAAA-BBBBB-CCCCCC"])

    assert set(found) == {report.exchange_order_id}


def test_every_order_is_listed_with_what_was_asked_for(exchange: Exchange) -> None:
    first, second = order(exchange, Side.BUY, Decimal("0.002")), order(exchange, Side.SELL, Decimal("0.001"))
    ids = [exchange.add_order(request) for request in (first, second)]

    records = exchange.list_orders(LONG_AGO, lambda seen, whole: None)

    assert [(record.symbol, record.side, record.amount) for record in records] == [
        (SYMBOL, Side.BUY, Decimal("0.002")),
        (SYMBOL, Side.SELL, Decimal("0.001")),
    ]
    assert [record.report for record in records] == [exchange.fetch_orders([str(id)])[str(id)] for id in ids]


def test_orders_that_ended_before_are_not_listed(exchange: Exchange) -> None:
    trade(exchange, Side.BUY, Decimal("0.001"))

    assert exchange.list_orders(exchange.now() + timedelta(minutes=1), lambda seen, whole: None) == []


def test_fills_of_several_orders_keep_to_their_order(exchange: Exchange) -> None:
    reports = [trade(exchange, Side.BUY, amount)[0] for amount in (Decimal("0.001"), Decimal("0.002"))]

    fills = exchange.fetch_fills(reports)

    for report in reports:
        own = [fill.amount for fill in fills if fill.exchange_order_id == report.exchange_order_id]
        assert total(own) == report.filled


@pytest.mark.parametrize(("side", "amount"), [(Side.BUY, Decimal(1000)), (Side.SELL, Decimal("0.01"))])
def test_an_order_without_the_funds_is_refused_and_nothing_is_placed(
    exchange: Exchange, side: Side, amount: Decimal
) -> None:
    before = exchange.fetch_balances()
    request = order(exchange, side, amount)

    with pytest.raises(ExchangeRefused, match=r"(?i)insufficient funds"):
        exchange.add_order(request)

    assert exchange.find_orders([request.client_order_id], LONG_AGO)[request.client_order_id] == []
    assert exchange.fetch_balances() == before


def test_cash_for_the_cost_but_not_for_the_fee_is_insufficient(exchange: Exchange) -> None:
    ask = exchange.fetch_quotes([SYMBOL]).good[SYMBOL].ask
    assert ask is not None

    with pytest.raises(ExchangeRefused, match=r"(?i)insufficient funds"):
        exchange.add_order(order(exchange, Side.BUY, floor_to(Decimal(9990) / ask, 8)))


def test_an_order_below_the_minimum_is_refused(exchange: Exchange) -> None:
    market = exchange.load_markets()[SYMBOL]
    request = order(exchange, Side.BUY, floor_to(market.min_amount / 2, market.lot_decimals))

    with pytest.raises(BelowMinimum, match="minimum"):
        exchange.add_order(request)

    assert exchange.find_orders([request.client_order_id], LONG_AGO)[request.client_order_id] == []


def test_an_order_that_is_only_validated_trades_nothing(exchange: Exchange) -> None:
    before = exchange.fetch_balances()
    request = order(exchange, Side.BUY, Decimal("0.001"))

    assert exchange.add_order(request, validate=True) is None

    assert exchange.find_orders([request.client_order_id], LONG_AGO)[request.client_order_id] == []
    assert exchange.fetch_balances() == before


def test_a_validated_order_below_the_minimum_is_refused(exchange: Exchange) -> None:
    with pytest.raises(BelowMinimum, match="minimum"):
        exchange.add_order(order(exchange, Side.BUY, Decimal("0.00000001")), validate=True)


def test_an_order_for_no_market_is_a_bad_value(exchange: Exchange) -> None:
    with pytest.raises(BadValue):
        exchange.add_order(order(exchange, Side.BUY, Decimal(1), "NO/SUCH"))


def test_a_symbol_that_is_no_market_is_bad_and_leaves_the_others_their_price(exchange: Exchange) -> None:
    quotes = exchange.fetch_quotes([SYMBOL, "NO/SUCH"])

    assert (set(quotes.good), set(quotes.bad)) == ({SYMBOL}, {"NO/SUCH"})
    quote = quotes.good[SYMBOL]
    assert quote.bid is not None
    assert quote.ask is not None
    assert 0 < quote.bid <= quote.last <= quote.ask


def test_candles_are_closed_and_in_order(exchange: Exchange) -> None:
    candles = exchange.fetch_candles(SYMBOL, Timeframe.MINUTES_15)

    times = [candle.time for candle in candles]
    assert len(candles) >= 114
    assert times == sorted(set(times))
    assert candles[-1].closed_at(900) <= exchange.now()
    assert exchange.now() - candles[-1].closed_at(900) < timedelta(seconds=905)


def test_candles_of_no_market_are_an_error_of_our_own(exchange: Exchange) -> None:
    with pytest.raises(BotError):
        exchange.fetch_candles("NO/SUCH", Timeframe.MINUTES_15)


def test_its_time_is_aware_and_can_be_asked_again(exchange: Exchange) -> None:
    first = exchange.now()
    exchange.forget_time()

    assert first.utcoffset() == timedelta(0)
    assert timedelta(seconds=-2) < exchange.now() - first < timedelta(seconds=5)


@pytest.mark.usefixtures("bent_time")
def test_all_fills_of_the_account_are_listed_with_their_side(exchange: Exchange) -> None:
    bought, [buy] = trade(exchange, Side.BUY, Decimal("0.0123"))
    since = buy.at
    sells = [trade(exchange, Side.SELL, Decimal("0.0001"))[1][0] for _ in range(3)]

    listed = exchange.list_fills(since)

    assert [(each.symbol, each.side) for each in listed] == [(SYMBOL, Side.BUY)] + [(SYMBOL, Side.SELL)] * 3
    assert [each.fill for each in listed] == [buy, *sells]
    assert listed[0].fill.exchange_order_id == bought.exchange_order_id
    assert exchange.list_fills(since + timedelta(days=1)) == []
