"""What scripts rely on: one JSON document with the promised fields, silence without news, no traceback in a pipe."""

import json
import os
import pty
import re
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from tests.bot_runner import PROJECT, BotRunner, Run, without_version
from tests.fake_kraken import FakeKraken
from tests.fields import (
    BALANCE,
    COMMANDS,
    DEMO,
    EXIT_CODES,
    MONEY,
    ORDER,
    STATUS,
    STEP,
    SUBCOMMANDS,
    TICK,
    TRADE,
    WHOLE,
)
from tests.forked import ForkedRun
from tests.quick import parametrize

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def test_trades_have_exactly_the_promised_fields(veteran: BotRunner) -> None:
    rows = document(veteran.run("trades", "--json"))

    assert {frozenset(row) for row in rows} == {TRADE}
    assert {row["status"] for row in rows} >= {"CLOSED"}
    check_values(rows)


def test_positions_have_exactly_the_promised_fields(veteran: BotRunner) -> None:
    open_one(veteran)

    rows = document(veteran.run("positions", "--json"))

    assert {frozenset(row) for row in rows} == {TRADE}
    assert {row["status"] for row in rows} == {"OPEN"}
    check_values(rows)


def test_live_positions_add_the_price_and_the_profit_of_now(veteran: BotRunner) -> None:
    open_one(veteran)

    rows = document(veteran.run("positions", "--live", "--json"))

    assert {frozenset(row) for row in rows} == {TRADE | {"price", "unrealized_pnl", "net_pnl", "break_even_price"}}
    check_values(rows)


def test_status_has_exactly_the_promised_fields(veteran: BotRunner) -> None:
    answer = document(veteran.run("status", "--json"))

    assert set(answer) == STATUS
    assert answer["open_trades"] == len(veteran.positions())
    check_values(answer)


def test_orders_have_exactly_the_promised_fields(veteran: BotRunner) -> None:
    rows = document(veteran.run("orders", "--json"))

    assert {frozenset(row) for row in rows} == {ORDER}
    assert {row["side"] for row in rows} == {"buy", "sell"}
    check_values(rows)


def test_balance_has_exactly_the_promised_fields(veteran: BotRunner) -> None:
    rows = document(veteran.run("balance", "--json"))

    assert {frozenset(row) for row in rows} == {BALANCE}
    check_values(rows)


def test_a_tick_has_exactly_the_promised_fields(bot: BotRunner) -> None:
    answer = document(bot.run("tick", "--json"))

    assert set(answer) == TICK
    assert {frozenset(step) for step in answer["steps"]} == {STEP}
    assert len(answer["entries"]) == 1
    assert {"symbol", "decision", "reason", "verdicts"} <= set(answer["decisions"][0])
    check_values(answer)


def test_the_demo_has_exactly_the_promised_fields(bot: BotRunner) -> None:
    answer = document(bot.run("demo", "--ticks", "24", "--json"))

    assert set(answer) == DEMO
    assert {frozenset(row) for row in answer["trades"]} == {TRADE}
    assert answer["ticks"] == 24
    check_values(answer)


def test_why_names_every_agent_with_its_reason(veteran: BotRunner) -> None:
    rows = document(veteran.run("why", "BTC/USD", "--json", "--limit", "60"))

    assert len(rows) == 60
    assert {verdict["agent"] for row in rows for verdict in row["verdicts"]} == {"technical", "sentiment"}
    assert all(verdict["reason"] for row in rows for verdict in row["verdicts"])
    check_values(rows)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["drawdown"], {"equity", "initial_balance", "drawdown", "max_drawdown", "tripped", "exits", "errors"}),
        (["drawdown", "--check"], {"equity", "drawdown", "tripped"}),
        (["check-positions"], {"positions", "exits", "errors"}),
        (["pause"], {"system_status", "frozen", "buy_enabled"}),
        (["pause", "--freeze", "--reason", "a\nb"], {"system_status", "frozen", "buy_enabled"}),
        (["resume"], {"system_status", "frozen", "buy_enabled"}),
        (["liquidate", "--yes"], {"exits", "open_trades", "buy_enabled", "errors"}),
        (["init"], {"mode", "env_file", "database"}),
        (["buy", "ETH/USD", "100"], {"side", "symbol", "state", "amount", "filled", "average_price", "cost", "fee"}),
        (["sell", "BTC/USD"], {"side", "symbol", "state", "amount", "filled", "average_price", "pnl"}),
    ],
)
def test_every_other_command_answers_one_document(veteran: BotRunner, arguments: list[str], keys: set[str]) -> None:
    if arguments[0] in ("buy", "sell", "liquidate"):
        open_one(veteran)

    answer = document(veteran.run(*arguments, "--json"))

    assert keys <= set(answer)
    check_values(answer)


