"""Settings that can't be meant: every problem is named at once, with exit code 78, and nothing is made."""

import os
from pathlib import Path

import pytest

from botctl.domain.configuration.setting_problems import PLACES
from botctl.domain.configuration.settings import NAMES
from tests.bot_runner import BotRunner
from tests.cli.assertions import check_error, check_json_error, files_in
from tests.quick import parametrize

WRONG: dict[str, str] = {
    "BOTCTL_MODE": "prod",
    "KRAKEN_PRIVATE_KEY": "not base64!",
    "KRAKEN_API_URL": "http://api.kraken.com",
    "DATABASE_URL": "postgres://localhost/bot",
    "SYMBOLS": "BTC",
    "QUOTE_CURRENCY": "$",
    "TRADE_AMOUNT_USD": "nan",
    "SIZING": "kelly",
    "RISK_PER_TRADE": "1.1",
    "COMPOUND": "ja",
    "MAX_TRADE_AMOUNT": "nan",
    "MAX_EXPOSURE": "2",
    "ALLOCATION": "BTC",
    "MAX_OPEN_TRADES": "0",
    "COOLDOWN_MINUTES": "-1",
    "LIVE_TRADING": "ja",
    "ALLOW_WITHDRAW_KEY": "ja",
    "TICK_TIMEOUT": "0",
    "TIMEFRAME": "15",
    "SIGNAL_TIMEFRAME": "2h",
    "ATR_PERIOD": "0",
    "ATR_MULTIPLE": "-2",
    "BREAKEVEN_ATR": "two",
    "BREAKEVEN_FEES": "ja",
    "MIN_STOP_COSTS": "-1",
    "EXCHANGE_STOP": "yes",
    "EXCHANGE_STOP_ATR": "-1",
    "INITIAL_BALANCE": "all",
    "MAX_DRAWDOWN": "20%",
    "MAX_DRAWDOWN_PEAK": "2",
    "IGNORE_ASSETS": "two words",
    "COUNCIL": "two words",
    "COUNCIL_RULE": "loudest",
    "COUNCIL_TIMEOUT": "inf",
    "COUNCIL_CANDLES": "0",
    "COUNCIL_EVERY": "now and then",
    "COUNCIL_ENV": "KRAKEN_API_KEY",
    "HTTPS_PROXY": "socks5://127.0.0.1:1",
    "SENTIMENT_URL": "file:///etc/passwd",
    "FEE_RATE": "26%",
    "SLIPPAGE": "-0.1",
    "EXIT_SLIPPAGE": "0.5",
    "REPORT_FILE": "data/live.db",
    "REPORT_EVERY": "often",
    "SERVE_TOKEN": "short",
    "KEEP_DAYS": "for ever",
    "LOG_LEVEL": "LOUD",
    "LOG_FILE": "/proc/nowhere/bot.log",
}
"""One for each setting; tests/domain/test_settings.py has the many that cannot be meant."""
ANY_TEXT = {"BOTCTL_HOME", "KRAKEN_API_KEY", "COUNCIL_COMMAND", "NOTIFY_URLS", "HEALTHCHECK_URL", "METRICS_FILE"}
"""Settings whose text means nothing until it is used."""

OFFLINE = ["status", "positions", "trades", "orders", "pause", "resume"]


def test_no_setting_is_left_out_here() -> None:
    assert set(WRONG) | ANY_TEXT == set(NAMES)
    assert not set(WRONG) & ANY_TEXT


@pytest.mark.parametrize("name", ["BOTCTL_MODE", "KRAKEN_PRIVATE_KEY", "SYMBOLS", "MAX_DRAWDOWN", "SENTIMENT_URL"])
def test_a_wrong_value_in_the_environment_is_named(bot: BotRunner, name: str) -> None:
    value = WRONG[name]
    bot.set(**{name: value})

    run = bot.run("config", "show")

    secret = name == "KRAKEN_PRIVATE_KEY"
    check_error(run, 78, name, *([] if secret else [value]))
    if secret:
        assert value not in run.stderr
    assert files_in(bot.home) == {}


