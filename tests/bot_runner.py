"""Runs botctl in a home of its own, with its settings and databases."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from botctl.cli.app import run_command
from botctl.config import LockTimeouts
from botctl.domain.configuration.database_url import ServerUrl
from botctl.domain.configuration.settings import Mode
from botctl.domain.serialization import JSON_SCHEMA_VERSION
from botctl.store.database import open_database
from botctl.store.location import DatabaseLocation, PostgresServer, SqliteFile, close_database
from tests import databases, postgres
from tests.forked import ForkedRun

PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Run:
    """The result of one command."""

    exit_code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """The document, without the version that each of them has."""
        return without_version(json.loads(self.stdout))


def without_version(document: Any) -> Any:
    """A document of `--json`, proved to carry its version: a list has it in each object."""
    for each in document if isinstance(document, list) else [document]:
        assert each.pop("schema_version") == JSON_SCHEMA_VERSION
    return document


class Settings:
    """The settings of all runs of a test: the environment, which the test's end restores."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    @property
    def mode(self) -> str:
        return os.environ.get("BOTCTL_MODE", "demo")

    def set(self, **settings: str) -> None:
        for name, value in settings.items():
            self._monkeypatch.setenv(name, value)

    def unset(self, *names: str) -> None:
        for name in names:
            self._monkeypatch.delenv(name, raising=False)


class ModeDatabases:
    """A database for each mode: a file of the home, or one of its own on `server`."""

    def __init__(self, home: Path, server: postgres.Server | None) -> None:
        self.server = server
        self._home = home
        self._urls: dict[str, str] = {}

    def url_of(self, mode: str) -> str:
        """The address on the server; the database is created at the first call."""
        assert self.server is not None
        if mode not in self._urls:
            self._urls[mode] = self.server.new_database()
        return self._urls[mode]

    def file_of(self, mode: str) -> Path:
        return self._home / "data" / f"{mode}.db"

    def where(self, mode: str) -> DatabaseLocation:
        """The database, be it a file or on a server."""
        return PostgresServer(ServerUrl(self._urls[mode])) if self.server else SqliteFile(self.file_of(mode))

    def drop_all(self) -> None:
        for url in self._urls.values():
            assert self.server is not None
            self.server.drop(url)


class Commands:
    """Runs commands: in this process, or as a process of its own where that matters."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._home = home
        self._capsys = capsys
        self.lock_timeouts: LockTimeouts | None = None
        """How long commands in this process wait for locks; None for the default."""

    def run(self, *arguments: str) -> Run:
        """One command, in this process."""
        self._capsys.readouterr()
        try:
            code = run_command(list(arguments), self.lock_timeouts)
        finally:
            close_database()
        out, err = self._capsys.readouterr()
        return Run(code, out, err)

    def spawn(self, *arguments: str, packages: Path | None = None, **options: Any) -> subprocess.Popen[str]:
        """The same command as a process, which may import what is in the folder `packages` as well."""
        python_path = os.pathsep.join(map(str, filter(None, [PROJECT, packages])))
        return subprocess.Popen(
            [sys.executable, "-m", "botctl", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=self._home,
            env={**os.environ, "PYTHONPATH": python_path},
            **options,
        )


class BotRunner:
    """botctl in one home. Its database is that of the current mode."""

    def __init__(
        self,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        server: postgres.Server | None = None,
    ) -> None:
        self.home = home
        self._settings = Settings(monkeypatch)
        self._databases = ModeDatabases(home, server)
        self._commands = Commands(home, capsys)
        self.set(BOTCTL_HOME=str(home))
        if server:
            self.set(BOTCTL_MODE="demo")

    # Settings

    def set(self, **settings: str) -> None:
        """Settings for all later runs. On a server each mode has its own database."""
        mode = settings.get("BOTCTL_MODE", "").lower()
        if self.server and mode in list(Mode):
            settings.setdefault("DATABASE_URL", self.url_of(mode))
        self._settings.set(**settings)

    def unset(self, *names: str) -> None:
        self._settings.unset(*names)

    # Commands

    def run(self, *arguments: str) -> Run:
        """One command, in this process."""
        return self._commands.run(*arguments)

    def wait_for_others(self, timeouts: LockTimeouts) -> None:
        """Set how long commands in this process wait for locks."""
        self._commands.lock_timeouts = timeouts

    def json(self, *arguments: str) -> Any:
        """The JSON answer of a command that must succeed."""
        run = self.run(*arguments, "--json")
        assert run.exit_code == 0, run.stdout + run.stderr
        return run.json()

    def spawn(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """The same command as a process."""
        return self._commands.spawn(*arguments, **options)

    def fork(self, *arguments: str) -> ForkedRun:
        """The same command as a process that is a fork of this one: far cheaper where its start is not in question."""
        return ForkedRun(self.home, arguments)

    def fork_to_its_end(self, *arguments: str) -> Run:
        """A fork run to its end."""
        return Run(*self.fork(*arguments).wait())

    def process(self, *arguments: str) -> Run:
        """A process run to its end."""
        process = self.spawn(*arguments)
        out, err = process.communicate(timeout=60)
        return Run(process.returncode, out, err)

    def positions(self) -> list[dict[str, Any]]:
        return self.json("positions")  # type: ignore[no-any-return]

    def trades(self) -> list[dict[str, Any]]:
        return self.json("trades")  # type: ignore[no-any-return]

    def orders(self) -> list[dict[str, Any]]:
        return self.json("orders")  # type: ignore[no-any-return]

    # The database

    @property
    def server(self) -> postgres.Server | None:
        """The PostgreSQL server of the databases; None on SQLite."""
        return self._databases.server

    @property
    def mode(self) -> str:
        """The current mode."""
        return self._settings.mode

    def url_of(self, mode: str) -> str:
        """The address of a mode's database on the server."""
        return self._databases.url_of(mode)

    def drop_databases(self) -> None:
        self._databases.drop_all()

    @property
    def where(self) -> DatabaseLocation:
        """The database, be it a file or on a server."""
        return self._databases.where(self._settings.mode)

    @property
    def database(self) -> Path:
        """The file of a SQLite database."""
        return self._databases.file_of(self._settings.mode)

    def execute(self, statement: str) -> None:
        """Change the database from outside, as a user with its shell does."""
        databases.execute(self.where, statement)

    def rows(self, *, without: tuple[str, ...] = ()) -> dict[str, list[Any]]:
        """Every row of every table, read without a change."""
        return databases.rows_of(self.where, without=without)

    def open_store(self) -> None:
        """Open the database to read it with the models."""
        open_database(self.where, Mode(self._settings.mode), create=False)
