"""One fork server and one stage for all trials that a test process plays."""

from collections.abc import Iterator

import pytest

from tests.chaos.processes import Processes
from tests.chaos.scenes import Stage
from tests.postgres import Server


@pytest.fixture(scope="session")
def stage(database_server: Server | None) -> Iterator[Stage]:
    with Processes() as processes:
        stage = Stage(processes, database_server)
        yield stage
        stage.close()
