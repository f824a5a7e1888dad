"""The log of a run: to stderr, to LOG_FILE and to systemd's journal, as text or as JSON lines."""

import errno
import fcntl
import json
import logging
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

from botctl.config import Config
from botctl.domain.candles import from_unix
from botctl.domain.configuration.setting_problems import BadSetting, about
from botctl.domain.errors import BotError
from botctl.domain.text import sanitize
from botctl.links import open_own

MAX_LINE_LENGTH = 4000
NOTICE = 25
"""The level of what a person should read although nothing is wrong."""
MAX_LOG_BYTES = 5_000_000
"""A run that starts with a longer log rotates it."""
ROTATED_LOGS = 5
"""LOG_FILE.1 (the newest) to LOG_FILE.5."""
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, NOTICE: 5, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""syslog's, which systemd's journal reads from the start of a line: sd-daemon(3)."""
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

logging.addLevelName(NOTICE, "NOTICE")
log = logging.getLogger("botctl")


def start_log(config: Config, *, debug: bool, as_json: bool = False, quiet: bool = False) -> BadSetting | None:
    """Warnings and errors to stderr (everything with --debug, nothing with `quiet`), the rest to LOG_FILE.

    Returns what is wrong with LOG_FILE, if anything: the log goes to stderr in any case.

    In systemd's journal, which is a log already, stderr gets what LOG_FILE gets. Only botctl's logger is set up:
    ccxt's writes signed requests at debug level.
    """
    for handler in log.handlers:
        with suppress(OSError, ValueError):
            handler.close()
    log.handlers.clear()
    log.propagate = False
    log.setLevel(logging.DEBUG)
    in_journal = stderr_is_the_journal()
    stderr = logging.StreamHandler(sys.stderr)
    usual_level = config.settings.log_level if in_journal else NOTICE
    stderr.setLevel(logging.DEBUG if debug else logging.CRITICAL if quiet else usual_level)
    stderr.setFormatter(_Line(as_json=as_json, in_journal=in_journal))
    log.addHandler(stderr)
    if config.settings.log_file:
        path = config.folder / config.settings.log_file
        try:
            file = _open_log(path)
        except OSError as error:
            hint = "free some space" if error.errno == errno.ENOSPC else "choose another file"
            return about("LOG_FILE", f"can't write LOG_FILE {path}: {error.strerror}", hint=hint)
        file.setLevel(config.settings.log_level)
        plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        file.setFormatter(_Line(as_json=True) if as_json else plain)
        log.addHandler(file)
    return None


def notice(*notes: str) -> None:
    """Show notes on stderr that are not warnings; they are logged as well."""
    for note in notes:
        log.log(NOTICE, "%s", note)


def log_errors(errors: Iterable[BotError]) -> None:
    for error in errors:
        log.error("%s", error)


def error_line(text: str, *, as_json: bool) -> str:
    """The one line that a failed command leaves on stderr."""
    line = sanitize(" ".join(text.split()), MAX_LINE_LENGTH)
    in_journal = stderr_is_the_journal()
    if as_json:
        record = logging.makeLogRecord({"name": "botctl", "levelno": logging.ERROR, "levelname": "ERROR", "msg": line})
        return _Line(as_json=True, in_journal=in_journal).format(record)
    return f"{'<3>' if in_journal else ''}botctl: {line}"


def stderr_is_the_journal() -> bool:
    """systemd names the journal's stream by device and inode, so a redirected stderr does not match."""
    journal = os.environ.get("JOURNAL_STREAM")
    if not journal:
        return False
    with suppress(OSError, ValueError, AttributeError):  # stderr may be closed, or not a file
        stream = os.fstat(sys.stderr.fileno())
        return journal == f"{stream.st_dev}:{stream.st_ino}"
    return False


class _Line(logging.Formatter):
    """One line a record: the level in lower case and the message, or a JSON object. Plain lines have no traceback."""

    def __init__(self, *, as_json: bool, in_journal: bool = False) -> None:
        super().__init__()
        self.as_json = as_json
        self.in_journal = in_journal

    def format(self, record: logging.LogRecord) -> str:
        message = sanitize(record.getMessage(), MAX_LINE_LENGTH)
        text = self._to_json(record, message) if self.as_json else message
        if self.in_journal:
            return f"<{PRIORITIES.get(record.levelno, 6)}>{text}"
        if self.as_json:
            return text
        return f"botctl: {message}" if record.levelno == NOTICE else f"botctl: {record.levelname.lower()}: {message}"

    def _to_json(self, record: logging.LogRecord, message: str) -> str:
        fields = {
            "at": from_unix(record.created).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": message,
            **{name: value for name, value in vars(record).items() if name not in STANDARD_FIELDS},
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _open_log(path: Path) -> logging.FileHandler:
    """The log file of this run, rotated first when it is too long. Raises OSError."""
    handle = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        if os.fstatvfs(handle).f_bfree == 0 and stat.S_ISREG(os.fstat(handle).st_mode):  # opening succeeds all the same
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        _rotate(path, handle)
    finally:
        os.close(handle)
    return _LogFile(path, encoding="utf-8", errors="backslashreplace")


def _rotate(path: Path, handle: int) -> None:
    """Rename a log that is too long, one process at a time. A run that still writes to the old file loses no line."""
    opened = os.fstat(handle)
    if opened.st_size <= MAX_LOG_BYTES or not os.path.isfile(path):
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == opened.st_ino:  # else another run has just rotated it
            for number in range(ROTATED_LOGS - 1, 0, -1):
                with suppress(FileNotFoundError):
                    os.replace(f"{path}.{number}", f"{path}.{number + 1}")
            os.replace(path, f"{path}.1")
    except BlockingIOError:  # another run is rotating it
        pass
    except OSError as error:  # the log goes on as it is
        log.warning("can't rotate LOG_FILE: %s", error.strerror)


class _LogFile(logging.FileHandler):
    """Warns once when the log can't be written any more, as on a full disk: the run itself goes on."""

    failed = False

    def _open(self) -> TextIOWrapper:
        return open(
            self.baseFilename,
            "a",
            encoding=self.encoding,
            errors=self.errors,
            opener=lambda name, flags: open_own(Path(name), flags),
        )

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.failed:
            self.failed = True
            print(f"botctl: warning: can't write LOG_FILE: {sys.exception()}", file=sys.stderr)