@parametrize("name", [name for name in WRONG if name != "SENTIMENT_URL"], quick=8)
def test_a_wrong_value_in_dot_env_is_named_and_keeps_nobody_from_pausing(bot: BotRunner, home: Path, name: str) -> None:
    bot.unset(name)
    write_env(home, f"{name}={WRONG[name]}\n")

    run = bot.run("pause")

    if name in PLACES:
        check_error(run, 78, name)
        assert set(files_in(home)) == {".env"}
    else:
        assert (run.exit_code, run.stderr.count(name)) == (0, 1), run.stderr
        assert "No new buys." in run.stdout


def test_every_problem_is_named_at_once(bot: BotRunner) -> None:
    bot.set(MAX_DRAWDOWN="20", ATR_PERIOD="none", SYMBOLS="BTC")

    check_error(bot.run("config", "show"), 78, "MAX_DRAWDOWN", "ATR_PERIOD", "SYMBOLS")


def test_the_environment_wins_over_dot_env(bot: BotRunner, home: Path) -> None:
    write_env(home, "INITIAL_BALANCE=1\n")
    bot.set(INITIAL_BALANCE="2")

    assert bot.json("status")["initial_balance"] == "2"


@pytest.mark.parametrize("name", ["BOTCTL_MOD", "BOTCTL_DATABASE", "KRAKEN_API_SECRET", "KRAKEN_KEY", "BOTCTL_"])
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_misspelled_name_is_named(bot: BotRunner, home: Path, name: str, where: str) -> None:
    if where == "environment":
        bot.set(**{name: "live"})
    else:
        write_env(home, f"{name}=live\n")

    check_error(bot.run("config", "show"), 78, name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAX_DRAWDWN", "MAX_DRAWDOWN"),
        ("SYMBOL", "SYMBOLS"),
        ("BOTCTL_MODUS", "BOTCTL_MODE"),
        ("TIME_FRAME", "TIMEFRAME"),
    ],
)
def test_a_near_miss_in_dot_env_is_told_what_was_meant(bot: BotRunner, home: Path, name: str, meant: str) -> None:
    write_env(home, f"{name}=0.1\n")

    check_error(bot.run("config", "show"), 78, f"unknown setting {name}", f"did you mean {meant}?")


def test_names_of_others_are_left_alone(bot: BotRunner, home: Path) -> None:
    write_env(home, "PATH_TO_SOMETHING=1\nEDITOR=vi\n")
    bot.set(TIMEZONE="UTC", SYMBOL="x")

    assert bot.run("status").exit_code == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("BOTCTL_MODE=demo\nMAX_DRAWDOWN\n", "line 2"),
        ("this is no setting\n", "line 1"),
        ("# fine\n\n\n=0.1\n", "line 4"),
        ("BOTCTL_MODE='demo\n", "line 1"),
        ('SYMBOLS=BTC/USD\nCOUNCIL="technical\n', "line 2"),
    ],
)
def test_a_broken_line_of_dot_env_is_named_by_its_number(bot: BotRunner, home: Path, text: str, line: str) -> None:
    write_env(home, text)

    check_error(bot.run("config", "show"), 78, str(home / ".env"), line)


def test_a_dot_env_that_is_a_folder_is_refused(bot: BotRunner, home: Path) -> None:
    (home / ".env").mkdir()

    check_error(bot.run("status"), 78, str(home / ".env"))


def test_a_binary_dot_env_is_refused(bot: BotRunner, home: Path) -> None:
    (home / ".env").write_bytes(bytes(range(256)))

    check_error(bot.run("tick"), 78, str(home / ".env"))


@pytest.mark.parametrize(
    "arguments", [["--env-file", "/proc/nowhere/bot.env", "status"], ["status", "--env-file=/proc/nowhere/bot.env"]]
)
def test_an_env_file_that_is_not_there_is_refused(bot: BotRunner, arguments: list[str]) -> None:
    check_error(bot.run(*arguments), 78, "/proc/nowhere/bot.env", "--env-file")


