"""Steps that several scenarios share: a frozen clock, a scripted Council, the requests and orders Kraken received."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from tests.bent_time import sleeping_moves
from tests.bot_runner import BotRunner, Run
from tests.fake_kraken import FakeKraken

QUARTER = 900


@contextmanager
def stopped_clock() -> Iterator[FrozenDateTimeFactory]:
    """Freeze time, Kraken's too, ten seconds after the next quarter of an hour. The test and who sleeps move it on."""
    quarter = (datetime.now(UTC).timestamp() // QUARTER + 1) * QUARTER
    with freeze_time(datetime.fromtimestamp(quarter + 10, UTC)) as clock, sleeping_moves(clock):
        yield clock


def buy(live: BotRunner, symbol: str = "BTC/USD", amount: str = "100") -> None:
    """Open a position."""
    run = live.run("buy", symbol, amount, "--yes")
    assert run.exit_code == 0, run.stderr


def trade_of(live: BotRunner, symbol: str = "BTC/USD") -> dict[str, Any]:
    """The newest trade of a symbol."""
    return [trade for trade in live.trades() if trade["symbol"] == symbol][-1]


def requested_endpoints(kraken: FakeKraken) -> list[str]:
    """The endpoints of the requests that Kraken received, in order."""
    return [request.endpoint for request in list(kraken.requests)]


def sides(kraken: FakeKraken) -> list[str]:
    """The sides of the orders that Kraken accepted, in order."""
    return [order.side for order in kraken.orders]


def execute_sql(live: BotRunner, statement: str) -> None:
    """Change the database from outside, as a user with the sqlite3 shell or psql does."""
    live.execute(statement)


def council_program(live: BotRunner, *lines: str) -> None:
    """Set COUNCIL_COMMAND to a Python program of these lines; `asked` is its stdin."""
    script = live.home / "council.py"
    script.write_text("\n".join(["import json, os, sys, time", "asked = sys.stdin.read()", *lines]))
    live.set(COUNCIL_COMMAND=shlex.join([sys.executable, str(script)]))


def council_says(live: BotRunner, decision: str, *lines: str) -> None:
    """Set COUNCIL_COMMAND to a program that runs these lines, then decides so on every symbol."""
    if lines:
        council_program(live, *lines, f"print(json.dumps({{'decision': '{decision}', 'reason': 'told so'}}))")
        return
    script = live.home / "council.sh"  # it starts in a tenth of the CPU time that Python takes
    answer = json.dumps({"decision": decision, "reason": "told so"})
    script.write_text(f"cat > /dev/null\necho {shlex.quote(answer)}\n")
    live.set(COUNCIL_COMMAND=shlex.join(["/bin/sh", str(script)]))


def output_of(run: Run) -> str:
    """The output of a run, as the message of an assertion."""
    return run.stdout + run.stderr


def prove_initial_balance(live: BotRunner, value: str = "10000") -> None:
    """An earlier tick has found the drawdown within its limit, by this INITIAL_BALANCE."""
    execute_sql(
        live,
        "INSERT OR REPLACE INTO memory (key, value, saved_at) "
        f"VALUES ('drawdown.initial_balance', '{value}', '2026-01-01 00:00:00.000000+00:00')",
    )
