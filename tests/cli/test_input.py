"""Words that can't be meant: one line that says what is wrong, the right exit code, and nothing changed."""

import os
import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.bot_runner import BotRunner
from tests.cli.assertions import check_error, check_json_error, files_in
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize


@pytest.fixture
def holding(bot: BotRunner) -> BotRunner:
    """A demo home with an open trade of BTC."""
    assert bot.run("buy", "BTC/USD", "100").exit_code == 0
    return bot


@pytest.mark.parametrize(("command", "amount"), [("buy", "nan"), ("buy", "-5"), ("buy", "-inf"), ("sell", "")])
def test_an_amount_that_cannot_be_meant_changes_nothing(veteran: BotRunner, command: str, amount: str) -> None:
    before = files_in(veteran.home)

    run = veteran.run(command, "BTC/USD", amount)

    check_error(run, 2, "-i" if amount == "-inf" else amount.strip())  # looks like the option -i
    assert files_in(veteran.home) == before


@pytest.mark.parametrize("command", ["buy", "sell"])
def test_the_error_names_the_argument_and_shows_a_good_one(veteran: BotRunner, command: str) -> None:
    check_error(veteran.run(command, "BTC/USD", "much"), 2, "AMOUNT", "much", "such as 100")
    check_error(veteran.run(command, "BTC/USD", "1,5"), 2, "AMOUNT '1,5' may mean 1.5: write 1.5")


@pytest.mark.parametrize("symbol", ["", "SOL", "SOLUSD", "../../etc/passwd"])
@pytest.mark.parametrize("command", [("buy", "100"), ("sell",), ("why",)])
def test_a_symbol_of_another_form_changes_nothing(veteran: BotRunner, command: tuple[str, ...], symbol: str) -> None:
    before = files_in(veteran.home)

    run = veteran.run(command[0], symbol, *command[1:])

    check_error(run, 2, symbol, "BTC/USD, ETH/USD", "write")
    assert files_in(veteran.home) == before


def test_a_symbol_that_is_no_market_buys_nothing(bot: BotRunner) -> None:
    bot.run("balance")
    before = bot.rows()

    run = bot.run("buy", "FOO/BAR", "100")

    check_error(run, 2, "FOO/BAR", "such as BTC/USD")
    assert bot.rows() == before


def test_kraken_is_sent_no_order_for_a_market_it_does_not_have(live: BotRunner, kraken: FakeKraken) -> None:
    before = live.rows(without=("memory",))

    run = live.run("buy", "FOO/USD", "100", "--yes")

    check_error(run, 2, "FOO/USD")
    assert kraken.count("AddOrder") == 0
    assert live.rows(without=("memory",)) == before


def test_selling_what_is_not_held_is_refused(veteran: BotRunner) -> None:
    before = veteran.rows()

    run = veteran.run("sell", "FOO/BAR", "1")

    check_error(run, 3, "no open trade of FOO", "botctl positions")
    assert veteran.rows() == before


def test_selling_more_than_the_trade_holds_changes_nothing(holding: BotRunner) -> None:
    before = holding.rows()

    run = holding.run("sell", "BTC/USD", "5")

    check_error(run, 2, "5 BTC is more than the 0.0015", "trade 1")
    assert holding.rows() == before


def test_selling_less_than_the_market_takes_is_refused_by_the_exchange(holding: BotRunner) -> None:
    before = holding.positions()

    run = holding.run("sell", "BTC/USD", "0.00000001")

    check_error(run, 4, "0.00000001 BTC", "minimum")
    assert holding.positions() == before
    assert holding.orders()[-1]["state"] == "REJECTED"  # the minimum is the exchange's own word


@pytest.mark.parametrize(("amount", "why"), [("0.000001", "too little"), ("99999999", "insufficient funds")])
def test_a_buy_of_impossible_size_is_refused_and_leaves_no_active_trade(bot: BotRunner, amount: str, why: str) -> None:
    run = bot.run("buy", "BTC/USD", amount)

    check_error(run, 4, why, "the amount")
    assert bot.positions() == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["bogus"], "bogus"),
        (["bogus", "--help"], "bogus"),
        (["buy"], "SYMBOL"),
        (["buy", "BTC/USD"], "AMOUNT"),
        (["sell"], "SYMBOL"),
        (["why"], "SYMBOL"),
        (["buy", "BTC/USD", "100", "200"], "200"),
        (["status", "--bogus"], "--bogus"),
        (["tick", "now"], "now"),
        (["trades", "--limit", "0"], "--limit must be 1 to 1000000"),
        (["trades", "--limit", "many"], "many"),
        (["trades", "--limit"], "--limit"),
        (["demo", "--ticks", "-1"], "--ticks"),
        (["init", "--mode", "prod"], "prod"),
        (["pause", "--reason"], "--reason"),
        (["--env-file"], "--env-file"),
    ],
)
def test_a_command_line_that_is_none_says_what_is_wrong(bot: BotRunner, arguments: list[str], word: str) -> None:
    run = bot.run(*arguments)

    check_error(run, 2, word, "--help")
    assert files_in(bot.home) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["buy"],
        ["--debug", "bogus"],
        ["--env-file", "/etc/hostname", "buy"],
        ["--env-file=/etc/hostname", "sell"],
    ],
)
def test_the_help_that_an_error_recommends_exists(bot: BotRunner, arguments: list[str]) -> None:
    said = bot.run(*arguments).stderr

    recommended = set(re.findall(r"`botctl ([^`]*--help)`", said))  # a traceback ends with it as well
    assert len(recommended) == 1, said
    assert bot.run(*recommended.pop().split()).exit_code == 0, said


