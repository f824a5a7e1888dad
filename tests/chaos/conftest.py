"""One fork server and one stage for all trials of a test file."""

from collections.abc import Iterator

import pytest

from tests.chaos.processes import Processes
from tests.chaos.scenes import Stage
from tests.postgres import Server


@pytest.fixture(scope="module")
def stage(database_server: Server | None) -> Iterator[Stage]:
    with Processes() as processes:
        yield Stage(processes, database_server)
