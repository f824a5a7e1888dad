"""One fork server and one stage for all trials of a test file."""

from collections.abc import Iterator

import pytest

from tests.chaos.scenes import Stage
from tests.chaos.victims import Victims
from tests.postgres import Server


@pytest.fixture(scope="module")
def stage(kept_on: Server | None) -> Iterator[Stage]:
    with Victims() as victims:
        yield Stage(victims, kept_on)
