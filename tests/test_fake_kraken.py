"""The fake Kraken, checked with the real ccxt: it must be believable before the bot may be judged by it."""

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from botctl._fast_imports import import_kraken_alone
from tests.fake_kraken import FakeKraken, Never, PartialThenCanceled, Pieces, Slow
from tests.fake_kraken.api_key import CallLimit

PROJECT = Path(__file__).parent.parent
Client = Any  # ccxt carries no types
CcxtKraken = import_kraken_alone()
errors = sys.modules["ccxt.base.errors"]


@pytest.fixture
def kraken() -> Iterator[FakeKraken]:
    with FakeKraken() as server:
        yield server


@pytest.fixture
def client(kraken: FakeKraken) -> Client:
    return connect(kraken)


def connect(kraken: FakeKraken, **config: Any) -> Client:
    """A ccxt with markets in place, so that a test's own requests are the only ones left to count."""
    settings = {
        "apiKey": kraken.api_key,
        "secret": kraken.secret,
        "enableRateLimit": False,
        "urls": {"api": {"public": kraken.url, "private": kraken.url}},
    }
    client = CcxtKraken({**settings, **config})
    client.number = str
    client.load_markets()
    kraken.clear_requests()
    return client


def test_it_can_hang_up_in_the_middle_of_a_conversation(kraken: FakeKraken, client: Client) -> None:
    kraken.after = lambda _request: kraken.hang_up()

    answered = client.fetch_time()
    with pytest.raises(errors.NetworkError):
        client.fetch_time()
    kraken.after = None
    kraken.start()

    assert answered
    assert client.fetch_time()


def deadline(kraken: FakeKraken, seconds: float) -> str:
    return datetime.fromtimestamp(kraken.clock.now() + seconds, UTC).isoformat()


def buy(client: Client, amount: str = "0.002", **params: Any) -> Any:
    return client.create_order("BTC/USD", "market", "buy", amount, None, {"oflags": "fciq", **params})


def sell(client: Client, amount: str = "0.002", **params: Any) -> Any:
    return client.create_order("BTC/USD", "market", "sell", amount, None, {"oflags": "fciq", **params})


def refused(client: Client, **params: Any) -> str:
    """Send an AddOrder that must be refused; return Kraken's text."""
    with pytest.raises(errors.BaseError) as caught:
        buy(client, **params)
    text: str = json.loads(str(caught.value).removeprefix("kraken "))["error"][0]
    return text


# Public data


def test_ccxt_reads_the_markets_with_their_minimums_and_steps(client: Client) -> None:
    market = client.market("BTC/USD")

    assert (market["id"], market["info"]["altname"]) == ("XXBTZUSD", "XBTUSD")
    assert market["limits"]["amount"]["min"] == "0.00005"
    assert market["limits"]["cost"]["min"] == "0.5"
    assert (market["precision"]["price"], market["precision"]["amount"]) == ("0.1", "0.00000001")
    assert (market["info"]["fees"], market["info"]["fees_maker"]) == ([], [])
    assert {"BTC/EUR", "ETH/USD", "SOL/USD", "ADA/USD", "DOGE/USD", "EUR/USD", "DOT/USD"} < set(client.symbols)


def test_forty_more_markets_are_one_call_away(kraken: FakeKraken) -> None:
    symbols = kraken.markets.add_many(40)

    client = connect(kraken)
    tickers = client.fetch_tickers(symbols)

    assert len(tickers) == 40
    assert kraken.count("Ticker") == 1


def test_the_ticker_shows_the_price_that_was_set(kraken: FakeKraken, client: Client) -> None:
    kraken.set_price("BTC/USD", 50000, bid=49995, ask="50005.5")

    ticker = client.fetch_ticker("BTC/USD")

    assert (ticker["last"], ticker["bid"], ticker["ask"]) == ("50000.00000", "49995.00000", "50005.50000")


@pytest.mark.parametrize("name", ["XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD"])
def test_an_answer_is_keyed_by_the_id_whatever_name_was_asked(client: Client, name: str) -> None:
    assert list(client.publicGetTicker({"pair": name})["result"]) == ["XXBTZUSD"]


def test_one_unknown_pair_fails_the_whole_ticker_call(client: Client) -> None:
    with pytest.raises(errors.ExchangeError, match="EQuery:Unknown asset pair"):
        client.publicGetTicker({"pair": "XBTUSD,NOSUCHUSD"})


