"""Prices and balances asked for at once: what each waits for, and what becomes of one when the other fails."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from freezegun import freeze_time

from botctl.adapters.kraken.exchange import KrakenExchange
from botctl.adapters.kraken.session import KrakenSession
from botctl.adapters.kraken.transport import CALL_SECONDS
from botctl.domain.configuration.settings import Mode, Secret
from botctl.domain.errors import ExchangeUnreachable
from botctl.store.database import close_database, open_database
from botctl.store.location import SqliteFile
from tests.fake_kraken import FakeKraken

NO_OTHER_EXCHANGE = """
import sys
from botctl._fast_imports import import_kraken_alone
alone = import_kraken_alone()
assert "ccxt.binance" not in sys.modules and "ccxt" not in sys.modules
assert import_kraken_alone() is alone
import ccxt
assert ccxt.kraken is alone is import_kraken_alone()
assert ccxt.binance().id == "binance" and len(ccxt.exchanges) > 50
"""


@pytest.fixture
def make_exchange(tmp_path: Path, kraken: FakeKraken) -> Iterator[Callable[..., KrakenExchange]]:
    """One that knows its markets, whose calls may take `call_seconds`."""

    def make(call_seconds: float = CALL_SECONDS) -> KrakenExchange:
        key, secret = Secret(kraken.api_key), Secret(kraken.secret)
        exchange = KrakenExchange(
            lambda: KrakenSession(base_url=kraken.url, api_key=key, private_key=secret, call_seconds=call_seconds)
        )
        exchange.load_markets()
        kraken.clear_requests()
        return exchange

    open_database(SqliteFile(tmp_path / "live.db"), Mode.LIVE, create=True)
    yield make
    close_database()


@pytest.fixture
def exchange(make_exchange: Callable[..., KrakenExchange]) -> KrakenExchange:
    return make_exchange()


def wait_for_the_price_call() -> None:
    for thread in threading.enumerate():
        if thread.name == "Kraken Ticker":
            thread.join(timeout=5)


def test_the_price_call_goes_out_beside_the_balance_call(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    """Neither is answered before the other has arrived; one after the other would break the barrier."""
    both = threading.Barrier(2, timeout=5)
    kraken.before = lambda _request: both.wait()

    exchange.prefetch_quotes(["BTC/USD"])
    balances = exchange.fetch_balances()

    assert exchange.fetch_quotes(["BTC/USD"]).good["BTC/USD"].last == 50000
    assert balances.total("USD") == 10000
    assert exchange.count_requests() == kraken.count("*") + 1  # the markets


@pytest.mark.usefixtures("bent_time")
def test_a_price_call_that_failed_is_repeated_when_its_answer_is_asked_for(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    kraken.fault("Ticker", "status", times=2)

    exchange.prefetch_quotes(["BTC/USD"])

    assert exchange.fetch_quotes(["BTC/USD"]).good["BTC/USD"].last == 50000
    assert kraken.count("Ticker") == 3


@pytest.mark.parametrize("again", [{}, {"kind": "status"}, {"kind": "error", "error": "EQuery:Unknown asset pair"}])
def test_prices_that_waited_long_for_the_balances_are_asked_for_again(
    exchange: KrakenExchange, kraken: FakeKraken, again: dict[str, str]
) -> None:
    """And where that fails the first ones serve."""
    with freeze_time(datetime.now(UTC)) as clock:
        exchange.prefetch_quotes(["BTC/USD"])
        exchange.fetch_balances()
        wait_for_the_price_call()
        clock.tick(6)
        kraken.set_price("BTC/USD", 49000)
        if again:
            kraken.fault("Ticker", **again)

        last = exchange.fetch_quotes(["BTC/USD"]).good["BTC/USD"].last

    assert last == (50000 if again else 49000)
    assert kraken.count("Ticker") == 2


def test_one_unknown_symbol_does_not_cost_the_others_their_price(exchange: KrakenExchange, kraken: FakeKraken) -> None:
    kraken.markets.remove("DOT/USD")

    exchange.prefetch_quotes(["BTC/USD", "DOT/USD", "NO/SUCH"])
    quotes = exchange.fetch_quotes(["BTC/USD", "DOT/USD", "NO/SUCH"])

    assert (set(quotes.good), set(quotes.bad)) == ({"BTC/USD"}, {"DOT/USD", "NO/SUCH"})


@pytest.mark.waits
@pytest.mark.usefixtures("bent_time")
def test_a_price_call_that_never_ends_is_given_up_and_the_next_gets_a_line_of_its_own(
    make_exchange: Callable[..., KrakenExchange], kraken: FakeKraken
) -> None:
    exchange = make_exchange(call_seconds=0.5)
    kraken.fault("Ticker", "hang_before", times=99)
    started = time.monotonic()

    exchange.prefetch_quotes(["BTC/USD"])
    balances = exchange.fetch_balances()
    with pytest.raises(ExchangeUnreachable):
        exchange.fetch_quotes(["BTC/USD"])
    took = time.monotonic() - started
    kraken.clear_faults()
    exchange.prefetch_quotes(["BTC/USD"])
    again = exchange.fetch_quotes(["BTC/USD"])

    assert balances.total("USD") == 10000
    assert took < 10
    assert again.good["BTC/USD"].last == 50000


def test_prices_asked_for_ahead_serve_once_and_for_those_symbols_alone(
    exchange: KrakenExchange, kraken: FakeKraken
) -> None:
    with freeze_time(datetime.now(UTC)):  # on a slow machine the prices would be too old to serve
        exchange.prefetch_quotes(["BTC/USD"])
        wait_for_the_price_call()
        kraken.set_price("BTC/USD", 49000)
        served, asked_anew = (exchange.fetch_quotes(["BTC/USD"]).good["BTC/USD"].last for _ in range(2))

        exchange.prefetch_quotes(["BTC/USD"])
        other = exchange.fetch_quotes(["DOT/USD"])
        wait_for_the_price_call()

    assert (served, asked_anew) == (50000, 49000)
    assert list(other.good) == ["DOT/USD"]
    assert kraken.count("Ticker") == 4


def test_while_no_markets_are_known_nothing_is_asked_ahead(tmp_path: Path, kraken: FakeKraken) -> None:
    open_database(SqliteFile(tmp_path / "new.db"), Mode.LIVE, create=True)
    exchange = KrakenExchange(lambda: KrakenSession(base_url=kraken.url, api_key=None, private_key=None))

    exchange.prefetch_quotes(["BTC/USD"])
    before = kraken.count("*")

    assert exchange.fetch_quotes(["BTC/USD"]).good["BTC/USD"].last == 50000
    assert before == 0
    close_database()


@pytest.mark.usefixtures("bent_time")
def test_no_answer_of_either_line_repeats_a_key(
    exchange: KrakenExchange, kraken: FakeKraken, caplog: pytest.LogCaptureFixture
) -> None:
    kraken.fault("Ticker", "error", error=f"EGeneral:Internal error {kraken.api_key} {kraken.secret}", times=9)

    exchange.prefetch_quotes(["BTC/USD"])
    with pytest.raises(ExchangeUnreachable) as failed:
        exchange.fetch_quotes(["BTC/USD"])

    assert "Internal error *** ***" in str(failed.value)
    assert kraken.api_key not in caplog.text


def test_of_ccxt_only_kraken_is_loaded_and_who_needs_more_gets_it() -> None:
    run = subprocess.run([sys.executable, "-c", NO_OTHER_EXCHANGE], capture_output=True, text=True, timeout=60)

    assert run.returncode == 0, run.stderr
