"""The doctor: a first live run has all it needs, or the line that lacks it says how to fix it."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.test_council import install_agent

Lines = list[dict[str, Any]]


def ask(bot: BotRunner) -> Lines:
    """The doctor's lines. Its exit code is 1 if one of them fails, and 0 otherwise."""
    run = bot.run("doctor", "--json")
    lines: Lines = run.json()
    assert lines
    assert {line["status"] for line in lines} <= {"ok", "warn", "fail"}
    assert run.exit_code == (1 if any(line["status"] == "fail" for line in lines) else 0)
    assert [line for line in lines if line["status"] != "ok" and not line["fix"]] == []
    return lines


def failing(lines: Lines) -> Lines:
    return [line for line in lines if line["status"] == "fail"]


def only_failure(bot: BotRunner, name: str, *words: str) -> None:
    """Exactly one line fails; it is this one, with these words in its detail or its fix."""
    lines = failing(ask(bot))
    assert [line["name"] for line in lines] == [name], lines
    for word in words:
        assert word in f"{lines[0]['detail']} -> {lines[0]['fix']}"


def of_a_sound_database(live: BotRunner) -> str:
    """What its line says: the tests' own server waits for no disk, of which everybody is warned."""
    return "warn" if live.server else "ok"


def test_a_home_that_is_ready_has_no_failing_line(live: BotRunner) -> None:
    lines = ask(live)

    assert failing(lines) == []
    assert {line["name"] for line in lines if line["status"] == "ok"} >= {
        "settings",
        "file modes",
        "clock",
        "key rights",
        "minimums",
    }
    assert [line["status"] for line in lines if line["name"] == "database"] == [of_a_sound_database(live)]


def test_the_doctor_places_no_order_and_changes_no_trade(live: BotRunner, kraken: FakeKraken) -> None:
    ask(live)

    assert kraken.count("AddOrder") == kraken.count("CancelOrder") == 0


@pytest.mark.parametrize("right", ["withdraw-funds", "add-withdraw-address", "update-withdraw-address"])
def test_a_key_that_may_withdraw_fails(live: BotRunner, kraken: FakeKraken, right: str) -> None:
    kraken.key.permissions.add(right)

    only_failure(live, "key rights", "withdraw", right, "make a key without")


@pytest.mark.parametrize(
    ("right", "name"),
    [
        ("query-funds", "Query Funds"),
        ("query-open-trades", "Query Open Orders & Trades"),
        ("query-closed-trades", "Query Closed Orders & Trades"),
        ("modify-trades", "Create & Modify Orders"),
    ],
)
def test_a_right_that_is_lacking_is_named_as_kraken_names_it(
    live: BotRunner, kraken: FakeKraken, right: str, name: str
) -> None:
    kraken.key.permissions.remove(right)

    only_failure(live, "key rights", name, "Kraken")