def test_flat_candles_span_their_true_range_and_the_running_candle_comes_last(
    kraken: FakeKraken, client: Client
) -> None:
    kraken.flat_candles("BTC/USD", 50000, 300, count=150)
    kraken.set_price("BTC/USD", 50100)

    *closed, running = client.fetch_ohlcv("BTC/USD", "15m")

    assert len(closed) == 150
    assert {Decimal(high) - Decimal(low) for _, _, high, low, _, _ in closed} == {Decimal(300)}
    assert {row[4] for row in closed} == {"50000.00000"}
    assert running[4] == "50100.00000"
    assert {later[0] - earlier[0] for earlier, later in pairwise(closed)} == {900_000}
    assert running[0] <= kraken.clock.now() * 1000 < running[0] + 900_000


def test_candles_end_at_720_and_since_is_exclusive(kraken: FakeKraken, client: Client) -> None:
    kraken.set_candles("BTC/USD", range(40000, 41000))

    everything = client.publicGetOHLC({"pair": "XBTUSD", "interval": 15})["result"]
    newest_closed = int(everything["last"])
    few = client.publicGetOHLC({"pair": "XBTUSD", "interval": 15, "since": newest_closed - 900})["result"]

    assert len(everything["XXBTZUSD"]) == 720
    assert [row[0] for row in few["XXBTZUSD"]] == [newest_closed, newest_closed + 900]
    assert few["XXBTZUSD"][0][1:5] == ["40998.00000", "40999.00000", "40998.00000", "40999.00000"]


def test_rows_with_their_own_highs_and_lows_are_served_as_given(kraken: FakeKraken, client: Client) -> None:
    kraken.set_candles("ETH/USD", [(1, 3, "0.5", 2), (2, 4, 1, 3, 10)], interval=60)

    rows = client.publicGetOHLC({"pair": "ETHUSD", "interval": 60})["result"]["XETHZUSD"]

    assert rows[0][1:5] == ["1.00000", "3.00000", "0.50000", "2.00000"]
    assert rows[1][6] == "10.00000000"
    assert len(rows) == 3


def test_the_clock_offset_moves_time_date_header_and_orders(kraken: FakeKraken, client: Client) -> None:
    kraken.clock.offset = 7200

    told = client.fetch_time() / 1000
    header = parsedate_to_datetime(client.last_response_headers["Date"]).timestamp()
    buy(client)

    for moment in (told, header, kraken.orders[0].opened_at):
        assert moment == pytest.approx(time.time() + 7200, abs=2)


# Keys, nonces, rights


def test_a_wrong_key_and_a_wrong_signature_are_told_apart(kraken: FakeKraken, client: Client) -> None:
    client.apiKey = "somebody else"
    with pytest.raises(errors.AuthenticationError, match="EAPI:Invalid key"):
        client.fetch_balance()

    client.apiKey, client.secret = kraken.api_key, "d3Jvbmc="
    with pytest.raises(errors.ExchangeError, match="EAPI:Invalid signature"):
        client.fetch_balance()

    assert [request.processed for request in kraken.requests] == [False, False]


def test_a_nonce_that_does_not_rise_is_refused(kraken: FakeKraken, client: Client) -> None:
    kraken.key.last_nonce = 10**15

    with pytest.raises(errors.InvalidNonce):
        client.fetch_balance()

    assert kraken.requests[0].error == "EAPI:Invalid nonce"


def test_a_nonce_window_forgives_disorder_but_no_repetition() -> None:
    with FakeKraken(nonce_window=5000) as kraken:
        client = connect(kraken, options={"lastNonce": 10**14})
        client.fetch_balance()
        client.options["lastNonce"] = 10**14 - 1000
        client.fetch_balance()
        client.options["lastNonce"] = 10**14 - 1000
        with pytest.raises(errors.InvalidNonce):
            client.fetch_balance()


def test_a_key_without_the_right_word_is_denied(kraken: FakeKraken, client: Client) -> None:
    kraken.key.permissions.remove("modify-trades")
    kraken.key.valid_until = "1800000000"

    with pytest.raises(errors.PermissionDenied):
        buy(client)

    info = client.privatePostGetApiKeyInfo()["result"]
    assert "modify-trades" not in info["permissions"]
    assert info["validUntil"] == "1800000000"


def test_the_rate_limit_refuses_when_the_counter_is_full(kraken: FakeKraken, client: Client) -> None:
    kraken.key.call_limit = CallLimit(2, 0.01, counted_at=kraken.clock.now())
    client.fetch_balance()
    client.fetch_balance()

    with pytest.raises(errors.DDoSProtection, match="EAPI:Rate limit exceeded"):
        client.fetch_balance()

    buy(client)  # AddOrder has a counter of its own


