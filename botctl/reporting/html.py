"""The one place that reads plotly: renders a report as an HTML page that loads nothing from another place."""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

from botctl.domain.errors import ConfigError
from botctl.files import write_private
from botctl.reporting.figures import plotly_figure
from botctl.reporting.model import Report
from botctl.reporting.now import now_section
from botctl.reporting.sections import (
    costs_section,
    curves_section,
    decisions_section,
    figures_section,
    flows_section,
    head_section,
    trades_section,
)

MISSING = ConfigError("a report needs plotly", hint="pip install 'botctl[report]'")


@dataclass(frozen=True)
class Linked:
    """A page that is written again and again: plotly's script is in a file beside it."""

    bundle: str
    """The name of that file."""
    reload_seconds: int
    """How often a browser loads the page again; 0 for never."""
    on_disk: bool
    """Whether a browser opens it from the disk. A script beside it is of no common origin then."""


def load_plotly() -> str:
    """plotly's JavaScript, which goes into the page. Raises ConfigError without plotly."""
    return _plotly_file().read_text(encoding="utf-8")


def plotly_name() -> str:
    """The name of the file beside a page, one for each version. Raises ConfigError without plotly."""
    _plotly_file()
    from plotly import __version__

    return f"plotly-{__version__}.min.js"


def write_plotly(folder: Path) -> str:
    """Put plotly's script into a folder unless it is there. Returns its name. Raises ConfigError."""
    name, source = plotly_name(), _plotly_file()
    try:
        there = (folder / name).stat().st_size == source.stat().st_size
    except OSError:
        there = False
    if not there:
        write_private(folder / name, source.read_bytes())
    return name


def _plotly_file() -> Path:
    try:
        import plotly
    except ImportError:
        raise MISSING from None
    return Path(plotly.__path__[0]) / "package_data" / "plotly.min.js"


def render_page(report: Report, plotly: str) -> str:
    """The whole page in one file. Text from outside (reasons of agents, of a pause) is escaped."""
    return _render(report, f"<script>{plotly}</script>", [_hash(plotly)], 0)


def render_linked_page(report: Report, linked: Linked) -> str:
    """The same with plotly's script beside it, for a page that is often written."""
    sources = ["'self'", "file:"] if linked.on_disk else ["'self'"]
    return _render(report, f'<script src="{escape(linked.bundle)}"></script>', sources, linked.reload_seconds)


def content_policy(sources: Sequence[str] = ("'self'",)) -> str:
    """A policy that loads nothing but scripts of these sources and our own; plotly adds its own inline styles."""
    scripts = " ".join([*sources, _hash(_read_asset("report.js"))])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _render(report: Report, plotly: str, sources: Sequence[str], reload_seconds: int) -> str:
    charts = {chart.key: plotly_figure(chart) for chart in (report.equity, report.drawdown, *report.drawn.values())}
    # `<` is escaped, so that no text can end the script element.
    figures = json.dumps(charts, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{content_policy(sources)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">',
            f"<title>{escape(report.title)}</title>",
            f"<style>{_read_asset('report.css')}</style></head><body><main>",
            *head_section(report, reload_seconds),
            *_top(report),
            *trades_section(report),
            *decisions_section(report),
            *costs_section(report),
            *flows_section(report),
            "</main>",
            f'<script type="application/json" id="figures">{figures}</script>',
            plotly,
            f"<script>{_read_asset('report.js')}</script>",
            "</body></html>",
        ]
    )


def _top(report: Report) -> Iterator[str]:
    """How the bot stands before what it did; of a backtest its figures first."""
    if report.cockpit is None:
        yield from figures_section(report)
        yield from curves_section(report)
        return
    yield from now_section(report.cockpit)
    yield from curves_section(report)
    yield from figures_section(report)


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _read_asset(name: str) -> str:
    return (resources.files("botctl.reporting") / name).read_text(encoding="utf-8")
