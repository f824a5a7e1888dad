"""Asks once more for what was settled: for exact figures in place of estimates, and for late fills of canceled buys."""

import logging
from datetime import timedelta

from botctl.domain.errors import BotError, OutcomeUnknown, attempt_each
from botctl.domain.orders import OrderReport
from botctl.store.canceled_buys import forget_canceled_buy, load_canceled_buys
from botctl.store.corrections import book_late_entry
from botctl.store.rows import OrderRow
from botctl.trading.order_settlement import OrderSettlement

log = logging.getLogger(__name__)

ASK_AGAIN_AFTER = timedelta(seconds=30)
"""How long after a buy was canceled the exchange is asked for it once more, at the earliest."""
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


def book_late_entries(settlement: OrderSettlement) -> tuple[list[str], list[BotError]]:
    """Ask once more for each buy that was canceled, unfilled or in part, before the last seconds.

    What it has filled since then opens its trade, or enlarges it. Returns what to say. A buy for which there is no
    answer is asked for again.
    """
    now = settlement.clock.now()
    orders = load_canceled_buys(before=now - ASK_AGAIN_AFTER)
    if not orders:
        return [], []
    try:
        reports = settlement.exchange.fetch_orders([str(order.exchange_order_id) for order in orders])
    except BotError as error:
        return [], [error]
    known = [(order, reports[str(order.exchange_order_id)]) for order in orders if order.exchange_order_id in reports]
    for order in orders:
        if order.exchange_order_id not in reports and now > order.deadline + ASK_AGAIN_UNTIL:
            forget_canceled_buy(order.id)
    notes, errors = attempt_each(lambda each: _book_late_entry(*each, settlement), known)
    return [note for note in notes if note is not None], errors


def _book_late_entry(order: OrderRow, report: OrderReport, settlement: OrderSettlement) -> str | None:
    note = None
    if report.filled > order.filled:
        execution = settlement.fetch_execution(order, report)
        stop = None if execution is None else settlement.first_stop(order, execution)
        if execution is None or stop is None:
            problem = f"the canceled buy {order.client_order_id} of {order.symbol} shows fills that don't add up"
            raise OutcomeUnknown(problem, hint="the next tick looks again")
        note = book_late_entry(order, execution, settlement.clock.now(), stop=stop)
        log.warning("%s", note)
    forget_canceled_buy(order.id)
    return note
