"""Learns the ending of every unfinished order: by the exchange's id, or by the id we gave it. Sends nothing."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from botctl.domain.errors import BotError, LockedOut, OutcomeUnknown
from botctl.domain.money import format_decimal, price_of, total
from botctl.domain.orders import ABSENT_AFTER, UNSETTLED, Execution, Fill, OrderReport, OrderState, Side
from botctl.domain.stops import StopRule
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.rows import OrderRow

log = logging.getLogger(__name__)

WAIT_BUDGET_SECONDS = 20.0
"""How long one run waits for answers, in all."""
LOOK_UP_INTERVALS = (0.5, 2.0, 6.0, WAIT_BUDGET_SECONDS)
"""Between two look-ups, as far as patience lasts. So few that they stay under Kraken's rate counter."""
FILLS_AGAIN_AFTER = 2.0
"""Seconds until fills that don't add up are asked for again."""

Found = tuple[OrderRow, list[OrderReport]]
"""An order, and every order that the exchange shows for it."""

LOOKED_UP = (OrderState.UNKNOWN, OrderState.ACCEPTED)
"""Orders that the exchange may know."""
SINCE_BEFORE_DEADLINE = timedelta(minutes=10)
"""Lost orders are sought from so long before their deadline: more than any clock they were set by can be wrong."""


class WaitBudget:
    """The seconds that one run may spend waiting for unsettled orders."""

    def __init__(self, clock: Clock, seconds: float = WAIT_BUDGET_SECONDS) -> None:
        self.clock = clock
        self.left = seconds

    def spend(self, seconds: float) -> None:
        """So long a look-up took."""
        self.left -= seconds

    def wait(self, seconds: float) -> bool:
        """Sleep so long, or what is left; False, at once, when nothing is."""
        if self.left <= 0:
            return False
        pause = min(seconds, self.left)
        self.left -= pause
        self.clock.sleep(pause)
        return True


