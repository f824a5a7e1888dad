"""Settings from the environment and .env, and the files and database they name."""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from botctl.domain.configuration.child_environment import NamedVariables, find_named
from botctl.domain.configuration.setting_problems import (
    GUARDING,
    BadSetting,
    about,
    bad_value,
    unknown_settings,
)
from botctl.domain.configuration.settings import (
    NAMES,
    SETTINGS,
    Mode,
    Settings,
    missing_for_live,
    parse_leniently,
    shown_value,
)
from botctl.domain.errors import ConfigError
from botctl.domain.health.checks import CheckResult
from botctl.env_file import EnvFile, others_may_read, read_env_file
from botctl.store.database import close_database, open_database
from botctl.store.evidence.last_good_settings import load_last_good, save_last_good
from botctl.store.kill_switch import Switch
from botctl.store.location import BUSY_SECONDS, DatabaseLocation, find_location

log = logging.getLogger(__name__)

KEYS = frozenset({"KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY"})


@dataclass(frozen=True)
class LockTimeouts:
    """How long a command waits for other processes, in seconds."""

    run: float = 30.0
    """For another run to end. A tick does not wait."""
    statement: float = BUSY_SECONDS
    """For another process to finish writing to the database."""
    grace: float = 60.0
    """How far beyond TICK_TIMEOUT another run may hold the lock before a tick ends it."""


@dataclass(frozen=True)
class Config:
    """The settings of this run, and the folder that BOTCTL_HOME names."""

    folder: Path
    env_file: Path
    settings: Settings
    warnings: tuple[str, ...] = ()
    lock_timeouts: LockTimeouts = LockTimeouts()
    problems: tuple[BadSetting, ...] = ()
    """What is wrong with settings that exits don't need: nothing is bought until it is mended."""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The settings as texts."""
    named: bool = True
    """Whether a .env or the environment names this home. Else it is the demo, perhaps in the wrong folder."""
    council_variables: NamedVariables = field(default_factory=NamedVariables)
    """What COUNCIL_COMMAND sees of the environment beside what every program does."""

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
    def halt_files(self) -> tuple[Path, ...]:
        """Each of these files pauses: the one beside the database, and the one in the home, wherever that is."""
        return tuple(dict.fromkeys((self.database_file.with_name("HALT"), self.folder / "data" / "HALT")))

    @property
    def switch(self) -> Switch:
        return Switch(self.halt_files)

    @property
    def stuck_after(self) -> float:
        """Seconds after which another run that holds the lock hangs."""
        return float(self.settings.tick_timeout) + self.lock_timeouts.grace

    def require(self, *names: str) -> None:
        """Raises ConfigError when something is wrong with one of these settings."""
        raise_together([problem for problem in self.problems if not problem.names.isdisjoint(names)])

    def require_account(self) -> None:
        """Raises ConfigError when the settings that say whose account it is are missing or wrong."""
        live = self.settings.botctl_mode is Mode.LIVE
        if self.settings.botctl_mode is not Mode.DEMO:
            self.require("KRAKEN_API_URL")
        if live:
            self.require(*KEYS)
        missing = missing_for_live(self.settings)
        if not KEYS.isdisjoint(missing):
            raise ConfigError(f"live mode needs {', '.join(missing)}", hint=f"set it in {self.env_file}")

    @property
    def doubtful(self) -> frozenset[str]:
        """The names of the settings with a problem."""
        return frozenset().union(*(problem.names for problem in self.problems))


def load_config(
    env_file: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    lock_timeouts: LockTimeouts | None = None,
    *,
    strict: bool = True,
    new_home: bool = False,
) -> Config:
    """Settings from `overrides`, then the environment, then `env_file` or .env in BOTCTL_HOME.

    Raises ConfigError that names every problem; without `strict` only those with what every command needs, and the
    others are in the result's `problems`. A `new_home` need not exist.
    """
    sources = read_sources(env_file, new_home=new_home)
    values = {**sources.values, **(overrides or {})}
    settings, wrong = parse_leniently(values)
    bad_values = [bad_value(name, sentence) for name, sentence in wrong.items()]
    raise_together([each for each in sources.problems if strict or each.needed_by_all])
    raise_together([each for each in bad_values if strict or each.needed_by_all])
    folder = find_home(settings.botctl_home or str(sources.folder))
    unclear = [] if new_home else find_unclear_home(folder, values)
    raise_together(unclear)
    unknown = find_unknown_channels(settings)
    raise_together(unknown if strict else [])
    problems, warnings = [*sources.problems, *bad_values, *unknown], list[str]()
    if others_may_read(sources.env_file):
        problem = BadSetting(f"{sources.env_file} can be read by others", hint=f"chmod 600 {sources.env_file}")
        if settings.botctl_mode is Mode.LIVE:  # it holds the keys
            raise_together([problem] if strict else [])
            problems.append(problem)
        else:
            warnings.append(str(problem))
    if not strict and "INITIAL_BALANCE" in missing_for_live(settings) and "INITIAL_BALANCE" not in wrong:
        problems.append(
            about("INITIAL_BALANCE", "live mode needs INITIAL_BALANCE", hint=f"set it in {sources.env_file}")
        )
    variables = named_variables(settings, sources)
    warnings += variables.missing
    timeouts = lock_timeouts or LockTimeouts()
    named = os.path.lexists(sources.env_file) or any(_names_a_home(name) for name in (*os.environ, *(overrides or {})))
    return Config(
        folder, sources.env_file, settings, tuple(warnings), timeouts, tuple(problems), values, named, variables
    )


def _names_a_home(name: str) -> bool:
    return name.startswith("BOTCTL_") or name == "DATABASE_URL"


def raise_together(problems: Sequence[ConfigError]) -> None:
    """Raise these problems as one ConfigError, if there are any."""
    if problems:
        raise ConfigError("; ".join(problem.message for problem in problems), hint=problems[0].hint)


@dataclass(frozen=True)
class SettingSources:
    """The settings as texts, not yet checked, and the problems with where they come from."""

    folder: Path
    env_file: Path
    from_file: dict[str, str]
    from_environment: dict[str, str]
    problems: list[BadSetting]

    @property
    def values(self) -> dict[str, str]:
        """The environment wins."""
        return {**self.from_file, **self.from_environment}


def named_variables(settings: Settings, sources: SettingSources) -> NamedVariables:
    """The variables of COUNCIL_ENV, from the environment or .env."""
    written = [sources.values.get(setting.name, "").strip() for setting in SETTINGS if setting.secret]
    secrets = {*settings.secrets, *written}  # one of another form than Kraken's is a secret all the same
    return find_named(settings.council_env or (), {**sources.from_file, **os.environ}, secrets)


def load_sources(env_file: Path | None = None) -> SettingSources:
    """The environment and .env. Raises ConfigError for unknown settings and for a .env that can't be read."""
    sources = read_sources(env_file)
    raise_together(sources.problems)
    return sources


