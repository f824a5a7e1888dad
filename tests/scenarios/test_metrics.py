"""METRICS_FILE: the figures of the last tick as Prometheus reads them, whole or not at all."""

import re
import stat
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import QUARTER, buy, output_of, requested_endpoints, stopped_clock

FILE = "botctl.prom"


@pytest.fixture
def measured(live: BotRunner) -> BotRunner:
    """A live bot that leaves its figures, without a Council."""
    live.set(METRICS_FILE=FILE)
    live.run("pause")
    return live


def figures(home: Path) -> dict[str, float]:
    """Name to value, as Prometheus' own parser reads them."""
    found = {}
    for family in text_string_to_metric_families((home / FILE).read_text()):
        for sample in family.samples:
            assert sample.labels == {"mode": "live"}
            assert family.documentation
            found[sample.name.removeprefix("botctl_")] = sample.value
    return found


def test_a_tick_leaves_all_its_figures(measured: BotRunner, kraken: FakeKraken, home: Path) -> None:
    measured.run("resume")
    buy(measured)
    measured.run("pause")
    kraken.clear_requests()

    run = measured.run("tick")

    assert (run.exit_code, run.stderr) == (0, "")
    told = figures(home)
    assert set(told) == {
        "last_success_timestamp_seconds",
        "last_tick_timestamp_seconds",
        "last_tick_duration_seconds",
        "last_tick_exit_code",
        "last_tick_requests",
        "equity",
        "drawdown_ratio",
        "drawdown_peak_ratio",
        "is_trading_active",
        "open_trades",
        "unguarded_positions",
        "unprotected_positions",
        "unsettled_orders",
        "missed_runs",
    }
    assert abs(told["last_success_timestamp_seconds"] - time.time()) < 60
    assert told["last_tick_requests"] == len(requested_endpoints(kraken)) == 2
    assert (told["open_trades"], told["unguarded_positions"], told["last_tick_exit_code"]) == (1, 0, 0)
    status = measured.json("status")
    assert (told["is_trading_active"], status["is_trading_active"]) == (0, False)
    assert told["equity"] == float(status["equity"])
    assert told["drawdown_ratio"] == float(status["drawdown"])


def test_others_may_read_it_and_nothing_is_left_beside_it(measured: BotRunner, home: Path) -> None:
    measured.run("tick")

    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o644
    assert [path.name for path in home.iterdir() if "prom" in path.name] == [FILE]


def test_a_failing_tick_keeps_the_moment_of_the_last_success(
    measured: BotRunner, kraken: FakeKraken, home: Path
) -> None:
    with stopped_clock() as clock:
        measured.run("tick")
        before = figures(home)
        clock.tick(QUARTER)
        kraken.key.permissions.remove("query-funds")
        run = measured.run("tick")

    after = figures(home)
    assert after["last_tick_exit_code"] == run.exit_code != 0
    assert after["last_success_timestamp_seconds"] == pytest.approx(before["last_success_timestamp_seconds"], abs=30)
    assert after["last_tick_timestamp_seconds"] == before["last_tick_timestamp_seconds"] + QUARTER


def test_missed_runs_and_frozen_positions_are_counted(measured: BotRunner, home: Path) -> None:
    measured.run("resume")
    with stopped_clock() as clock:
        buy(measured)
        measured.run("pause", "--freeze")
        measured.run("tick")
        clock.tick(4 * QUARTER)
        measured.run("tick")

    told = figures(home)
    assert (told["missed_runs"], told["unguarded_positions"]) == (3, 1)


def test_what_is_unknown_is_left_out(bot: BotRunner, kraken: FakeKraken, home: Path) -> None:
    from tests.conftest import go_live

    go_live(bot, kraken)
    bot.set(METRICS_FILE=FILE)
    kraken.key.permissions.remove("query-funds")

    bot.run("tick")

    assert not {"equity", "drawdown_ratio", "last_success_timestamp_seconds"} & set(figures(home))


@pytest.mark.parametrize("place", ["nowhere/botctl.prom", "data"])
def test_a_file_that_can_not_be_written_is_said_and_changes_nothing(
    measured: BotRunner, home: Path, place: str
) -> None:
    measured.set(METRICS_FILE=place)

    run = measured.run("tick")
    doctor = measured.json("doctor")

    assert run.exit_code == 0, output_of(run)
    assert re.search("warning: can't write the metrics: .*botctl.prom|data", run.stderr)
    assert run.stderr.count("\n") == 1
    assert [line["status"] for line in doctor if line["name"] == "metrics"] == ["warn"]
    assert not list(home.glob("**/.*prom*")) + list(home.glob("**/.data*"))


@pytest.mark.parametrize(
    "file", [pytest.param("data/live.db", marks=pytest.mark.sqlite("a server's database is no file")), "notes"]
)
def test_what_is_no_file_of_figures_is_never_replaced(measured: BotRunner, home: Path, file: str) -> None:
    (home / "notes").write_text("of my own\n")
    measured.set(METRICS_FILE=file)
    before = (home / file).stat().st_ino

    run = measured.run("tick")

    assert run.exit_code == 0
    assert f"{file} is not a metrics file of botctl" in run.stderr
    assert (home / file).stat().st_ino == before
    assert (home / "notes").read_text() == "of my own\n"
    assert measured.run("status").exit_code == 0
