"""Text from Kraken reaches no terminal as it came: no colours, no cursor, no text that runs backwards."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from botctl.store.database import close_database
from botctl.store.models import Event
from tests.bot_runner import BotRunner, Run
from tests.fake_kraken import FakeKraken
from tests.fake_kraken.faults import Reply
from tests.fake_kraken.wire import Request
from tests.quick import parametrize
from tests.scenarios.steps import buy, output_of

EVIL = "\x1b[31m\x07\u202ered\x9b1A\u2066\r\n\u2028x"
COMMANDS = (
    "balance", "status", "positions", "orders", "doctor", "reconcile", "recover", "buy ETH/USD 100 --yes",
    "sell BTC/USD --yes", "tick", "fetch BTC/USD", "log", "explain 1", "balance --json",
    "doctor --json", "reconcile --json", "init",
)  # fmt: skip


def in_texts(value: Any) -> Any:
    """The same answer with that in every text that is no figure."""
    if isinstance(value, dict):
        return {name: in_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [in_texts(each) for each in value]
    return f"{value}{EVIL}" if isinstance(value, str) and not value.replace(".", "").isdigit() else value


def in_names(value: Any) -> Any:
    """The same answer with a second of each thing, under such a name."""
    if isinstance(value, dict):
        return {name: in_names(each) for name, each in value.items()} | {
            f"{name}{EVIL}": each for name, each in value.items()
        }
    return value


def with_text(change: Callable[[Any], Any], *endpoints: str) -> Callable[[Request, Reply], Reply]:
    """Change the results of these endpoints, or of all."""

    def alter(request: Request, reply: Reply) -> Reply:
        answer = json.loads(reply.body)
        if endpoints and request.endpoint not in endpoints:
            return reply
        return replace(reply, body=json.dumps(answer | {"result": change(answer.get("result"))}).encode())

    return alter


def as_error(request: Request, reply: Reply) -> Reply:
    return replace(reply, body=json.dumps({"error": [f"EOrder:{EVIL}", f"EQuery:Unknown asset pair{EVIL}"]}).encode())


LIES: dict[str, Callable[[Request, Reply], Reply]] = {
    "errors": as_error,
    "all texts": with_text(in_texts),
    "all names": with_text(in_names),
    "names of balances": with_text(in_names, "Balance", "BalanceEx"),
    "names of markets": with_text(in_names, "AssetPairs"),
    "texts of markets": with_text(in_texts, "AssetPairs"),
    "texts of orders": with_text(in_texts, "QueryOrders", "ClosedOrders", "OpenOrders", "TradesHistory", "QueryTrades"),
    "names of orders": with_text(in_names, "QueryOrders", "ClosedOrders", "OpenOrders", "TradesHistory", "QueryTrades"),
    "the state": with_text(in_texts, "SystemStatus", "GetApiKeyInfo"),
}


def raw(run: Run) -> set[str]:
    """The characters of its output that a terminal may obey."""
    return {char for char in output_of(run) if not (char.isprintable() or char == "\n")}


@parametrize("lie", LIES.values(), quick=1, ids=list(LIES))
def test_a_terminal_obeys_no_text_of_kraken(
    live: BotRunner, kraken: FakeKraken, bent_time: None, lie: Callable[[Request, Reply], Reply]
) -> None:
    buy(live)
    live.set(LOG_FILE="bot.log")
    kraken.alter_reply = lie

    shown = {command: raw(live.run(*command.split())) for command in COMMANDS}
    kraken.alter_reply = None
    shown |= {f"{command}, later": raw(live.run(*command.split())) for command in COMMANDS}

    assert {command: chars for command, chars in shown.items() if chars} == {}


def test_a_text_that_an_earlier_version_kept_is_no_command_to_the_terminal(live: BotRunner) -> None:
    buy(live)
    live.open_store()
    Event.update(why=EVIL).execute()
    close_database()

    told = live.run("log")

    assert raw(told) == set()
    assert "\\x1b[31m" in told.stdout
