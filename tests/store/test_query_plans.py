"""What every run reads does not grow with what was: no statement walks through all trades, orders or events."""

import logging
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from botctl.domain.orders import ACTIVE, UNSETTLED
from botctl.store.models import ACTIVE_TRADES, UNSETTLED_ORDERS
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.listener import Listener
from tests.scenarios.steps import buy

pytestmark = pytest.mark.sqlite  # a plan is SQLite's own; the same indexes serve a server

BIG = ("trade", "order", "event", "tick", "decision")
"""Tables that grow for as long as the bot lives."""


ExchangeRecords = tuple[str, Any]
"""Its words and its values. Apart, because a value that is bound to a mark tells SQLite nothing about an index."""


@pytest.fixture
def statements(caplog: pytest.LogCaptureFixture) -> Callable[[], list[ExchangeRecords]]:
    """Every statement so far; peewee logs each."""
    caplog.set_level(logging.DEBUG, "peewee")
    return lambda: [record.msg for record in caplog.records if record.name == "peewee"]


def walks(live: BotRunner, statement: ExchangeRecords) -> list[str]:
    """The big tables that a statement reads row after row, and for more than its first ones."""
    words, values = statement
    if not re.match("(SELECT|UPDATE|DELETE)", words) or "LIMIT" in words:
        return []
    with closing(sqlite3.connect(live.database)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {words}", values or ())]
    names = {alias: table for table, alias in re.findall(r'"(\w+)" AS "(t\d)"', words)}
    few = "trade_active|order_unsettled|order_inexact|trade_unknown|order_unknown|one_active_trade_per_asset|"
    few += "one_unsettled_order_per_trade"
    scans = [re.match(rf"SCAN (\w+)( USING (COVERING )?INDEX ({few}))?", step) for step in plan]
    return [name for scan in scans if scan and not scan[2] if (name := names.get(scan[1], scan[1])) in BIG]


EVERYDAY = (
    "check-positions",
    "pause",
    "resume",
    "status",
    "positions",
    "tick",
    "drawdown",
    "orders --unsettled",
    "explain 1",
)


def test_no_statement_walks_through_all_there_was(
    live: BotRunner, kraken: FakeKraken, listener: Listener, statements: Callable[[], list[ExchangeRecords]]
) -> None:
    live.set(NOTIFY_URLS=f"json://{listener.address}/", METRICS_FILE="metrics.prom")
    buy(live)
    live.run("tick")
    kraken.set_price("BTC/USD", 52000)
    for command in EVERYDAY:
        before = len(statements())

        live.run(*command.split())

        asked = statements()[before:]
        assert len(asked) > 3, command
        assert [(statement, tables) for statement in asked if (tables := walks(live, statement))] == [], command


def test_a_stop_that_is_hit_is_sold_without_such_a_walk(
    live: BotRunner, kraken: FakeKraken, statements: Callable[[], list[ExchangeRecords]]
) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    before = len(statements())

    assert live.run("check-positions").exit_code == 0

    assert [statement for statement in statements()[before:] if walks(live, statement)] == []


def test_the_conditions_of_the_indexes_are_the_states_of_the_rules() -> None:
    assert set(re.findall(r"'(\w+)'", ACTIVE_TRADES.sql)) == {str(status) for status in ACTIVE}
    assert set(re.findall(r"'(\w+)'", UNSETTLED_ORDERS.sql)) == {str(state) for state in UNSETTLED}
