"""The one place that calls plotly: a report as one HTML file that needs nothing else and asks nobody for anything."""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from importlib import resources
from typing import Any

from botctl.domain import text
from botctl.domain.errors import ConfigError
from botctl.domain.money import format_decimal
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage
from botctl.reporting.model import Bars, Chart, DecisionSpan, Marker, Report, Series, SeriesKind

DASHES = {SeriesKind.GUARD: "dash", SeriesKind.ENTRY: "dot", SeriesKind.PRICE: "dot"}
SHAPES = {SeriesKind.ENTRY: "triangle-up", SeriesKind.EXIT: "triangle-down"}
MONEY_FORMAT = ",.6~r"


def load_plotly() -> str:
    """plotly's own JavaScript, which goes into the page. Raises ConfigError where plotly is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ConfigError("a report needs plotly", hint="pip install 'botctl[report]'") from None
    return str(get_plotlyjs())


def render_page(report: Report, plotly: str) -> str:
    """The whole page. Words from outside (reasons of agents, of a pause) are only ever text in it."""
    style, script = _own_file("report.css"), _own_file("report.js")
    charts = [report.equity, report.drawdown, *report.drawn.values()]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(plotly, script)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(report.title)}</title>",
            f"<style>{style}</style></head><body><main>",
            *_head(report),
            *_curves(report),
            *_trades(report),
            *_decision_spans(report),
            *_slippages(report),
            "</main>",
            f'<script type="application/json" id="figures">{_json(charts)}</script>',
            f"<script>{plotly}</script>",
            f"<script>{script}</script>",
            "</body></html>",
        ]
    )


def _policy(*scripts: str) -> str:
    """Nothing is loaded from anywhere, and no script runs but these; plotly writes styles of its own."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _own_file(name: str) -> str:
    return (resources.files("botctl.reporting") / name).read_text(encoding="utf-8")


# Parts of the page


def _head(report: Report) -> Iterable[str]:
    yield f"<h1>{escape(report.title)}</h1>"
    made_at = text.format_time(report.made_at)
    yield f'<p class="quiet">{escape(report.about)}; made {made_at} UTC. All times are UTC.</p>'
    yield '<nav><a href="#equity">Equity</a><a href="#trades">Trades</a><a href="#council">Council</a>'
    yield '<a href="#slippage">Slippage</a></nav>'
    yield "<dl>"
    for name, words in report.figures:
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(words)}</dd></div>"
    yield "</dl>"
    yield from (f'<p class="note">{escape(note)}</p>' for note in report.notes)
    yield '<noscript><p class="note">The charts need JavaScript; the tables do not.</p></noscript>'


def _curves(report: Report) -> Iterable[str]:
    for chart in (report.equity, report.drawdown):
        yield f'<h2 id="{chart.key}">{escape(chart.title)} <span class="quiet">in {escape(chart.unit)}</span></h2>'
        yield _place(chart) if chart.series else '<p class="quiet">Nothing to draw yet.</p>'


def _trades(report: Report) -> Iterable[str]:
    yield f'<h2 id="trades">Trades <span class="quiet">{len(report.trades):,}, newest first</span></h2>'
    yield from _table(
        "id, symbol, status, entered, amount*, entry price*, left, exit price*, why, fees*, P&L*, of cost*, stop*",
        (_trade_cells(trade, trade.id in report.drawn) for trade in report.trades),
        "no trades yet",
    )
    if not report.drawn:
        return
    drawn = f"the newest {len(report.drawn):,}" if len(report.drawn) < len(report.trades) else f"{len(report.drawn):,}"
    yield f'<h2 id="charts">Trades on their candles <span class="quiet">{drawn}</span></h2>'
    yield '<p class="quiet mouse">Drag to zoom in, double-click for all of it.</p><div class="trades">'
    for number, chart in report.drawn.items():
        note = f" <span>({escape(chart.note)})</span>" if chart.note else ""
        yield f'<figure id="trade-{number}"><figcaption>{escape(chart.title)}{note}</figcaption>'
        yield f"{_place(chart)}</figure>"
    yield "</div>"