# Orders


def test_a_buy_and_a_sell_move_the_account_by_exactly_their_cost_and_fee(kraken: FakeKraken, client: Client) -> None:
    kraken.set_price("BTC/USD", 50000, bid=49995, ask=50005)

    buy(client, deadline=deadline(kraken, 30))
    assert kraken.account.balances == {"ZUSD": Decimal("9899.18992"), "XXBT": Decimal("0.002")}

    sell(client)
    assert kraken.account.balances == {"ZUSD": Decimal("9998.38000"), "XXBT": Decimal("0")}

    balance = client.fetch_balance()
    assert (balance["USD"]["free"], balance["BTC"]["total"]) == ("9998.38", "0.0000000000")


def test_an_order_record_is_cut_and_the_trades_are_exact(kraken: FakeKraken, client: Client) -> None:
    kraken.set_price("BTC/USD", 50005)
    placed = buy(client)

    order = client.fetch_order(placed["id"])
    trades = client.privatePostQueryTrades({"txid": ",".join(order["info"]["trades"])})["result"]

    assert (order["status"], order["filled"]) == ("closed", "0.00200000")
    assert [order["info"][figure] for figure in ("cost", "fee", "price")] == ["100.0", "0.8", "50005.0"]
    [trade] = trades.values()
    assert (trade["cost"], trade["fee"], trade["vol"]) == ("100.01000", "0.80008", "0.00200000")
    assert (trade["pair"], order["info"]["descr"]["pair"]) == ("XXBTZUSD", "XBTUSD")


def test_a_closed_order_is_found_by_its_client_order_id_and_by_nothing_else(kraken: FakeKraken, client: Client) -> None:
    wanted = str(uuid.uuid4())
    buy(client, clientOrderId=wanted)
    buy(client, clientOrderId=str(uuid.uuid4()))
    buy(client, userref=7)

    found = client.fetch_closed_orders("BTC/USD", params={"clientOrderId": wanted})
    grouped = client.privatePostClosedOrders({"userref": 7})["result"]

    assert [order["id"] for order in found] == [kraken.orders[0].txid]
    assert list(grouped["closed"]) == [kraken.orders[2].txid]
    assert str(grouped["count"]) == "1"
    assert client.fetch_open_orders(params={"clientOrderId": wanted}) == []


def test_closed_orders_come_fifty_a_page_and_the_newest_first(kraken: FakeKraken, client: Client) -> None:
    for _ in range(52):
        buy(client, "0.0001")

    first = client.privatePostClosedOrders({})["result"]
    rest = client.privatePostClosedOrders({"ofs": 50})["result"]["closed"]
    trades = client.privatePostTradesHistory({"ofs": 50})["result"]

    assert (len(first["closed"]), first["count"]) == (50, 52)
    assert list(rest) == [kraken.orders[1].txid, kraken.orders[0].txid]
    assert (len(trades["trades"]), trades["count"]) == (2, 52)


def test_pages_of_closed_orders_may_come_without_a_count(kraken: FakeKraken, client: Client) -> None:
    buy(client)
    kraken.account.counts_closed_orders = False

    answer = client.privatePostClosedOrders({})["result"]

    assert set(answer) == {"closed"}


def test_an_unknown_txid_is_an_error(client: Client) -> None:
    with pytest.raises(errors.InvalidOrder, match="EOrder:Invalid order"):
        client.fetch_order("OAAAAA-AAAAA-AAAAAA")


def test_a_client_order_id_is_unique_among_open_orders_only(kraken: FakeKraken, client: Client) -> None:
    same = str(uuid.uuid4())
    buy(client, cl_ord_id=same)
    kraken.account.fill_mode = Never()
    buy(client, cl_ord_id=same)

    assert refused(client, cl_ord_id=same) == "EGeneral:Invalid arguments:cl_ord_id not unique"
    assert [order.status for order in kraken.orders] == ["closed", "open"]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"cl_ord_id": "nineteen characters"}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"cl_ord_id": "a", "userref": 1}, "EGeneral:Invalid arguments:userref"),
        ({"amount": "0.00004"}, "EGeneral:Invalid arguments:volume minimum not met"),
        ({"amount": "0.2"}, "EOrder:Insufficient funds"),  # 10000 USD: enough for the cost, not for the fee
        ({"deadline": "soon"}, "EGeneral:Invalid arguments:deadline"),
    ],
)
def test_what_is_wrong_with_an_order_is_said_and_nothing_is_placed(
    kraken: FakeKraken, client: Client, params: dict[str, Any], text: str
) -> None:
    assert refused(client, **params) == text
    assert kraken.orders == []


