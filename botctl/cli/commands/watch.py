"""status --watch: the cockpit on a terminal, alive: public prices again and again, and the age of each."""

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from botctl.cli.cockpit import read_cockpit
from botctl.cli.styled import Line, draw_lines, keep_drawing, wrapped
from botctl.cli.tables import Drawing
from botctl.cli.views.status import GREY, WARN, Screen, cockpit_lines, find_screen
from botctl.config import Config, open_store
from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import BotError
from botctl.ports import MarketData
from botctl.queries.cockpit import Cockpit
from botctl.scheduling.runner import find_runner
from botctl.store.broken_rows import find_broken_rows
from botctl.store.evidence.gone_markets import load_gone_markets
from botctl.store.evidence.last_prices import LastPrice
from botctl.wiring import build_market

MIN_STALE = timedelta(seconds=30)
RUNNER_EVERY = 60.0
"""Seconds between two looks at cron and systemd: each starts programs."""


def watch_cockpit(config: Config, seconds: float) -> None:
    """Until Ctrl-C. Raises BotError when the database can't be read at the start."""
    watch = Watch(config, seconds)
    with suppress(KeyboardInterrupt):
        watch.read()
        with keep_drawing(watch.draw):
            while True:
                watch.read_prices()
                watch.read()
                time.sleep(seconds)


@dataclass
class Watch:
    """What was read last, over one connection to the exchange's public prices."""

    config: Config
    seconds: float
    view: Cockpit | None = None
    remarks: list[str] = field(default_factory=list)
    """Of the database: markets that are gone, rows that can't be read."""
    problem: str = ""
    """Why there are no new prices, or no new figures of the database."""
    _prices: dict[str, LastPrice] = field(default_factory=dict)
    _market: MarketData | None = None
    _runner: tuple[str | None, bool] = (None, True)
    _runner_found: float | None = None

    def read(self) -> None:
        """The database is opened each time: a tick may have written to it, and `recover` may have replaced it.

        Raises BotError the first time; later what was read last stays.
        """
        try:
            with open_store(self.config):
                holder = self.config.database.find_lock_holder()
                self.view = read_cockpit(self.config, holder=holder, runner=self._find_runner(), prices=self._prices)
                self.remarks = [str(each) for each in (*load_gone_markets(), *find_broken_rows())]
        except BotError as error:
            if self.view is None:
                raise
            self.problem = f"the database can't be read: {error.message}"

    def read_prices(self) -> None:
        """Of the open positions, by one request. What can't be had leaves the prices that are known."""
        symbols = {row.live.trade.symbol for row in self.view.positions} if self.view is not None else set[str]()
        self.problem = ""
        if not symbols:
            return
        try:
            with open_store(self.config):
                quotes = self._build_market().fetch_quotes(sorted(symbols)).good
        except BotError as error:
            self.problem = f"prices are unavailable: {error.message}; tried again in {self.seconds:g} s"
            return
        self._prices |= {symbol: LastPrice(quote.last, quote.at) for symbol, quote in quotes.items()}
        if lacking := symbols - quotes.keys():
            self.problem = f"{', '.join(sorted(lacking))} has no price now"

    def draw(self, height: int) -> Drawing:
        """As of this moment, at most so many lines."""
        screen = find_screen(max(MIN_STALE, timedelta(seconds=3 * self.seconds)))
        view = self.view
        if view is None:
            return ""
        if self._has_clock():
            view = replace(view, at=datetime.now(UTC))
        below = self._below(screen)
        return draw_lines([*_fitting(cockpit_lines(view, screen), height - len(below)), *below], coloured=True)

    def _below(self, screen: Screen) -> list[Line]:
        lines: list[Line] = []
        for remark in filter(None, (*self.remarks, self.problem)):
            lines += wrapped(remark, screen.width, WARN)
        end = f"{self.config.settings.botctl_mode} mode, prices every {self.seconds:g} s; Ctrl-C ends it"
        return [[], *lines, *wrapped(end, screen.width, GREY)]

    def _has_clock(self) -> bool:
        return self.config.settings.botctl_mode in (Mode.PAPER, Mode.LIVE)

    def _build_market(self) -> MarketData:
        """Every tick advances the demo market, so it is loaded each time."""
        if not self._has_clock():
            return build_market(self.config.settings)
        self._market = self._market or build_market(self.config.settings)
        return self._market

    def _find_runner(self) -> tuple[str | None, bool]:
        now = time.monotonic()
        if self._runner_found is None or now - self._runner_found >= RUNNER_EVERY:
            self._runner, self._runner_found = find_runner(self.config.folder), now
        return self._runner


def _fitting(lines: list[Line], height: int) -> list[Line]:
    """The lines, without empty ones where they would not fit, and with their number where even that does not help."""
    if len(lines) <= height:
        return lines
    full = [line for line in lines if line]
    if len(full) <= height:
        return full
    shown = max(1, height - 1)
    return [*full[:shown], *wrapped(f"{len(full) - shown} more lines: `botctl status` shows them", 60, WARN)]