@pytest.mark.parametrize("arguments", [["bogus"], ["buy"], ["trades", "--limit", "0"]])
def test_a_sentence_ends_once(bot: BotRunner, arguments: list[str]) -> None:
    assert ".:" not in bot.run(*arguments).stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "category"),
    [
        (["buy", "BTC/USD", "nan"], 2, "usage"),
        (["buy", "", "100"], 2, "usage"),
        (["buy"], 2, "usage"),
        (["bogus"], 2, "usage"),
        (["trades", "--limit", "0"], 2, "usage"),
        (["sell", "ETH/EUR"], 3, "refused"),
        (["buy", "BTC/USD", "0.0001"], 4, "exchange_refused"),
        (["status", "--env-file", "/proc/nowhere/.env"], 78, "config"),
        (["liquidate"], 2, "usage"),
    ],
)
def test_with_json_an_error_is_one_json_object(
    bot: BotRunner, arguments: list[str], exit_code: int, category: str
) -> None:
    answer = check_json_error(bot.run(*arguments, "--json"), exit_code, category)

    assert answer["retryable"] is False
    assert answer["hint"]


@pytest.mark.usefixtures("bent_time")
def test_what_passes_by_itself_is_called_retryable(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.stop()

    answer = check_json_error(live.run("balance", "--json"), 69, "unreachable")

    assert answer["retryable"] is True


@pytest.mark.parametrize("command", [("liquidate",), ("liquidate", "--json")])
def test_off_a_terminal_liquidate_needs_its_yes(holding: BotRunner, command: tuple[str, ...]) -> None:
    before = holding.rows()

    run = holding.run(*command)

    assert run.exit_code == 2
    assert "--yes" in run.stdout + run.stderr
    assert holding.rows() == before


@pytest.mark.parametrize("command", [("buy", "BTC/USD", "100"), ("sell", "BTC/USD"), ("liquidate",)])
def test_off_a_terminal_no_live_order_goes_out_without_yes(
    live: BotRunner, kraken: FakeKraken, command: tuple[str, ...]
) -> None:
    run = live.run(*command)

    check_error(run, 2, "--yes")
    assert kraken.count("*") == 0


@pytest.mark.parametrize("command", [("tick",), ("buy", "BTC/USD", "100"), ("sell", "BTC/USD")])
def test_validate_means_nothing_outside_live_mode(bot: BotRunner, command: tuple[str, ...]) -> None:
    check_error(bot.run(*command, "--validate"), 2, "--validate", "live", "demo")
    assert files_in(bot.home) == {}


@parametrize("command", [("tick",), ("positions",), ("trades",), ("check-positions",), ("status",)], quick=2)
def test_nonsense_in_the_database_shows_no_traceback(holding: BotRunner, command: tuple[str, ...]) -> None:
    worse = "'low'" if holding.server is None else "0"  # a server keeps words out of a column of numbers
    holding.execute(f"UPDATE trade SET amount = 'much', stop_loss_price = {worse}")

    run = holding.run(*command)

    assert "Traceback" not in run.stdout + run.stderr
    if command != ("status",):  # which reads no figure of a trade
        assert run.exit_code != 0
        assert run.stderr.startswith("botctl: ")


@pytest.mark.parametrize("position", ["before", "behind"])
def test_only_debug_shows_a_traceback(bot: BotRunner, position: str) -> None:
    arguments = ["buy", "BTC/USD", "nan"]
    quiet = bot.run(*arguments)

    loud = bot.run(*(["--debug", *arguments] if position == "before" else [*arguments, "--debug"]))

    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert loud.exit_code == quiet.exit_code == 2


@pytest.mark.parametrize("reason", ["\udcff", "a\x00b", "\x1b[2J", "r" * 100_000, "[/b]", "two\nlines"])
def test_a_pause_for_any_reason_is_a_pause(bot: BotRunner, reason: str) -> None:
    run = bot.run("pause", "--reason", reason)

    assert run.exit_code == 0, run.stderr
    assert bot.json("status")["system_status"] == "PAUSED"
    shown = bot.run("status").stdout
    assert shown.encode()
    assert shown.replace("\n", "").isprintable()


@pytest.mark.long
def test_a_home_whose_name_is_no_text_is_one_all_the_same(bot: BotRunner, tmp_path: Path) -> None:
    home = os.fsdecode(os.fsencode(str(tmp_path)) + b"/h\xff")
    bot.set(BOTCTL_HOME=home)

    run = bot.process("init")

    assert run.exit_code == 0, run.stderr
    assert "h\\udcff" in run.stdout


@pytest.mark.parametrize(("text", "readings"), [("10.000", "10000 or 10.0"), ("1,500", "1500 or 1.5")])
def test_a_number_with_two_readings_is_refused_with_both(bot: BotRunner, text: str, readings: str) -> None:
    bought = bot.run("buy", "BTC/USD", text)
    bot.set(INITIAL_BALANCE=text)
    shown = bot.run("config", "check")

    assert bought.exit_code == 2
    assert readings in bought.stderr
    assert shown.exit_code == 78
    assert f"INITIAL_BALANCE='{text}' may mean {readings}: write {readings}" in " ".join(shown.stdout.split())
    assert bot.trades() == []


@pytest.mark.parametrize("text", ["0.125", "1000", "10.00", "1.5000", "100.5"])
def test_a_number_with_one_reading_is_taken(bot: BotRunner, text: str) -> None:
    bot.set(INITIAL_BALANCE=text)

    assert Decimal(bot.json("status")["initial_balance"]) == Decimal(text)


@pytest.mark.parametrize("symbol", ["BTCUSD", "btc-usd", "XBTUSD", "BTC"])
def test_a_symbol_may_be_written_as_people_do(bot: BotRunner, symbol: str) -> None:
    assert bot.json("buy", symbol, "100")["symbol"] == "BTC/USD"
    assert bot.json("explain", symbol)["trade"]["symbol"] == "BTC/USD"
    assert bot.json("log", "--symbol", symbol)
    assert bot.json("why", symbol) == []
    assert bot.json("sell", symbol)["symbol"] == "BTC/USD"


def test_a_buy_is_of_a_market_that_was_written_out_or_configured(bot: BotRunner) -> None:
    bot.set(SYMBOLS="ETH/USD,ETH/EUR")
    before = files_in(bot.home)

    check_error(bot.run("buy", "BTC", "100"), 2, "not one of the known symbols (ETH/USD, ETH/EUR)")
    check_error(bot.run("buy", "BTCUSD", "100"), 2, "write BTC/USD if you mean that")
    check_error(bot.run("buy", "ETH", "100"), 2, "'ETH' may mean ETH/USD or ETH/EUR")
    assert files_in(bot.home) == before
    assert bot.run("buy", "BTC-USD", "100").exit_code == 0


def test_an_asset_alone_means_its_open_trade(bot: BotRunner) -> None:
    assert bot.run("buy", "BTC/USD", "100").exit_code == 0
    bot.set(SYMBOLS="BTC/EUR,ETH/USD")

    assert bot.json("explain", "BTC")["trade"]["symbol"] == "BTC/USD"
    assert bot.json("sell", "BTC")["symbol"] == "BTC/USD"
    check_error(bot.run("explain", "ETH"), 2, "there is no trade of ETH/USD")
    bot.set(SYMBOLS="ETH/USD", COOLDOWN_MINUTES="0")
    check_error(bot.run("buy", "BTC", "100"), 2, "not one of the known symbols (ETH/USD)")  # traded is not configured


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("1.000,50", "may mean 1000.5 or 1.0005"),
        ("1e400", "more than 30 digits"),
        ("1e15", "is too large: it must be below 1000000000000"),
        ("inf", "is not a decimal number"),
    ],
)
def test_a_wrong_amount_is_told_by_its_true_cause(bot: BotRunner, amount: str, told: str) -> None:
    check_error(bot.run("buy", "BTC/USD", amount), 2, f"AMOUNT {amount}" if "e15" in amount else amount, told)


