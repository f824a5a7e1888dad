"""Every table of every command at five widths: no figure is broken in two, and no line is longer than the terminal."""

import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from botctl.cli.tables import Cell, Coloured, coloured, draw_table
from botctl.domain.text import format_amount, format_price
from tests.bot_runner import PROJECT, BotRunner
from tests.quick import parametrize
from tests.sessions import on_terminal

WIDTHS = (60, 80, 100, 120, 220)
COMMANDS = (
    "trades",
    "positions",
    "positions --live",
    "orders",
    "orders --full",
    "log -n 1000",
    "log -n 1000 --full",
    "explain 1",
    "explain 3 --full",
    "why BTC/USD -n 20",
    "balance",
    "status",
    "check-positions",
    "drawdown --check",
    "reconcile",
    "recover",
    "config show",
    "config check",
    "db check",
    "buy ETH/USD 100 --dry-run",
    "sell BTC/USD --dry-run",
)
TAPE = PROJECT / "data" / "tape" / "BTC-USD.csv"
STUDIES = (
    "demo --ticks 40",
    f"backtest {TAPE}",
    f"replay {TAPE} --from 2025-01-10 --to 2025-01-12",
    f"sweep {TAPE} --grid atr_multiple=1,2,3 --grid cooldown_minutes=0,60",
    "doctor",
)
FIGURE = re.compile(r"[(+-]?\d[\d,]*(\.\d+)?[,;:.)%]*")


def figures(shown: str) -> set[str]:
    """The figures of an output, whatever stands around them."""
    return {word.strip("(),;:.%") for word in shown.split() if FIGURE.fullmatch(word)}


@pytest.fixture
def owner(veteran: BotRunner) -> BotRunner:
    """The played demo with a position that is open."""
    assert veteran.run("buy", "BTC/USD", "123.45").exit_code == 0
    return veteran


@parametrize("width", WIDTHS, quick=1)
def test_every_table_fits_and_breaks_no_figure(owner: BotRunner, width: int) -> None:
    assert [*filter(None, (difference_at(width, command, owner) for command in COMMANDS))] == []


@parametrize("width", WIDTHS, quick=0, long=1)
def test_the_tables_of_studies_fit_as_well(owner: BotRunner, width: int) -> None:
    assert [*filter(None, (difference_at(width, command, owner) for command in STUDIES))] == []


def difference_at(width: int, command: str, bot: BotRunner) -> str:
    """What is wrong with the output at this width, compared with one that has all the room; empty when it is right."""
    bot.set(COLUMNS="1000")
    whole = bot.run(*command.split())
    bot.set(COLUMNS=str(width))
    shown = bot.run(*command.split()).stdout
    long = [line for line in shown.splitlines() if len(line) > width]
    torn = figures(shown) - figures(whole.stdout)
    return f"{command}: {long or torn or whole.stderr}" if long or torn or not shown.strip() else ""


NAMES = ("id", "symbol", "amount", "entry", "why", "closed", "result", "P&L")
CELLS = st.tuples(
    st.integers(0, 10**6).map(str),
    st.sampled_from(["BTC/USD", "FARTCOIN/USD"]),
    st.decimals(0, 10**9, places=8).map(format_amount),
    st.decimals(0, 10**6, places=5).map(format_price),
    st.sampled_from(["OPEN", "TRAILING_STOP"]),
    st.just("2025-01-03 12:45"),
    st.lists(st.decimals(1, 10**6, places=4).map(format_price) | st.text("ab", max_size=9), max_size=9).map(" ".join),
    st.decimals(-(10**9), 10**9, places=2).map(lambda value: coloured(value)),
)


@given(rows=st.lists(CELLS, min_size=1, max_size=5), width=st.integers(40, 220))
@example(rows=[("1", "BTC/USD", "1", "1", "OPEN", "2025-01-03 12:45", "1,234.56 " * 9, "+1.00")], width=70)
def test_a_table_of_anything_fits_and_breaks_no_figure(rows: list[tuple[Cell, ...]], width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        shown = str(draw_table(NAMES, rows))

    assert max(map(len, shown.splitlines())) <= width
    given_words = {word for row in rows for cell in row for word in text_of(cell).split()}
    assert {word for word in figures(shown) if len(word) < 24} <= {word.strip("(),;:.%") for word in given_words}


def text_of(cell: Cell) -> str:
    return cell.text if isinstance(cell, Coloured) else cell


ROW = ("7", "BTC/USD", "0.0015968", "62,656.5", "TRAILING_STOP", "2025-01-03 12:45", "as it should be", "+0.94")


def test_the_least_important_columns_are_left_out_first_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def note_at(width: int, *, full: bool | None = None) -> str:
        monkeypatch.setenv("COLUMNS", str(width))
        return str(draw_table(NAMES, [ROW], full=full)).splitlines()[-1]

    assert "left out" not in note_at(82)
    assert note_at(81) == "left out: amount (a wider terminal or --json shows it)"
    assert note_at(81, full=False) == "left out: amount (--full, a wider terminal or --json shows it)"
    assert note_at(71).startswith("left out: amount, entry (")
    assert "left out" not in note_at(60, full=True)


def test_a_table_without_room_becomes_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")

    shown = str(draw_table(NAMES, [ROW, ROW]))

    assert shown.count("why     TRAILING_STOP") == 2
    assert "0.0015968" in shown  # a list has room for every column


def test_a_table_on_a_terminal_has_the_lines_of_a_plain_one(owner: BotRunner) -> None:
    owner.set(COLUMNS="100")

    for command in ("trades", "positions", "balance"):
        seen = [line.rstrip() for line in on_terminal([command]).stdout.splitlines()]
        assert seen == owner.run(command).stdout.splitlines()


def test_what_is_not_known_and_what_is_zero_have_no_colour() -> None:
    assert (coloured(None), coloured(Decimal("0.000"))) == ("-", "0.00")
    assert coloured(Decimal(1)) == Coloured("+1.00", "green")
    assert coloured(Decimal(-1)) == Coloured("-1.00", "red")


def test_the_trades_end_with_what_they_came_to(veteran: BotRunner) -> None:
    closed = [trade for trade in veteran.trades() if trade["pnl"] is not None]
    won = sum(Decimal(trade["pnl"]) > 0 for trade in closed)
    pnl = sum(Decimal(trade["pnl"]) for trade in closed)
    fees = sum(Decimal(trade["entry_fee"]) + Decimal(trade["exit_fee"]) for trade in closed)

    last = " ".join(veteran.run("trades").stdout.split("\n\n")[-1].split())

    assert last == (
        f"{len(closed)} closed {won} won, {len(closed) - won} lost, win rate {100 * won / len(closed):.2f} %; "
        f"P&L {pnl:+.2f} USD after {fees:.2f} USD of fees"
    )
