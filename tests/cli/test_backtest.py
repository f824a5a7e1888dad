"""The command line of a backtest: what it is given, what it answers, and what it refuses."""

import csv
import io
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import check_error, check_json_error, files_in
from tests.fields import BACKTEST, BACKTEST_TRADE

TAPE = PROJECT / "data" / "tape"
BTC, ETH = str(TAPE / "BTC-USD.csv"), str(TAPE / "ETH-USD.csv")


def test_it_tells_how_the_rules_would_have_done(bot: BotRunner) -> None:
    run = bot.run("backtest", BTC, ETH, "--trades", "3")

    assert run.exit_code == 0, run.stderr
    assert run.stderr == ""
    for words in ("BTC/USD, ETH/USD on 15m candles", "FEAR at all times", "buy and hold", "profit factor", "exposure"):
        assert words in run.stdout
    assert max(len(line) for line in run.stdout.splitlines()) <= 80
    assert "the newest 3 of" in run.stdout


def test_it_tells_what_a_trade_brought_before_and_after_its_fees(bot: BotRunner) -> None:
    trades = [trade for trade in bot.json("backtest", BTC, ETH)["trades"] if trade["pnl"] is not None]
    cost, proceeds, profit = (
        sum(Decimal(trade[name]) for trade in trades) for name in ("entry_cost", "exit_proceeds", "pnl")
    )

    shown = bot.run("backtest", BTC, ETH).stdout

    assert f"{100 * (proceeds - cost) / cost:.2f} % before fees, {100 * profit / cost:.2f} % after them" in shown
    assert "- before fees, - after them" in bot.run("backtest", BTC, "--sentiment", "GREED").stdout


def test_json_has_every_trade_and_the_curve(bot: BotRunner) -> None:
    answer = bot.json("backtest", BTC)

    assert set(answer) == BACKTEST
    assert all(set(trade) == BACKTEST_TRADE for trade in answer["trades"])
    assert answer["mood"] == "FEAR at all times"
    assert all(set(point) == {"at", "equity"} for point in answer["equity_curve"])
    closed = [trade for trade in answer["trades"] if trade["pnl"] is not None]
    assert {trade["exit_reason"] for trade in closed} <= {"STOP_LOSS", "BREAKEVEN", "TRAILING_STOP"}


@pytest.mark.long
def test_csv_has_the_same_trades_as_json(bot: BotRunner) -> None:
    rows = list(csv.DictReader(io.StringIO(bot.run("backtest", BTC, "--csv").stdout)))

    trades = bot.json("backtest", BTC)["trades"]
    flags = {True: "true", False: "false", None: ""}
    assert rows == [{name: flags.get(value, value) for name, value in trade.items()} for trade in trades]
    assert rows


def test_options_win_over_settings(bot: BotRunner) -> None:
    default = bot.json("backtest", BTC)

    bot.set(FEE_RATE="0", ATR_MULTIPLE="4", INITIAL_BALANCE="500")
    by_settings = bot.json("backtest", BTC)
    by_options = bot.json("backtest", BTC, "--fee", "tier1", "--atr-multiple", "2", "--cash", "10000")

    assert by_options == default
    assert by_settings["fees"] == "0.00000000"
    assert Decimal(by_settings["initial_balance"]) == 500
    assert len(by_settings["trades"]) != len(default["trades"])


def test_sizes_may_follow_the_equity(bot: BotRunner) -> None:
    """The account loses at each trade here, so each entry is smaller than the one before."""
    span = (BTC, "--to", "2025-01-20", "--trade-amount", "4000", "--max-drawdown", "0.9")
    fixed, grown = bot.json("backtest", *span)["trades"], bot.json("backtest", *span, "--compound")["trades"]
    risk = ("--sizing", "risk", "--risk-per-trade", "1%", "--max-trade-amount", "2500")
    by_risk = bot.json("backtest", *span, *risk)["trades"]

    costs = [Decimal(trade["entry_cost"]) for trade in grown]
    assert costs[0] == Decimal(fixed[0]["entry_cost"])
    assert costs[-1] < costs[0] == max(costs)
    assert max(Decimal(trade["entry_cost"]) for trade in by_risk) == pytest.approx(2500, abs=Decimal("0.01"))
    assert len({trade["entry_cost"] for trade in by_risk}) > 2


def test_a_size_by_risk_without_its_risk_or_with_too_much_is_refused_by_its_option(bot: BotRunner) -> None:
    without = bot.run("backtest", BTC, "--sizing", "risk")
    much = bot.run("backtest", BTC, "--risk-per-trade", "50%")

    check_error(without, 78, "SIZING=risk", "RISK_PER_TRADE", "give another --risk-per-trade")
    check_error(much, 78, "must be below MAX_DRAWDOWN", "give another --risk-per-trade")


def test_the_index_may_come_from_a_file(bot: BotRunner) -> None:
    answer = bot.json("backtest", BTC, "--sentiment", BTC)

    assert answer["mood"] == "Fear & Greed history"
    assert "COUNCIL" in {trade["exit_reason"] for trade in answer["trades"]}


