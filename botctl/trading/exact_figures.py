"""Replaces figures that were estimated from an order's record by the sums of its fills, once they are shown."""

import logging

from botctl.domain.errors import BotError
from botctl.trading.order_settlement import OrderSettlement

log = logging.getLogger(__name__)


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
