"""The tables of the page: every cell is escaped, and a figure has its exact value in the markup."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from botctl.domain import text
from botctl.domain.money import format_decimal
from botctl.queries.flows import FlowRecord
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage
from botctl.reporting.model import CostRow, DecisionSpan


def table(caption: str, columns: str, rows: Iterable[Sequence[str]], when_empty: str) -> Iterable[str]:
    """A table of rendered cells; a column marked * has figures, one marked ~ long text."""
    names = columns.split(", ")
    body = ["".join(row) for row in rows]
    if not body:
        yield f'<p class="quiet">{escape(when_empty)}</p>'
        return
    # It scrolls, so that a keyboard has to reach it.
    yield f'<div class="table" role="region" tabindex="0" aria-label="{escape(caption)}">'
    yield f"<table><caption>{escape(caption)}</caption><thead><tr>"
    for name in names:
        kind = ' class="figure"' if name.endswith("*") else ""
        yield f'<th scope="col"{kind}>{escape(name.rstrip("*~"))}</th>'
    yield "</tr></thead><tbody>"
    yield from (f"<tr>{cells}</tr>" for cells in body)
    yield "</tbody></table></div>"


def flow_cells(flow: FlowRecord) -> Sequence[str]:
    return (
        text_cell(text.format_time(flow.at)),
        text_cell(flow.currency),
        figure_cell(flow.amount, None if flow.amount is None else format_decimal(flow.amount)),
        figure_cell(flow.value, text.format_signed(flow.value)),
        figure_cell(flow.base),
    )


def trade_cells(trade: TradeRecord, drawn: bool, decimals: int | None) -> Sequence[str]:
    fees = [fee for fee in (trade.entry_fee, trade.exit_fee) if fee is not None]
    cost = trade.entry_cost
    return (
        text_cell(_link(trade.id, drawn), raw=True),
        text_cell(trade.symbol),
        text_cell(trade.status),
        text_cell(text.format_time(trade.entry_time)),
        figure_cell(trade.amount, format_decimal(trade.amount)),
        figure_cell(trade.entry_price, text.format_price(trade.entry_price, decimals)),
        text_cell(text.format_time(trade.exit_time)),
        figure_cell(trade.exit_price, text.format_price(trade.exit_price, decimals)),
        text_cell(trade.exit_reason or text.UNKNOWN),
        figure_cell(sum(fees, Decimal(0)) if fees else None),
        figure_cell(trade.pnl, text.format_signed(trade.pnl), coloured=True),
        percent_cell(trade.pnl / cost if trade.pnl is not None and cost else None),
        figure_cell(trade.r_multiple, text.format_signed(trade.r_multiple)),
        figure_cell(trade.initial_stop_loss_price, text.format_price(trade.initial_stop_loss_price, decimals)),
        figure_cell(trade.stop_loss_price, text.format_price(trade.stop_loss_price, decimals)),
    )


def decision_cells(span: DecisionSpan, decimals: int | None) -> Sequence[str]:
    return (
        text_cell(text.format_time(span.since)),
        text_cell(text.format_time(span.until) if span.count > 1 else ""),
        figure_cell(Decimal(span.count), f"{span.count:,}"),
        text_cell(span.symbol),
        text_cell(span.decision),
        figure_cell(span.price, text.format_price(span.price, decimals)),
        text_cell(span.reason, kind="words"),
        text_cell(span.outcome, kind="words"),
    )


def slippage_cells(row: Slippage, drawn: bool, decimals: int | None) -> Sequence[str]:
    return (
        text_cell(text.format_time(row.at)),
        text_cell(_link(row.trade_id, drawn), raw=True, kind="figure"),
        text_cell(row.side),
        text_cell(row.symbol),
        text_cell(row.reason or "entry"),
        figure_cell(row.amount, format_decimal(row.amount)),
        figure_cell(row.expected_price, text.format_price(row.expected_price, decimals)),
        text_cell(row.basis),
        figure_cell(row.average_price, text.format_price(row.average_price, decimals)),
        percent_cell(row.fraction, decimals=3),
        figure_cell(row.cost),
    )


def cost_cells(row: CostRow) -> Sequence[str]:
    return (
        text_cell(row.symbol),
        figure_cell(Decimal(row.trades), f"{row.trades:,}"),
        figure_cell(row.pnl, text.format_signed(row.pnl), coloured=True),
        figure_cell(row.turnover),
        figure_cell(row.fees),
        percent_cell(row.fees / row.turnover if row.turnover else None, decimals=3),
        figure_cell(row.slippage),
    )


def text_cell(content: str, *, raw: bool = False, kind: str = "") -> str:
    inner = content if raw else escape(content)
    return f'<td class="{kind}">{inner}</td>' if kind else f"<td>{inner}</td>"


def _link(trade_id: int, drawn: bool) -> str:
    return f'<a href="#trade-{trade_id}">{trade_id}</a>' if drawn else str(trade_id)


def figure_cell(value: Decimal | float | None, shown: str | None = None, *, coloured: bool = False) -> str:
    """A figure in short form, with the exact value in the markup."""
    if value is None:
        return f'<td class="figure">{text.UNKNOWN}</td>'
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    colour = (' class="gain"' if exact > 0 else ' class="loss"') if coloured and exact else ""
    return f'<td{colour}><data value="{exact:f}">{escape(shown or text.format_money(exact))}</data></td>'


def percent_cell(fraction: Decimal | None, decimals: int = 2) -> str:
    if fraction is None:
        return figure_cell(None)
    return figure_cell(round(fraction, 8), f"{100 * fraction:z.{decimals}f} %")
