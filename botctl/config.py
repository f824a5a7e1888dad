"""Settings from the environment and .env, and the files and database they name."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from botctl.domain.checks import CheckResult
from botctl.domain.errors import ConfigError
from botctl.domain.settings import NAMES, Mode, Settings, parse_settings, unknown_settings
from botctl.store.database import close_database, open_database
from botctl.store.kill_switch import Switch
from botctl.store.location import BUSY_SECONDS, DatabaseLocation, find_location


@dataclass(frozen=True)
class LockTimeouts:
    """How long a command waits for other processes, in seconds."""

    run: float = 30.0
    """For another run to end. A tick does not wait."""
    statement: float = BUSY_SECONDS
    """For another process to finish writing to the database."""


@dataclass(frozen=True)
class Config:
    """The settings of this run, and the folder that BOTCTL_HOME names."""

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
        """The database file. For a database on a server, the path that the files beside it are named after."""
        return self.database.file or self.folder / "data" / f"{self.settings.botctl_mode}.db"

    @property
    def candles(self) -> Path:
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
    """Settings from `overrides`, then the environment, then `env_file` or .env in BOTCTL_HOME.

    Raises ConfigError that names every problem.
    """
    sources = load_sources(env_file)
    settings = parse_settings({**sources.values, **(overrides or {})})
    folder = Path(settings.botctl_home or sources.folder).absolute()
    warnings = _check_env_file_mode(sources.env_file, settings.botctl_mode)
    return Config(folder, sources.env_file, settings, warnings, lock_timeouts or LockTimeouts())


@dataclass(frozen=True)
class SettingSources:
    """The settings as texts, not yet checked, and the problems with where they come from."""

    folder: Path
    env_file: Path
    from_file: dict[str, str]
    from_environment: dict[str, str]
    problems: list[ConfigError]

    @property
    def values(self) -> dict[str, str]:
        """The environment wins."""
        return {**self.from_file, **self.from_environment}


def load_sources(env_file: Path | None = None) -> SettingSources:
    """The environment and .env. Raises ConfigError for unknown settings and for a .env that can't be read."""
    sources = read_sources(env_file)
    if problems := sources.problems:
        raise ConfigError("; ".join(problem.message for problem in problems), hint=problems[0].hint)
    return sources


def read_sources(env_file: Path | None = None) -> SettingSources:
    """The environment and .env, with every problem collected instead of raised."""
    environment = {name: value for name, value in os.environ.items() if name in NAMES}
    folder = Path(environment.get("BOTCTL_HOME") or Path.cwd())
    path = env_file or folder / ".env"
    from_file: dict[str, str] = {}
    problems: list[ConfigError] = []
    try:
        from_file, bad_lines = _read_env_file(path, must_exist=env_file is not None)
        problems += [
            ConfigError(f"{path} line {line} is not NAME=value", hint="fix or remove it") for line in bad_lines
        ]
    except ConfigError as error:
        problems.append(error)
    names = unknown_settings(os.environ, strict=False) + unknown_settings(from_file, strict=True)
    problems += [ConfigError(name, hint="correct or remove it") for name in names]
    return SettingSources(folder, path, from_file, environment, problems)


def _read_env_file(path: Path, *, must_exist: bool) -> tuple[dict[str, str], list[int]]:
    """The settings in a .env file, and the numbers of lines that set none. Raises ConfigError."""
    hint = "it must be a text file that you may read"
    try:
        if not path.is_file() and path.exists() and str(path) != os.devnull:  # reading a pipe would block
            raise ConfigError(f"can't read {path}: it is not a file", hint=hint)
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"{path} does not exist", hint="check --env-file") from None
        return {}, []
    except (OSError, ValueError) as error:
        raise ConfigError(f"can't read {path}: {error}", hint=hint) from error
    return _parse_env_file(text) if text.strip() else ({}, [])


def _parse_env_file(text: str) -> tuple[dict[str, str], list[int]]:
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
    """Write settings, readable by the owner only; False when the file exists already. Raises ConfigError."""
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


def _check_env_file_mode(path: Path, mode: Mode) -> tuple[str, ...]:
    """Warnings about a .env that others may read; in live mode, where it holds the keys, raises ConfigError."""
    if not others_may_read(path):
        return ()
    message = f"{path} can be read by others"
    if mode is Mode.LIVE:
        raise ConfigError(message, hint=f"chmod 600 {path}")
    return (f"{message}: chmod 600 {path}",)


def others_may_read(path: Path) -> bool:
    """Whether this file exists and users other than its owner have any right to it."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def check_file_modes(paths: Iterable[Path], mode: Mode) -> Iterator[CheckResult]:
    """One result for each of these files that exists."""
    for path in filter(Path.exists, paths):
        if others_may_read(path):
            status = "fail" if mode is Mode.LIVE else "warn"
            yield CheckResult("file modes", status, f"{path} can be read by others", f"chmod 600 {path}")
        else:
            yield CheckResult("file modes", "ok", f"only you can read {path}")


def make_data_folder(config: Config) -> None:
    """Create the folder of the file HALT, so that HALT can be created at once in an emergency. Raises ConfigError."""
    folder = config.halt_file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"can't create {folder}: {error.strerror}", hint="check its owner and mode") from error


@contextmanager
def open_store(config: Config, *, create: bool | None = None, durable: bool = True) -> Iterator[None]:
    """Open the database for the length of the block. By default a demo or paper database is created when missing."""
    if create is None:
        create = config.settings.botctl_mode in (Mode.DEMO, Mode.PAPER)
    open_database(config.database, config.settings.botctl_mode, create=create, durable=durable)
    try:
        yield
    finally:
        close_database()