@pytest.mark.parametrize("order", ["before", "behind"])
def test_an_env_file_is_read_wherever_the_option_stands(bot: BotRunner, tmp_path: Path, order: str) -> None:
    path = tmp_path / "bot.env"
    path.write_text("INITIAL_BALANCE=4321\n")
    path.chmod(0o600)
    option = ["--env-file", str(path)]

    run = bot.run(*(option if order == "before" else []), "status", "--json", *(option if order == "behind" else []))

    assert run.exit_code == 0, run.stdout
    assert run.json()["initial_balance"] == "4321"


def test_demo_plays_with_its_own_settings_whatever_env_file_says(bot: BotRunner, tmp_path: Path) -> None:
    run = bot.run("--env-file", str(tmp_path), "demo", "--ticks", "1", "--json")

    assert run.exit_code == 0, run.stdout


@pytest.mark.parametrize("mode", ["demo", "paper"])
@pytest.mark.parametrize("bits", [0o644, 0o640, 0o604, 0o602])
def test_a_dot_env_that_others_can_read_is_a_warning(bot: BotRunner, home: Path, mode: str, bits: int) -> None:
    write_env(home, f"BOTCTL_MODE={mode}\n", bits)

    run = bot.run("status")

    assert run.exit_code == 0
    assert run.stderr == f"botctl: warning: {home}/.env can be read by others: chmod 600 {home}/.env\n"


def test_live_mode_guards_and_buys_nothing_while_others_can_read_the_keys(live: BotRunner, home: Path) -> None:
    write_env(live.home, "LOG_LEVEL=INFO\n", 0o644)

    run = live.run("tick", "--json")

    assert run.exit_code == 78
    assert f"{live.home}/.env can be read by others: chmod 600 {live.home}/.env" in run.stderr
    assert (run.json()["entries"], run.json()["decisions"]) == ([], [])


def test_a_private_dot_env_is_no_news(bot: BotRunner, home: Path) -> None:
    write_env(home, "BOTCTL_MODE=demo\n", 0o600)

    assert bot.run("status").stderr == ""


@pytest.mark.sqlite("a database on a server is not in the home")
@pytest.mark.parametrize("command", [*OFFLINE, "tick", "init", "balance", "check-positions", "drawdown"])
@pytest.mark.parametrize("place", ["below a file", "a file", "/proc/nowhere"])
def test_a_home_that_cannot_be_written_is_refused(bot: BotRunner, tmp_path: Path, command: str, place: str) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    homes = {"below a file": str(file / "home"), "a file": str(file), "/proc/nowhere": "/proc/nowhere"}
    bot.set(BOTCTL_HOME=homes[place])

    run = bot.run(command)

    check_error(run, 78, homes[place])
    assert file.read_text() == "not a folder"


@pytest.mark.parametrize("command", [*OFFLINE, "tick", "balance", "check-positions"])
def test_only_init_makes_a_live_database(bot: BotRunner, home: Path, command: str) -> None:
    bot.set(BOTCTL_MODE="live", KRAKEN_API_KEY="key", KRAKEN_PRIVATE_KEY="c2VjcmV0", INITIAL_BALANCE="1000")

    check_error(bot.run(command), 78, "live", str(bot.where), "botctl init")

    assert list(home.iterdir()) == []


def test_a_live_run_without_keys_names_all_that_is_missing(bot: BotRunner) -> None:
    bot.set(BOTCTL_MODE="live")

    check_error(bot.run("tick"), 78, "KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY", "INITIAL_BALANCE")


@pytest.mark.parametrize("command", [*OFFLINE, "tick", "init"])
def test_a_database_of_another_mode_is_refused(bot: BotRunner, command: str) -> None:
    bot.json("status")
    bot.set(DATABASE_URL=bot.url_of("demo") if bot.server else "sqlite:///data/demo.db", BOTCTL_MODE="paper")
    before = files_in(bot.home)

    check_error(bot.run(command), 78, "demo database", "BOTCTL_MODE is paper")

    after = files_in(bot.home)
    assert {name: after[name] for name in before} == before
    assert not (bot.database.parent / "HALT").exists()


