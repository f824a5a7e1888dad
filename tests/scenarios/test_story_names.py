"""The functions that the four stories name are the ones that run: seen from real runs, not from the text."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from types import CodeType
from typing import Any

import pytest

from tests.bot_runner import PROJECT, BotRunner
from tests.fake_kraken import FakeKraken
from tests.quick import parametrize
from tests.scenarios.steps import buy, council_says, output_of
from tests.scenarios.test_drawdown import prove_initial_balance

WATCHER = 4
ENTRY = {"execute_buy", "calculate_stop_loss", "place_market_order"}
EXIT = {"close_position", "execute_sell", "place_market_order"}
GUARD = {"check_drawdown", "check_open_positions"}


@contextmanager
def watched() -> Iterator[set[str]]:
    """The names of botctl's own functions that are called meanwhile."""
    called, monitoring = set[str](), sys.monitoring

    def note(code: CodeType, _offset: int) -> Any:
        if code.co_filename.startswith(f"{PROJECT}/botctl/"):
            called.add(code.co_name)
        return monitoring.DISABLE

    monitoring.use_tool_id(WATCHER, "stories")
    try:
        monitoring.register_callback(WATCHER, monitoring.events.PY_START, note)
        monitoring.set_events(WATCHER, monitoring.events.PY_START)
        monitoring.restart_events()
        yield called
    finally:
        monitoring.set_events(WATCHER, 0)
        monitoring.free_tool_id(WATCHER)


def council_buys(live: BotRunner, kraken: FakeKraken) -> list[str]:
    council_says(live, "BUY")
    return ["tick"]


def council_sells(live: BotRunner, kraken: FakeKraken) -> list[str]:
    buy(live)
    council_says(live, "SELL")
    return ["tick"]


def stop_is_hit(live: BotRunner, kraken: FakeKraken) -> list[str]:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    return ["check-positions"]


def account_falls(live: BotRunner, kraken: FakeKraken) -> list[str]:
    buy(live)
    prove_initial_balance(live)
    kraken.balances["ZUSD"] = Decimal(7000)
    return ["drawdown"]


def trade_is_open(*command: str) -> Callable[[BotRunner, FakeKraken], list[str]]:
    def prepare(live: BotRunner, kraken: FakeKraken) -> list[str]:
        buy(live)
        return list(command)

    return prepare


@pytest.mark.usefixtures("bent_time")
@parametrize(
    ("prepare", "exit_code", "names"),
    [
        (council_buys, 0, ENTRY | GUARD | {"is_trading_active"}),
        (council_sells, 0, EXIT | GUARD),
        (stop_is_hit, 0, {"check_open_positions", "place_market_order"}),
        (account_falls, 3, {"check_drawdown", "liquidate_all", "place_market_order"}),
        (trade_is_open("sell", "BTC/USD", "--yes"), 0, EXIT),
        (trade_is_open("liquidate", "--yes"), 0, {"liquidate_all", "place_market_order"}),
        (trade_is_open("buy", "ETH/USD", "100", "--yes"), 0, ENTRY | {"is_trading_active"}),
        (trade_is_open("doctor"), None, {"get_balance"}),
    ],
    quick=4,
    ids=["council buys", "council sells", "stop", "drawdown", "sell", "liquidate", "buy", "doctor"],
)
def test_the_storys_functions_are_what_runs(
    live: BotRunner,
    kraken: FakeKraken,
    prepare: Callable[[BotRunner, FakeKraken], list[str]],
    exit_code: int | None,
    names: set[str],
) -> None:
    command = prepare(live, kraken)

    with watched() as called:
        run = live.run(*command)

    assert exit_code in (None, run.exit_code), output_of(run)
    assert names - called == set()


@parametrize(
    ("change", "active"),
    [
        ("", True),
        ("UPDATE systemconfig SET value = 'PAUSED' WHERE key = 'system_status'", False),
        ("UPDATE systemconfig SET value = 'true' WHERE key = 'frozen'", False),
        ("UPDATE systemconfig SET value = 'false' WHERE key = 'buy_enabled'", False),
        ("UPDATE systemconfig SET value = '2026-01-01T00:00:00+00:00' WHERE key = 'tripped_at'", False),
        ("DELETE FROM systemconfig", False),
    ],
    quick=3,
)
def test_trading_is_active_while_the_switch_is_and_buys_are_enabled(live: BotRunner, change: str, active: bool) -> None:
    if change:
        live.execute(change)

    bought = live.run("buy", "BTC/USD", "100", "--yes")

    assert live.json("status")["is_trading_active"] is active
    assert (bought.exit_code == 0) is active
