"""When the page of REPORT_FILE is written again: after each trade, and after a tick once in REPORT_EVERY."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from botctl.domain.errors import ConfigError
from botctl.monitoring.own_files import OwnFile
from botctl.store import key_value
from botctl.store.models import Event, database

MISSING = ConfigError("REPORT_FILE is set but plotly is not installed", hint="pip install 'botctl[report]'")
PAGE = OwnFile("REPORT_FILE", "a page of botctl", b"<!doctype html>")
PAGE_KEY = "page.written"
TRADED = ("opened", "sold", "closed", "shrunk", "dust", "forgotten")
"""The events after which the page is written at once."""


@dataclass(frozen=True)
class Written:
    """What the last page was made after: its time, the newest event of a trade, and its file."""

    at: datetime
    event: int
    file: str
    complained: bool = False
    """Whether a run has said why there is no page, which is said once."""


def plotly_is_missing() -> bool:
    return find_spec("plotly") is None


def problem_with_file(path: Path) -> ConfigError | None:
    """Why the page can't be written to this file, if anything."""
    if plotly_is_missing():
        return MISSING
    return PAGE.problem_with(path)


def claim_page(path: Path, every: timedelta, now: datetime, *, hourly: bool) -> bool:
    """Whether this run writes the page, as one run alone does: after a trade, and if `hourly` once in `every`.

    Raises ConfigError for what is wrong with the file, once until it is mended; BotError.
    """
    last = _load()
    known = 0 if last is None else last.event
    newest, problem = _newest_event(known), problem_with_file(path)
    if problem is not None:
        if last is None or not last.complained or last.file != str(path):
            _save(Written(now, known, str(path), complained=True))
            raise problem
        return False
    if newest == known and not (hourly and _is_late(last, path, every, now)):
        return False
    with database.atomic("IMMEDIATE"):
        if _load() != last:  # another run was faster
            return False
        _save(Written(now, newest, str(path)))
    return True


def _is_late(last: Written | None, path: Path, every: timedelta, now: datetime) -> bool:
    """A page that failed is tried again in time, and one whose time is in the future at once."""
    if last is None or last.complained or last.file != str(path):
        return True
    return not timedelta(0) <= now - last.at < every


def _newest_event(after: int) -> int:
    """The newest event of a trade, or `after`."""
    query = Event.select(Event.id).where((Event.id > after) & Event.kind.in_(TRADED)).order_by(Event.id.desc())
    found: Event | None = query.first()
    return after if found is None else found.id


def _load() -> Written | None:
    found = key_value.load_json(PAGE_KEY, dict)
    if found is None:
        return None
    try:
        at = datetime.fromisoformat(found["at"]).astimezone(UTC)
        return Written(at, int(found["event"]), str(found["file"]), bool(found["complained"]))
    except key_value.UNREADABLE:
        return None


def _save(written: Written) -> None:
    key_value.save(PAGE_KEY, json.dumps({**vars(written), "at": written.at.isoformat()}))
