"""The parts of the page, from top to bottom."""

from collections.abc import Iterable
from html import escape

from botctl.domain import text
from botctl.reporting.model import Chart, Report
from botctl.reporting.tables import cost_cells, decision_cells, flow_cells, slippage_cells, table, trade_cells

PARTS = {
    "now": "Now",
    "equity": "Equity",
    "trades": "Trades",
    "council": "Council",
    "costs": "Fees and slippage",
    "flows": "Deposits and withdrawals",
}
"""Where the links at the top of the page lead, as far as the page has it."""


def head_section(report: Report, reload_seconds: int) -> Iterable[str]:
    """`reload_seconds` is 0 for a page that stays as it is."""
    yield f"<h1>{escape(report.title)}</h1>"
    made_at = f'<time datetime="{report.made_at.isoformat()}">{text.format_time(report.made_at)}</time>'
    yield f'<p class="quiet">{escape(report.about)}; made {made_at} UTC<span id="age"></span>. All times are UTC.</p>'
    if reload_seconds:
        every = f"{reload_seconds // 60} minutes" if reload_seconds >= 120 else f"{reload_seconds} seconds"
        yield f'<p class="screen"><label><input type="checkbox" id="reload" data-seconds="{reload_seconds}" checked> '
        yield f"Reload this page every {every}</label></p>"
    absent = {key for key, there in (("now", report.cockpit), ("flows", report.flows)) if not there}
    yield '<nav aria-label="Parts of the page">'
    yield from (f'<a href="#{key}">{name}</a>' for key, name in PARTS.items() if key not in absent)
    yield "</nav>"
    yield '<noscript><p class="note">The charts need JavaScript; the tables do not.</p></noscript>'


def figures_section(report: Report) -> Iterable[str]:
    yield '<h2 id="figures-of-all">Figures</h2><dl>'
    for name, value in report.figures:
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl>"
    yield from (f'<p class="note">{escape(note)}</p>' for note in report.notes)


def curves_section(report: Report) -> Iterable[str]:
    for chart in (report.equity, report.drawdown):
        yield f'<h2 id="{chart.key}">{escape(chart.title)} <span class="quiet">in {escape(chart.unit)}</span></h2>'
        yield _chart_element(chart) if chart.series else '<p class="quiet">No data yet.</p>'


def flows_section(report: Report) -> Iterable[str]:
    if not report.flows:
        return
    cut = f"the newest {len(report.flows):,} of " if len(report.flows) < report.flow_count else ""
    count = f"{cut}{report.flow_count:,}, newest first"
    yield f'<h2 id="flows">Deposits and withdrawals <span class="quiet">{count}</span></h2>'
    yield '<p class="quiet">Every change of a balance that is no fill of botctl: no gain and no loss. '
    yield f"Value and base in {escape(report.quote)}; drawdown is measured from the base.</p>"
    columns = "at, currency, amount*, value*, base*"
    yield from table("Deposits and withdrawals", columns, map(flow_cells, report.flows), "")


def trades_section(report: Report) -> Iterable[str]:
    decimals = report.price_decimals
    yield f'<h2 id="trades">Trades <span class="quiet">{len(report.trades):,}, newest first</span></h2>'
    yield from table(
        "Trades",
        "id, symbol, status, entered, amount*, entry price*, exited, exit price*, reason, fees*, P&L*, of cost*, R*, "
        "initial stop*, stop*",
        (trade_cells(trade, trade.id in report.drawn, decimals.get(trade.symbol)) for trade in report.trades),
        "no trades yet",
    )
    if not report.drawn:
        return
    drawn = f"the newest {len(report.drawn):,}" if len(report.drawn) < len(report.trades) else f"{len(report.drawn):,}"
    yield f'<h2 id="charts">Trade charts <span class="quiet">{drawn}</span></h2>'
    yield '<p class="quiet mouse screen">Drag to zoom in, double-click to reset.</p><div class="trades">'
    for number, chart in report.drawn.items():
        note = f" <span>({escape(chart.note)})</span>" if chart.note else ""
        yield f'<figure id="trade-{number}"><figcaption>{escape(chart.title)}{note}</figcaption>'
        yield f"{_chart_element(chart)}</figure>"
    yield "</div>"


def decisions_section(report: Report) -> Iterable[str]:
    counts = ", ".join(f"{count:,} {decision}" for decision, count in report.decision_counts.items()) or "none"
    yield f'<h2 id="council">The Council\'s decisions <span class="quiet">{escape(counts)}</span></h2>'
    if report.decision_spans:
        rows = f"The newest {len(report.decision_spans):,} rows" if report.decisions_cut else "Newest first"
        yield f'<p class="quiet">{rows}; equal decisions in a row are merged.</p>'
    yield from table(
        "Decisions",
        "from, to, count*, symbol, decision, price*, reason~, outcome~",
        (decision_cells(span, report.price_decimals.get(span.symbol)) for span in report.decision_spans),
        "no decisions yet",
    )


def costs_section(report: Report) -> Iterable[str]:
    yield '<h2 id="costs">Fees and slippage <span class="quiet">in the quote currency of each symbol</span></h2>'
    yield '<p class="quiet">What trading costs: fees as a share of all that was bought and sold, and the loss to '
    yield "slippage, of the orders whose expected price is known.</p>"
    columns = "symbol, trades*, P&L*, turnover*, fees*, of turnover*, slippage*"
    yield from table("Fees and slippage by symbol", columns, map(cost_cells, report.costs), "no trades yet")
    decimals = report.price_decimals
    cut = f"the newest {len(report.slippages):,} of " if len(report.slippages) < report.slippage_count else ""
    count = f"{cut}{report.slippage_count:,}, newest first"
    yield f'<h2 id="slippage">Slippage of orders <span class="quiet">{count}</span></h2>'
    yield '<p class="quiet">Average fill price against the expected price; positive when it hurts. '
    yield f"Prices and cost in {escape(report.quote)}.</p>"
    yield from table(
        "Slippage of orders",
        "at, trade*, side, symbol, reason, amount*, expected*, expected is, filled at*, slippage*, cost*",
        (slippage_cells(row, row.trade_id in report.drawn, decimals.get(row.symbol)) for row in report.slippages),
        "no filled orders yet",
    )


def _chart_element(chart: Chart) -> str:
    return f'<div class="chart" data-chart="{chart.key}" role="group" aria-label="{escape(_describe(chart))}"></div>'


def _describe(chart: Chart) -> str:
    """What a chart shows in words, for those who can't see it."""
    values = chart.series[0].values if chart.series else ()
    if not values or chart.bars:
        return chart.title
    first, last, low, high = (text.format_price(each) for each in (values[0], values[-1], min(values), max(values)))
    return f"{chart.title}: from {first} to {last} {chart.unit}, lowest {low}, highest {high}"