def _decision_spans(report: Report) -> Iterable[str]:
    counts = ", ".join(f"{count:,} {decision}" for decision, count in report.decided.items()) or "none"
    yield f'<h2 id="council">The Council\'s decisions <span class="quiet">{escape(counts)}</span></h2>'
    if report.decision_spans:
        cut = len(report.decision_spans) < report.all_rulings
        rows = f"The newest {len(report.decision_spans):,} of {report.all_rulings:,} rows" if cut else "Newest first"
        yield f'<p class="quiet">{rows}; the same said several times on end is one row.</p>'
    yield from _table(
        "from, to, times*, symbol, decision, price*, reason~, what came of it~",
        map(_decision_cells, report.decision_spans),
        "the Council has not spoken yet",
    )


def _slippages(report: Report) -> Iterable[str]:
    count = f"{len(report.slippages):,}, newest first"
    yield f'<h2 id="slippage">Slippage of orders <span class="quiet">{count}</span></h2>'
    yield '<p class="quiet">Average fill price against the price named as expected; positive when it hurts. '
    yield f"Prices and cost in {escape(report.quote)}.</p>"
    yield from _table(
        "at, trade*, side, symbol, why, amount*, expected*, expected is, filled at*, slippage*, cost*",
        (_slippage_cells(row, row.trade_id in report.drawn) for row in report.slippages),
        "no order was filled yet",
    )


def _place(chart: Chart) -> str:
    """Where the script draws a chart."""
    return f'<div class="chart" data-chart="{chart.key}" role="img" aria-label="{escape(chart.title)}"></div>'


# Tables


def _table(columns: str, rows: Iterable[Sequence[str]], when_empty: str) -> Iterable[str]:
    """A table of ready cells; a column marked * has figures, one marked ~ words that may be long."""
    names = columns.split(", ")
    body = ["".join(row) for row in rows]
    if not body:
        yield f'<p class="quiet">{escape(when_empty)}</p>'
        return
    yield '<div class="table"><table><thead><tr>'
    for name in names:
        kind = ' class="figure"' if name.endswith("*") else ""
        yield f"<th{kind}>{escape(name.rstrip('*~'))}</th>"
    yield "</tr></thead><tbody>"
    yield from (f"<tr>{cells}</tr>" for cells in body)
    yield "</tbody></table></div>"


def _trade_cells(trade: TradeRecord, drawn: bool) -> Sequence[str]:
    fees = [fee for fee in (trade.entry_fee, trade.exit_fee) if fee is not None]
    cost = trade.entry_cost
    return (
        _text(_link(trade.id, drawn), raw=True),
        _text(trade.symbol),
        _text(trade.status),
        _text(text.format_time(trade.entry_at)),
        _figure(trade.amount, format_decimal(trade.amount)),
        _figure(trade.entry_price, text.format_price(trade.entry_price)),
        _text(text.format_time(trade.exit_at)),
        _figure(trade.exit_price, text.format_price(trade.exit_price)),
        _text(trade.exit_reason or text.UNKNOWN),
        _figure(sum(fees, Decimal(0)) if fees else None),
        _figure(trade.pnl, text.format_signed(trade.pnl), coloured=True),
        _percent(trade.pnl / cost if trade.pnl is not None and cost else None),
        _figure(trade.stop_loss_price, text.format_price(trade.stop_loss_price)),
    )


def _decision_cells(span: DecisionSpan) -> Sequence[str]:
    return (
        _text(text.format_time(span.since)),
        _text(text.format_time(span.until) if span.count > 1 else ""),
        _figure(Decimal(span.count), f"{span.count:,}"),
        _text(span.symbol),
        _text(span.decision),
        _figure(span.price, text.format_price(span.price)),
        _text(span.reason, kind="words"),
        _text(span.outcome, kind="words"),
    )


def _slippage_cells(row: Slippage, drawn: bool) -> Sequence[str]:
    return (
        _text(text.format_time(row.at)),
        _text(_link(row.trade_id, drawn), raw=True, kind="figure"),
        _text(row.side),
        _text(row.symbol),
        _text(row.reason or "entry"),
        _figure(row.amount, format_decimal(row.amount)),
        _figure(row.expected_price, text.format_price(row.expected_price)),
        _text(row.basis),
        _figure(row.average_price, text.format_price(row.average_price)),
        _percent(row.fraction, decimals=3),
        _figure(row.cost),
    )


def _text(words: str, *, raw: bool = False, kind: str = "") -> str:
    inner = words if raw else escape(words)
    return f'<td class="{kind}">{inner}</td>' if kind else f"<td>{inner}</td>"


def _link(trade_id: int, drawn: bool) -> str:
    return f'<a href="#trade-{trade_id}">{trade_id}</a>' if drawn else str(trade_id)


