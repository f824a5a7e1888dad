"""What a newcomer stumbles over: cut tables, prices and sums of several forms, a switch that can be misread."""

import re
from decimal import Decimal

import pytest

from botctl.cli.styled import Span, folded, plain, width_of
from botctl.cli.tables import pairs
from botctl.cli.views.balances import draw_balances
from botctl.domain.text import below_or_above, counted
from botctl.queries.results import BalanceView
from tests.bot_runner import BotRunner
from tests.cli.test_output import on_terminal


def test_all_columns_of_a_full_table_are_on_a_narrow_terminal(veteran: BotRunner) -> None:
    veteran.set(COLUMNS="60")

    shown = on_terminal(veteran, "trades", "--full")

    [names] = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines() if line.startswith("id ")]
    assert names.split()[-4:] == ["held", "fees", "P&L", "R"]
    assert len(names) > 60


def test_prices_have_the_decimals_of_their_market_in_every_command(bot: BotRunner) -> None:
    tick = bot.run("tick").stdout

    assert "at 62,656.5, stop 62,327.9\n" in tick
    for command in ("positions", "positions --live", "check-positions", "trades", "orders", "log"):
        figures = re.findall(r"62,[0-9]{3}\.[0-9]+", bot.run(*command.split()).stdout)
        assert {*map(len, figures)} == {len("62,656.5")}, command


def test_the_equity_has_its_currency_and_a_gain_is_no_negative_drawdown(bot: BotRunner) -> None:
    shown = bot.run("tick").stdout, bot.run("drawdown", "--check").stdout, bot.run().stdout

    assert all("9,999.14 USD" in text and "0.01 % below the start" in text for text in shown)
    assert below_or_above(Decimal("-0.0002"), "the start") == "0.02 % above the start"


@pytest.mark.parametrize(
    ("commands", "sentence"),
    [
        (["pause --reason holiday"], "Paused (holiday). No new buys. Each tick checks the stops."),
        (["pause", "resume"], "Active. Buys are allowed. Each tick checks the stops."),
        (["pause --freeze"], "No stop is checked and no order is sent: 1 open position is NOT guarded."),
        (
            ["liquidate --yes", "resume"],
            "Buys are disabled: `botctl resume --enable-buys` allows them. Each tick checks the stops.",
        ),
    ],
)
def test_the_switch_is_told_in_the_sentence_of_the_cockpit(bot: BotRunner, commands: list[str], sentence: str) -> None:
    bot.run("tick")

    for command in commands:
        run = bot.run(*command.split())

    assert sentence in " ".join(run.stdout.split())


def test_resume_says_that_live_trading_is_off(live: BotRunner) -> None:
    live.set(LIVE_TRADING="no")

    assert "Active, but LIVE_TRADING is no: no new buys." in live.run("resume").stdout


def test_balances_end_with_their_sum_and_name_what_has_no_price() -> None:
    rows = [
        BalanceView("BTC", Decimal(1), Decimal(1), Decimal("50.5")),
        BalanceView("XYZ", Decimal(2), Decimal(2), None),
    ]

    assert str(draw_balances(rows, "USD")).splitlines()[-1] == "worth 50.50 USD together, without XYZ: no price"


def test_no_line_of_text_ends_between_a_figure_and_its_unit() -> None:
    text = pairs([("fee", "bought 0.002 BTC/USD at 50,025.0, fee 0.80 USD: FILLED")], columns=48)

    assert "0.80\n" not in text
    assert "0.80 USD" in text


def test_a_long_line_goes_on_below_its_beginning_in_its_colours() -> None:
    line = [Span("  BTC/USD BUY: ", "bold"), Span("it already has trade 1, held since 3 min ago", "red")]

    lines = folded(line, 30)

    assert plain(lines).splitlines() == ["  BTC/USD BUY: it already has", "    trade 1, held since 3 min", "    ago"]
    assert max(map(width_of, lines)) <= 30
    assert {span.style for span in lines[1] if span.text.strip()} == {"red"}
    assert folded(line, 80) == [line]


def test_a_setting_is_shown_by_the_word_that_the_file_takes(bot: BotRunner) -> None:
    bot.set(EXCHANGE_STOP="on")
    shown = {row["name"]: row["value"] for row in bot.json("config", "show")}

    assert (shown["EXCHANGE_STOP"], shown["COMPOUND"]) == ("on", "no")


def test_a_flag_that_a_setting_decides_names_both_words_and_the_setting(bot: BotRunner) -> None:
    shown = " ".join(bot.run("backtest", "--help").stdout.split())

    assert "--exchange-stop, --no-exchange-stop A stop rests" in shown
    assert "(default: EXCHANGE_STOP, else off)" in shown


def test_one_is_singular() -> None:
    assert [counted(number, "trade is", "trades are") for number in (0, 1, 2)] == [
        "0 trades are",
        "1 trade is",
        "2 trades are",
    ]
    assert counted(1200, "order") == "1,200 orders"