def test_a_right_that_is_never_used_is_a_warning(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.key.permissions.add("earn-funds")

    lines = ask(live)

    assert failing(lines) == []
    assert [line["detail"] for line in lines if line["status"] == "warn" and "earn-funds" in line["detail"]]


@pytest.mark.parametrize("days", [3, -1])
def test_a_key_that_ends_soon_or_has_ended_is_told(live: BotRunner, kraken: FakeKraken, days: int) -> None:
    kraken.key.valid_until = str(int(time.time()) + days * 86400 + 60)

    lines = ask(live)

    assert [line["status"] for line in lines if line["name"] == "key expiry"] in (["warn"], ["fail"])


@pytest.mark.parametrize("offset", [-3600, -30, 30, 3600])
def test_a_clock_that_is_far_off_fails(live: BotRunner, kraken: FakeKraken, offset: int) -> None:
    kraken.clock.offset = offset

    only_failure(live, "clock", "NTP")


@pytest.mark.parametrize("offset", [-8, 8])
def test_a_clock_that_is_a_little_off_is_a_warning(live: BotRunner, kraken: FakeKraken, offset: int) -> None:
    kraken.clock.offset = offset

    assert [line["status"] for line in ask(live) if line["name"] == "clock"] == ["warn"]


@pytest.mark.parametrize("status", ["cancel_only", "maintenance", "limit_only", "delisted"])
def test_a_market_that_is_not_online_fails(live: BotRunner, kraken: FakeKraken, status: str) -> None:
    kraken.markets["BTC/USD"].status = status
    forget_markets(live)

    only_failure(live, "symbols", "BTC/USD", status)


def test_a_symbol_that_is_no_market_fails(live: BotRunner) -> None:
    live.set(SYMBOLS="BTC/USD,FOO/USD")

    only_failure(live, "symbols", "FOO/USD", "SYMBOLS")


def test_a_market_without_a_price_fails(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", "nan")

    only_failure(live, "symbols", "BTC/USD")


@pytest.mark.parametrize("amount", ["2.50", "0.01"])
def test_a_trade_too_small_to_sell_at_its_stop_fails(live: BotRunner, amount: str) -> None:
    """The minimum is 0.00005 BTC: 2.50 USD buys exactly that, and the amount's notional falls with the stop."""
    live.set(TRADE_AMOUNT_USD=amount)

    failed = failing(ask(live))

    if amount == "0.01":
        assert [line["name"] for line in failed] == ["minimums"]
        assert "TRADE_AMOUNT_USD" in failed[0]["fix"]
    else:
        assert failed == []


def test_a_cost_minimum_that_only_the_stop_price_misses_fails(live: BotRunner, kraken: FakeKraken) -> None:
    """10 USD is the cost minimum: a trade of 10.05 passes at 50000, and would not at its stop of 49000."""
    kraken.markets["BTC/USD"].costmin = kraken.markets["BTC/USD"].last / 5000
    forget_markets(live)
    live.set(TRADE_AMOUNT_USD="10.05")

    only_failure(live, "minimums", "BTC/USD", "stop", "raise TRADE_AMOUNT_USD")


def test_too_few_candles_for_an_atr_fail(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.flat_candles("BTC/USD", 50000, 500, count=50)

    only_failure(live, "minimums", "BTC/USD")


@pytest.mark.parametrize("name", ["KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY", "INITIAL_BALANCE"])
def test_a_setting_that_live_mode_needs_is_named(live: BotRunner, name: str) -> None:
    live.unset(name)

    lines = failing(ask(live))

    assert "settings" in [line["name"] for line in lines]
    assert all(name in line["detail"] for line in lines)


def test_a_wrong_key_fails(live: BotRunner) -> None:
    live.set(KRAKEN_API_KEY="another-key")

    assert any("Invalid key" in line["detail"] for line in failing(ask(live)))


@pytest.mark.usefixtures("bent_time")
def test_an_exchange_out_of_reach_fails_and_keeps_the_other_lines(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.stop()

    lines = ask(live)

    assert "exchange" in [line["name"] for line in failing(lines)]
    assert [line["status"] for line in lines if line["name"] == "database"] == [of_a_sound_database(live)]


@pytest.mark.sqlite("about the file")
def test_files_that_others_can_read_fail_in_live_mode(live: BotRunner) -> None:
    live.database.chmod(0o644)

    only_failure(live, "file modes", "live.db", f"chmod 600 {live.database}")


def test_a_live_database_that_is_missing_fails(live: BotRunner) -> None:
    if live.server:
        live.set(DATABASE_URL=live.url_of("demo"))  # an empty one
    else:
        live.database.unlink()

    only_failure(live, "database", "botctl init")
    assert not live.database.exists()


def test_an_agent_that_is_not_installed_fails(live: BotRunner) -> None:
    """Without it every decision of a council is an error, found at the first tick at the latest."""
    live.set(COUNCIL="technical,nobody-of-that-name")

    assert any("nobody-of-that-name" in line["detail"] for line in failing(ask(live)))


def test_a_council_command_that_is_not_there_fails(live: BotRunner) -> None:
    live.set(COUNCIL_COMMAND="/proc/nowhere/council --fast")

    assert any("/proc/nowhere/council" in line["detail"] for line in failing(ask(live)))


@pytest.mark.parametrize(
    ("settings", "status", "detail"),
    [
        (
            {"COUNCIL": "technical"},
            "warn",
            "COUNCIL=technical can never say BUY or SELL by the rule story: nobody gives FEAR or GREED",
        ),
        ({"COUNCIL": "techncal,sentiment"}, "fail", "COUNCIL names techncal, and there is no such agent"),
        ({"COUNCIL": "technical,command"}, "fail", "COUNCIL names command, and COUNCIL_COMMAND is not set"),
        (
            {"COUNCIL": "technical,bull", "COUNCIL_RULE": "majority"},
            "warn",
            "COUNCIL=technical,bull can never say SELL by the rule majority: its members can never agree on it",
        ),
        ({"COUNCIL": "drunk"}, "fail", "agent drunk has an unknown stance in `stances`: 'TIPSY' is not a valid Stance"),
        ({"COUNCIL": "technical", "COUNCIL_RULE": "majority"}, "ok", "technical, by the rule majority"),
    ],
)
def test_config_check_and_doctor_name_a_council_that_can_not_decide(
    bot: BotRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    status: str,
    detail: str,
) -> None:
    install_agent(tmp_path, "bull", "pass\n    stances = ['BULLISH', 'NEUTRAL']")
    install_agent(tmp_path, "drunk", "pass\n    stances = ['TIPSY']")
    monkeypatch.syspath_prepend(str(tmp_path))
    bot.set(**settings)

    doctor, check = ask(bot), bot.run("config", "check", "--json")

    told = [(line["status"], line["detail"]) for line in doctor if line["name"] == "council"]
    assert told == [(status, detail)]
    named = [(line["status"], line["detail"]) for line in check.json() if line["name"] == "council"]
    assert named == ([] if status == "ok" else told)
    assert check.exit_code == (78 if status == "fail" else 0)


def test_broken_settings_are_one_failing_line(bot: BotRunner) -> None:
    bot.set(MAX_DRAWDOWN="20")

    only_failure(bot, "settings", "MAX_DRAWDOWN")


def test_the_demo_needs_nothing(bot: BotRunner) -> None:
    assert failing(ask(bot)) == []


def test_a_halt_file_is_told(live: BotRunner) -> None:
    (live.database.parent / "HALT").touch()

    assert [line["status"] for line in ask(live) if line["name"] == "switch"] == ["warn"]


def test_the_table_shows_the_fix_below_what_fails(live: BotRunner, kraken: FakeKraken) -> None:
    kraken.key.permissions.add("withdraw-funds")

    run = live.run("doctor")

    assert run.exit_code == 1
    assert "fail" in run.stdout
    assert "-> make a key without any withdraw right" in run.stdout
    assert kraken.secret not in run.stdout + run.stderr


def forget_markets(bot: BotRunner) -> None:
    """Drop the day's copy of the market list, as the next day does."""
    from botctl.store.database import close_database
    from botctl.store.models import KeyValue

    bot.open_store()
    assert KeyValue.delete().where(KeyValue.key.contains("market")).execute() > 0
    close_database()
