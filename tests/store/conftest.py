"""A database of its own for each test, opened as a run opens it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from botctl.domain.settings import Mode
from botctl.store.database import close_database, open_database


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where a database may come to be."""
    yield tmp_path / "data" / "demo.db"
    close_database()


@pytest.fixture
def store(path: Path) -> Path:
    """A new demo database, open."""
    open_database(path, Mode.DEMO, create=True)
    return path
