"""Settings and command lines that nobody meant: every value of every setting, lines of .env, and words of commands."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from botctl.config import load_config
from botctl.domain.configuration.settings import NAMES, SETTINGS, Settings, parse_settings
from botctl.domain.errors import ConfigError
from botctl.domain.money import to_amount
from tests.chaos.invariants import ALWAYS, check
from tests.chaos.processes import Run
from tests.chaos.properties import Property, bare_stage
from tests.chaos.scenes import Stage, prepare_a_position, prepare_nothing
from tests.chaos.world import World
from tests.fields import COMMANDS as ALL_COMMANDS
from tests.fields import EXIT_CODES
from tests.shelf import shelf

ODD_TEXTS = (
    "",
    " ",
    "nan",
    "NaN",
    "sNaN",
    "inf",
    "-inf",
    "-Infinity",
    "1e400",
    "-1e400",
    "1e-400",
    "1e99999999999999999999",
    "-0",
    "0",
    "+5",
    "1_000",
    "1,000",
    "١٠٠",
    "１００",
    "100 USD",
    "0x10",
    "9" * 5000,
    "0." + "0" * 5000 + "1",
    "a" * 100_000,
    "\x1b[2J",
    "a\tb",
    "a\nb",
    "\u202e100",
    "\udcff\udcfe",
    "💥",
    "BTC/USD",
    "btc/usd",
    "XBT/USD",
    "₿/USD",
    "../../etc/passwd",
    "[/bold]",
    "%s%n",
    "{0}",
    "$HOME",
    "`id`",
    "'",
    '"',
    "unbalanced 'quote",
    "--json",
    "--yes",
    "--",
    "-",
    "demo",
    "live",
    "true",
    "http://[::1",
    "http://127.0.0.1:99999999/",
    "https://user:pass@example.invalid/",
    "sqlite:///x.db",
    "sqlite:////proc/nowhere/x.db",
    "sqlite:///" + "d" * 5000,
    "sqlite:///.",
    "/proc/nowhere",
    "/dev/null",
)
TEXTS = st.sampled_from(ODD_TEXTS) | st.text(max_size=40) | st.text(st.characters(codec="ascii"), max_size=12)
FIGURES = st.decimals(allow_nan=True, allow_infinity=True).map(str) | st.integers().map(str) | st.floats().map(repr)
VALUES = TEXTS | FIGURES
SECRET = "S3cretS3cretS3cretS3cret+/=="
SECRETS = tuple(setting.name for setting in SETTINGS if setting.secret)


def values_of_settings() -> st.SearchStrategy[dict[str, str]]:
    """Some settings with any values; those of secrets can be told from others."""
    odd = st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=6)
    return st.tuples(odd, st.sets(st.sampled_from(SECRETS))).map(_with_secrets)


def _with_secrets(drawn: tuple[dict[str, str], set[str]]) -> dict[str, str]:
    values, secrets = drawn
    return values | {name: f"{SECRET}{values.get(name, '')}" for name in secrets}


def settings_parse_or_are_named(_stage: Stage, values: dict[str, str]) -> None:
    """Each problem is told with its setting and with no secret; what parses is inside its bounds."""
    try:
        settings = parse_settings(values)
    except ConfigError as error:
        check_problem(error, values)
        return
    check_settings(settings)


def check_problem(error: ConfigError, values: dict[str, str]) -> None:
    """It names a setting, shows no secret, and can be read in one go."""
    assert any(name in error.message for name in values), error.message
    assert SECRET not in str(error)
    assert len(error.message) < 200 * len(values) + 2000, f"{len(error.message)} characters"


def check_settings(settings: Settings) -> None:
    """Figures that rules can count with, and no secret in what is shown."""
    assert Decimal(0) < settings.trade_amount_usd < Decimal("1e12")
    assert settings.initial_balance is None or 0 < settings.initial_balance < Decimal("1e12")
    assert 0 < settings.max_drawdown < 1
    assert 0.01 <= settings.atr_multiple < 100
    assert 0.01 <= settings.breakeven_atr < 100
    assert 0 <= settings.fee_rate < 1
    assert 0 < settings.council_timeout < 600
    assert SECRET not in repr(settings) + str(settings)


# .env


@dataclass(frozen=True)
class EnvFile:
    """A .env of any content."""

    content: bytes


LINES = (
    st.tuples(st.sampled_from(NAMES), VALUES).map("=".join)
    | st.tuples(st.sampled_from(NAMES), st.sampled_from("'\""), VALUES).map(
        lambda drawn: f"{drawn[0]}={drawn[1]}{drawn[2]}"
    )
    | st.tuples(st.sampled_from(("BOTCTL_", "KRAKEN_", "MAX_DRAWDWN", "SYMBOL", "EDITOR")), VALUES).map("=".join)
    | st.sampled_from(
        ("export SYMBOLS=BTC/USD", "# comment", "", "SYMBOLS", "=", "\\", "SYMBOLS=BTC/USD\\", " = ", "A=B=C")
    )
    | VALUES
)
ENV_FILES = st.builds(
    lambda lines, end, mark: EnvFile(mark + end.join(lines).encode("utf-8", "surrogatepass")),
    st.lists(LINES, max_size=8),
    st.sampled_from(("\n", "\r\n", "\r", "\n\n", "\x00", "\u2028")),
    st.sampled_from((b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00")),
) | st.builds(EnvFile, st.binary(max_size=60))


@contextmanager
def an_empty_home(_stage: Stage) -> Iterator[Path]:
    """A folder of its own, where no setting of anybody plays a part."""
    folder = Path(tempfile.mkdtemp(prefix="botctl-home-", dir=shelf()))
    before, place = dict(os.environ), Path.cwd()
    try:
        os.chdir(folder)
        os.environ.clear()
        yield folder
    finally:
        os.chdir(place)
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def an_env_file_is_read_or_named(folder: Path, file: EnvFile) -> None:
    """Settings, or one error that names the file, the line or the setting."""
    path = folder / ".env"
    path.write_bytes(file.content)
    path.chmod(0o600)
    try:
        check_settings(load_config().settings)
    except ConfigError as error:
        text = str(error)
        assert str(path) in text or any(name in text for name in NAMES) or "unknown setting" in text, text


# Whole runs with odd settings


OFFLINE = (
    ("status",),
    ("pause",),
    ("resume",),
    ("positions",),
    ("trades", "--json"),
    ("orders",),
    ("init",),
    ("doctor",),
)
PATHS = frozenset({"BOTCTL_HOME", "DATABASE_URL", "LOG_FILE", "METRICS_FILE", "REPORT_FILE"})


def stays_here(values: dict[str, str]) -> bool:
    """Whether these settings write nowhere but in the home of their trial, and can be given to a process at all."""
    if any("\x00" in value for value in values.values()):
        return False
    texts = [value.strip().removeprefix("sqlite:///") for name, value in values.items() if name in PATHS]
    return not any((text.startswith("/") and text[:6] not in ("/proc/", "/dev/n")) or ".." in text for text in texts)


ENVIRONMENTS = st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=2).filter(stays_here)
HOSTILE_PATHS = (
    "/",
    "/dev/zero",
    "/dev/null",
    "/proc/self/mem",
    "a folder",
    "a pipe",
    "nowhere",
    "x" * 5000,
    "",
    ".",
    "\udcff",
)


@dataclass(frozen=True)
class Surroundings:
    """An offline command, settings that nobody meant, perhaps an --env-file that is none."""

    command: tuple[str, ...]
    settings: dict[str, str]
    env_file: str | None = None


SURROUNDINGS = st.builds(Surroundings, st.sampled_from(OFFLINE), ENVIRONMENTS) | st.builds(
    Surroundings, st.sampled_from(OFFLINE), st.just({}), st.sampled_from(HOSTILE_PATHS)
)


def prepare_a_demo(world: World) -> None:
    """A demo home with a position."""
    for name in ("KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY", "INITIAL_BALANCE", "SYMBOLS"):
        world.settings.pop(name)
    world.settings["BOTCTL_MODE"] = "demo"
    world.must("buy", "BTC/USD", "100")


PLACES = {"demo": prepare_a_demo, "live": prepare_nothing, "live with a position": prepare_a_position}
"""Where commands are typed."""


def odd_surroundings_are_named(stage: Stage, case: Surroundings) -> None:
    """The command works, or it ends with 78 and one line (2 for a path that a command line can't take)."""
    world = stage.after(prepare_a_demo)
    try:
        world.settings |= case.settings
        (world.home / "a folder").mkdir()
        os.mkfifo(world.home / "a pipe", 0o600)
        option = () if case.env_file is None else ("--env-file", case.env_file)
        run = world.run(*case.command, *option)
        check_run(run, as_json="--json" in case.command)
        assert run.exit_code in (0, 1, 3, 78) or (run.exit_code == 2 and option), run.words
        if run.exit_code == 78 and "--json" not in case.command:
            assert run.stderr.startswith("botctl: "), run.words
            assert run.stderr.count("\n") == 1, run.words
    finally:
        world.close()


def check_run(run: Run, *, as_json: bool) -> None:
    """An exit code of the list, no traceback, no bug, and one JSON document where one was asked for."""
    assert run.exit_code in EXIT_CODES, run.words[:3000]
    assert "Traceback" not in run.stderr, run.words[:3000]
    assert "bug:" not in run.stdout + run.stderr, run.words[:3000]
    if as_json and run.stdout:
        json.loads(run.stdout)


# Command lines


COMMANDS = tuple(sorted(ALL_COMMANDS - {"demo", "schedule", "serve"}))  # the crontab is that of whoever runs the tests
OPTIONS = (
    *("--json", "--yes", "--validate", "--live", "--limit", "--reason", "--freeze", "--enable-buys", "--check", "-n"),
    *("--unsettled", "--mode", "--help", "-y", "-h", "--version", "--bogus", "--limit=5", "--reason=x", "--limit=nan"),
    "--mode=paper",
)
WORDS = st.sampled_from((*OPTIONS, *COMMANDS, "BTC/USD", "ETH/USD", "100", "0.001", "nan", "-5", "5")) | VALUES
ARGUMENTS = WORDS.filter(lambda word: "\x00" not in word and word not in ("--debug", "--install-completion"))


@dataclass(frozen=True)
class CommandLine:
    """Words behind `botctl`, and where they are typed."""

    place: str
    words: tuple[str, ...]


HELP = frozenset({"--help", "-h", "--version"})
"""Words that are answered with a text for people, whatever else was asked for."""
TYPED = st.sampled_from(sorted(PLACES))
ANYTHING = st.builds(
    lambda place, command, words: CommandLine(place, (command, *words)),
    TYPED,
    st.sampled_from(COMMANDS),
    st.lists(ARGUMENTS, max_size=5),
)
ORDERS = st.builds(
    lambda place, side, symbol, amount, more: CommandLine(place, (side, symbol, amount, *more)),
    TYPED,
    st.sampled_from(("buy", "sell")),
    st.sampled_from(("BTC/USD", "btc/usd", "XBT/USD", "ETH/USD", "BTC/EUR", "FOO/USD")) | ARGUMENTS,
    ARGUMENTS,
    st.lists(st.sampled_from(("--yes", "--json", "--validate")), max_size=3),
)
PAUSES = st.builds(
    lambda place, reason, more: CommandLine(place, ("pause", *more, "--reason", reason)),
    TYPED,
    ARGUMENTS,
    st.sampled_from(((), ("--json",), ("--freeze",))),
)


def any_words_end_well(stage: Stage, line: CommandLine) -> None:
    """An exit code of the list, one JSON document or none, and no order but one that was well asked for."""
    world = stage.after(PLACES[line.place])
    try:
        world.kraken.clear_requests()
        cut = ("--json", *line.words[1:]) if "--json" in line.words else line.words[1:]
        run = world.run(line.words[0], *cut)
        check_run(run, as_json="--json" in line.words and not HELP & set(line.words))
        orders = [request.params for request in world.kraken.requests if request.endpoint == "AddOrder"]
        for params in orders:
            assert is_well_formed(line, params), f"{params} was sent"
        check(world, ALWAYS if world.settings["BOTCTL_MODE"] == "live" else ())
        assert world.kraken.bugs == []
    finally:
        world.close()


def is_well_formed(line: CommandLine, params: Mapping[str, Any]) -> bool:
    """Whether these words ask for such an order."""
    if line.words[0] in ("liquidate", "tick", "check-positions", "drawdown"):
        return params["type"] == "sell"  # of what is open
    if line.words[0] != params["type"]:
        return False
    amounts = []
    for word in line.words[2:]:
        with contextlib.suppress(ValueError):
            amounts.append(to_amount(word))
    volume = Decimal(params["volume"])
    if params["type"] == "sell":
        return volume <= Decimal("0.002") and ("--yes" in line.words or "-y" in line.words or "validate" in params)
    return bool(amounts) and any(volume * 2000 <= amount for amount in amounts)


INPUT = (
    Property("settings", values_of_settings(), bare_stage, settings_parse_or_are_named, 1000),
    Property("env file", ENV_FILES, an_empty_home, an_env_file_is_read_or_named, 1000),
    Property("surroundings", SURROUNDINGS, bare_stage, odd_surroundings_are_named, 50),
    Property("arguments", ANYTHING | ORDERS | PAUSES, bare_stage, any_words_end_well, 50),
)