def test_doctor_answers_one_document(veteran: BotRunner) -> None:
    rows = document(veteran.run("doctor", "--json"))

    assert {frozenset(row) for row in rows} == {frozenset({"name", "status", "detail", "fix"})}
    assert {row["status"] for row in rows} <= {"ok", "warn", "fail"}


@pytest.mark.parametrize("command", ["trades", "positions", "orders"])
def test_an_empty_list_is_an_empty_document(bot: BotRunner, command: str) -> None:
    assert document(bot.run(command, "--json")) == []


def test_a_tiny_figure_has_no_exponent_in_json(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.balances["XXBT"] = Decimal("1E-10")

    rows = live.json("balance")

    assert {row["currency"]: row["total"] for row in rows}["BTC"] == "0.0000000001"


def test_the_same_home_shows_the_same_figures_in_json_and_database(veteran: BotRunner) -> None:
    [first, *_] = veteran.trades()
    veteran.open_store()
    from botctl.store.models import Trade

    row = Trade.get_by_id(first["id"])
    assert Decimal(first["pnl"]) == row.pnl
    assert Decimal(first["entry_price"]) == row.entry_price
    assert float(first["stop_loss_price"]) == row.stop_loss_price


def test_a_log_file_that_cannot_be_written_any_more_is_said_once_and_fails_nothing(bot: BotRunner) -> None:
    bot.set(LOG_FILE="/dev/full", LOG_LEVEL="DEBUG")

    run = bot.fork_to_its_end("tick")

    assert run.exit_code == 0, run.stderr
    assert [line for line in run.stderr.splitlines() if "LOG_FILE" in line] == [
        "botctl: warning: can't write LOG_FILE: [Errno 28] No space left on device"
    ]
    assert "Traceback" not in run.stderr
    assert "Logging error" not in run.stderr


def test_the_first_tick_tells_its_entry_and_the_second_is_silent(bot: BotRunner) -> None:
    first = bot.run("tick")
    second = bot.run("tick")

    assert "bought 0.001" in first.stdout
    assert (second.exit_code, second.stdout, second.stderr) == (0, "", "")


@pytest.mark.parametrize("command", [*sorted(COMMANDS), *SUBCOMMANDS])
def test_every_command_has_help_with_an_example_that_fits_80_columns(bot: BotRunner, command: str) -> None:
    run = bot.run(*command.split(), "--help")

    assert run.exit_code == 0
    assert run.stderr == ""
    assert re.search(r"Examples?:\n\s+.*botctl " + command, run.stdout), run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 80


def test_the_help_names_every_command_and_every_exit_code(bot: BotRunner) -> None:
    run = bot.run("--help")

    assert run.exit_code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", run.stdout, re.MULTILINE), command
    for code in EXIT_CODES:
        assert re.search(rf"\b{code}\b", run.stdout), code


def test_the_version_is_one_line(bot: BotRunner) -> None:
    run = bot.run("--version")

    assert run.exit_code == 0
    assert re.fullmatch(r"botctl \d+\.\d+\.\d+\n", run.stdout)


@parametrize(
    "arguments", [("trades",), ("orders", "--json"), ("why", "BTC/USD", "--limit", "60"), ("--help",)], quick=1
)
def test_a_reader_that_leaves_early_sees_no_traceback(veteran: BotRunner, arguments: tuple[str, ...]) -> None:
    """As `botctl trades | head -0` does: nobody reads what the process writes."""
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [sys.executable, "-m", "botctl", *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=veteran.home,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    os.close(writer)
    _, said = process.communicate(timeout=30)

    assert said == ""


@pytest.mark.parametrize("command", [("trades",), ("status",), ("doctor",), ("--help",), ("buy", "BTC/USD", "nan")])
def test_off_a_terminal_there_is_no_escape_code(veteran: BotRunner, command: tuple[str, ...]) -> None:
    run = veteran.run(*command)

    assert run.stdout + run.stderr
    assert "\x1b" not in run.stdout + run.stderr


@parametrize("command", [("trades",), ("doctor",)], quick=1)
def test_a_terminal_gets_colours_unless_no_color_is_set(veteran: BotRunner, command: tuple[str, ...]) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38;)")

    veteran.set(TERM="xterm-256color")
    assert colour.search(on_terminal(veteran, *command))

    veteran.set(NO_COLOR="1")
    assert not colour.search(on_terminal(veteran, *command))


def test_on_a_terminal_a_tick_without_news_still_speaks(veteran: BotRunner) -> None:
    veteran.set(TERM="xterm")

    assert "equity" in on_terminal(veteran, "tick")


@parametrize("answer", ["\n", "n\n"], quick=1)
def test_on_a_terminal_liquidate_asks_and_takes_no_for_an_answer(veteran: BotRunner, answer: str) -> None:
    open_one(veteran)

    said = on_terminal(veteran, "liquidate", typed=answer)

    assert "Sell every open demo trade" in said
    assert "nothing was sent" in said
    assert len(veteran.positions()) == 1


def open_one(bot: BotRunner) -> None:
    """Exactly one open trade, of BTC."""
    bot.run("liquidate", "--yes")
    bot.run("resume", "--enable-buys")
    bot.set(COOLDOWN_MINUTES="0")
    assert bot.run("buy", "BTC/USD", "100").exit_code == 0


def document(run: Run) -> Any:
    """The one JSON document on stdout, of a command that succeeded."""
    assert run.exit_code == 0, run.stdout + run.stderr
    assert run.stdout.count("\n") == 1
    return without_version(json.loads(run.stdout, parse_float=lambda text: pytest.fail(f"{text} is a JSON float")))


def check_values(value: Any, name: str = "") -> None:
    """Decimals are strings without exponents, times are ISO 8601 in UTC, whole numbers are counts and ids."""
    if isinstance(value, dict):
        for key, item in value.items():
            check_values(item, key)
    elif isinstance(value, list):
        for item in value:
            check_values(item, name)
    elif isinstance(value, bool) or value is None:
        assert name not in WHOLE - {"trade_id"}
    elif isinstance(value, int):
        assert name in WHOLE, name
    elif name in MONEY:
        assert re.fullmatch(r"-?\d+(\.\d+)?", value), f"{name} {value!r}"
    elif name == "at" or name.endswith("_at") or name == "deadline":
        assert MOMENT.fullmatch(value), f"{name} {value!r}"


def on_terminal(bot: BotRunner, *arguments: str, typed: str = "") -> str:
    """What a command writes to a terminal, stdout and stderr together."""
    ours, theirs = pty.openpty()
    process = ForkedRun(bot.home, arguments, theirs)
    os.close(theirs)
    os.write(ours, typed.encode())
    said = b""
    try:
        while piece := os.read(ours, 65536):
            said += piece
    except OSError:  # how Linux tells that the other end has closed
        pass
    os.close(ours)
    process.wait()
    return said.decode()


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("trades",), ("config", "show"), ("balance",), ("help",), ("buy", "BTC/USD", "nan"), ("bogus",)],
)
def test_every_document_begins_with_the_version_of_its_schema(veteran: BotRunner, arguments: tuple[str, ...]) -> None:
    answer = json.loads(veteran.run(*arguments, "--json").stdout)

    for each in answer if isinstance(answer, list) else [answer]:
        assert next(iter(each.items())) == ("schema_version", 1)
