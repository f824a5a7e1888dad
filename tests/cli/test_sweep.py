"""The command line of a sweep: what it shows, what it refuses, and a study that several machines join. What has to be
compiled for is long."""

import json
import sys
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import check_error, check_json_error, files_in
from tests.fields import SWEEP, SWEEP_FIGURES, SWEEP_ROW

BTC = str(PROJECT / "data" / "tape" / "BTC-USD.csv")
GRID = ("--grid", "atr_multiple=1:4:0.5", "--grid", "breakeven_atr=1,3")


@pytest.mark.long
def test_it_shows_the_best_sets_beside_their_neighbours_and_says_how_little_that_means(bot: BotRunner) -> None:
    run = bot.run("sweep", BTC, *GRID, "--top", "3")

    assert run.exit_code == 0, run.stderr
    assert run.stderr == ""
    for words in ("ATR x", "breakeven", "return %", "neighbours", "test", " .. ", "The best of 14 sets", "luck"):
        assert words in run.stdout
    assert max(len(line) for line in run.stdout.splitlines()) <= 80
    assert files_in(bot.home) == {}


@pytest.mark.long
def test_a_grid_of_every_setting_still_fits(bot: BotRunner) -> None:
    every = (
        "atr_multiple=1.25,2.25",
        "breakeven_atr=1.75",
        "atr_period=14,20",
        "cooldown_minutes=0,1440",
        "max_open_trades=1,20",
        "trade_amount_usd=100,2500",
        "max_drawdown=0.15,0.25",
    )

    run = bot.run("sweep", BTC, *(word for text in every for word in ("--grid", text)), "--by", "sharpe")

    assert run.exit_code == 0, run.stderr
    assert max(len(line) for line in run.stdout.splitlines()) <= 80


@pytest.mark.long
def test_json_is_one_document(bot: BotRunner) -> None:
    answer = bot.json("sweep", BTC, *GRID, "--by", "sharpe", "--top", "14")

    assert set(answer) == SWEEP
    assert (answer["sets"], answer["by"], answer["train"]) == (14, "sharpe", "0.7")
    assert len(answer["best"]) == 14
    for row in answer["best"]:
        assert set(row) == SWEEP_ROW
        assert set(row["settings"]) == {"atr_multiple", "breakeven_atr"}
        assert set(row["train"]) == set(row["test"]) == SWEEP_FIGURES
        assert row["neighbours"] in (2, 3)
    judged = [float(row["train"]["sharpe"]) for row in answer["best"]]
    assert judged == sorted(judged, reverse=True)


@pytest.mark.long
def test_sets_that_never_trade_have_no_ratio_in_json(bot: BotRunner) -> None:
    run = bot.run("sweep", BTC, *GRID, "--by", "sharpe", "--sentiment", "GREED", "--json")

    assert run.exit_code == 0, run.stderr
    assert "nfinity" not in run.stdout
    assert "NaN" not in run.stdout
    row = json.loads(run.stdout)["best"][0]
    assert (row["train"]["sharpe"], row["neighbours_low"], row["neighbours_high"]) == (None, None, None)


@pytest.mark.long
def test_all_of_the_history_may_be_judged(bot: BotRunner) -> None:
    answer = bot.json("sweep", BTC, "--grid", "atr_multiple=2", "--train", "1")
    backtest = bot.json("backtest", BTC)

    [row] = answer["best"]
    assert row["test"] is None
    assert row["train"]["trades"] == len(backtest["trades"])
    assert row["train"]["max_drawdown"] == backtest["max_drawdown"]
    assert "kept aside" in answer["verdict"]


@pytest.mark.long
def test_options_hold_for_all_sets_and_the_grid_wins_over_its_own(bot: BotRunner) -> None:
    format_decimal = bot.json("sweep", BTC, *GRID)

    assert bot.json("sweep", BTC, *GRID, "--atr-multiple", "9") == format_decimal
    assert bot.json("sweep", BTC, *GRID, "--fee", "0") != format_decimal
    assert bot.json("sweep", BTC, *GRID, "--from", "2025-01-25") != format_decimal
    assert bot.json("sweep", BTC, *GRID, "--workers", "1") == format_decimal


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--grid", "fee_rate=0,1"), "does not name a setting"),
        (("--grid", "atr_multiple=4:1:1"), "a range must go up"),
        (("--grid", "atr_multiple=0,1"), "0 must be"),
        (("--grid", "atr_period=14.5"), "must be a whole number"),
        (("--grid", "atr_multiple=1", "--grid", "atr_multiple=2"), "twice"),
        (("--grid", "atr_multiple=1:90:0.01", "--grid", "breakeven_atr=1:9:0.01"), "7,129,701 sets are more"),
        ((*GRID, "--by", "luck"), "--by must be one of"),
        ((*GRID, "--train", "0"), "--train"),
        ((*GRID, "--train", "1.5"), "--train"),
        ((*GRID, "--train", "nan"), "--train"),
        ((*GRID, "--top", "0"), "--top"),
        pytest.param((*GRID, "--from", "2030-01-01"), "nothing to trade", marks=pytest.mark.long),
        ((), "--grid"),
    ],
)
def test_a_bad_option_is_named_in_one_line(bot: BotRunner, options: tuple[str, ...], words: str) -> None:
    check_error(bot.run("sweep", BTC, *options), 2, words)
    check_json_error(bot.run("sweep", BTC, *options, "--json"), 2, "usage")


@pytest.mark.long
def test_a_study_without_optuna_says_how_to_get_it(bot: BotRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)

    run = bot.run("sweep", BTC, *GRID, "--storage", "sqlite:///study.db")

    check_error(run, 78, "needs Optuna", "pip install 'botctl[sweep]'")


@pytest.mark.long
def test_machines_that_join_one_study_see_what_the_others_tried(bot: BotRunner, tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    join = ("--storage", storage, "--study", "stops", "--trials", "4", "--top", "14")

    first = bot.json("sweep", BTC, *GRID, *join)
    second = bot.json("sweep", BTC, *GRID, *join)

    assert 1 <= first["sets"] <= 4
    tried = [row["settings"] for row in second["best"]]
    assert all(row["settings"] in tried for row in first["best"])
    assert first["sets"] <= second["sets"] <= 8  # a trial may draw a set that was tried before
    assert len(optuna.load_study(study_name="stops", storage=storage).trials) == 8
    check_error(bot.run("sweep", BTC, "--grid", "atr_multiple=1,2", *join), 78, "started with another grid", "--study")
    check_error(bot.run("sweep", BTC, *GRID, *join, "--by", "sharpe"), 78, "started with another by")
    check_error(bot.run("sweep", BTC, *GRID, *join, "--fee", "0"), 78, "started with another settings")


@pytest.mark.long
def test_a_storage_that_cannot_be_reached_is_named_in_one_line(bot: BotRunner) -> None:
    pytest.importorskip("optuna")

    check_error(bot.run("sweep", BTC, *GRID, "--storage", "sqlite:////nowhere/at/all.db"), 78, "at --storage failed")
    check_error(bot.run("sweep", BTC, *GRID, "--storage", "nonsense"), 78, "at --storage failed")
