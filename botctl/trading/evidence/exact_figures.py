"""Asks once more for what was settled: for exact figures of estimates, and for late fills of canceled orders."""

import logging
from datetime import timedelta

from botctl.domain.errors import BotError, OutcomeUnknown, attempt_each
from botctl.domain.freshness import is_fresh
from botctl.domain.money import format_decimal
from botctl.domain.orders import OrderReport, Side
from botctl.store.corrections import book_late_entry
from botctl.store.evidence.canceled_orders import forget_canceled_order, load_canceled_orders
from botctl.store.rows import OrderRow
from botctl.trading.orders.settlement import OrderSettlement

log = logging.getLogger(__name__)

ASK_AGAIN_AFTER = timedelta(seconds=30)
"""How long after an order was canceled the exchange is asked for it once more, at the earliest."""
ASK_AGAIN_FOR = timedelta(hours=2)
"""How long it is asked for at each tick: a record may lie for an hour."""
ASK_AGAIN_UNTIL = timedelta(days=1)
"""How long after its deadline, where the answers do not show it."""


def complete_figures(settlement: OrderSettlement) -> tuple[int, int]:
    """Ask again for the fills of each order with estimated figures: how many are exact now, and how many are not.

    An answer that fails is no error of the tick: the next one asks again.
    """
    orders = settlement.journal.inexact_orders()
    corrected = 0
    try:
        ids = [str(order.exchange_order_id) for order in orders]
        reports = settlement.exchange.fetch_orders(ids) if orders else {}
        for order in orders:
            report = reports.get(str(order.exchange_order_id))
            execution = None if report is None else settlement.fetch_execution(order, report)
            if execution is not None and execution.exact and execution.filled == order.filled:
                now, stop = settlement.clock.now(), settlement.first_stop(order, execution)
                settlement.journal.correct_figures(order, execution, now, stop=stop)
                corrected += 1
    except BotError as error:
        log.warning("the fills of orders with estimated figures: %s", error)
    return corrected, len(orders) - corrected


def book_late_fills(settlement: OrderSettlement) -> tuple[list[str], list[BotError]]:
    """Ask once more for each order that was canceled, unfilled or in part, in the last hours, but not the last seconds.

    What a buy has filled since then opens its trade, or enlarges it; what a sell has filled is taken off its trade.
    Returns what to say. An order for which there is no answer is asked for again.
    """
    now = settlement.clock.now()
    orders = load_canceled_orders(before=now - ASK_AGAIN_AFTER)
    if not orders:
        return [], []
    try:
        reports = settlement.exchange.fetch_orders([str(order.exchange_order_id) for order in orders])
    except BotError as error:
        return [], [error]
    known = [(order, reports[str(order.exchange_order_id)]) for order in orders if order.exchange_order_id in reports]
    for order in orders:
        if order.exchange_order_id not in reports and _is_over(order, ASK_AGAIN_UNTIL, settlement):
            forget_canceled_order(order.id)
    notes, errors = attempt_each(lambda each: _book_late_fill(*each, settlement), known)
    return [note for note in notes if note is not None], errors


def _book_late_fill(order: OrderRow, report: OrderReport, settlement: OrderSettlement) -> str | None:
    note = None
    if report.filled > order.filled:
        note = (
            _book_late_entry(order, report, settlement)
            if order.side == Side.BUY
            else _book_late_exit(order, report, settlement)
        )
        log.warning("%s", note)
    if note is not None or _is_over(order, ASK_AGAIN_FOR, settlement):
        forget_canceled_order(order.id)
    return note


def _is_over(order: OrderRow, span: timedelta, settlement: OrderSettlement) -> bool:
    """Whether the order's deadline is longer ago, by the exchange's clock as well: ours may be ahead for one run."""
    ours = not is_fresh(order.deadline, settlement.clock.now(), span, tolerance=span)
    return ours and not is_fresh(order.deadline, settlement.exchange.now(), span, tolerance=span)


def _book_late_entry(order: OrderRow, report: OrderReport, settlement: OrderSettlement) -> str:
    execution = settlement.fetch_execution(order, report)
    stop = None if execution is None else settlement.first_stop(order, execution)
    if execution is None or stop is None:
        raise _not_adding_up(order)
    return book_late_entry(order, execution, settlement.clock.now(), stop=stop)


def _book_late_exit(order: OrderRow, report: OrderReport, settlement: OrderSettlement) -> str:
    """Raises BotError, once it is booked, when it is more than the trade holds."""
    late = f"{format_decimal(report.filled - order.filled)} of {order.symbol}"
    execution = settlement.fetch_execution(order, report)
    if execution is None:
        raise _not_adding_up(order)
    settlement.journal.book_late_fills(order, execution, settlement.clock.now())
    if (oversold := settlement.journal.overselling_of(order)) is not None:
        forget_canceled_order(order.id)
        raise oversold
    return f"the canceled sell of trade {order.trade_id} was filled late: {late}"


def _not_adding_up(order: OrderRow) -> OutcomeUnknown:
    problem = f"the canceled {order.side} {order.client_order_id} of {order.symbol} shows fills that don't add up"
    return OutcomeUnknown(problem, hint="the next tick looks again")
