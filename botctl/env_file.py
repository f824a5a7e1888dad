"""The .env file: its lines, what is wrong with them, and writing one."""

import codecs
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from botctl.domain.configuration.setting_problems import (
    NEEDED_BY_ALL,
    BadSetting,
    about,
    nearest_setting,
    needed_names_in,
    unknown_settings,
)
from botctl.domain.configuration.settings import NAMES
from botctl.domain.errors import ConfigError

STRANGE = re.compile("[\udc80-\udcff]")
"""A byte that is no UTF-8, as it is decoded."""


@dataclass(frozen=True)
class EnvFile:
    """What a .env file sets, and what is wrong with its lines."""

    values: dict[str, str]
    problems: list[BadSetting]


def read_env_file(path: Path, *, must_exist: bool) -> EnvFile:
    """The settings in a .env file. Raises ConfigError when it can't be read."""
    hint = "it must be a text file that you may read"
    try:
        if not path.is_file() and path.exists() and str(path) != os.devnull:  # reading a pipe would block
            raise ConfigError(f"can't read {path}: it is not a file", hint=hint)
        raw = path.read_bytes()
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ConfigError(f"can't read {path}: it is UTF-16", hint="save it as UTF-8")
        text = raw.decode("utf-8-sig", errors="surrogateescape")  # one strange letter costs its line alone
    except FileNotFoundError:
        if os.path.islink(path):
            raise ConfigError(f"can't read {path}: it is a link to a file that does not exist", hint=hint) from None
        if must_exist:
            raise ConfigError(f"{path} does not exist", hint="check --env-file") from None
        return EnvFile({}, [])
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error  # an OSError's own text repeats the path
        raise ConfigError(f"can't read {path}: {why}", hint=hint) from error
    return _parse_env_file(path, text) if text.strip() else EnvFile({}, [])


def _parse_env_file(path: Path, text: str) -> EnvFile:
    from dotenv.parser import parse_stream  # 10 ms, and there may be no .env

    values: dict[str, str] = {}
    lines: dict[str, list[int]] = {}
    problems: list[BadSetting] = []
    unread: list[tuple[int, str]] = []
    for binding in parse_stream(StringIO(text)):
        written = binding.original.string.lstrip("\n")
        line = binding.original.line + len(binding.original.string) - len(written)
        if binding.error or (binding.key is not None and binding.value is None):
            unread.append((line, written))
        elif binding.key is not None and binding.value is not None:
            if STRANGE.search(binding.key + binding.value):
                problems.append(_not_utf8(path, line, binding.key))
                continue
            values[binding.key] = binding.value
            lines.setdefault(binding.key, []).append(line)
    known = values.keys() | os.environ.keys()
    problems += [_no_assignment(path, line, written, known) for line, written in unread]
    for name, value in values.items():
        problems += _swallowed(path, lines[name][-1], name, value, known)
    problems += [_repeated(path, name, where) for name, where in lines.items() if len(where) > 1]
    asked_for = {part.strip() for part in values.get("COUNCIL_ENV", "").split(",")}  # may look like a setting
    for name, where in lines.items():
        if name not in asked_for:
            shown = ", ".join(map(str, where))
            problems += [_at_line(path, shown, problem) for problem in unknown_settings([name], strict=True)]
    return EnvFile(values, problems)


def _not_utf8(path: Path, line: int, name: str) -> BadSetting:
    return about(nearest_setting(name), f"{path} line {line} is not UTF-8", hint="save it as UTF-8")


def _no_assignment(path: Path, line: int, written: str, known: Collection[str]) -> BadSetting:
    """The problem with a line that sets nothing. While nothing names the mode, this may have been meant to."""
    first = nearest_setting(re.split(r"[=\s]", written, maxsplit=1)[0])
    meant = {*([first] if first else []), *(needed_names_in(written) - set(known))}
    needed = "BOTCTL_MODE" not in known or not meant.isdisjoint(NEEDED_BY_ALL)
    message = f"{path} line {line} is not NAME=value"
    return BadSetting(message, hint="fix or remove it", names=meant, needed_by_all=needed)


def _swallowed(path: Path, line: int, name: str, value: str, known: Collection[str]) -> Iterator[BadSetting]:
    """A quote that was never closed takes the lines up to the next one along, with the settings in them. So does a
    line break that is missing."""
    inside = frozenset(re.findall(r"(?m)^\s*([A-Z_]+)\s*=", value)) & frozenset(NAMES)
    if name != "COUNCIL_COMMAND":  # a command line may set a variable
        inside |= frozenset(re.findall(r"[\s;,]([A-Z_]+)\s*=", value)) & frozenset(NEEDED_BY_ALL) - set(known)
    if inside:
        message = f"{path} line {line}: the value of {name} takes in the lines of {', '.join(sorted(inside))}"
        needed = not inside.isdisjoint(NEEDED_BY_ALL) or name in NEEDED_BY_ALL
        yield BadSetting(message, hint="close its quote", names=[name, *inside], needed_by_all=needed)


def _repeated(path: Path, name: str, lines: Sequence[int]) -> BadSetting:
    return about(
        nearest_setting(name), f"{path} sets {name} in lines {', '.join(map(str, lines))}", hint="keep one of them"
    )


def _at_line(path: Path, line: str, problem: BadSetting) -> BadSetting:
    message = f"{path} line {line}: {problem.message}"
    return BadSetting(message, hint=problem.hint, names=problem.names, needed_by_all=problem.needed_by_all)


def write_env_file(path: Path, text: str) -> bool:
    """Write settings, readable by the owner only; False when the file exists already. Raises ConfigError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(
            f"can't write {path}: {error.strerror}", hint="check the folder's owner and permissions"
        ) from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def others_may_read(path: Path) -> bool:
    """Whether this file exists and users other than its owner have any right to it."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False