def test_greed_never_buys(bot: BotRunner) -> None:
    run = bot.run("backtest", BTC, "--sentiment", "greed")

    assert run.exit_code == 0
    assert "GREED at all times" in run.stdout
    assert "10,000.00 of 10,000.00 USD" in run.stdout


def test_it_trades_between_two_moments_alone(bot: BotRunner) -> None:
    answer = bot.json("backtest", BTC, "--from", "2025-01-20", "--to", "2025-02-03T12:00")
    whole_days = bot.json("backtest", BTC, "--from", "2025-01-20", "--to", "2025-02-03")

    assert (answer["since"], answer["until"]) == ("2025-01-20T00:00:00.000Z", "2025-02-03T12:00:00.000Z")
    assert whole_days["until"] == "2025-02-04T00:00:00.000Z"
    assert all(answer["since"] <= trade["entry_time"] <= answer["until"] for trade in answer["trades"])


def test_absent_candles_are_said(bot: BotRunner) -> None:
    lines = Path(BTC).read_text().splitlines()
    (bot.home / "BTC-USD.csv").write_text("\n".join([*lines[:500], *lines[507:]]))

    assert bot.json("backtest", str(bot.home / "BTC-USD.csv"))["absent_candles"] == 7


def test_the_symbol_may_stand_behind_the_file(bot: BotRunner) -> None:
    shutil.copy(BTC, bot.home / "mine.csv")

    check_error(
        bot.run("backtest", str(bot.home / "mine.csv")), 2, "mine.csv", "not tell its symbol", "--symbol BTC/USD"
    )
    answer = bot.json("backtest", f"{bot.home / 'mine.csv'}:xbt/eur")
    assert answer["symbols"] == ["BTC/EUR"]
    assert bot.json("backtest", str(bot.home / "mine.csv"), "--symbol", "xbt/eur") == answer
    check_error(bot.run("backtest", BTC, f"{bot.home / 'mine.csv'}", "--symbol", "BTC/EUR"), 2, "--symbol is for one")
    check_error(bot.run("backtest", f"{bot.home / 'mine.csv'}", "--symbol", "SOL"), 2, "BTC/USD")
    assert "EUR" in bot.run("backtest", f"{bot.home / 'mine.csv'}:xbt/eur").stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--fee", "much"), "--fee 'much' must be a number, or tier1 to tier9"),
        (("--fee", "0.5"), "--fee '0.5' must be at least 0 and below 0.5"),
        (("--atr-multiple", "0"), "--atr-multiple '0'"),
        (("--atr-period", "1"), "--atr-period '1'"),
        (("--cash", "-1"), "--cash '-1'"),
        (("--cooldown", "x"), "--cooldown 'x'"),
        (("--from", "yesterday"), "--from must be a date or time, not 'yesterday'"),
        (("--from", "2030-01-01"), "nothing to trade"),
        (("--to", "2020-01-01"), "nothing to trade"),
        (("--sentiment", "PANIC"), "--sentiment must be a file or one of FEAR"),
        (("--csv", "--json"), "can't be used together"),
    ],
)
def test_a_bad_option_is_named(bot: BotRunner, options: tuple[str, ...], words: str) -> None:
    run = bot.run("backtest", BTC, *options)

    assert run.exit_code == 2
    assert words in run.stdout + run.stderr


@pytest.mark.parametrize("content", ["", "no,candles\n", "1700000100,1,1,1,1,1,1\n1700000100,1,1,1,1,1,1\n"])
def test_a_bad_file_is_named(bot: BotRunner, content: str) -> None:
    path = bot.home / "BTC-USD_15m.csv"
    path.write_text(content)

    check_error(bot.run("backtest", str(path)), 2, str(path))
    assert check_json_error(bot.run("backtest", str(path), "--json"), 2, "usage")["hint"]
    check_error(bot.run("backtest", str(bot.home / "nothing.csv:BTC/USD")), 2, "there is no file")
    check_error(bot.run("backtest", BTC, BTC), 2, "two of these histories are of one asset")


def test_a_setting_of_the_strategy_that_is_wrong_is_a_configuration_error(bot: BotRunner) -> None:
    bot.set(ATR_PERIOD="0")

    check_error(bot.run("backtest", BTC), 78, "ATR_PERIOD", "'0'")


def test_keys_addresses_mode_and_database_play_no_part(bot: BotRunner) -> None:
    bot.set(BOTCTL_MODE="live", DATABASE_URL="nonsense", KRAKEN_PRIVATE_KEY="not base64", SENTIMENT_URL="nonsense")

    assert bot.run("backtest", BTC).exit_code == 0
    assert files_in(bot.home) == {}


def test_it_loads_neither_ccxt_nor_pandas_and_without_a_table_not_even_rich(bot: BotRunner) -> None:
    import subprocess
    import sys

    script = (
        "import sys; from botctl.cli.app import run_command;"
        f"code = run_command(['backtest', {BTC!r}, '--trades', '0']);"
        "print([name for name in ('ccxt', 'pandas', 'numba', 'rich', 'tenacity') if name in sys.modules], code)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT, timeout=120)

    assert run.stdout.splitlines()[-1] == "[] 0"