def test_with_json_a_setting_is_named_in_one_json_object(bot: BotRunner) -> None:
    bot.set(MAX_DRAWDOWN="20")

    answer = check_json_error(bot.run("config", "show", "--json"), 78, "config")

    assert "MAX_DRAWDOWN" in answer["error"]


def test_a_key_that_no_header_can_carry_is_a_setting_to_mend(live: BotRunner) -> None:
    live.set(KRAKEN_API_KEY="schlüssel-€")

    run = live.run("balance")

    check_error(run, 78, "KRAKEN_API_KEY")
    assert "€" not in run.stderr


def test_a_council_that_cannot_sit_is_said_once(bot: BotRunner) -> None:
    bot.set(COUNCIL="nobody-of-that-name")

    run = bot.run("tick")

    assert run.exit_code != 0
    assert run.stderr.count("nobody-of-that-name") == 1, run.stderr


def write_env(home: Path, text: str, bits: int = 0o600) -> None:
    path = home / ".env"
    path.write_text(text)
    path.chmod(bits)
    assert os.stat(path).st_mode & 0o777 == bits


# Nonsense


def test_a_pipe_in_the_place_of_dot_env_makes_nobody_wait(bot: BotRunner, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)

    check_error(bot.run("--env-file", str(tmp_path / "pipe"), "status"), 78, str(tmp_path / "pipe"), "not a file")


def test_dev_null_means_no_settings(bot: BotRunner) -> None:
    assert bot.run("--env-file", "/dev/null", "status").exit_code == 0


def test_a_byte_order_mark_is_no_part_of_the_first_name(bot: BotRunner, home: Path) -> None:
    write_env(home, "\ufeffINITIAL_BALANCE=4321\n")

    assert bot.json("status")["initial_balance"] == "4321"


@pytest.mark.parametrize("name", ["LOG_FILE", "DATABASE_URL", "COUNCIL_COMMAND", "KRAKEN_API_KEY", "NOTIFY_URLS"])
def test_a_control_character_in_a_setting_is_named(bot: BotRunner, home: Path, name: str) -> None:
    bot.unset(name)
    write_env(home, f"{name}=sqlite:///a\x00b\n")

    run = bot.run("config", "show")

    check_error(run, 78, name, "control characters")
    assert run.stderr.strip().isprintable()


@pytest.mark.parametrize("name", ["MAX_OPEN_TRADES", "ATR_PERIOD", "COOLDOWN_MINUTES"])
def test_digits_of_another_script_are_no_number(bot: BotRunner, name: str) -> None:
    bot.set(**{name: "٣"})

    check_error(bot.run("config", "show"), 78, name)


def test_a_value_of_any_length_is_shown_in_short(bot: BotRunner) -> None:
    bot.set(MAX_DRAWDOWN="9" * 5000)

    run = bot.run("config", "show")

    check_error(run, 78, "MAX_DRAWDOWN")
    assert len(run.stderr) < 500


@pytest.mark.parametrize("name", ["SYMBOLS", "MAX_DRAWDOWN", "KRAKEN_API_URL", "COUNCIL", "BOTCTL_MODE", "TIMEFRAME"])
@pytest.mark.parametrize("known", [True, False])
def test_a_key_in_the_place_of_another_setting_is_not_shown(bot: BotRunner, name: str, known: bool) -> None:
    key = "x7QdRk4+" * 11
    bot.set(**{name: key})
    if known:
        bot.set(KRAKEN_PRIVATE_KEY=key)

    run = bot.run("config", "show")

    check_error(run, 78, name, "***")
    assert key[:12] not in run.stderr


@pytest.mark.parametrize("command", ["unbalanced 'quote", "''", "#"])
def test_a_command_line_that_is_none_is_a_failed_check(bot: BotRunner, command: str) -> None:
    bot.set(COUNCIL_COMMAND=command)

    run = bot.run("doctor")

    assert run.exit_code == 1
    assert "COUNCIL_COMMAND" in run.stdout
    assert "bug" not in run.stderr
