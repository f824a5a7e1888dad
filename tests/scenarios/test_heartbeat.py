"""Silence is an alarm: each tick pings its start and its end, and waits for nobody."""

import time
from pathlib import Path

import pytest

from tests.bot_runner import BotRunner
from tests.databases import held_lock
from tests.fake_kraken import FakeKraken
from tests.listener import Listener
from tests.quick import parametrize
from tests.scenarios.steps import buy, output_of, sides

CHECK = "/0f6f5a5e-1b1b-4c4c-9d9d-a1b2c3d4e5f6"


@pytest.fixture
def watched(live: BotRunner, listener: Listener) -> BotRunner:
    """A live bot with a heartbeat, and no Council."""
    live.run("pause")
    live.set(HEALTHCHECK_URL=f"http://{listener.address}{CHECK}")
    return live


def test_a_good_tick_pings_its_start_and_its_success(watched: BotRunner, listener: Listener) -> None:
    run = watched.run("tick")

    assert (run.exit_code, run.stdout, run.stderr) == (0, "", "")
    assert listener.paths == [f"{CHECK}/start", CHECK]


def test_a_failing_tick_pings_its_failure_and_says_which(
    watched: BotRunner, kraken: FakeKraken, listener: Listener
) -> None:
    kraken.key.permissions.remove("query-funds")

    run = watched.run("tick")

    assert run.exit_code != 0
    assert listener.paths == [f"{CHECK}/start", f"{CHECK}/fail"]
    assert f"exit code {run.exit_code}\n" in listener.received[-1].body.decode()


def test_a_tick_that_can_not_even_start_pings_its_failure(watched: BotRunner, listener: Listener) -> None:
    if watched.server:
        watched.set(DATABASE_URL=watched.url_of("demo"))  # an empty one
    else:
        watched.database.rename(watched.home / "elsewhere")

    run = watched.run("tick")

    assert run.exit_code == 78
    assert listener.paths == [f"{CHECK}/fail"]


def test_a_second_tick_at_the_same_time_pings_nothing(watched: BotRunner, listener: Listener) -> None:
    with held_lock(watched.where):
        run = watched.run("tick")

    assert run.exit_code == 75
    assert listener.paths == []


@pytest.mark.parametrize("command", [("check-positions",), ("tick", "--validate"), ("status",)])
def test_nothing_else_pings(watched: BotRunner, listener: Listener, command: tuple[str, ...]) -> None:
    watched.run(*command)

    assert listener.paths == []


def test_what_stands_behind_a_question_mark_stays_there(watched: BotRunner, listener: Listener) -> None:
    watched.set(HEALTHCHECK_URL=f"http://{listener.address}/push/?key=1")

    watched.run("tick")

    assert listener.paths == ["/push/start?key=1", "/push/?key=1"]


@pytest.mark.waits
@pytest.mark.long
@pytest.mark.parametrize("way", ["hangs", "drips"])
def test_a_dead_service_delays_no_sale_and_the_end_for_a_bounded_time(
    watched: BotRunner, kraken: FakeKraken, listener: Listener, way: str
) -> None:
    watched.run("resume")
    buy(watched)
    watched.run("pause")
    setattr(listener, way, True)
    kraken.set_price("BTC/USD", 48999)

    started = time.monotonic()
    process = watched.fork("tick")
    while len(sides(kraken)) < 2:
        assert time.monotonic() - started < 4, "the sale waits"
        time.sleep(0.05)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 0, err
    assert time.monotonic() - started < 15


def test_an_address_that_refuses_changes_nothing_and_is_not_shown(watched: BotRunner, home: Path) -> None:
    watched.set(HEALTHCHECK_URL=f"http://127.0.0.1:9{CHECK}", LOG_FILE="log", LOG_LEVEL="DEBUG")

    run = watched.run("--debug", "tick")

    assert run.exit_code == 0, output_of(run)
    assert "HEALTHCHECK_URL can't be reached" in run.stderr
    assert CHECK[1:13] not in run.stderr + (home / "log").read_text()


@parametrize("address", ["nonsense", "http://[::1", "ftp://x/y", "http://", "http://a:port/"], quick=2)
def test_an_address_that_is_none_is_a_warning_and_no_failure(watched: BotRunner, address: str) -> None:
    watched.set(HEALTHCHECK_URL=address)

    run = watched.run("tick")
    doctor = watched.json("doctor")

    assert run.exit_code == 0
    assert "HEALTHCHECK_URL is not an http or https address" in run.stderr
    assert [line["status"] for line in doctor if line["name"] == "heartbeat"] == ["warn"]
