"""What a tick and check-positions tell of stops: all of them on a terminal, where they moved in JSON, news to cron."""

import re

import pytest

from tests.bot_runner import BotRunner
from tests.cli.test_watch import Terminal
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import buy, council_says


def test_check_positions_says_which_stop_it_moved_and_from_where_to_where(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)  # at 50000, with its stop at 49000
    buy(live, "ETH/USD")
    kraken.set_price("BTC/USD", 52000)

    first, second = live.run("check-positions"), live.run("check-positions", "--json")

    assert "BTC/USD +4.00 %  stop 49,000.0 -> 51,000.0 (1.92 % below)" in first.stdout
    assert first.stdout.count("->") == 1
    stops = {stop["symbol"]: stop for stop in second.json()["stops"]}
    assert stops["BTC/USD"]["stop"] == stops["BTC/USD"]["stop_before"] == "51000.0"


def test_a_tick_tells_the_story_of_each_stop_on_a_terminal(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    buy(live, "ETH/USD")
    live.run("pause")
    kraken.set_price("BTC/USD", 52000)

    said = Terminal("tick").all_of_it()
    kraken.set_price("BTC/USD", 53000)
    checked = Terminal("check-positions").all_of_it().splitlines()

    assert "BTC/USD +4.00 %  stop 49,000.0 -> 51,000.0 (1.92 % below)" in said
    moved = checked.index("  BTC/USD +6.00 %  stop 51,000.0 -> 52,000.0 (1.89 % below)")
    assert checked[moved + 1].startswith("id symbol")
    assert re.search(r"ETH/USD [+-]?[0-9.]+ %  stop [0-9,.]+ \([0-9.]+ % below\)", said)


@pytest.mark.usefixtures("bent_time")
def test_a_moved_stop_is_no_mail_and_comes_after_what_was_sold(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    buy(live, "ETH/USD")
    live.run("pause")
    kraken.set_price("BTC/USD", 52000)
    quiet = live.run("tick")
    kraken.set_price("BTC/USD", 53000)
    kraken.set_price("ETH/USD", 1500)

    news = live.run("tick")

    assert (quiet.stdout, quiet.stderr) == ("", "")
    lines = news.stdout.splitlines()
    assert lines[1].startswith("  sold ")
    assert "ETH/USD" in lines[1]
    assert lines[2] == "  BTC/USD +6.00 %  stop 51,000.0 -> 52,000.0 (1.89 % below)"


def test_a_position_that_is_held_is_no_refusal(live: BotRunner) -> None:
    council_says(live, "BUY")
    live.run("tick")

    tick = live.json("tick")

    held = next(row for row in tick["decisions"] if row["symbol"] == "BTC/USD")
    assert held["decision"] == "BUY"
    assert held["outcome"] == "kept: BTC already has trade 1 (BTC/USD, OPEN)"
