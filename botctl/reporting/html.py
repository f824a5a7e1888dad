"""The one place that calls plotly: renders a report as one HTML file that loads nothing from anywhere."""

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
from botctl.queries.flows import FlowRecord
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage
from botctl.reporting.model import Bars, Chart, DecisionSpan, Marker, Report, Series, SeriesKind

DASHES = {SeriesKind.GUARD: "dash", SeriesKind.ENTRY: "dot", SeriesKind.PRICE: "dot"}
SHAPES = {SeriesKind.ENTRY: "triangle-up", SeriesKind.EXIT: "triangle-down"}
MONEY_FORMAT = ",.6~r"


def load_plotly() -> str:
    """plotly's JavaScript, which goes into the page. Raises ConfigError without plotly."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ConfigError("a report needs plotly", hint="pip install 'botctl[report]'") from None
    return str(get_plotlyjs())


def render_page(report: Report, plotly: str) -> str:
    """The whole page. Text from outside (reasons of agents, of a pause) is escaped."""
    style, script = _read_asset("report.css"), _read_asset("report.js")
    charts = {chart.key: plotly_figure(chart) for chart in (report.equity, report.drawdown, *report.drawn.values())}
    # `<` is escaped, so that no text can end the script element.
    figures = json.dumps(charts, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
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
            *_flows(report),
            *_trades(report),
            *_decision_spans(report),
            *_slippages(report),
            "</main>",
            f'<script type="application/json" id="figures">{figures}</script>',
            f"<script>{plotly}</script>",
            f"<script>{script}</script>",
            "</body></html>",
        ]
    )


def _policy(*scripts: str) -> str:
    """A policy that loads nothing and runs only these scripts; plotly adds its own inline styles."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _read_asset(name: str) -> str:
    return (resources.files("botctl.reporting") / name).read_text(encoding="utf-8")


# Parts of the page


def _head(report: Report) -> Iterable[str]:
    yield f"<h1>{escape(report.title)}</h1>"
    made_at = text.format_time(report.made_at)
    yield f'<p class="quiet">{escape(report.about)}; made {made_at} UTC. All times are UTC.</p>'
    yield '<nav><a href="#equity">Equity</a><a href="#trades">Trades</a><a href="#council">Council</a>'
    yield '<a href="#slippage">Slippage</a></nav>'
    yield "<dl>"
    for name, value in report.figures:
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl>"
    yield from (f'<p class="note">{escape(note)}</p>' for note in report.notes)
    yield '<noscript><p class="note">The charts need JavaScript; the tables do not.</p></noscript>'


def _curves(report: Report) -> Iterable[str]:
    for chart in (report.equity, report.drawdown):
        yield f'<h2 id="{chart.key}">{escape(chart.title)} <span class="quiet">in {escape(chart.unit)}</span></h2>'
        yield _chart_element(chart) if chart.series else '<p class="quiet">No data yet.</p>'


def _flows(report: Report) -> Iterable[str]:
    if not report.flows:
        return
    cut = f"the newest {len(report.flows):,} of " if len(report.flows) < report.flow_count else ""
    count = f"{cut}{report.flow_count:,}, newest first"
    yield f'<h2 id="flows">Deposits and withdrawals <span class="quiet">{count}</span></h2>'
    yield '<p class="quiet">Every change of a balance that is no fill of botctl: no gain and no loss. '
    yield f"Value and base in {escape(report.quote)}; drawdown is measured from the base.</p>"
    yield from _table("at, currency, amount*, value*, base*", map(_flow_cells, report.flows), "")


def _trades(report: Report) -> Iterable[str]:
    yield f'<h2 id="trades">Trades <span class="quiet">{len(report.trades):,}, newest first</span></h2>'
    yield from _table(
        "id, symbol, status, entered, amount*, entry price*, exited, exit price*, reason, fees*, P&L*, of cost*, R*, "
        "initial stop*, stop*",
        (_trade_cells(trade, trade.id in report.drawn) for trade in report.trades),
        "no trades yet",
    )
    if not report.drawn:
        return
    drawn = f"the newest {len(report.drawn):,}" if len(report.drawn) < len(report.trades) else f"{len(report.drawn):,}"
    yield f'<h2 id="charts">Trade charts <span class="quiet">{drawn}</span></h2>'
    yield '<p class="quiet mouse">Drag to zoom in, double-click to reset.</p><div class="trades">'
    for number, chart in report.drawn.items():
        note = f" <span>({escape(chart.note)})</span>" if chart.note else ""
        yield f'<figure id="trade-{number}"><figcaption>{escape(chart.title)}{note}</figcaption>'
        yield f"{_chart_element(chart)}</figure>"
    yield "</div>"


def _decision_spans(report: Report) -> Iterable[str]:
    counts = ", ".join(f"{count:,} {decision}" for decision, count in report.decision_counts.items()) or "none"
    yield f'<h2 id="council">The Council\'s decisions <span class="quiet">{escape(counts)}</span></h2>'
    if report.decision_spans:
        cut = len(report.decision_spans) < report.decision_span_count
        rows = (
            f"The newest {len(report.decision_spans):,} of {report.decision_span_count:,} rows"
            if cut
            else "Newest first"
        )
        yield f'<p class="quiet">{rows}; equal decisions in a row are merged.</p>'
    yield from _table(
        "from, to, count*, symbol, decision, price*, reason~, outcome~",
        map(_decision_cells, report.decision_spans),
        "no decisions yet",
    )


