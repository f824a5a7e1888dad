"""A database of its own for each test, opened as a run opens it: a file, or what the tests are told to run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from botctl.domain.configuration.database_url import ServerUrl
from botctl.domain.configuration.settings import Mode
from botctl.store.database import close_database, open_database
from botctl.store.location import DatabaseLocation, PostgresServer, SqliteFile
from tests import postgres


@pytest.fixture
def opened(tmp_path: Path, database_server: postgres.Server | None) -> Iterator[DatabaseLocation]:
    """A new demo database of either kind, open."""
    url = database_server.new_database() if database_server else ""
    where = PostgresServer(ServerUrl(url)) if url else SqliteFile(tmp_path / "data" / "demo.db")
    open_database(where, Mode.DEMO, create=True)
    yield where
    close_database()
    if database_server:
        database_server.drop(url)
