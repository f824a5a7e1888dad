"""What is served: the page, its script, the documents of `--json`, and the metrics. Each is read from the database."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from itertools import chain
from typing import Any, NamedTuple

from botctl.cli.cockpit import read_cockpit
from botctl.cli.page.build import open_source, render
from botctl.cli.serve.access import Denied
from botctl.config import Config
from botctl.domain.errors import ConfigError
from botctl.domain.serialization import to_document
from botctl.domain.symbols import parse_symbol
from botctl.queries import audit_trail, flows, journal, portfolio, resting_stops, slippage
from botctl.scheduling.runner import find_runner
from botctl.store.database import open_to_read

HTML, JSON = "text/html; charset=utf-8", "application/json"
SCRIPT, METRICS = "text/javascript; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"
FRESH_SECONDS = 2.0
"""How long an answer is given again, so that many requests cost one read."""
RUNNER_SECONDS = 60.0
"""How long it is believed what runs the ticks: to find out starts a program."""
MAX_LIMIT = 10_000
MAX_KEPT = 32

Query = Mapping[str, str]


@dataclass
class Document:
    kind: str
    body: bytes
    lasting: bool = False
    """Whether a browser may keep it: the script has its version in its name."""

    _packed: bytes | None = field(default=None, repr=False)

    def pack(self) -> bytes:
        """The body as gzip: of many that ask for it at once one packs it."""
        with _packing:
            if self._packed is None:
                self._packed = gzip.compress(self.body, compresslevel=5, mtime=0)
            return self._packed


_packing = threading.Lock()


class _Route(NamedTuple):
    """What a path has: the kind of its document, what reads it, and the names that its query may have."""

    kind: str
    read: Callable[[Query], Any]
    options: Set[str] = frozenset()


class Documents:
    """Reads one request after the other: this process has one database. What slow clients do keeps no one waiting
    here, since nothing is sent meanwhile."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._reading = threading.Lock()
        self._kept: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[float, Document]] = {}
        self._runner: tuple[float, tuple[str | None, bool]] | None = None
        self._routes = {
            "/": _Route(HTML, self._page),
            "/metrics": _Route(METRICS, self._metrics),
            "/api/status.json": _Route(JSON, self._status),
            "/api/positions.json": _Route(JSON, lambda _: portfolio.list_positions()),
            "/api/trades.json": _Route(JSON, lambda query: portfolio.list_trades(limit=_limit(query)), {"limit"}),
            "/api/orders.json": _Route(JSON, lambda query: journal.list_orders(limit=_limit(query)), {"limit"}),
            "/api/decisions.json": _Route(JSON, self._decisions, {"limit", "symbol"}),
            "/api/log.json": _Route(JSON, lambda query: audit_trail.list_events(limit=_limit(query)), {"limit"}),
            "/api/flows.json": _Route(JSON, lambda _: flows.list_flows()),
            "/api/slippage.json": _Route(JSON, lambda query: slippage.list_slippages()[-_limit(query) :], {"limit"}),
            "/api/resting-stops.json": _Route(JSON, lambda _: resting_stops.list_resting_stops()),
        }

    def read(self, path: str, query: Query, wanted: Callable[[], bool]) -> Document:
        """Raises Denied for what is not here, BotError where it can't be read, and ConnectionAbortedError where it is
        not `wanted` any more once it is its turn."""
        if path == f"/{_script_name()}" and not query:
            return _script()
        if path not in self._routes:
            raise Denied(HTTPStatus.NOT_FOUND, f"there is no such page; there are {', '.join(self._routes)}")
        route = self._routes[path]
        if unknown := query.keys() - route.options:
            raise Denied(HTTPStatus.BAD_REQUEST, f"{path} has no {', '.join(sorted(unknown))[:100]}")
        key = (path, tuple(sorted(query.items())))
        with self._reading:
            at, kept = self._kept.get(key, (0.0, None))
            if kept is not None and time.monotonic() - at < FRESH_SECONDS:
                return kept
            if not wanted():  # a flood of requests that nobody waits for costs no reading
                raise ConnectionAbortedError
            with open_to_read(self.config.database, self.config.settings.botctl_mode):
                found = route.read(query)
                body = found if isinstance(found, bytes) else json.dumps(to_document(found)).encode()
            document, now = Document(route.kind, body), time.monotonic()
            fresh = [one for one in self._kept.items() if now - one[1][0] < FRESH_SECONDS]
            self._kept = dict(fresh[-MAX_KEPT:])  # what is old frees its memory
            self._kept[key] = now, document
            return document

    def _page(self, _: Query) -> bytes:
        from botctl.reporting.html import plotly_name

        holder = self.config.database.find_lock_holder()
        source = open_source(self.config, holder=holder, runner=self._find_runner())
        return render(source, plotly_name(), on_disk=False)

    def _status(self, _: Query) -> Any:
        holder = self.config.database.find_lock_holder()
        return read_cockpit(self.config, holder=holder, runner=self._find_runner())

    def _decisions(self, query: Query) -> Any:
        if "symbol" not in query:
            each = [journal.list_decisions(symbol, _limit(query)) for symbol in self.config.settings.symbols]
            newest_first = sorted(chain(*each), key=lambda decision: decision.decided_at, reverse=True)
            return newest_first[: _limit(query)]
        try:
            symbol = parse_symbol(query["symbol"])
        except ValueError as error:
            raise Denied(HTTPStatus.BAD_REQUEST, str(error)[:200]) from None
        return journal.list_decisions(symbol, _limit(query))

    def _metrics(self, _: Query) -> bytes:
        from botctl.monitoring.metrics import format_metrics, load_metrics

        settings = self.config.settings
        return format_metrics(settings.botctl_mode, load_metrics(settings, self.config.switch))

    def _find_runner(self) -> tuple[str | None, bool]:
        if self._runner is None or time.monotonic() - self._runner[0] > RUNNER_SECONDS:
            self._runner = time.monotonic(), find_runner(self.config.folder)
        return self._runner[1]


def _limit(query: Query) -> int:
    text = query.get("limit", "100")
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= MAX_LIMIT and len(text) < 9):
        raise Denied(HTTPStatus.BAD_REQUEST, f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)


@cache
def _script_name() -> str | None:
    """None without the extra `report`: the documents are served all the same."""
    from botctl.reporting.html import plotly_name

    try:
        return plotly_name()
    except ConfigError:
        return None


@cache
def _script() -> Document:
    from botctl.reporting.html import load_plotly

    return Document(SCRIPT, load_plotly().encode(), lasting=True)
