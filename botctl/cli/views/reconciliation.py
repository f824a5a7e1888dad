"""Differences between the database and the exchange, and what recover does about them."""

from collections.abc import Sequence
from decimal import Decimal

from botctl.cli.tables import Drawing, draw_table, group, pairs
from botctl.domain.text import UNKNOWN, counted, format_amount, format_money, format_price, format_time
from botctl.reconciliation.results import ReconciledOrder, ReconciledPosition, ReconcileView, RecoverView


def draw_reconciliation(view: ReconcileView) -> Drawing:
    parts: list[Drawing] = []
    if view.orders:
        parts += [_draw_orders(view.orders), ""]
    if view.positions:
        parts += [_draw_positions(view.positions), ""]
    differing = [row.same for row in view.orders].count(False) + [row.same for row in view.positions].count(False)
    compared = f"{counted(len(view.orders), 'order')} and {counted(len(view.positions), 'position')}"
    parts.append(
        f"{compared} since {format_time(view.since)} UTC: {'no differences' if view.same else f'{differing} differ'}"
    )
    if view.foreign_orders:
        parts.append(f"{counted(view.foreign_orders, 'order')} of the account not sent by botctl")
    return group(*parts)


def _draw_orders(rows: Sequence[ReconciledOrder]) -> Drawing:
    cells = []
    for row in rows:
        journal = _order_cell(row.journal_state, row.journal_filled, row.journal_cost, row.journal_fee)
        exchange = _order_cell(row.exchange_state, row.exchange_filled, row.exchange_cost, row.exchange_fee)
        cells.append([_id(row.trade_id), f"{row.role}\n{row.symbol}", journal, exchange, row.verdict])
    return draw_table(("trade", "order", "journal", "exchange", "verdict"), cells)


def _draw_positions(rows: Sequence[ReconciledPosition]) -> Drawing:
    columns = ("trade", "symbol", "held", "by its orders", "balance", "verdict")
    cells = [
        [_id(row.trade_id), row.symbol, *map(format_amount, (row.held, row.exchange_held, row.balance)), row.verdict]
        for row in rows
    ]
    return draw_table(columns, cells)


def _id(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _order_cell(state: str | None, filled: Decimal | None, cost: Decimal | None, fee: Decimal | None) -> str:
    if state is None:
        return UNKNOWN
    return f"{state} {format_amount(filled)}\n{format_money(cost)}, fee {format_money(fee)}" if filled else state


def draw_recovery(view: RecoverView, *, asking: bool = False) -> Drawing:
    """What was done or, where it is `asking` for a yes, what would be."""
    lines = []
    for row in view.actions:
        details = [format_amount(row.amount)]
        if row.stop_loss_price is not None:
            details += [f"entry {format_price(row.entry_price)}", f"stop {format_price(row.stop_loss_price)}"]
        lines += [
            (f"{row.action} trade {_id(row.trade_id)}", f"{row.symbol} {', '.join(details)}"),
            ("", row.detail),
            ("", "of this database" if row.database == view.database else f"of database {row.database}"),
        ]
    lines += [("note", note) for note in view.notes]
    foreign = f"{counted(view.foreign_orders, 'order')} not sent by botctl"
    rest = f"{counted(view.same_trades, 'trade')} unchanged or closed, {foreign}"
    lines.append((f"since {view.since:%Y-%m-%d}", rest))
    if view.applied and not view.actions:
        lines.append(("", "nothing to recover; trades that ended count as ended"))
    elif any(row.action in ("add", "reduce", "close", "adopt") for row in view.actions):
        applied = "applied, and paused: check with `botctl reconcile`, then `botctl resume`"
        undone = "nothing is changed yet" if asking else "nothing was changed: `botctl recover --apply` applies it"
        lines.append(("", applied if view.applied else undone))
    elif not view.actions:
        lines.append(("", "nothing to recover"))
    return pairs(lines)