def _figure(value: Decimal | float | None, shown: str | None = None, *, coloured: bool = False) -> str:
    """A figure as people read it, and behind it to its last digit."""
    if value is None:
        return f'<td class="figure">{text.UNKNOWN}</td>'
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    colour = (' class="gain"' if exact > 0 else ' class="loss"') if coloured and exact else ""
    words = shown if shown is not None else text.format_money(exact)
    return f'<td{colour}><data value="{exact:f}">{escape(words)}</data></td>'


def _percent(fraction: Decimal | None, decimals: int = 2) -> str:
    if fraction is None:
        return _figure(None)
    return _figure(round(fraction, 8), f"{100 * fraction:z.{decimals}f} %")


# Charts, in plotly's words


def _json(charts: Iterable[Chart]) -> str:
    """Every chart by its key. `<` is written in another way, so that nothing in it can end the element."""
    plots = {chart.key: plotly_figure(chart) for chart in charts}
    return json.dumps(plots, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def plotly_figure(chart: Chart) -> dict[str, Any]:
    """A chart as plotly takes it. Colours are names of the style sheet's variables: the page puts in their values."""
    data = [_candlestick(chart.bars)] if chart.bars else []
    data += [_line(line) for line in chart.series]
    data += [_marker(mark) for mark in chart.markers]
    return {"data": data, "layout": _layout(chart)}


def _candlestick(bars: Bars) -> dict[str, Any]:
    """A candle's time is when it opened; it is drawn over the whole of its length."""
    return {
        "type": "candlestick",
        "name": "candles",
        "x": _milliseconds(bars.times),
        "open": _short(bars.opens),
        "high": _short(bars.highs),
        "low": _short(bars.lows),
        "close": _short(bars.closes),
        "xperiod": 1000 * bars.seconds,
        "xperiodalignment": "middle",
        "increasing": {"line": {"color": "--up", "width": 1}, "fillcolor": "--up"},
        "decreasing": {"line": {"color": "--down", "width": 1}, "fillcolor": "--down"},
        "showlegend": False,
    }


def _line(line: Series) -> dict[str, Any]:
    plot = {
        "type": "scatter",
        "mode": "lines",
        "name": line.name,
        "x": _milliseconds(line.times),
        "y": _short(line.values),
        "line": {
            "color": f"--{line.kind}",
            "width": 1.5,
            "dash": DASHES.get(line.kind, "solid"),
            "shape": "hv" if line.stepped else "linear",
        },
    }
    if line.kind is SeriesKind.DRAWDOWN:
        plot |= {"fill": "tozeroy", "fillcolor": "--shade"}
    return plot


def _marker(mark: Marker) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": mark.name,
        "x": _milliseconds([mark.time]),
        "y": [mark.value],
        "marker": {
            "symbol": SHAPES[mark.kind],
            "size": 13,
            "color": f"--{mark.kind}",
            "line": {"color": "--paper", "width": 1},
        },
    }


def _layout(chart: Chart) -> dict[str, Any]:
    axis = {"gridcolor": "--rule", "linecolor": "--rule", "zeroline": False, "automargin": True}
    return {
        "paper_bgcolor": "--paper",
        "plot_bgcolor": "--paper",
        "font": {"color": "--ink", "size": 12, "family": "system-ui, sans-serif"},
        "margin": {"l": 64, "r": 16, "t": 28, "b": 40},
        "showlegend": len(chart.series) + len(chart.markers) > 1,
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        "hovermode": "x" if chart.bars else "x unified",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "--rule", "activecolor": "--quiet"},
        "hoverlabel": {"bgcolor": "--raised", "bordercolor": "--rule", "font": {"color": "--ink"}},
        "dragmode": "zoom",
        "uirevision": "kept",  # a change from light to dark leaves a zoom as it was
        "xaxis": {**axis, "type": "date", "rangeslider": {"visible": False}, "nticks": 7, "tickangle": 0},
        "yaxis": {**axis, "title": {"text": chart.unit}, "tickformat": MONEY_FORMAT, "hoverformat": MONEY_FORMAT},
    }


def _milliseconds(times: Sequence[float]) -> list[int]:
    return [round(1000 * time) for time in times]


def _short(values: Sequence[float]) -> list[float]:
    """Ten significant digits: more than any chart shows, and half the page."""
    return [float(f"{value:.10g}") for value in values]
