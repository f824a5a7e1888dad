"""A database that is damaged: no buy, every stop that SQLite still lets be sold, and a loud word."""

import pytest

from tests.bot_runner import BotRunner
from tests.cli.assertions import check_error
from tests.cli.test_doctor import only_failure
from tests.corruption import damage
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import buy, council_says, output_of, sides, trade_of

pytestmark = pytest.mark.sqlite("it damages the file")

RECOVER = "`botctl recover --apply` rebuilds"


def test_a_buy_is_refused_with_the_way_out(live: BotRunner, kraken: FakeKraken) -> None:
    damage(live.database, "decision")

    run = live.run("buy", "BTC/USD", "100", "--yes")

    check_error(run, 78, "live.db is damaged", RECOVER)
    assert kraken.count("AddOrder") == kraken.count("Ticker") == 0
    assert live.trades() == []


def test_a_tick_sells_what_hit_its_stop_buys_nothing_and_says_it_loudly(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    live.set(SYMBOLS="ETH/USD")
    council_says(live, "BUY")
    damage(live.database, "decision")
    kraken.set_price("BTC/USD", 48999)

    run = live.run("tick")

    assert run.exit_code == 78, output_of(run)
    assert "live.db is damaged" in run.stderr
    assert RECOVER in run.stderr
    assert "bug:" not in output_of(run)
    assert trade_of(live)["exit_reason"] == "STOP_LOSS"
    assert sides(kraken) == ["buy", "sell"]


def test_a_council_whose_buy_the_check_refuses_is_an_error_of_the_tick(live: BotRunner, kraken: FakeKraken) -> None:
    council_says(live, "BUY")
    damage(live.database, "paperorder")

    run = live.run("tick")

    assert run.exit_code == 78, output_of(run)
    assert "execute: " in run.stderr
    assert "live.db is damaged" in run.stderr
    assert sides(kraken) == []


def test_damaged_caches_keep_no_stop_from_being_sold(live: BotRunner, kraken: FakeKraken) -> None:
    """Nonce, rate counter and markets are had again; a stop is not."""
    buy(live)
    damage(live.database, "memory")
    kraken.set_price("BTC/USD", 48999)

    run = live.run("check-positions")

    assert trade_of(live)["exit_reason"] == "STOP_LOSS", output_of(run)
    assert sides(kraken) == ["buy", "sell"]


def test_a_journal_that_cannot_be_read_sends_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    damage(live.database, "order")
    kraken.set_price("BTC/USD", 48999)

    tick, sold = live.run("tick"), live.run("sell", "BTC/USD", "--yes")

    assert tick.exit_code == 78, output_of(tick)
    check_error(sold, 78, "live.db is damaged", RECOVER)
    assert "Traceback" not in tick.stderr
    assert "bug:" not in tick.stderr
    assert sides(kraken) == ["buy"]


def test_a_database_of_which_nothing_is_left_is_one_clear_line(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    size = live.database.stat().st_size
    live.database.write_bytes(bytes(range(256)) * (size // 256))

    for command in (["tick"], ["sell", "BTC/USD", "--yes"], ["buy", "ETH/USD", "100", "--yes"], ["status"]):
        check_error(live.run(*command), 78, "live.db is damaged", RECOVER)

    assert sides(kraken) == ["buy"]


def test_the_doctor_names_it(live: BotRunner) -> None:
    damage(live.database, "decision")

    only_failure(live, "database", "live.db is damaged", RECOVER)
