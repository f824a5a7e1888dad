"""`botctl notify --test`, and what is said where an extra is missing."""

import sys

import pytest

from tests.bot_runner import BotRunner
from tests.cli.assertions import check_error, check_json_error
from tests.listener import Listener
from tests.quick import parametrize


def test_each_address_gets_a_test_message(bot: BotRunner, listener: Listener) -> None:
    bot.set(NOTIFY_URLS=f"json://{listener.address}/one json://{listener.address}/two")

    run = bot.run("notify", "--test")

    assert run.exit_code == 0, run.stdout + run.stderr
    assert sorted(listener.paths) == ["/one", "/two"]
    assert "1. json://***  ok" in run.stdout
    assert "2. json://***  ok" in run.stdout
    assert listener.address not in run.stdout


def test_an_address_that_does_not_take_it_is_named_by_its_place_and_fails(bot: BotRunner, listener: Listener) -> None:
    listener.status = 403
    bot.set(NOTIFY_URLS=f"json://{listener.address}/secret-token,nonsense://secret-token")

    run = bot.run("notify", "--test", "--json")

    assert run.exit_code == 1
    assert run.json() == [
        {"service": "json://***", "ok": False, "detail": "refused the message or can't be reached (HTTP 403)"},
        {"service": "nonsense://***", "ok": False, "detail": "is an address that apprise does not understand"},
    ]
    assert "secret-token" not in run.stdout + run.stderr


def test_without_an_address_it_is_a_matter_of_configuration(bot: BotRunner) -> None:
    check_error(bot.run("notify", "--test"), 78, "NOTIFY_URLS is not set")
    check_json_error(bot.run("notify", "--test", "--json"), 78, "config")


def test_without_test_there_is_nothing_to_do(bot: BotRunner) -> None:
    check_error(bot.run("notify"), 2, "botctl notify --test")


def test_without_apprise_the_extra_is_named_and_everything_else_works(
    bot: BotRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)  # as Python says that it is not there
    bot.set(NOTIFY_URLS="json://127.0.0.1:9/x")

    check_error(bot.run("notify", "--test"), 78, "apprise is not installed", "pip install 'botctl[notify]'")
    bought = bot.run("tick")  # the demo's first tick buys
    doctor = bot.json("doctor")

    assert bought.exit_code == 0
    assert bought.stderr.count("\n") == 1
    assert "pip install 'botctl[notify]'" in bought.stderr
    assert [line["fix"] for line in doctor if line["name"] == "notify"] == ["pip install 'botctl[notify]'"]


def test_without_prometheus_client_the_extra_is_named_and_everything_else_works(
    bot: BotRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    bot.set(METRICS_FILE="botctl.prom")

    run = bot.run("tick")
    doctor = bot.json("doctor")

    assert run.exit_code == 0
    assert run.stderr.count("\n") == 1
    assert "pip install 'botctl[metrics]'" in run.stderr
    assert [line["fix"] for line in doctor if line["name"] == "metrics"] == ["pip install 'botctl[metrics]'"]


@parametrize(
    ("urls", "words"),
    [
        ("", "no notifications are configured"),
        ("nonsense://x", "address 1 of NOTIFY_URLS"),
        ("json://a json://b", "json://***, json://***"),
    ],
    quick=2,
)
def test_the_doctor_knows_who_is_told(bot: BotRunner, urls: str, words: str) -> None:
    bot.set(NOTIFY_URLS=urls)

    [line] = [line for line in bot.json("doctor") if line["name"] == "notify"]

    assert words in line["detail"]
    assert line["status"] == ("ok" if "***" in words else "warn")


@pytest.mark.long
def test_a_demo_that_is_told_of_says_so_with_its_mode(bot: BotRunner, listener: Listener) -> None:
    bot.set(NOTIFY_URLS=f"json://{listener.address}")

    bot.run("tick")

    [letter] = listener.received
    assert letter.json()["title"].startswith("botctl demo on ")
    assert letter.json()["message"].startswith("bought ")
