"""Ends real runs with SIGKILL at every boundary there is: each request before and after Kraken processed it, each
database commit before and after it. The runs that follow must find the truth."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.invariants import INVARIANTS
from tests.conftest import PROJECT, BotRunner, Run, go_live
from tests.fake_kraken import FakeKraken

MOST_BOUNDARIES = 60
"""No run has more: a loop that does not end is a harness that does not count."""


class Victims:
    """Runs botctl in children of a fork server, and kills them at a chosen boundary."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.forkserver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        self.pid = 0
        self._known = threading.Event()

    def run(self, *arguments: str, kill: dict[str, Any] | None = None) -> Run:
        assert self._server.stdin is not None
        self._known.clear()
        order = {"arguments": arguments, "environment": dict(os.environ), "kill": kill}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        self.pid = self._read()["pid"]
        self._known.set()
        ended = self._read()
        return Run(ended["status"], ended["out"], ended["err"])

    def kill(self) -> None:
        self._known.wait(5)
        os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(10)

    def _read(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    server = Victims()
    yield server
    server.stop()


def prepare_nothing(live: BotRunner, kraken: FakeKraken) -> None:
    """An account that only has money."""


def prepare_a_position(live: BotRunner, kraken: FakeKraken) -> None:
    assert live.run("buy", "BTC/USD", "100", "--yes").exit_code == 0


def prepare_a_hit_stop(live: BotRunner, kraken: FakeKraken) -> None:
    prepare_a_position(live, kraken)
    kraken.set_price("BTC/USD", 48000)


def prepare_a_rise(live: BotRunner, kraken: FakeKraken) -> None:
    prepare_a_position(live, kraken)
    kraken.set_price("BTC/USD", 52000)


def prepare_a_decision_to_buy(live: BotRunner, kraken: FakeKraken) -> None:
    answer = live.home / "answer.json"
    answer.write_text('{"decision": "BUY", "reason": "the test says so"}')
    live.set(COUNCIL_COMMAND=f"cat {answer}")


SCENES: dict[str, tuple[Callable[[BotRunner, FakeKraken], None], tuple[str, ...]]] = {
    "a buy by hand": (prepare_nothing, ("buy", "BTC/USD", "100", "--yes")),
    "a sell by hand": (prepare_a_position, ("sell", "BTC/USD", "--yes")),
    "a stop that is hit": (prepare_a_hit_stop, ("check-positions",)),
    "a stop that moves": (prepare_a_rise, ("check-positions",)),
    "a tick that buys": (prepare_a_decision_to_buy, ("tick",)),
    "a tick that stops out": (prepare_a_hit_stop, ("tick",)),
    "a liquidation": (prepare_a_position, ("liquidate", "--yes")),
}


IN_EVERY_RUN = ("a buy by hand", "a stop that is hit")
"""The other scenes take a minute more: `pytest -m long` plays them."""


@pytest.mark.parametrize(
    "scene", [scene if scene in IN_EVERY_RUN else pytest.param(scene, marks=pytest.mark.long) for scene in SCENES]
)
@pytest.mark.parametrize("boundary", ["request before", "request after", "commit before", "commit after"])
def test_a_run_killed_at_any_boundary_loses_and_doubles_nothing(
    scene: str, boundary: str, bot: BotRunner, victims: Victims, tmp_path: Path
) -> None:
    kills = 0
    for number in range(1, MOST_BOUNDARIES):
        home = tmp_path / f"{number}"
        home.mkdir()
        with FakeKraken() as kraken:
            killed = play(scene, boundary, number, settle_in(bot, home, kraken), kraken, victims)
        if not killed:
            break
        kills += 1

    assert 0 < kills < MOST_BOUNDARIES - 1


def settle_in(bot: BotRunner, home: Path, kraken: FakeKraken) -> BotRunner:
    """A live home of its own for one kill."""
    kraken.set_price("BTC/USD", 50000)
    kraken.flat_candles("BTC/USD", 50000, 500)
    bot.home = home
    bot.unset("COUNCIL_COMMAND")
    bot.set(BOTCTL_HOME=str(home))
    go_live(bot, kraken)
    return bot


def play(scene: str, boundary: str, number: int, live: BotRunner, kraken: FakeKraken, victims: Victims) -> bool:
    """One scene, killed at one boundary; then runs until the journal is settled, and every invariant.

    False when the run had no such boundary any more.
    """
    prepare, arguments = SCENES[scene]
    prepare(live, kraken)
    kind, when = boundary.split()
    if kind == "request":
        kill_at_request(kraken, when, number, victims)
        victim = victims.run(*arguments)
    else:
        victim = victims.run(*arguments, kill={"when": when, "number": number})
    kraken.before = kraken.after = None
    assert victim.exit_code in (0, -signal.SIGKILL), victim.stderr
    live.unset("COUNCIL_COMMAND")

    recover(live, kraken)

    live.open_store()
    for invariant in INVARIANTS:
        invariant(kraken)
    return victim.exit_code == -signal.SIGKILL


def kill_at_request(kraken: FakeKraken, when: str, number: int, victims: Victims) -> None:
    seen = 0

    def count(_request: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            victims.kill()

    if when == "before":
        kraken.before = count
    else:
        kraken.after = count


def recover(live: BotRunner, kraken: FakeKraken) -> None:
    """The runs that cron brings: one at once, and one when whatever was lost can no longer trade."""
    live.run("tick")
    if live.json("orders", "--unsettled"):
        kraken.clock_offset += 130
        live.run("tick")
