"""What differs between the database and the exchange, and what recover does about it."""

from collections.abc import Sequence
from decimal import Decimal

from botctl.cli.tables import Drawing, amount, draw_table, group, pairs
from botctl.domain.text import UNKNOWN, format_money, format_price, format_time
from botctl.reconciliation.results import ReconciledOrder, ReconciledPosition, ReconcileView, RecoverView


def draw_reconciliation(view: ReconcileView) -> Drawing:
    parts: list[Drawing] = []
    if view.orders:
        parts += [_compared_orders(view.orders), ""]
    if view.positions:
        parts += [_compared_positions(view.positions), ""]
    differing = sum(not row.same for row in view.orders) + sum(not row.same for row in view.positions)
    compared = f"{len(view.orders)} orders and {len(view.positions)} positions since {format_time(view.since)} UTC"
    parts.append(f"{compared}: {'all the same' if view.same else f'{differing} differ'}")
    if view.foreign_orders:
        parts.append(f"{view.foreign_orders} orders of the account are not botctl's")
    return group(*parts)


def _compared_orders(rows: Sequence[ReconciledOrder]) -> Drawing:
    return draw_table(
        ("trade", "order", "journal", "exchange", "verdict"),
        [
            [
                _id(row.trade_id),
                f"{row.role}\n{row.symbol}",
                _order_side(row.journal_state, row.journal_filled, row.journal_cost, row.journal_fee),
                _order_side(row.exchange_state, row.exchange_filled, row.exchange_cost, row.exchange_fee),
                row.verdict,
            ]
            for row in rows
        ],
    )


def _compared_positions(rows: Sequence[ReconciledPosition]) -> Drawing:
    return draw_table(
        ("trade", "symbol", "held", "by its orders", "balance", "verdict"),
        [
            [
                _id(row.trade_id),
                row.symbol,
                amount(row.held),
                amount(row.exchange_held),
                amount(row.balance),
                row.verdict,
            ]
            for row in rows
        ],
    )


def _id(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _order_side(state: str | None, filled: Decimal | None, cost: Decimal | None, fee: Decimal | None) -> str:
    """One side of an order, in two lines."""
    if state is None:
        return UNKNOWN
    return f"{state} {amount(filled)}\n{format_money(cost)}, fee {format_money(fee)}" if filled else state


def draw_recovery(view: RecoverView) -> Drawing:
    lines = []
    for row in view.actions:
        figures = [amount(row.amount)]
        if row.stop_loss_price is not None:
            figures += [f"entry {format_price(row.entry_price)}", f"stop {format_price(row.stop_loss_price)}"]
        lines += [
            (f"{row.action} trade {_id(row.trade_id)}", f"{row.symbol} {', '.join(figures)}"),
            ("", row.detail),
        ]
    lines += [("note", note) for note in view.notes]
    rest = f"{view.same_trades} trades are the same or have ended, {view.foreign_orders} orders are not botctl's"
    lines.append((f"since {view.since:%Y-%m-%d}", rest))
    if any(row.action in ("add", "reduce", "close", "adopt") for row in view.actions):
        applied = "written, and paused: check with `botctl reconcile`, then `botctl resume`"
        lines.append(("", applied if view.applied else "nothing was changed: `botctl recover --apply` writes it"))
    elif not view.actions:
        lines.append(("", "there is nothing to recover"))
    return pairs(lines)