class OrderSettlement:
    """Settles orders against the exchange."""

    def __init__(
        self, exchange: Exchange, journal: Journal, clock: Clock, wait_budget: WaitBudget, rule: StopRule
    ) -> None:
        self.exchange = exchange
        self.journal = journal
        self.clock = clock
        self.wait_budget = wait_budget
        self.rule = rule

    def settle_unfinished_orders(self) -> list[BotError]:
        """Before anything else: one look at every order that an earlier run left behind, without waiting."""
        orders, errors = self.journal.unsettled(), []
        for order in orders:
            try:
                self._resume_interrupted(order)
            except BotError as error:
                errors.append(error)
        errors += self._look_up([order for order in orders if order.state in LOOKED_UP])
        return errors + _still_open(orders)

    def settle(self, orders: Sequence[OrderRow]) -> list[BotError]:
        """Look until every order has ended or this run's patience has; an error for each that has not."""
        errors: list[BotError] = []
        pauses = iter(LOOK_UP_INTERVALS)
        while waiting := _unsettled(orders):
            started = time.monotonic()
            errors = self._look_up(waiting)
            self.wait_budget.spend(time.monotonic() - started)
            locked_out = any(isinstance(error, LockedOut) for error in errors)
            if locked_out or not _unsettled(waiting) or not self.wait_budget.wait(next(pauses, LOOK_UP_INTERVALS[-1])):
                break
        still = _still_open(orders)
        return errors + still if still else []

    def _resume_interrupted(self, order: OrderRow) -> None:
        """What another run left in mid-air: not sent, or perhaps sent."""
        if order.state == OrderState.INTENDED:
            self.journal.mark_absent(order, "the run ended before it was sent", self.clock.now())
        elif order.state == OrderState.SUBMITTED:
            self.journal.mark_unknown(order, OutcomeUnknown("the run ended while it was being sent"))

    def _look_up(self, orders: Sequence[OrderRow]) -> list[BotError]:
        """One round of look-ups: orders whose id is known by that, lost ones by their client order ids."""
        errors: list[BotError] = []
        ended: list[Found] = []
        known = [order for order in orders if order.exchange_order_id]
        try:
            reports = self.exchange.fetch_orders([str(order.exchange_order_id) for order in known]) if known else {}
        except BotError as error:
            errors.append(error)
            reports = {}
        own = {order.id: report for order in known if (report := _own_report(order, reports)) is not None}
        ended += [(order, [own[order.id]]) for order in known if order.id in own]
        lost = [order for order in orders if not order.exchange_order_id]
        if not errors:  # an id under which nothing of ours is shown for so long may be a wrong one
            lost += [order for order in known if order.id not in own and self.clock.now() > order.deadline]
        found, not_found = self._find(lost)
        ended += found
        final = [(order, reports) for order, reports in ended if reports and all(report.final for report in reports)]
        return [*errors, *not_found, *self._write_endings(final)]

    def _find(self, orders: Sequence[OrderRow]) -> tuple[list[Found], list[BotError]]:
        """What carries these orders' client ids, and what went wrong over it. Nothing, long enough after the deadline,
        proves that nothing is."""
        if not orders:
            return [], []
        oldest = min(order.deadline for order in orders) - SINCE_BEFORE_DEADLINE
        try:
            asked_at = self.exchange.now(fresh=True)  # an order is only ever given up by the exchange's own word
            found = self.exchange.find_orders([order.client_order_id for order in orders], oldest)
        except BotError as error:
            return [], [error]
        errors: list[BotError] = []
        for order in orders:
            reports = found[order.client_order_id]
            if len(reports) > 1:
                log.error("the exchange shows %d orders for client id %s", len(reports), order.client_order_id)
            if order.exchange_order_id:
                continue  # it was accepted, so it can't be absent; its true id comes with its ending
            try:
                if reports:
                    self.journal.accept(order, reports[0].exchange_order_id)
                elif asked_at > order.deadline + ABSENT_AFTER:
                    why = "no such order on the exchange long after its deadline"
                    self.journal.mark_absent(order, why, self.clock.now())
            except BotError as error:
                errors.append(error)
        return [(order, found[order.client_order_id]) for order in orders if order.exchange_order_id], errors

    def _write_endings(self, ended: Sequence[Found]) -> list[BotError]:
        """Fetch the exact figures of all ended orders together, and write each down: one that fails stops no other."""
        filled = [report for _, found in ended for report in found if report.filled > 0]
        try:
            fills = self._fetch_fills(filled) if filled else []
        except BotError as error:
            return [error]
        errors: list[BotError] = []
        for order, found in ended:
            try:
                execution = self._execution(order, found, fills)
                if execution is not None:
                    self.journal.settle(order, execution, self.clock.now(), stop=self._first_stop(order, execution))
                    _log_ending(order, execution)
            except BotError as error:
                errors.append(error)
        return errors

    def _first_stop(self, order: OrderRow, execution: Execution) -> float | None:
        """Where the stop of a trade rests that this buy has opened; None for a sell, or when nothing was bought."""
        if order.side != Side.BUY or execution.filled <= 0:
            return None
        trade = self.journal.trade(order.trade_id)
        if trade.atr is None:
            raise AssertionError(f"trade {trade.id} was entered without an ATR")
        return self.rule.initial_stop(float(price_of(execution.cost, execution.filled)), trade.atr)

    def _fetch_fills(self, reports: Sequence[OrderReport]) -> list[Fill]:
        """The fills of ended orders; asked once more when some are missing. Long after an order's end its own rough
        figures serve instead, and one poor answer must not bring that about."""
        fills = self.exchange.fetch_fills(reports)
        ids = {report.exchange_order_id for report in reports}
        shown = total(fill.amount for fill in fills if fill.exchange_order_id in ids)
        if shown != total(report.filled for report in reports) and self.wait_budget.wait(FILLS_AGAIN_AFTER):
            fills = self.exchange.fetch_fills(reports)
        return fills

    def _execution(self, order: OrderRow, found: list[OrderReport], fills: Iterable[Fill]) -> Execution | None:
        """The sum of an order's fills, or None while the exchange has not shown all of them yet."""
        ids = {report.exchange_order_id for report in found}
        own = [fill for fill in fills if fill.exchange_order_id in ids]
        filled, main = total(report.filled for report in found), found[0]
        complete = all(report.complete for report in found)
        if filled > order.amount:
            log.error("%s shows %s filled of %s: not believed", main.exchange_order_id, filled, order.amount)
            return None
        shown = total(fill.amount for fill in own)
        if shown == filled:
            cost, fee = total(fill.cost for fill in own), total(fill.fee for fill in own)
        elif shown < filled and self.exchange.now(fresh=True) > order.deadline + ABSENT_AFTER:
            log.error("fills of %s don't add up: its order record's figures serve", main.exchange_order_id)
            cost, fee = total(report.cost for report in found), total(report.fee for report in found)
            if not 0 <= fee < cost:
                return None
        else:
            return None
        return Execution(main.exchange_order_id, complete, filled, cost, fee, self._ended_at(order, main, own))

    def _ended_at(self, order: OrderRow, report: OrderReport, own: Sequence[Fill]) -> datetime:
        """When it was done, by the exchange's word where that can be: cool-downs and missed closes count from it."""
        now = self.clock.now()
        at = max([fill.at for fill in own], default=report.closed_at or now)
        latest = max(order.deadline, now) + SINCE_BEFORE_DEADLINE
        return at if order.deadline - SINCE_BEFORE_DEADLINE <= at <= latest else now


def _log_ending(order: OrderRow, execution: Execution) -> None:
    """One line with all figures of an order that has ended."""
    figures = {"filled": execution.filled, "cost": execution.cost, "fee": execution.fee}
    price = f" at {float(price_of(execution.cost, execution.filled)):.8g}" if execution.filled else ""
    log.info(
        "%s %s %s%s, fee %s: %s (%s)",
        "bought" if order.side == Side.BUY else "sold",
        format_decimal(execution.filled),
        order.symbol,
        price,
        format_decimal(execution.fee),
        order.state,
        order.client_order_id,
        extra={
            "symbol": order.symbol,
            "side": order.side,
            "state": order.state,
            "reason": order.reason,
            "trade_id": order.trade_id,
            "client_order_id": order.client_order_id,
            **figures,
        },
    )


def _own_report(order: OrderRow, reports: Mapping[str, OrderReport]) -> OrderReport | None:
    """What is shown under an order's id, unless it carries the client order id of another one."""
    report = reports.get(str(order.exchange_order_id))
    return report if report is None or report.client_order_id in (None, order.client_order_id) else None


def _unsettled(orders: Sequence[OrderRow]) -> list[OrderRow]:
    return [order for order in orders if order.state in UNSETTLED]


def _still_open(orders: Sequence[OrderRow]) -> list[BotError]:
    return [
        OutcomeUnknown(
            f"the {order.side} of {order.amount} {order.symbol} is {order.state} (client order id "
            f"{order.client_order_id})",
            hint="the next run looks it up again; nothing is sent twice",
        )
        for order in _unsettled(orders)
    ]
