"""The content of the page, from the open database."""

from datetime import UTC, datetime

from botctl.cli.cockpit import read_cockpit
from botctl.config import Config
from botctl.queries.portfolio import now_offline
from botctl.reporting.from_database import DatabaseSource
from botctl.run_lock import LockHolder
from botctl.wiring import find_candles

RELOAD_SECONDS = 300
"""How often an open page is loaded again. It changes once in REPORT_EVERY, and after each trade."""
TRADES_DRAWN = 100


def open_source(
    config: Config, *, holder: LockHolder | None = None, runner: tuple[str | None, bool] | None = None
) -> DatabaseSource:
    """What a report of the open database is made from; `holder` and `runner` as for `read_cockpit`."""
    now = now_offline(config.settings.botctl_mode)
    cockpit = read_cockpit(config, holder=holder, runner=runner)
    return DatabaseSource(config.settings, now, lambda symbol: find_candles(config, symbol), cockpit)


def render(source: DatabaseSource, bundle: str, *, on_disk: bool, reload_seconds: int = RELOAD_SECONDS) -> bytes:
    """The page, with plotly's script in the file `bundle` beside it."""
    from botctl.reporting.build import build_report
    from botctl.reporting.html import Linked, render_linked_page

    report = build_report(source, max_drawn=TRADES_DRAWN, made_at=datetime.now(UTC))
    return render_linked_page(report, Linked(bundle, reload_seconds, on_disk)).encode()