def read_sources(env_file: Path | None = None, *, new_home: bool = False) -> SettingSources:
    """The environment and .env, with every problem collected instead of raised. A `new_home` need not exist."""
    environment = {name: value for name, value in os.environ.items() if name in NAMES}
    folder = find_home(environment.get("BOTCTL_HOME", ""))
    path = env_file or folder / ".env"
    missing = [] if new_home else _problems_with_home(folder)
    try:
        file = EnvFile({}, []) if missing and not env_file else read_env_file(path, must_exist=env_file is not None)
    except ConfigError as error:
        file = EnvFile({}, [_unreadable(error, {} if env_file else environment)])
    problems = [*missing, *file.problems, *unknown_settings(os.environ, strict=False)]
    return SettingSources(folder, path, file.values, environment, problems)


def find_home(named: str) -> Path:
    """The home's real path: one home reached by two names is one. Raises ConfigError without a working directory."""
    try:
        return Path(os.path.realpath(named or Path.cwd()))
    except FileNotFoundError:
        hint = "go to the folder of your bot, or set BOTCTL_HOME to its full path"
        raise ConfigError("the working directory no longer exists", hint=hint) from None


def _problems_with_home(folder: Path) -> list[BadSetting]:
    try:
        os.stat(os.path.join(folder, "."))  # also finds that it is not a folder, or that this user may not enter it
    except FileNotFoundError:
        message, hint = f"BOTCTL_HOME {folder} does not exist", "correct it, or run `botctl init`"
    except OSError as error:
        message, hint = f"BOTCTL_HOME {folder} can't be used: {error.strerror}", "run botctl as the user who owns it"
    else:
        return []
    return [BadSetting(message, hint=hint, names=["BOTCTL_HOME"], needed_by_all=True)]


