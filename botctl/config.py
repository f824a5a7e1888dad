"""Where this run lives: settings from the environment and .env, and the database they name."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from botctl.domain.errors import ConfigError
from botctl.domain.settings import NAMES, Mode, Settings, parse_settings, unknown_settings
from botctl.store.database import close_database, open_database
from botctl.store.kill_switch import Switch
from botctl.store.location import BUSY_SECONDS, DatabaseLocation, find_location


@dataclass(frozen=True)
class LockTimeouts:
    """How long a command waits for others, in seconds."""

    run: float = 30.0
    """Until another run ends. What cron starts does not wait."""
    statement: float = BUSY_SECONDS
    """Until another process has finished writing to the database."""


@dataclass(frozen=True)
class Config:
    """Where this run lives, and with which settings."""

    folder: Path
    env_file: Path
    settings: Settings
    warnings: tuple[str, ...] = ()
    lock_timeouts: LockTimeouts = LockTimeouts()

    @property
    def database(self) -> DatabaseLocation:
        return find_location(self.settings.database_url, self.folder, self.lock_timeouts.statement)

    @property
    def database_file(self) -> Path:
        """The database, or for one on a server the file it would be: what botctl keeps beside it goes there."""
        return self.database.file or self.folder / "data" / f"{self.settings.botctl_mode}.db"

    @property
    def candles(self) -> Path:
        """Where candles are kept."""
        return self.folder / "data" / "candles"

    @property
    def halt_file(self) -> Path:
        return self.database_file.with_name("HALT")

    @property
    def switch(self) -> Switch:
        return Switch(self.halt_file)


def load_config(
    env_file: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    lock_timeouts: LockTimeouts | None = None,
) -> Config:
    """Settings from `overrides`, then the environment, then .env in the home or `env_file`.

    Raises ConfigError that names every problem.
    """
    folder, path, values = read_values(env_file)
    settings = parse_settings({**values, **(overrides or {})})
    folder = Path(settings.botctl_home or folder).absolute()
    return Config(folder, path, settings, _check_env_mode(path, settings.botctl_mode), lock_timeouts or LockTimeouts())


def read_values(env_file: Path | None = None) -> tuple[Path, Path, dict[str, str]]:
    """The home, its .env, and what both the environment and .env set, not yet believed.

    Raises ConfigError for names that look like settings and are none, and for a .env that can't be read.
    """
    sources = read_sources(env_file)
    if problems := sources.problems:
        raise ConfigError("; ".join(problem.message for problem in problems), hint=problems[0].hint)
    return sources.folder, sources.env_file, sources.values


@dataclass(frozen=True)
class SettingSources:
    """Where settings come from, and what is wrong with these places, not yet with the values."""

    folder: Path
    env_file: Path
    from_file: dict[str, str]
    from_environment: dict[str, str]
    problems: list[ConfigError]

    @property
    def values(self) -> dict[str, str]:
        """The environment wins."""
        return {**self.from_file, **self.from_environment}


def read_sources(env_file: Path | None = None) -> SettingSources:
    """The environment and .env. Raises nothing: every problem is in the answer."""
    given = {name: value for name, value in os.environ.items() if name in NAMES}
    folder = Path(given.get("BOTCTL_HOME") or Path.cwd())
    path = env_file or folder / ".env"
    from_file: dict[str, str] = {}
    problems: list[ConfigError] = []
    try:
        from_file, bad_lines = _read_env_file(path, must_exist=env_file is not None)
        problems += [
            ConfigError(f"{path} line {line} is no NAME=value", hint="mend or remove it") for line in bad_lines
        ]
    except ConfigError as error:
        problems.append(error)
    names = unknown_settings(os.environ, strict=False) + unknown_settings(from_file, strict=True)
    problems += [ConfigError(name, hint="correct or remove it") for name in names]
    return SettingSources(folder, path, from_file, given, problems)


def _read_env_file(path: Path, *, must_exist: bool) -> tuple[dict[str, str], list[int]]:
    """The names and values in a .env file, and the numbers of lines that are none: each may be the one that mattered.

    Raises ConfigError for a file that can't be read.
    """
    try:
        if not path.is_file() and path.exists() and str(path) != os.devnull:  # a pipe would keep us waiting
            raise ConfigError(f"{path} can't be read: it is no file", hint="it must be a text file you may read")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"there is no file {path}", hint="check --env-file") from None
        return {}, []
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read: {error}", hint="it must be a text file you may read") from error
    if not text.strip():
        return {}, []
    from dotenv.parser import parse_stream  # 10 ms, and there may be no .env

    values: dict[str, str] = {}
    bad_lines: list[int] = []
    for binding in parse_stream(StringIO(text)):
        line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\n"))
        if binding.error or (binding.key is not None and binding.value is None):
            bad_lines.append(line)
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values, bad_lines


def write_env_file(path: Path, text: str) -> bool:
    """Write settings, unless the file is there: then False. Owner-only from its first byte."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}", hint="check the folder's owner and mode") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def _check_env_mode(path: Path, mode: Mode) -> tuple[str, ...]:
    """A .env that others may read is a warning, and in live mode, where it holds the keys, an error."""
    if not others_may_read(path):
        return ()
    message = f"{path} can be read by others"
    if mode is Mode.LIVE:
        raise ConfigError(message, hint=f"chmod 600 {path}")
    return (f"{message}: chmod 600 {path}",)


def others_may_read(path: Path) -> bool:
    """Whether this file is there, and not its owner's alone."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def make_data_folder(home: Config) -> None:
    """Where the file HALT would go, which must be at hand in a hurry. Raises ConfigError."""
    folder = home.halt_file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"can't make {folder}: {error.strerror}", hint="check its owner and mode") from error


def is_there(home: Config) -> bool:
    """Whether the home's database exists. Raises ConfigError or DatabaseUnreachable when its server can't be asked."""
    return home.database.exists()


@contextmanager
def open_store(home: Config, *, create: bool | None = None, durable: bool = True) -> Iterator[None]:
    """The database of this home for the length of the block. Only `init` creates a live one,
    and only `replay` one of its own."""
    if create is None:
        create = home.settings.botctl_mode in (Mode.DEMO, Mode.PAPER)
    open_database(home.database, home.settings.botctl_mode, create=create, durable=durable)
    try:
        yield
    finally:
        close_database()
