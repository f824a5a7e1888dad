"""The ground gives way under a run. A part of all that may happen; `python -m tests.chaos` has the rest."""

import pytest

from tests.chaos.disasters import READ_ONLY, Disasters
from tests.chaos.migrations import NEWEST, Migrations
from tests.chaos.scenes import SCENES, Stage
from tests.databases import DOWNGRADES
from tests.quick import by_turns, parametrize

IN_SHORT = ("a buy by hand", "a tick that stops out two")
ONE_IN = 69
full_disk = pytest.mark.sqlite("a full disk of a server is the server's own")
locked = pytest.mark.sqlite("tests/scenarios/test_locked.py locks a server too")


@full_disk
@pytest.mark.long
@pytest.mark.parametrize("scene", IN_SHORT)
def test_a_full_disk_at_any_write_loses_nothing_and_is_named(scene: str, stage: Stage) -> None:
    disasters = Disasters()

    for trial in list(disasters.full_disks(stage, scene))[::ONE_IN]:
        disasters.play(stage, trial)


@pytest.mark.long
def test_a_log_file_on_a_full_disk_fails_nothing(stage: Stage) -> None:
    Disasters().play(stage, "disasters: full log file: a buy by hand, 1000000")


@parametrize(
    "what",
    [what if what == "everything" else pytest.param(what, marks=pytest.mark.sqlite("a file")) for what in READ_ONLY],
    quick=1,
)
def test_what_cannot_be_written_is_named(what: str, stage: Stage) -> None:
    Disasters().play(stage, f"disasters: read-only: a stop that is hit, {what}")


@locked
@parametrize("number", [4, 0], quick=1)
def test_a_database_locked_at_the_start_or_at_the_order_loses_nothing(number: int, stage: Stage) -> None:
    Disasters().play(stage, f"disasters: locked: a buy by hand, {number}")


@locked
@by_turns("scene", SCENES, turn=2, of=3)
def test_a_database_locked_at_any_request_loses_nothing(scene: str, stage: Stage) -> None:
    disasters = Disasters()
    offset = list(SCENES).index(scene) % ONE_IN

    for trial in list(disasters.locks(stage, scene))[offset::ONE_IN]:
        disasters.play(stage, trial)


def test_every_step_of_the_schema_can_be_taken_back_here() -> None:
    assert set(range(2, NEWEST)) <= set(DOWNGRADES)


@pytest.mark.sqlite("tests/store/test_migrations.py has the server's")
@parametrize("trial", ["before: 1", "full disk: 2"], quick=0)
def test_a_migration_that_ends_at_its_commit_or_on_a_full_disk_is_whole(trial: str, stage: Stage) -> None:
    Migrations().play(stage, f"migrations: {trial}")