def test_the_cost_minimum_is_kept_too(kraken: FakeKraken, client: Client) -> None:
    kraken.set_price("BTC/USD", 5000)

    assert refused(client, amount="0.00009") == "EOrder:Cost minimum not met"


def test_coins_that_are_not_there_cannot_be_sold(client: Client) -> None:
    with pytest.raises(errors.InsufficientFunds):
        sell(client)


def test_a_market_that_is_not_online_takes_no_market_order(kraken: FakeKraken, client: Client) -> None:
    kraken.markets["BTC/USD"].status = "cancel_only"

    assert refused(client) == "EService:Market in cancel_only mode"


def test_a_deadline_is_measured_in_krakens_clock(kraken: FakeKraken, client: Client) -> None:
    kraken.clock.offset = -3600

    assert refused(client, deadline=deadline(kraken, -1)) == "EService:Deadline elapsed"
    assert refused(client, deadline=deadline(kraken, 1)) == "EGeneral:Invalid arguments:deadline"
    assert refused(client, deadline=deadline(kraken, 90)) == "EGeneral:Invalid arguments:deadline"
    buy(client, deadline=deadline(kraken, 30))


def test_an_order_that_was_held_up_past_its_deadline_is_refused(kraken: FakeKraken, client: Client) -> None:
    kraken.fault("AddOrder", "hang_before", seconds=30)

    def time_passes() -> None:
        kraken.clock.offset += 60
        kraken.release()

    threading.Timer(0.2, time_passes).start()

    assert refused(client, deadline=deadline(kraken, 30)) == "EService:Deadline elapsed"


def test_validate_checks_everything_but_the_funds_and_places_nothing(kraken: FakeKraken, client: Client) -> None:
    order = buy(client, "5", validate=True)

    assert order["id"] is None
    assert kraken.orders == []
    assert order["info"]["descr"] == {"order": "buy 5.00000000 XBTUSD @ market"}
    assert refused(client, amount="0.00001", validate=True) == "EGeneral:Invalid arguments:volume minimum not met"


def test_a_volume_in_quote_buys_what_it_is_worth(kraken: FakeKraken, client: Client) -> None:
    client.create_market_buy_order_with_cost("BTC/USD", 100, {"oflags": "fciq"})

    assert kraken.account.balances == {"ZUSD": Decimal("9899.20000"), "XXBT": Decimal("0.002")}


def test_a_resting_limit_order_holds_its_funds_until_the_price_comes(kraken: FakeKraken, client: Client) -> None:
    client.create_order("BTC/USD", "limit", "buy", "0.01", "40000", {"oflags": "fciq"})
    assert client.fetch_balance()["USD"]["free"] == "9596.8"

    kraken.set_price("BTC/USD", 39990)

    assert kraken.orders[0].status == "closed"
    assert kraken.account.holds == {}
    assert kraken.trades[0].price == 40000
    assert kraken.trades[0].maker


def test_canceling_frees_the_hold_and_a_second_cancel_finds_nothing(kraken: FakeKraken, client: Client) -> None:
    kraken.account.fill_mode = Never()
    placed = buy(client)

    client.cancel_order(placed["id"])

    assert kraken.orders[0].status == "canceled"
    assert kraken.account.holds == {}
    with pytest.raises(errors.OrderNotFound):
        client.cancel_order(placed["id"])


# How an order may be filled


def test_a_slow_order_is_open_for_some_looks_and_closed_at_the_next(kraken: FakeKraken, client: Client) -> None:
    kraken.account.fill_mode = Slow(looks=2, at_once=Decimal("0.25"))
    placed = buy(client)

    seen = [client.fetch_order(placed["id"]) for _ in range(3)]

    assert [order["status"] for order in seen] == ["open", "open", "closed"]
    assert [order["filled"] for order in seen] == ["0.00050000", "0.00050000", "0.00200000"]


def test_a_slow_order_is_filled_when_its_seconds_have_passed(kraken: FakeKraken, client: Client) -> None:
    kraken.account.fill_mode = Slow(seconds=20)
    placed = buy(client)
    assert client.fetch_order(placed["id"])["status"] == "open"

    kraken.clock.offset += 21

    assert client.fetch_balance()["BTC"]["total"] == "0.0020000000"
    assert client.fetch_order(placed["id"])["status"] == "closed"