def _slippages(report: Report) -> Iterable[str]:
    count = f"{len(report.slippages):,}, newest first"
    yield f'<h2 id="slippage">Slippage of orders <span class="quiet">{count}</span></h2>'
    yield '<p class="quiet">Average fill price against the expected price; positive when it hurts. '
    yield f"Prices and cost in {escape(report.quote)}.</p>"
    yield from _table(
        "at, trade*, side, symbol, reason, amount*, expected*, expected is, filled at*, slippage*, cost*",
        (_slippage_cells(row, row.trade_id in report.drawn) for row in report.slippages),
        "no filled orders yet",
    )


def _chart_element(chart: Chart) -> str:
    return f'<div class="chart" data-chart="{chart.key}" role="img" aria-label="{escape(chart.title)}"></div>'


# Tables


def _table(columns: str, rows: Iterable[Sequence[str]], when_empty: str) -> Iterable[str]:
    """A table of rendered cells; a column marked * has figures, one marked ~ long text."""
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


def _flow_cells(flow: FlowRecord) -> Sequence[str]:
    return (
        _text(text.format_time(flow.at)),
        _text(flow.currency),
        _figure(flow.amount, None if flow.amount is None else format_decimal(flow.amount)),
        _figure(flow.value, text.format_signed(flow.value)),
        _figure(flow.base),
    )


def _trade_cells(trade: TradeRecord, drawn: bool) -> Sequence[str]:
    fees = [fee for fee in (trade.entry_fee, trade.exit_fee) if fee is not None]
    cost = trade.entry_cost
    return (
        _text(_link(trade.id, drawn), raw=True),
        _text(trade.symbol),
        _text(trade.status),
        _text(text.format_time(trade.entry_time)),
        _figure(trade.amount, format_decimal(trade.amount)),
        _figure(trade.entry_price, text.format_price(trade.entry_price)),
        _text(text.format_time(trade.exit_time)),
        _figure(trade.exit_price, text.format_price(trade.exit_price)),
        _text(trade.exit_reason or text.UNKNOWN),
        _figure(sum(fees, Decimal(0)) if fees else None),
        _figure(trade.pnl, text.format_signed(trade.pnl), coloured=True),
        _percent(trade.pnl / cost if trade.pnl is not None and cost else None),
        _figure(trade.r_multiple, text.format_signed(trade.r_multiple)),
        _figure(trade.initial_stop_loss_price, text.format_price(trade.initial_stop_loss_price)),
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


def _text(content: str, *, raw: bool = False, kind: str = "") -> str:
    inner = content if raw else escape(content)
    return f'<td class="{kind}">{inner}</td>' if kind else f"<td>{inner}</td>"


def _link(trade_id: int, drawn: bool) -> str:
    return f'<a href="#trade-{trade_id}">{trade_id}</a>' if drawn else str(trade_id)


def _figure(value: Decimal | float | None, shown: str | None = None, *, coloured: bool = False) -> str:
    """A figure in short form, with the exact value in the markup."""
    if value is None:
        return f'<td class="figure">{text.UNKNOWN}</td>'
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    colour = (' class="gain"' if exact > 0 else ' class="loss"') if coloured and exact else ""
    return f'<td{colour}><data value="{exact:f}">{escape(shown or text.format_money(exact))}</data></td>'


def _percent(fraction: Decimal | None, decimals: int = 2) -> str:
    if fraction is None:
        return _figure(None)
    return _figure(round(fraction, 8), f"{100 * fraction:z.{decimals}f} %")


# Charts


def plotly_figure(chart: Chart) -> dict[str, Any]:
    """A chart as a plotly figure. Colours are CSS variables, which the page's script replaces by their values."""
    data = [_candlestick(chart.bars)] if chart.bars else []
    data += [*map(_series, chart.series), *map(_marker, chart.markers)]
    return {"data": data, "layout": _layout(chart)}


def _candlestick(bars: Bars) -> dict[str, Any]:
    """A candle's time is its opening; it is drawn over its whole length."""
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


def _series(series: Series) -> dict[str, Any]:
    plot = {
        "type": "scatter",
        "mode": "lines",
        "name": series.name,
        "x": _milliseconds(series.times),
        "y": _short(series.values),
        "line": {
            "color": f"--{series.kind}",
            "width": 1.5,
            "dash": DASHES.get(series.kind, "solid"),
            "shape": "hv" if series.stepped else "linear",
        },
    }
    if series.kind is SeriesKind.DRAWDOWN:
        plot |= {"fill": "tozeroy", "fillcolor": "--shade"}
    return plot


def _marker(marker: Marker) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": marker.name,
        "x": _milliseconds([marker.time]),
        "y": [marker.value],
        "marker": {
            "symbol": SHAPES[marker.kind],
            "size": 13,
            "color": f"--{marker.kind}",
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
        "uirevision": "kept",  # switching between light and dark keeps the zoom
        "xaxis": {**axis, "type": "date", "rangeslider": {"visible": False}, "nticks": 7, "tickangle": 0},
        "yaxis": {**axis, "title": {"text": chart.unit}, "tickformat": MONEY_FORMAT, "hoverformat": MONEY_FORMAT},
    }


def _milliseconds(times: Sequence[float]) -> list[int]:
    return [round(1000 * time) for time in times]


def _short(values: Sequence[float]) -> list[float]:
    """Ten significant digits: more than any chart shows, at half the size."""
    return [float(f"{value:.10g}") for value in values]
