"""Where the lines of a run go: stderr, LOG_FILE, systemd's journal; as words or as one JSON object each."""

import fcntl
import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from botctl.config import Config
from botctl.domain.candles import from_unix
from botctl.domain.errors import ConfigError
from botctl.domain.text import sanitize

MOST_OF_A_LINE = 4000
"""Characters of one line on stderr."""
NOTICE = 25
"""The level of what a person should read although nothing is wrong."""
LOG_BYTES = 5_000_000
"""A log longer than this is put aside by the next run that begins."""
LOGS_KEPT = 5
"""Older logs, as LOG_FILE.1 (the newest) to LOG_FILE.5."""
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, NOTICE: 5, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""syslog's, which the journal reads from the beginning of a line: sd-daemon(3)."""
KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What every record has. All else are figures of this one."""

logging.addLevelName(NOTICE, "NOTICE")


def start_log(config: Config, *, debug: bool, quiet: bool = False, as_json: bool = False) -> None:
    """Warnings and errors to stderr (everything with --debug, nothing with `quiet`), the rest to LOG_FILE.

    In systemd's journal, which is a log already, stderr gets what LOG_FILE gets. Only our own logger: ccxt's writes
    signed requests at debug level.
    """
    logger = logging.getLogger("botctl")
    for handler in logger.handlers:
        with suppress(OSError, ValueError):
            handler.close()
    logger.handlers.clear()
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    in_journal = stderr_is_the_journal()
    stderr = logging.StreamHandler(sys.stderr)
    usual = config.settings.log_level if in_journal else NOTICE
    stderr.setLevel(logging.DEBUG if debug else logging.CRITICAL if quiet else usual)
    stderr.setFormatter(_JsonLine(in_journal) if as_json else _PlainLine(in_journal))
    logger.addHandler(stderr)
    if config.settings.log_file:
        file = _open_log(config.folder / config.settings.log_file)
        file.setLevel(config.settings.log_level)
        words = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        file.setFormatter(_JsonLine(False) if as_json else words)
        logger.addHandler(file)


def notice(note: str) -> None:
    """Tell a person on stderr what is no warning; it stands in the log as well."""
    logging.getLogger("botctl").log(NOTICE, "%s", note)


def error_line(text: str, *, as_json: bool) -> str:
    """The one line that a failed command leaves on stderr."""
    line = sanitize(" ".join(text.split()), MOST_OF_A_LINE)
    in_journal = stderr_is_the_journal()
    if as_json:
        record = logging.makeLogRecord({"name": "botctl", "levelno": logging.ERROR, "levelname": "ERROR", "msg": line})
        return _JsonLine(in_journal).format(record)
    return f"{'<3>' if in_journal else ''}botctl: {line}"


def stderr_is_the_journal() -> bool:
    """systemd names the stream it reads by device and inode: a stderr that was led elsewhere is not meant."""
    named = os.environ.get("JOURNAL_STREAM")
    if not named:
        return False
    with suppress(OSError, ValueError, AttributeError):  # there may be no stderr, or none that is a file
        stream = os.fstat(sys.stderr.fileno())
        return named == f"{stream.st_dev}:{stream.st_ino}"
    return False


class _PlainLine(logging.Formatter):
    """Tells the level in small letters, and never prints a traceback to a person."""

    def __init__(self, in_journal: bool) -> None:
        super().__init__()
        self.in_journal = in_journal

    def format(self, record: logging.LogRecord) -> str:
        words = sanitize(record.getMessage(), MOST_OF_A_LINE)
        if self.in_journal:
            return f"<{PRIORITIES.get(record.levelno, 6)}>{words}"
        return f"botctl: {words}" if record.levelno == NOTICE else f"botctl: {record.levelname.lower()}: {words}"


class _JsonLine(logging.Formatter):
    """One JSON object a line: when, how grave, from where, the words, and the figures that belong to them."""

    def __init__(self, in_journal: bool) -> None:
        super().__init__()
        self.in_journal = in_journal

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "at": from_unix(record.created).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": sanitize(record.getMessage(), MOST_OF_A_LINE),
            **{name: value for name, value in vars(record).items() if name not in KNOWN},
        }
        if record.exc_info and record.exc_info[0] is not None:
            told["traceback"] = self.formatException(record.exc_info)
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>" if self.in_journal else ""
        return f"{prefix}{json.dumps(told, default=str)}"


def _open_log(path: Path) -> logging.FileHandler:
    """The log for this run, after one that has grown too long was put aside. Raises ConfigError."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _put_aside(path, handle)
        finally:
            os.close(handle)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        return _LogFile(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"LOG_FILE {path} can't be written: {error.strerror}", hint="choose another") from error


def _put_aside(path: Path, handle: int) -> None:
    """Rename a log that is too long. Only a run that begins does it, and one at a time: whoever writes on in the old
    file meanwhile loses no line."""
    found = os.fstat(handle)
    if found.st_size <= LOG_BYTES or not os.path.isfile(path):
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino != found.st_ino:  # another run was faster
            return
        for number in range(LOGS_KEPT - 1, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(f"{path}.{number}", f"{path}.{number + 1}")
        os.replace(path, f"{path}.1")
    except OSError as error:  # another one is at it, or the folder takes no new name: the log goes on as it is
        if not isinstance(error, BlockingIOError):
            logging.getLogger("botctl").warning("LOG_FILE can't be put aside: %s", error.strerror)


class _LogFile(logging.FileHandler):
    """A log that can't be written any more, as on a full disk, is said once: the run itself goes on."""

    failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.failed:
            self.failed = True
            print(f"botctl: warning: LOG_FILE can't be written: {sys.exception()}", file=sys.stderr)
