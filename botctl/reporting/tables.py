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
        _text(text.format_time(flow.at)),
        _text(flow.currency),
        _figure(flow.amount, None if flow.amount is None else format_decimal(flow.amount)),
        _figure(flow.value, text.format_signed(flow.value)),
        _figure(flow.base),
    )


def trade_cells(trade: TradeRecord, drawn: bool) -> Sequence[str]:
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


def decision_cells(span: DecisionSpan) -> Sequence[str]:
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


def slippage_cells(row: Slippage, drawn: bool) -> Sequence[str]:
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


def cost_cells(row: CostRow) -> Sequence[str]:
    return (
        _text(row.symbol),
        _figure(Decimal(row.trades), f"{row.trades:,}"),
        _figure(row.pnl, text.format_signed(row.pnl), coloured=True),
        _figure(row.turnover),
        _figure(row.fees),
        _percent(row.fees / row.turnover if row.turnover else None, decimals=3),
        _figure(row.slippage),
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