def test_an_order_may_be_filled_in_pieces_at_worse_and_worse_prices(kraken: FakeKraken, client: Client) -> None:
    kraken.account.fill_mode = Pieces(count=3, step=Decimal("0.1"))
    buy(client, "0.001")

    assert [trade.volume for trade in kraken.trades] == [Decimal(f"0.0003333{end}") for end in ("3", "3", "4")]
    assert [trade.price for trade in kraken.trades] == [50000, Decimal("50000.1"), Decimal("50000.2")]
    assert kraken.orders[0].cost == sum(trade.cost for trade in kraken.trades)


def test_an_order_may_be_filled_in_part_and_canceled_for_the_rest(kraken: FakeKraken, client: Client) -> None:
    kraken.account.fill_mode = PartialThenCanceled(Decimal("0.25"))
    placed = buy(client)

    order = client.fetch_order(placed["id"])

    assert (order["status"], order["filled"]) == ("canceled", "0.00050000")
    assert kraken.balances["XXBT"] == Decimal("0.0005")
    assert kraken.account.holds == {}


def test_a_fresh_order_may_be_invisible_for_a_while(kraken: FakeKraken, client: Client) -> None:
    kraken.account.closed_orders_lag_looks = 2
    buy(client, clientOrderId="first")
    looks = [client.fetch_closed_orders(params={"clientOrderId": "first"}) for _ in range(3)]
    assert [len(found) for found in looks] == [0, 0, 1]

    kraken.account.closed_orders_lag_looks, kraken.account.closed_orders_lag = 0, 30
    placed = buy(client)
    with pytest.raises(errors.InvalidOrder):
        client.fetch_order(placed["id"])
    kraken.clock.offset += 31
    assert client.fetch_order(placed["id"])["status"] == "closed"


# Faults


@pytest.mark.parametrize(
    ("kind", "details", "error", "placed"),
    [
        ("drop_before", {}, errors.NetworkError, 0),
        ("drop_after", {}, errors.NetworkError, 1),
        ("reset_before", {}, errors.NetworkError, 0),
        ("reset_after", {}, errors.NetworkError, 1),
        ("hang_after", {}, errors.RequestTimeout, 1),
        ("status", {"status": 503}, errors.ExchangeNotAvailable, 0),
        ("status", {"status": 504, "processed": True}, errors.RequestTimeout, 1),
        ("status", {"status": 520, "processed": True}, errors.ExchangeNotAvailable, 1),
        ("short_body", {}, errors.NetworkError, 1),
        ("error", {"error": "EService:Busy"}, errors.ExchangeNotAvailable, 0),
        ("error", {"error": ["EGeneral:Internal error"], "processed": True}, errors.ExchangeNotAvailable, 1),
        ("warning", {"error": "WOrder:Something"}, errors.ExchangeError, 1),
    ],
)
def test_a_loud_fault_raises_and_may_have_placed_the_order(
    kraken: FakeKraken, kind: str, details: dict[str, Any], error: type[Exception], placed: int
) -> None:
    client = connect(kraken, timeout=300)
    kraken.fault("AddOrder", kind, **details)

    with pytest.raises(error):
        buy(client)

    [request] = kraken.requests
    assert len(kraken.orders) == placed
    assert (request.fault, request.processed) == (kind, placed == 1)


@pytest.mark.parametrize(
    ("kind", "details", "placed"),
    [
        ("empty", {}, 0),
        ("empty", {"processed": True}, 1),
        ("html", {"processed": True}, 1),
        ("truncated", {}, 1),
        ("empty_result", {"processed": True}, 1),
    ],
)
def test_a_silent_fault_looks_like_an_order_without_an_id(
    kraken: FakeKraken, client: Client, kind: str, details: dict[str, Any], placed: int
) -> None:
    kraken.fault("AddOrder", kind, **details)

    assert buy(client)["id"] is None
    assert len(kraken.orders) == placed


@pytest.mark.parametrize(
    ("kind", "details", "answer"),
    [
        ("shape", {"body": ["not", "an", "object"]}, ["not", "an", "object"]),
        ("no_result", {}, {"error": []}),
        ("null_result", {}, {"error": [], "result": None}),
        ("empty_result", {}, {"error": [], "result": {}}),
    ],
)
def test_a_fault_of_shape_reaches_the_client_as_it_is(
    kraken: FakeKraken, kind: str, details: dict[str, Any], answer: Any
) -> None:
    kraken.fault("Time", kind, **details)

    connection = http.client.HTTPConnection(kraken.url.removeprefix("http://"))
    connection.request("GET", "/0/public/Time")

    assert json.load(connection.getresponse()) == answer
    connection.close()


