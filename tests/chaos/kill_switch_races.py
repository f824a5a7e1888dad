"""The switch is pulled at every position of a run: in each of its requests, before each of its statements, and while
the Council sits. Nothing is intended against it from then on; what was intended before ends well."""

import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from botctl.store.models import Order
from botctl.store.server.postgres import WRITE_LOCK
from tests.chaos.campaign import SEPARATOR
from tests.chaos.invariants import ALWAYS, Broken, check
from tests.chaos.processes import End, Run
from tests.chaos.scenes import SCENES, Stage, check_words, guard_is_awake, recover
from tests.chaos.world import World
from tests.fake_kraken import Request

PULLS = {"pause": ("pause",), "freeze": ("pause", "--freeze"), "HALT": ()}
"""What pulls the switch, and the command that does it. HALT is a file."""
ENTRIES = ("a buy by hand", "a tick that buys")
EXITS = ("a sell by hand", "a stop that is hit", "a tick that sells", "a tick that stops out two", "a drawdown")
FORBIDS = {"pause": ("buy",), "HALT": ("buy",), "freeze": ("buy", "sell")}
SITTING = "while the Council sits"
PULL_SECONDS = 0.4
"""How long a pull may take while the run is stopped. One that takes longer waits for the run to end its transaction."""


@dataclass
class Pulled:
    """What was in the journal when the pull had ended: whatever comes later must not have been sent."""

    what: str
    known: frozenset[str] = frozenset()

    def check(self, world: World) -> None:
        """Raises Broken when an order was intended that this pull forbids."""
        with world.models():
            late = [
                f"{order.side} {order.client_order_id}"
                for order in Order.select()
                if order.client_order_id not in self.known and order.side in FORBIDS[self.what]
            ]
        if late:
            raise Broken(f"nothing_is_intended_against_the_switch: {late} after {self.what}")


def pull(world: World, what: str) -> Pulled:
    """Pull the switch, and note what was intended by then."""
    if PULLS[what]:
        run = world.run(*PULLS[what], hasty=False)
        assert run.exit_code == 0, run.words
    else:
        world.halt_file.touch()
        world.note_pause()
    return note(world, what)


def note(world: World, what: str) -> Pulled:
    with world.connect() as connection:
        found = connection.execute('SELECT client_order_id FROM "order"').fetchall()
    return Pulled(what, frozenset(name for (name,) in found))


def release(world: World) -> None:
    """Nothing is pulled any more."""
    world.halt_file.unlink(missing_ok=True)
    world.must("resume", "--enable-buys")


def pull_at_request(world: World, arguments: tuple[str, ...], what: str, number: int) -> tuple[Run, Pulled]:
    """The run's `number`-th request is not answered before the switch is pulled."""
    seen: list[Request] = []
    pulled: list[Pulled] = []

    def hook(request: Request) -> None:
        seen.append(request)
        if len(seen) == number:
            pulled.append(pull(world, what))

    world.kraken.before = hook
    run = world.run(*arguments, hasty=False)
    world.kraken.before = None
    assert world.kraken.bugs == [], world.kraken.bugs
    assert pulled, f"there is no request {number}: {run.words}"
    return run, pulled[0]


def pull_at_statement(world: World, arguments: tuple[str, ...], what: str, number: int) -> tuple[Run, Pulled]:
    """The run stands still before its `number`-th statement while the switch is pulled.

    Where it holds the database then, the pull has to wait for the end of its transaction. A file waits for nobody:
    what such a transaction writes was begun before the file was there, and counts as before.
    """
    process = world.start(*arguments, end=End("statement", number, signal.SIGSTOP), hasty=False)
    assert process.wait_until_stopped(), f"there is no statement {number}: {process.wait().words}"
    if not PULLS[what]:
        begun_before = is_held(world)
        pulled = pull(world, what)
        process.go_on()
        run = process.wait()
        return run, note(world, what) if begun_before else pulled
    switch = world.start(*PULLS[what], hasty=False)
    came_first = switch.ends_within(PULL_SECONDS)
    if came_first:
        world.note_pause()
        pulled = note(world, what)
    process.go_on()
    run = switch.wait()
    assert run.exit_code == 0, run.words
    if not came_first:
        world.note_pause()
        pulled = note(world, what)
    return process.wait(), pulled


def is_held(world: World) -> bool:
    """Whether a run is in the middle of a transaction that writes."""
    with world.connect() as connection:
        if world.server:
            take = f"SELECT pg_try_advisory_xact_lock({WRITE_LOCK}, hashtext(current_schema()))"
            return connection.execute(take).fetchone() != (True,)
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


class KillSwitchRaces:
    """The switch is pulled somewhere in a run."""

    name = "kill switch"
    about = "the switch pulled at one position of a run"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Each pull at each position of each scene that it concerns."""
        for what in PULLS:
            for scene in ENTRIES if what != "freeze" else (*ENTRIES, *EXITS):
                yield from self.trials_of(stage, scene, what)
        yield from self.sittings()

    def trials_of(self, stage: Stage, scene: str, what: str) -> Iterator[str]:
        undisturbed = stage.undisturbed(scene)
        for position, count in {"request": len(undisturbed.requests), "statement": undisturbed.statements}.items():
            for number in range(1, count + 1):
                yield SEPARATOR.join((self.name, f"{what}, {position}", f"{scene}, {number}"))

    def sittings(self) -> Iterator[str]:
        for what in PULLS:
            for decision in ("BUY", "SELL"):
                yield SEPARATOR.join((self.name, f"{what}, {SITTING}", decision))
        yield SEPARATOR.join((self.name, f"pause, {SITTING}", "BUY, and resumed"))

    def play(self, stage: Stage, trial: str) -> int:
        _, where, which = trial.split(SEPARATOR)
        what, position = where.split(", ")
        if position == SITTING:
            play_sitting(stage, what, which)
            return 1
        scene, number = which.split(", ")
        world = stage.set(scene)
        try:
            play_at = pull_at_request if position == "request" else pull_at_statement
            run, pulled = play_at(world, SCENES[scene].arguments, what, int(number))
            check_words(run)
            pulled.check(world)
            come_to_order(world, pulled)
        finally:
            world.close()
        return 1


def play_sitting(stage: Stage, what: str, decision: str) -> None:
    """The Council decides, and before it says so, the switch is pulled."""
    decision, _, then = decision.partition(", ")
    world = stage.set("a tick that buys" if decision == "BUY" else "a tick that sells")
    try:
        world.council_sits(decision)
        tick = world.start("tick", hasty=False)
        world.wait_for_council()
        pulled = pull(world, what)
        if then:
            release(world)
        world.hear_council()
        run = tick.wait()
        check_words(run)
        assert run.exit_code == 0, run.words
        orders = [order.side for order in world.kraken.orders]
        if then:
            assert orders == ["buy"], "a resumed Council may buy"
        else:
            assert "paused while the Council decided" in run.stderr, run.words
            pulled.check(world)
        come_to_order(world, pulled if not then else None)
    finally:
        world.close()


def come_to_order(world: World, pulled: Pulled | None = None) -> None:
    """A paused world settles what was under way; released, it is as any other."""
    check(world, ALWAYS)
    if pulled and pulled.what != "freeze":  # a frozen one leaves what is open alone
        recover(world)
        pulled.check(world)
    release(world)
    recover(world)
    guard_is_awake(world)
