"""The command line of a replay: the trades of a backtest from real ticks, in a database that may be kept."""

import re
import signal
import time
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import check_error, files_in
from tests.fields import BACKTEST_TRADE, REPLAY

TAPE = PROJECT / "data" / "tape"
BTC, ETH = str(TAPE / "BTC-USD.csv"), str(TAPE / "ETH-USD.csv")
SPAN = ("--from", "2025-01-05T12:00", "--to", "2025-01-06T12:00")
"""A day on the tape with entries and exits."""
HALF = ("--from", "2025-01-05T12:00", "--to", "2025-01-06T00:00")
"""Its first half."""


@pytest.mark.long
def test_it_tells_what_a_backtest_tells(bot: BotRunner) -> None:
    options = (BTC, ETH, "--from", "2025-01-03", "--to", "2025-01-04T00:00", "--sentiment", BTC, "--cooldown", "15")

    replayed, calculated = bot.json("replay", *options), bot.json("backtest", *options)

    assert set(replayed) == REPLAY
    assert all(set(trade) == BACKTEST_TRADE for trade in replayed["trades"])
    assert replayed["trades"]
    summed = {
        "equity_curve",
        "sharpe",
        "sortino",
        "max_drawdown",
        "refused",  # a replay does not ask the Council where nothing could be bought
    }  # floats here, decimals there
    assert [name for name in calculated if replayed[name] != calculated[name] and name not in summed] == []
    assert (replayed["ticks"], replayed["failed_ticks"], replayed["errors"]) == (97, 0, [])


def test_it_shows_the_figures_and_how_many_ticks_there_were(bot: BotRunner) -> None:
    run = bot.run("replay", BTC, *HALF, "--trades", "1")

    assert run.exit_code == 0
    assert re.search(r"^replay +BTC/USD on 15m candles$", run.stdout, re.MULTILINE)
    assert re.search(r"^ticks +49, 0 of them failed$", run.stdout, re.MULTILINE)
    assert max(len(line) for line in run.stdout.splitlines()) <= 80
    assert re.sub(r"playing the history|[\s━╸╺\d:%-]", "", run.stderr) == ""


def test_signals_of_an_hour_are_put_together_from_quarters(bot: BotRunner) -> None:
    """The tape begins on 1 January: 114 hours are over on the fifth at 18:00."""
    options = (BTC, "--from", "2025-01-05T19:15", "--to", "2025-01-06T04:00", "--signal-timeframe", "1h")

    replayed, calculated = bot.json("replay", *options), bot.json("backtest", *options)

    assert (replayed["seconds"], replayed["signal_seconds"]) == (900, 3600)
    assert replayed["trades"] == calculated["trades"]
    assert replayed["trades"]
    assert all(":00:00" in trade["entry_time"] for trade in replayed["trades"])


@pytest.mark.parametrize("command", ["backtest", "replay"])
def test_signals_shorter_than_the_candles_of_the_file_name_both(bot: BotRunner, command: str) -> None:
    check_error(
        bot.run(command, BTC, "--signal-timeframe", "5m"), 78, "SIGNAL_TIMEFRAME='5m'", "TIMEFRAME=15m", "--signal"
    )


@pytest.mark.long
def test_strategy_settings_apply_and_nothing_else_of_the_home_plays_a_part(bot: BotRunner) -> None:
    settings = "BOTCTL_MODE=live\nKRAKEN_API_KEY=not one\nDATABASE_URL=nowhere\nCOOLDOWN_MINUTES=15\nLOG_FILE=log\n"
    (bot.home / ".env").write_text(settings)

    by_settings = bot.json("replay", BTC, *HALF)
    (bot.home / ".env").unlink()
    by_options = bot.json("replay", BTC, *HALF, "--cooldown", "15")

    assert by_settings == by_options
    assert files_in(bot.home) == {}


def test_what_is_kept_can_be_looked_at_with_the_other_commands(bot: BotRunner) -> None:
    folder = bot.home / "kept"
    run = bot.run("replay", BTC, *HALF, "--keep", str(folder))
    before = files_in(folder)
    bot.set(BOTCTL_HOME=str(folder))
    bot.unset("BOTCTL_MODE", "DATABASE_URL")

    assert run.exit_code == 0
    assert str(folder) in run.stderr
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    assert [trade["mode"] for trade in bot.trades()] == ["replay"] * len(bot.trades())
    assert len(bot.orders()) >= len(bot.trades()) > 0
    assert bot.json("why", "BTC/USD", "--limit", "200")[0]["decided_at"] == "2025-01-06T00:00:00.000Z"
    status = bot.json("status")
    assert (status["mode"], status["missed_ticks"], status["last_tick_at"]) == ("replay", 0, "2025-01-06T00:00:00.000Z")
    assert bot.json("positions") == [trade for trade in bot.trades() if trade["status"] == "OPEN"]
    for command in ("tick", "check-positions", "balance", "buy BTC/USD 10 --yes", "positions --live"):
        refused = bot.run(*command.split())
        assert (refused.exit_code, refused.stdout) == (3, ""), command
        assert "replay" in refused.stderr
    assert files_in(folder).keys() - before.keys() <= {"data/replay.db.lock"}


def test_a_folder_that_holds_something_is_not_written_to(bot: BotRunner) -> None:
    (bot.home / ".env").write_text("ATR_MULTIPLE=2\n")

    check_error(bot.run("replay", BTC, *SPAN, "--keep", str(bot.home)), 2, "is not empty")

    assert files_in(bot.home) == {".env": b"ATR_MULTIPLE=2\n"}


@pytest.mark.long
def test_failing_ticks_are_counted_and_end_it_with_1(bot: BotRunner) -> None:
    """More is to be bought than there is cash for: each such order is refused, and its tick has failed."""
    run = bot.run("replay", BTC, *HALF, "--cash", "50")
    answer = bot.run("replay", BTC, *HALF, "--cash", "50", "--json")

    assert (run.exit_code, answer.exit_code) == (1, 1)
    failed = answer.json()["failed_ticks"]
    assert failed > 10
    [error] = answer.json()["errors"]
    assert "insufficient funds" in error
    assert f"(in {failed} ticks)" in error
    assert f"{failed} of 49 ticks failed" in run.stderr
    assert run.stderr.count("insufficient funds") == 1
    assert f"49, {failed} of them failed" in run.stdout


@pytest.mark.long
def test_ctrl_c_ends_it_and_leaves_no_folder_behind(bot: BotRunner, tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    bot.set(TMPDIR=str(folder))
    process = bot.spawn("replay", BTC, ETH)
    end = time.monotonic() + 40
    while not list(folder.glob("botctl-replay-*/data/replay.db-wal")):
        assert time.monotonic() < end, "it never began"
        time.sleep(0.05)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert out == ""
    assert "botctl: interrupted" in err
    assert "Traceback" not in err
    assert list(folder.iterdir()) == []


def test_a_history_that_is_too_short_is_refused_and_nothing_is_kept(bot: BotRunner) -> None:
    lines = Path(BTC).read_text().splitlines()
    (bot.home / "BTC-USD.csv").write_text("\n".join(lines[:100]))

    run = bot.run("replay", str(bot.home / "BTC-USD.csv"), "--keep", str(bot.home / "kept"))

    check_error(run, 2, "nothing to trade")
    assert not (bot.home / "kept").exists()