def test_a_request_that_hangs_is_processed_after_the_client_has_given_up(kraken: FakeKraken) -> None:
    client = connect(kraken, timeout=200)
    kraken.fault("AddOrder", "hang_before")
    with pytest.raises(errors.RequestTimeout):
        buy(client, clientOrderId="late")
    assert client.fetch_closed_orders(params={"clientOrderId": "late"}) == []

    kraken.release()

    wait_until(lambda: len(kraken.orders) == 1)
    assert len(client.fetch_closed_orders(params={"clientOrderId": "late"})) == 1


def test_faults_wait_their_turn_and_let_others_pass(kraken: FakeKraken, client: Client) -> None:
    kraken.fault("Ticker", "status", times=2, skip=1)
    kraken.fault("Ticker", "error", error="EService:Busy")
    kraken.fault("*", "html")

    outcomes = []
    for _ in range(5):
        with contextlib.suppress(errors.BaseError):
            client.publicGetTicker({"pair": "XBTUSD"})
        outcomes.append(kraken.requests[-1].fault)

    assert outcomes == ["html", "status", "status", "error", None]


def test_cleared_faults_are_forgotten(kraken: FakeKraken, client: Client) -> None:
    kraken.fault("*", "drop_before", times=100)
    kraken.clear_faults()

    assert client.fetch_ticker("BTC/USD")["last"] == "50000.00000"


def test_a_misspelled_endpoint_is_the_tests_own_mistake(kraken: FakeKraken) -> None:
    with pytest.raises(ValueError, match="AddOrders"):
        kraken.fault("AddOrders", "drop_before")
    with pytest.raises(ValueError, match="Tickers"):
        kraken.count("Tickers")


def test_hooks_run_around_the_processing(kraken: FakeKraken, client: Client) -> None:
    seen = []
    kraken.before = lambda request: seen.append((request.endpoint, request.processed, len(kraken.orders)))
    kraken.after = lambda request: seen.append((request.endpoint, request.processed, len(kraken.orders)))

    buy(client)

    assert seen == [("AddOrder", False, 0), ("AddOrder", True, 1)]


# The server itself


def test_stopping_is_quick_even_while_requests_hang_and_drops_them() -> None:
    def wait_in_vain() -> None:
        with contextlib.suppress(errors.NetworkError):
            buy(client)

    with FakeKraken() as kraken:
        client = connect(kraken)
        kraken.fault("AddOrder", "hang_before")
        hanging = threading.Thread(target=wait_in_vain)
        hanging.start()
        wait_until(lambda: kraken.count("AddOrder") == 1)
        started = time.monotonic()

    hanging.join(10)
    assert time.monotonic() - started < 5
    assert not hanging.is_alive()
    assert kraken.orders == []


def test_an_outage_can_end(kraken: FakeKraken, client: Client) -> None:
    kraken.stop()
    with pytest.raises(errors.NetworkError):
        client.fetch_ticker("BTC/USD")

    kraken.start()

    assert client.fetch_ticker("BTC/USD")["last"] == "50000.00000"


def test_a_failure_of_the_fake_itself_fails_the_test() -> None:
    def broken(request: object) -> None:
        raise ZeroDivisionError

    kraken = FakeKraken()
    kraken.start()
    client = connect(kraken)
    kraken.before = broken
    with pytest.raises(errors.ExchangeNotAvailable):
        client.fetch_time()

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        kraken.__exit__(None, None, None)


def test_it_runs_by_hand_and_says_how_to_reach_it() -> None:
    command = [sys.executable, "-m", "tests.fake_kraken"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        settings = dict(process.stdout.readline().strip().split("=", 1) for _ in range(3))
        connection = http.client.HTTPConnection(settings["KRAKEN_API_URL"].removeprefix("http://"))
        connection.request("GET", "/0/public/SystemStatus")
        answer = json.load(connection.getresponse())
        connection.close()
        process.terminate()

    assert answer["result"]["status"] == "online"
    assert settings.keys() == {"KRAKEN_API_URL", "KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY"}


def wait_until(condition: Any) -> None:
    give_up_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_at, "it never happened"
        time.sleep(0.005)