def find_unclear_home(folder: Path, values: Mapping[str, str]) -> list[BadSetting]:
    """Why it is not clear whose money it is, with all settings known: the home is gone, or its mode is."""
    return _problems_with_home(folder) or _unnamed_mode(folder, values)


def find_unknown_channels(settings: Settings) -> list[BadSetting]:
    """What is wrong with NOTIFY_URLS by its form. The other addresses in it are told of alarms all the same."""
    wrong = [
        place for place, url in enumerate(settings.channels, 1) if not re.match(r"[A-Za-z][\w.+-]*:", url.reveal())
    ]
    if not wrong:
        return []
    message = f"address {', '.join(map(str, wrong))} of NOTIFY_URLS is not an address that apprise knows"
    return [about("NOTIFY_URLS", message, hint="write it like mailto://... or tgram://..., see `botctl notify --test`")]


def _unnamed_mode(folder: Path, values: Mapping[str, str]) -> list[BadSetting]:
    """The problem with the demo, where another mode's database shows that the line of BOTCTL_MODE was lost."""
    if "BOTCTL_MODE" in values:
        return []
    for mode in (Mode.LIVE, Mode.PAPER):
        if (file := folder / "data" / f"{mode}.db").exists():
            message = f"BOTCTL_MODE is not set, but {file} exists"
            hint = f"set BOTCTL_MODE={mode}, or BOTCTL_MODE=demo if you mean the demo"
            return [BadSetting(message, hint=hint, names=["BOTCTL_MODE"], needed_by_all=True)]
    return []


def _unreadable(error: ConfigError, environment: Mapping[str, str]) -> BadSetting:
    """The problem with a .env that can't be read. It may name another account, unless the environment does."""
    live = environment.get("BOTCTL_MODE", "").strip().lower() == Mode.LIVE
    needed = ("BOTCTL_MODE", "KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY") if live else ("BOTCTL_MODE",)
    unknown = frozenset(NAMES) - environment.keys()
    return BadSetting(error.message, hint=error.hint, names=unknown, needed_by_all=not unknown.isdisjoint(needed))


def check_file_modes(paths: Iterable[Path], mode: Mode) -> Iterator[CheckResult]:
    """One result for each of these files that exists."""
    for path in filter(Path.exists, paths):
        if others_may_read(path):
            status = "fail" if mode is Mode.LIVE else "warn"
            yield CheckResult("file modes", status, f"{path} can be read by others", f"chmod 600 {path}")
        else:
            yield CheckResult("file modes", "ok", f"only you can read {path}")


def make_data_folder(config: Config) -> None:
    """Create the folders of the files HALT, so that HALT can be created at once in an emergency. Raises ConfigError."""
    for folder in {file.parent for file in config.halt_files}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"can't create {folder}: {error.strerror}", hint="check its owner and permissions"
            ) from error


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


def remember_settings(config: Config) -> None:
    """Keep the guard's settings in the open database, unless something is wrong with one of them."""
    if config.doubtful.isdisjoint(GUARDING):
        save_last_good({name: text for name in GUARDING if (text := config.values.get(name, "").strip())})


def with_last_good_settings(config: Config) -> Config:
    """The same settings, but those of the guard that have a problem as they were when they last had none. Needs the
    open database."""
    doubtful = [name for name in GUARDING if name in config.doubtful]
    if not doubtful:
        return config
    kept = load_last_good()
    good = {name: text for name, text in config.values.items() if name not in doubtful}
    settings, _ = parse_leniently(good | {name: kept[name] for name in doubtful if name in kept})
    for name in doubtful:
        source = "as at the last good tick" if name in kept else "the default"
        log.warning("%s: %s is used, %s", name, shown_value(settings, name) or "nothing", source)
    return replace(config, settings=settings)


def why_no_buys(config: Config) -> str:
    """Why the settings allow no buys; empty when they do."""
    if config.problems:
        return "the settings are wrong"
    return "LIVE_TRADING is no" if config.settings.live_trading_disabled else ""
