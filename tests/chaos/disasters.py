"""The ground gives way under a run: the disk is full at each of its writes, the database is read-only, or another
process keeps it locked. A run that fails says so in clear words; once it is mended, all is as it should be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.campaign import SEPARATOR
from tests.chaos.processes import Run
from tests.chaos.scenes import SCENES, Stage, act, check_words, guard_is_awake, recover
from tests.chaos.world import World
from tests.fake_kraken import Request

PAGE, FRAME, INDEX = 4096, 4096 + 24, 32768
"""Bytes of SQLite: a page, the same in its write-ahead log, and the log's index, a file that is always so long."""
SMALL_DISKS = (PAGE, INDEX - PAGE, INDEX, INDEX + PAGE, INDEX + 8 * PAGE)
"""Bytes that no file may exceed: too few for the index; enough for it, but not for the database."""
LOG_BYTES = 1_000_000
NOBODY = 65534
BUSY_SECONDS = 0.2
"""How long a process waits for a locked database: the product's ten seconds are tried once."""
CONFIGURATION, BUSY = 78, 75


class Disasters:
    """One run on bad ground."""

    name = "disasters"
    about = "a full disk, a read-only or a locked database under a run"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Every write of every scene is once the first that fails; every request of it once the one with the lock."""
        for scene in SCENES:
            yield from self.full_disks(stage, scene)
            yield from self.locks(stage, scene)
            for what in READ_ONLY:
                yield SEPARATOR.join((self.name, "read-only", f"{scene}, {what}"))
            yield SEPARATOR.join((self.name, "locked for really long", f"{scene}, 0"))

    def full_disks(self, stage: Stage, scene: str) -> Iterator[str]:
        for number in range(1, count_frames(stage, scene) + 1):
            yield SEPARATOR.join((self.name, "full disk", f"{scene}, {number}"))
        for size in SMALL_DISKS:
            yield SEPARATOR.join((self.name, "small disk", f"{scene}, {size}"))
        yield SEPARATOR.join((self.name, "full log file", f"{scene}, {LOG_BYTES}"))

    def locks(self, stage: Stage, scene: str) -> Iterator[str]:
        """0 is the start of the run; later ones are its requests."""
        for number in range(len(stage.undisturbed(scene).requests) + 1):
            yield SEPARATOR.join((self.name, "locked", f"{scene}, {number}"))
            yield SEPARATOR.join((self.name, "locked until the next request", f"{scene}, {number}"))

    def play(self, stage: Stage, trial: str) -> int:
        _, kind, where = trial.split(SEPARATOR)
        scene, what = where.split(", ")
        world = stage.set(scene)
        try:
            match kind:
                case "full disk":
                    run = on_a_full_disk(world, scene, int(what))
                case "small disk":
                    run = act(world, scene, most_bytes=int(what))
                    check_full(run)
                case "full log file":
                    run = with_a_full_log(world, scene)
                case "read-only":
                    run = where_nothing_can_be_written(world, scene, what)
                case _:
                    run = while_locked(world, scene, kind, int(what))
            check_words(run)
            recover(world)
            guard_is_awake(world)
        finally:
            world.close()
        return 1


# Full disks


@contextmanager
def swollen(world: World) -> Iterator[int]:
    """SQLite's write-ahead log is longer than any other file of the home, and stays: its size.

    So a limit on the size of files lets everything be written but the log, and that up to a chosen frame.
    """
    with world.connect() as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        number = 0
        while not world.log.exists() or world.log.stat().st_size <= max(INDEX, world.database.stat().st_size):
            number += 1
            connection.execute(f"PRAGMA user_version = {number}")  # botctl has no use for it
        yield world.log.stat().st_size


def count_frames(stage: Stage, scene: str) -> int:
    """How many frames the scene's command writes into the log."""
    world = stage.set(scene)
    try:
        with swollen(world) as size:
            act(world, scene)
            grown = world.log.stat().st_size - size
        return grown // FRAME
    finally:
        world.close()


def on_a_full_disk(world: World, scene: str, number: int) -> Run:
    """The `number`-th frame and all after it can't be written."""
    with swollen(world) as size:
        run = act(world, scene, most_bytes=size + (number - 1) * FRAME + FRAME // 2)
    check_full(run)
    return run


def with_a_full_log(world: World, scene: str) -> Run:
    """Only LOG_FILE can't be written: no reason to fail, nor to be silent about it."""
    file = world.home / "bot.log"
    file.write_bytes(b"." * LOG_BYTES)
    world.settings["LOG_FILE"] = "bot.log"
    run = act(world, scene, most_bytes=LOG_BYTES)
    del world.settings["LOG_FILE"]
    assert run.exit_code == (3 if scene == "a drawdown" else 0), run.words
    assert run.stderr.count("can't write LOG_FILE") == 1, run.words
    return run


def check_full(run: Run) -> None:
    """A run that failed names the disk."""
    if run.exit_code not in (0, 3):
        assert "disk" in run.stderr, run.words


# What may not be written

READ_ONLY = {
    "the database": "data/live.db",
    "its folder": "data",
    "everything": "",
}
"""What a trial takes the right to write from, beside the home."""


def where_nothing_can_be_written(world: World, scene: str, what: str) -> Run:
    """As somebody whom permission bits bind: they don't bind root."""
    uid = NOBODY if os.getuid() == 0 else None
    places = [world.home, *world.home.rglob("*")]
    modes = {place: place.stat().st_mode & 0o777 for place in places}
    if uid is not None and what != "everything":
        give_to(places, uid)
    for place in places if what == "everything" else [world.home / READ_ONLY[what]]:
        place.chmod(modes[place] & 0o555)
    run = act(world, scene, uid=uid)
    for place, mode in modes.items():
        place.chmod(mode)
    give_to(places, os.getuid())
    assert run.exit_code == CONFIGURATION, run.words
    lines = [
        line for line in run.stderr.splitlines() if ".env: Permission denied" not in line
    ]  # that is only a warning
    assert len(lines) == 1, run.words
    assert "can't" in run.stderr, run.words
    assert str(world.home) in run.stderr.replace("\n", ""), run.words
    return run


def give_to(places: list[Path], uid: int) -> None:
    for place in places:
        if place.exists():
            os.chown(place, uid, -1)


# Locks


def while_locked(world: World, scene: str, kind: str, number: int) -> Run:
    """Another process takes the database for itself at one request, 0 for the start, and keeps it for longer than
    anybody waits: to the end of the run, or until the next request shows that the run has given up waiting."""
    wait_seconds = None if kind == "locked for really long" else BUSY_SECONDS
    with world.connect() as other:
        seen = 0

        def hook(_request: Request) -> None:
            nonlocal seen
            seen += 1
            if seen == number:
                other.execute("BEGIN EXCLUSIVE")
            elif seen == number + 1 and kind == "locked until the next request" and other.in_transaction:
                other.execute("ROLLBACK")

        if number == 0:
            other.execute("BEGIN EXCLUSIVE")
        world.kraken.before = hook
        run = act(world, scene, busy_seconds=wait_seconds)
        world.kraken.before = None
        assert world.kraken.bugs == [], world.kraken.bugs
    if run.exit_code not in (0, 3):
        assert "locked" in run.stderr, run.words
    return run
