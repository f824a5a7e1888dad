"""The Kraken adapter on the wire: what a bad answer means, what balances count as, and what never leaves the house."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from botctl.adapters.kraken.exchange import KrakenExchange
from botctl.adapters.kraken.markets import CACHE_KEY
from botctl.adapters.kraken.session import KrakenSession
from botctl.domain.configuration.settings import Mode, Secret
from botctl.domain.errors import BotError, ExchangeUnreachable, OutcomeUnknown, UnusableAnswer
from botctl.domain.orders import OrderRequest, Side
from botctl.domain.symbols import Timeframe
from botctl.store.database import close_database, open_database
from botctl.store.location import SqliteFile
from botctl.store.models import KeyValue
from tests.bent_time import later
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.fake_kraken.public_endpoints import market_json
from tests.quick import parametrize, parametrize_pairs

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

type Read = Callable[[KrakenExchange], object]

ORDER_ID = "OABCDE-FGHIJ-KLMNOP"
READS: dict[str, Read] = {
    "BalanceEx": lambda exchange: exchange.fetch_balances(),
    "Ticker": lambda exchange: exchange.fetch_quotes(["BTC/USD"]),
    "OHLC": lambda exchange: exchange.fetch_candles("BTC/USD", Timeframe.MINUTES_15),
    "QueryOrders": lambda exchange: exchange.fetch_orders([ORDER_ID]),
    "OpenOrders": lambda exchange: exchange.find_orders(["some-client-id"], LONG_AGO)["some-client-id"],
    "ClosedOrders": lambda exchange: exchange.find_orders(["some-client-id"], LONG_AGO)["some-client-id"],
}
BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("empty", {}),
    ("html", {}),
    ("truncated", {}),
    ("short_body", {}),
    ("drop_after", {}),
    ("no_result", {}),
    ("null_result", {}),
    ("status", {"status": 502}),
    ("status", {"status": 520}),
    ("shape", {"body": []}),
    ("shape", {"body": "down for maintenance"}),
    ("shape", {"body": {"result": {}}}),
    ("shape", {"body": {"error": "EService:Busy"}}),
    ("shape", {"body": {"error": [], "result": []}}),
    ("error", {"error": "EService:Unavailable"}),
    ("error", {"error": "EGeneral:Internal error"}),
    ("error", {"error": "WGeneral:Odd"}),
]
ORDER = {
    "status": "closed",
    "vol": "0.002",
    "vol_exec": "0.002",
    "cost": "100.0",
    "fee": "0.4",
    "opentm": 1795348571.0,
    "closetm": 1795348571.1,
    "cl_ord_id": "some-client-id",
    "trades": ["T1"],
}
ROW = [1795348500, "50000.0", "50100.0", "49900.0", "50000.0", "50000.0", "1.0", 3]
ODD_RESULTS: list[tuple[str, Any]] = [
    ("BalanceEx", {}),
    ("BalanceEx", {"ZUSD": None}),
    ("BalanceEx", {"ZUSD": "100.0"}),
    ("BalanceEx", {"ZUSD": {"hold_trade": "0"}}),
    ("BalanceEx", {"ZUSD": {"balance": "many"}}),
    ("BalanceEx", {"ZUSD": {"balance": "NaN"}}),
    ("BalanceEx", {"ZUSD": {"balance": None}}),
    ("BalanceEx", {"ZUSD": {"balance": "100.0", "hold_trade": "?"}}),
    ("OHLC", {}),
    ("OHLC", {"XETHZUSD": [ROW, ROW], "last": 1}),
    ("OHLC", {"XXBTZUSD": None, "last": 1}),
    ("OHLC", {"XXBTZUSD": [], "last": 1}),
    ("OHLC", {"XXBTZUSD": [[], ROW], "last": 1}),
    ("OHLC", {"XXBTZUSD": [[*ROW[:4], "NaN", *ROW[5:]], ROW], "last": 1}),
    ("OHLC", {"XXBTZUSD": [[*ROW[:4], "0", *ROW[5:]], ROW], "last": 1}),
    ("OHLC", {"XXBTZUSD": [ROW, ROW, ROW], "last": 1}),
    ("QueryOrders", {ORDER_ID: None}),
    ("QueryOrders", {ORDER_ID: {}}),
    ("QueryOrders", {ORDER_ID: {**ORDER, "status": "gone"}}),
    ("QueryOrders", {ORDER_ID: {**ORDER, "vol_exec": "NaN"}}),
    ("QueryOrders", {ORDER_ID: {**ORDER, "vol_exec": None}}),
    ("QueryOrders", {ORDER_ID: {**ORDER, "opentm": "?"}}),
    ("OpenOrders", {}),
    ("OpenOrders", {"open": None}),
    ("OpenOrders", {"open": []}),
    ("ClosedOrders", {}),
    ("ClosedOrders", {"count": 0}),
    ("ClosedOrders", {"closed": None, "count": 1}),
    ("ClosedOrders", {"closed": {ORDER_ID: []}, "count": 1}),
    ("ClosedOrders", {"closed": {ORDER_ID: {**ORDER, "status": None}}, "count": 1}),
]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "live.db"
    open_database(SqliteFile(path), Mode.LIVE, create=True)
    yield path
    close_database()


def connect(kraken: FakeKraken) -> KrakenExchange:
    """The adapter as a new process makes it."""
    key, secret = Secret(kraken.api_key), Secret(kraken.secret)
    return KrakenExchange(lambda: KrakenSession(base_url=kraken.url, api_key=key, private_key=secret))


@pytest.fixture
def exchange(kraken: FakeKraken, database: Path) -> KrakenExchange:
    adapter = connect(kraken)
    adapter.load_markets()
    return adapter


@contextmanager
def no_patience() -> Iterator[None]:
    """Every look at the clock takes 16 seconds, so that reads are not repeated and no test waits."""
    with freeze_time(datetime.now(UTC), auto_tick_seconds=16):
        yield


def private_nonces(kraken: FakeKraken) -> list[int]:
    return [int(request.params["nonce"]) for request in kraken.requests if "nonce" in request.params]


# Answers that are none


@parametrize_pairs(("fault", "endpoint"), BROKEN, [*READS], quick=8)
def test_a_broken_answer_is_unreachable_and_never_empty(
    exchange: KrakenExchange, kraken: FakeKraken, endpoint: str, fault: tuple[str, dict[str, Any]]
) -> None:
    kind, options = fault
    kraken.fault(endpoint, kind, times=99, **options)

    with no_patience(), pytest.raises(ExchangeUnreachable):
        READS[endpoint](exchange)


@parametrize(("endpoint", "result"), [*ODD_RESULTS[::2], *ODD_RESULTS[1::2]], quick=5)
def test_a_result_of_the_wrong_shape_is_unreachable_and_never_empty(
    exchange: KrakenExchange, kraken: FakeKraken, endpoint: str, result: Any
) -> None:
    kraken.fault(endpoint, "shape", times=99, body={"error": [], "result": result})

    with no_patience(), pytest.raises(ExchangeUnreachable):
        READS[endpoint](exchange)


@pytest.mark.usefixtures("bent_time")
@parametrize("endpoint", READS, quick=3)
def test_a_read_is_repeated_after_one_bad_answer(exchange: KrakenExchange, kraken: FakeKraken, endpoint: str) -> None:
    kraken.fault(endpoint, "html")

    READS[endpoint](exchange)

    assert kraken.count(endpoint) >= 2


@pytest.mark.usefixtures("bent_time")
def test_a_read_that_stays_bad_is_given_up_after_a_few_attempts(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    kraken.fault("BalanceEx", "html", times=99)

    with pytest.raises(ExchangeUnreachable):
        exchange.fetch_balances()

    assert 2 <= kraken.count("BalanceEx") <= 5


def test_a_warning_beside_a_balance_is_only_a_warning(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    kraken.fault("BalanceEx", "warning")

    assert exchange.fetch_balances().total("USD") == 10000


def test_a_stopped_kraken_is_unreachable(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    kraken.stop()

    with no_patience(), pytest.raises(ExchangeUnreachable):
        exchange.fetch_balances()


# Prices


def test_one_unknown_symbol_does_not_cost_the_others_their_price(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    kraken.markets.remove("DOT/USD")  # delisted since the markets were cached

    quotes = exchange.fetch_quotes(["BTC/USD", "DOT/USD", "NO/SUCH", "ETH/USD"])

    assert {symbol: quote.last for symbol, quote in quotes.good.items()} == {"BTC/USD": 50000, "ETH/USD": 2500}
    assert set(quotes.bad) == {"DOT/USD", "NO/SUCH"}


def test_prices_of_many_symbols_are_one_call(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    kraken.clear_requests()

    quotes = exchange.fetch_quotes(["BTC/USD", "ETH/USD", "SOL/USD", "BTC/USD"])

    assert set(quotes.good) == {"BTC/USD", "ETH/USD", "SOL/USD"}
    assert kraken.count("*") == 1


def test_no_symbols_ask_for_no_prices(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    kraken.clear_requests()

    assert exchange.fetch_quotes([]).good == {}
    assert kraken.count("*") == 0


@pytest.mark.parametrize("price", ["0", "-5", "NaN", "Infinity", "?", None, ["50000"]])
def test_a_price_that_is_none_is_bad_for_its_symbol_alone(
    exchange: KrakenExchange, kraken: FakeKraken, price: object
) -> None:
    side = ["50000.0", "1", "1.0"]
    result = {"XXBTZUSD": {"a": side, "b": side, "c": [price]}, "XETHZUSD": {"a": side, "b": side, "c": side}}
    kraken.fault("Ticker", "shape", body={"error": [], "result": result})

    quotes = exchange.fetch_quotes(["BTC/USD", "ETH/USD"])

    assert (set(quotes.good), set(quotes.bad)) == ({"ETH/USD"}, {"BTC/USD"})


@pytest.mark.parametrize("result", [{}, {"XETHZUSD": {"c": ["2500"]}}, {"XXBTZUSD": None}, {"XXBTZUSD": {"c": []}}])
def test_a_symbol_that_the_ticker_leaves_out_is_bad(
    exchange: KrakenExchange, kraken: FakeKraken, result: object
) -> None:
    kraken.fault("Ticker", "shape", times=99, body={"error": [], "result": result})

    quotes = exchange.fetch_quotes(["BTC/USD"])

    assert (quotes.good, set(quotes.bad)) == ({}, {"BTC/USD"})


def test_the_running_candle_is_dropped(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    kraken.set_candles("BTC/USD", [100, 101, 102])
    kraken.set_price("BTC/USD", 999)

    candles = exchange.fetch_candles("BTC/USD", Timeframe.MINUTES_15)

    assert [candle.close for candle in candles] == [100, 101, 102]
    assert candles[-1].closed_at(900).timestamp() <= kraken.clock.now()
    assert kraken.clock.now() - candles[-1].closed_at(900).timestamp() < 900


# Balances


def test_every_form_of_a_balance_counts_as_its_asset_and_only_the_bare_one_can_be_spent(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    kraken.account.balances = {
        "ZUSD": Decimal(100),
        "USD.M": Decimal(7),
        "XXBT": Decimal("0.5"),
        "XBT.F": Decimal("0.25"),
        "XBT.M": Decimal("0.125"),
        "XETH": Decimal(1),
        "ETH.B": Decimal(2),
        "DOT": Decimal(1),
        "DOT.S": Decimal(2),
        "DOT28.S": Decimal(4),
        "DOT.P": Decimal(8),
        "DOT7.S": Decimal(16),
        "DOT.T": Decimal(32),
        "DOT.HOLD": Decimal(64),
        "XXDG": Decimal(50),
    }

    balances = exchange.fetch_balances()

    totals = {name: balances.total(name) for name in balances.currencies()}
    assert totals == {"USD": 107, "BTC": Decimal("0.875"), "ETH": 3, "DOT": 127, "DOGE": 50}
    spendable = {name: balances.spendable(name) for name in totals}
    assert spendable == {"USD": 100, "BTC": Decimal("0.5"), "ETH": 1, "DOT": 1, "DOGE": 50}


def test_free_is_what_no_order_holds_with_credit_counted(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    row = {"balance": "100.0", "hold_trade": "30.5", "credit": "20.0", "credit_used": "5.0"}
    kraken.fault("BalanceEx", "shape", body={"error": [], "result": {"ZUSD": row}})

    balances = exchange.fetch_balances()

    assert (balances.spendable("USD"), balances.total("USD")) == (Decimal("84.5"), Decimal(100))


# Orders


def test_an_order_goes_out_with_its_id_its_deadline_and_its_fee_in_quote(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    deadline = exchange.now() + timedelta(seconds=30)
    request = OrderRequest("0f8fad5b-d9cb-469f-a165-70867728950e", Side.BUY, "BTC/USD", Decimal("1E-3"), deadline)

    txid = exchange.add_order(request)

    params = kraken.requests[-1].params
    assert txid == kraken.orders[0].txid
    assert (params["cl_ord_id"], params["oflags"], params["volume"]) == (request.client_order_id, "fciq", "0.001")
    assert datetime.fromisoformat(params["deadline"]) - deadline < timedelta(milliseconds=1)
    assert "validate" not in params


def test_an_id_that_kraken_does_not_know_leaves_the_other_orders_known(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    deadline = exchange.now() + timedelta(seconds=30)
    request = OrderRequest("0f8fad5b-d9cb-469f-a165-70867728950e", Side.BUY, "BTC/USD", Decimal("0.001"), deadline)
    txid = exchange.add_order(request)
    assert txid is not None

    assert set(exchange.fetch_orders([txid, ORDER_ID])) == {txid}


def test_an_order_with_another_client_id_is_not_taken_for_ours(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    theirs = {ORDER_ID: {**ORDER, "cl_ord_id": "somebody-elses"}}
    kraken.fault("ClosedOrders", "shape", body={"error": [], "result": {"closed": theirs, "count": 1}})

    assert exchange.find_orders(["some-client-id"], LONG_AGO)["some-client-id"] == []


@pytest.mark.parametrize(
    "result",
    [
        {"closed": {ORDER_ID: {**ORDER, "cl_ord_id": None}}, "count": 1},
        {"closed": {ORDER_ID: {"status": "closed"}}, "count": 1},
        {"closed": {}, "count": 1},
    ],
)
def test_an_order_that_was_asked_for_by_name_and_is_shown_without_one_is_not_absent(
    exchange: KrakenExchange, kraken: FakeKraken, result: dict[str, Any]
) -> None:
    kraken.fault("ClosedOrders", "shape", body={"error": [], "result": result}, times=4)

    with pytest.raises(UnusableAnswer):
        exchange.find_orders(["some-client-id"], LONG_AGO)


def test_a_page_of_ended_orders_without_a_count_does_not_pass_for_all_of_them(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    theirs = {ORDER_ID: {**ORDER, "cl_ord_id": "somebody-elses"}}
    ours = {"OZZZZZ-ZZZZZ-ZZZZZZ": {**ORDER, "cl_ord_id": "ours"}}
    for page in (theirs, ours, {}):
        kraken.fault("ClosedOrders", "shape", body={"error": [], "result": {"closed": page}})

    found = exchange.find_orders(["ours", "another"], LONG_AGO)

    assert [report.exchange_order_id for report in found["ours"]] == ["OZZZZZ-ZZZZZ-ZZZZZZ"]


def test_a_record_without_fill_ids_gets_its_fills_from_the_history(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    deadline = exchange.now() + timedelta(seconds=30)
    ours, other = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    for client_order_id in (ours, other):
        exchange.add_order(OrderRequest(client_order_id, Side.BUY, "BTC/USD", Decimal("0.001"), deadline))
    [report] = exchange.find_orders([ours], LONG_AGO)[ours]

    fills = exchange.fetch_fills([replace(report, fill_ids=())])

    assert [(fill.exchange_order_id, fill.cost) for fill in fills] == [(kraken.orders[0].txid, kraken.orders[0].cost)]


def test_the_pages_of_all_fills_are_followed_to_their_end_and_a_short_list_is_an_error(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    kraken.trade_by_hand("buy", "BTC/USD", Decimal("0.001"))
    history = kraken.trades[0]
    kraken.trades[:] = [replace(history, id=f"T{n:05}-AAAAA-AAAAAA", number=n) for n in range(120)]

    listed = exchange.list_fills(LONG_AGO)
    kraken.fault("TradesHistory", "shape", body={"error": [], "result": {"trades": {}, "count": 120}})

    assert len(listed) == 120
    with pytest.raises(ExchangeUnreachable, match="incomplete"):
        exchange.list_fills(LONG_AGO)


# Nonce and secrets


def test_the_nonce_rises_across_processes_also_when_the_clock_steps_back(database: Path, kraken: FakeKraken) -> None:
    now = datetime.now(UTC)
    for step_back in (timedelta(0), timedelta(hours=3), timedelta(minutes=5), timedelta(0)):
        with freeze_time(now - step_back):  # and several calls within one millisecond
            process = connect(kraken)
            process.fetch_balances()
            process.fetch_balances()

    nonces = private_nonces(kraken)
    assert len(nonces) == 8
    assert nonces == sorted(set(nonces))
    assert all(request.error is None for request in kraken.requests)


def test_a_nonce_that_another_client_overtook_catches_up(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    exchange.fetch_balances()
    kraken.key.last_nonce = private_nonces(kraken)[-1] + 3000  # a clock three seconds ahead of ours

    assert exchange.fetch_balances().total("USD") == 10000


@pytest.mark.usefixtures("bent_time")
def test_secrets_are_in_no_log_no_error_and_no_database(live: BotRunner, kraken: FakeKraken) -> None:
    live.set(LOG_FILE="botctl.log", LOG_LEVEL="DEBUG")
    kraken.fault("AddOrder", "drop_after")
    runs = [
        live.fork_to_its_end("--debug", "buy", "BTC/USD", "100", "--yes"),
        live.run("--debug", "check-positions", "--json"),
        live.run("doctor"),
        live.run("doctor", "--json"),
    ]
    kraken.fault("AddOrder", "error", error="EAPI:Invalid signature")
    runs.append(live.run("--debug", "sell", "BTC/USD", "--yes"))
    kraken.fault("BalanceEx", "error", error="EAPI:Invalid key")
    runs.append(live.run("--debug", "balance", "--json"))
    live.set(KRAKEN_PRIVATE_KEY=kraken.secret + "!!!")
    runs.append(live.run("--debug", "balance"))

    written = {path.name: path.read_bytes() for path in live.home.rglob("*") if path.is_file() and path.name != ".env"}
    assert {"botctl.log", *([] if live.server else ["live.db"])} <= set(written)
    written["its rows"] = repr(live.rows()).encode()
    assert runs[0].exit_code == 0, runs[0].stderr
    assert [run.exit_code != 0 for run in runs[4:]] == [True] * 3
    for secret in (kraken.api_key, kraken.secret):
        assert [name for name, content in written.items() if secret.encode() in content] == []
        assert [run for run in runs if secret in run.stdout + run.stderr] == []


def test_the_adapter_shows_no_secret_of_its_own(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    shown = [repr(exchange), repr(vars(exchange)), repr(exchange.session), json.dumps(str(vars(exchange.session)))]
    kraken.fault("BalanceEx", "error", error="EAPI:Invalid key")
    with pytest.raises(BotError) as caught:
        exchange.fetch_balances()

    shown += [repr(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__)]
    assert [text for text in shown if kraken.secret in text or kraken.api_key in text] == []


# Nonsense


@pytest.mark.usefixtures("bent_time")
@parametrize("endpoint", ["OHLC", "BalanceEx", "QueryOrders", "OpenOrders", "ClosedOrders"], quick=2)
def test_json_that_is_nested_without_end_is_unusable(
    endpoint: str, exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    kraken.fault(endpoint, "html", body='{"error":[],"result":' + "[" * 100_000, times=4)

    with pytest.raises(ExchangeUnreachable, match="unusable"):
        READS[endpoint](exchange)


@parametrize(
    "change",
    [
        {"vol_exec": "-0.002"},
        {"vol_exec": "0"},
        {"vol_exec": "1e12"},
        {"cost": "-100"},
        {"fee": "-0.4"},
        {"cl_ord_id": ["some-client-id"]},
        {"trades": "T1"},
        {"trades": {"T1": 1}},
        {"opentm": 1e300},
        {"closetm": 10**18},
    ],
    quick=4,
)
def test_a_record_that_no_order_can_have_is_unusable(
    change: dict[str, Any], exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    kraken.fault("QueryOrders", "shape", body={"error": [], "result": {ORDER_ID: {**ORDER, **change}}}, times=4)

    with pytest.raises(UnusableAnswer):
        exchange.fetch_orders([ORDER_ID])


FILL = {"ordertxid": ORDER_ID, "vol": "0.002", "cost": "100", "fee": "0.4", "price": "50000", "time": 1795348571.0}


@parametrize(
    "change",
    [
        {"vol": "-0.002"},
        {"cost": "1"},
        {"cost": "1000"},
        {"price": "0"},
        {"fee": "-0.4"},
        {"fee": "100.1"},
        {"time": 1e300},
        {"vol": None},
    ],
    quick=4,
)
def test_a_fill_that_cannot_have_been_is_left_out(
    change: dict[str, Any], exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    result = {ORDER_ID: {**ORDER, "trades": ["T1", "T2"]}}
    kraken.fault("QueryOrders", "shape", body={"error": [], "result": result})
    report = exchange.fetch_orders([ORDER_ID])[ORDER_ID]
    kraken.fault("QueryTrades", "shape", body={"error": [], "result": {"T1": FILL, "T2": {**FILL, **change}}})

    assert [fill.fill_id for fill in exchange.fetch_fills([report])] == ["T1"]


@pytest.mark.parametrize("txid", ["", "ZZZ", "a,b", "OXZOZH UV45N", "x" * 5000, "\ud800"])
def test_an_order_id_that_is_none_leaves_the_outcome_unknown(
    txid: str, exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    kraken.fault("AddOrder", "shape", body={"error": [], "result": {"txid": [txid]}})
    deadline = datetime.now(UTC) + timedelta(seconds=30)

    with pytest.raises(OutcomeUnknown):
        exchange.add_order(OrderRequest("some-client-id", Side.BUY, "BTC/USD", Decimal("0.002"), deadline))


@pytest.mark.parametrize("row", [{"0": 1}, "text", [1e300, *ROW[1:]], [*ROW[:6], "-1", 3], [*ROW[:6], "1e400", 3]])
def test_a_row_that_is_no_candle_is_unusable(row: object, exchange: KrakenExchange, kraken: FakeKraken) -> None:
    kraken.fault("OHLC", "shape", body={"error": [], "result": {"XXBTZUSD": [row, ROW], "last": 1}}, times=4)

    with pytest.raises(UnusableAnswer):
        exchange.fetch_candles("BTC/USD", Timeframe.MINUTES_15)


def age_markets() -> None:
    KeyValue.update(saved_at=datetime.now(UTC) - timedelta(days=2)).where(KeyValue.key == CACHE_KEY).execute()


def market_answer(kraken: FakeKraken, **changes: Any) -> dict[str, Any]:
    """AssetPairs with one market changed, or without it."""
    pairs = {market.id: market_json(market) for market in kraken.markets}
    return pairs | {name: {**pairs[name], **change} for name, change in changes.items()}


@parametrize(
    "change",
    [
        {"wsname": "XBT"},
        {"wsname": 5},
        {"wsname": "a/b/c"},
        {"altname": None},
        {"base": ["XXBT"]},
        {"lot_decimals": -8},
        {"lot_decimals": 10**9},
        {"ordermin": "-1"},
        {"costmin": "1e13"},
    ],
    quick=4,
)
def test_a_market_that_cannot_be_read_is_asked_for_again_soon(
    change: dict[str, Any], exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    age_markets()
    body = {"error": [], "result": market_answer(kraken, XXBTZUSD=change)}
    kraken.fault("AssetPairs", "shape", body=body)
    garbled = connect(kraken).load_markets()
    with freeze_time(datetime.now(UTC) + timedelta(minutes=11)):
        later = connect(kraken).load_markets()

    assert "BTC/USD" not in garbled
    assert "ETH/USD" in garbled
    assert "BTC/USD" in later


def test_two_markets_of_one_name_are_no_answer_and_the_old_ones_serve(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    age_markets()
    body = {"error": [], "result": market_answer(kraken, XETHZUSD={"wsname": "XBT/USD"})}
    kraken.fault("AssetPairs", "shape", body=body)

    assert connect(kraken).load_markets()["BTC/USD"].exchange_id == "XXBTZUSD"


@pytest.mark.usefixtures("bent_time")
def test_a_time_that_its_own_answer_belies_is_not_believed(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    late = int(kraken.clock.now()) + 3600
    kraken.fault("Time", "shape", body={"error": [], "result": {"unixtime": late}}, times=4)

    with pytest.raises(ExchangeUnreachable, match="disagree"):
        exchange.now(fresh=True)


@pytest.mark.parametrize("which", ["api_key", "secret"])
def test_a_key_that_kraken_says_aloud_is_not_repeated(which: str, exchange: KrakenExchange, kraken: FakeKraken) -> None:
    spoken = getattr(kraken, which)
    kraken.fault("BalanceEx", "error", error=[f"EAPI:Invalid key:{spoken}"])

    with pytest.raises(BotError) as caught:
        exchange.fetch_balances()

    assert "EAPI:Invalid key:***" in str(caught.value)


# Kraken's rate counter


def test_four_points_of_the_rate_counter_are_kept_for_exits(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    with later(seconds=0):
        for _ in range(11):
            exchange.fetch_balances()
        started = time.time()
        exchange.fetch_balances()
        exchange.fetch_orders([ORDER_ID], urgent=True)
        for_an_exit = time.time() - started
        exchange.fetch_orders([ORDER_ID])
        for_anything_else = time.time() - started

    assert for_an_exit < 2
    assert for_anything_else > 5
    assert kraken.count("QueryOrders") == 2