def test_a_setting_that_is_too_large_is_not_called_too_small(bot: BotRunner) -> None:
    bot.set(INITIAL_BALANCE="1e15")

    assert "INITIAL_BALANCE='1e15' must be below 1000000000000" in " ".join(bot.run("config", "check").stdout.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("backtest gone.csv", "there is no file gone.csv"),
        ("backtest .", ". is a folder"),
        ("backtest gone.csv --from 2024-02-01 --to 2024-01-01", "--from 2024-02-01 must be before --to 2024-01-01"),
        ("backtest gone.csv --from 2024-02-30", "--from 2024-02-30 is a day that does not exist"),
        ("backtest gone.csv --to 9999-12-31", "--to 9999-12-31 must be of a year from 1970 to 9000"),
        ("reconcile --since 0001-01-01", "--since 0001-01-01 must be of a year from 1970 to 9000"),
        ("log --since 2999-01-01", "--since 2999-01-01 is in the future"),
        ("backtest gone.csv --cash 1,000", "--cash '1,000' may mean 1000 or 1.0"),
        ("explain 99999999999999999999", "there is no trade 99999999999999999999"),
    ],
)
def test_what_is_wrong_is_named_by_its_true_cause(bot: BotRunner, words: str, told: str) -> None:
    check_error(bot.run(*words.split()), 2, told)
