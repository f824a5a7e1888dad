"""Settles orders: learns how every unfinished order ended, by the exchange's id or by ours. Sends no order.

One record alone ends nothing that it can't show: an order that ended early must agree with its own fills, and one
without any, or that is in no list, is looked up a second time. An order that stays open past its deadline, or until
the run that sent it has waited long enough, is canceled.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.errors import BotError, LockedOut, OutcomeUnknown, attempt_each
from botctl.domain.money import floor_to, format_decimal, price_of, total
from botctl.domain.orders import (
    ABSENT_AFTER,
    STOP_ABSENT_AFTER,
    UNSETTLED,
    Execution,
    Fill,
    OrderReport,
    OrderState,
    Side,
)
from botctl.domain.stops import StopRule
from botctl.domain.symbols import base_of
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.rows import OrderRow
from botctl.trading.account_fees import AccountFees
from botctl.trading.orders.balance_evidence import FOUND_SHARE, change_by
from botctl.trading.orders.resized_stops import has_sold_another_amount
from botctl.trading.orders.wait_budget import WAIT_BUDGET_SECONDS, WaitBudget
from botctl.trading.results import OrderResult

log = logging.getLogger(__name__)

LOOK_UP_INTERVALS = (0.5, 2.0, 6.0, WAIT_BUDGET_SECONDS)
"""Seconds between look-ups: few enough for Kraken's rate counter."""
SECOND_LOOK_AFTER = 5.0
"""Seconds until an order that ended without a fill, or is in no list, is looked up again before that is believed."""
RETRY_FILLS_AFTER = 2.0
"""Seconds until incomplete fills are fetched again."""
LOOKED_UP = (OrderState.UNKNOWN, OrderState.ACCEPTED)
"""Orders that the exchange may have."""
COINS_FOUND_FOR = timedelta(hours=2)
"""How long coins without an owner keep a buy from being called unfilled: they would have no stop."""
FORGOTTEN_AFTER = timedelta(hours=2)
"""A stop is this old before it counts as forgotten by the exchange, which drops orders that were canceled unfilled."""
CLOCK_TOLERANCE = timedelta(minutes=10)
"""More than any clock that set a deadline can be wrong: lost orders are searched from so long before it."""

Found = tuple[OrderRow, list[OrderReport]]
"""An order, and the exchange's reports of it."""


@dataclass
class OrderSettlement:
    exchange: Exchange
    journal: Journal
    clock: Clock
    wait_budget: WaitBudget
    rule: StopRule
    fees: AccountFees
    _unfilled: dict[int, float] = field(default_factory=dict, init=False)
    """Orders that ended without a fill by their record, or were in no list, and the seconds waited when that was first
    seen."""
    _working: set[int] = field(default_factory=set, init=False)
    """Orders that were open at their last look-up."""
    _canceled: set[str] = field(default_factory=set, init=False)
    """The client order ids that this run has told the exchange to cancel."""
    _confirmed: set[str] = field(default_factory=set, init=False)
    """Those of them that the exchange has confirmed to be canceled."""

    def settle_unfinished_orders(self, *, earlier: bool = False) -> list[BotError]:
        """Look up once every unsettled order, or only those of `earlier` runs, and follow those that need a second
        look."""
        orders = self.journal.unsettled(earlier=earlier)
        _, errors = attempt_each(self._resume_interrupted, orders)
        errors += self._look_up([order for order in orders if order.state in LOOKED_UP])
        ending = [order for order in _unsettled(orders) if order.id in self._unfilled or self.has_canceled(order)]
        if ending and self.wait_budget.wait(self._pause(ending, LOOK_UP_INTERVALS[0])):
            errors += self._follow(ending)
        return errors + _unsettled_errors(orders)

    def settle(self, orders: Sequence[OrderRow]) -> list[BotError]:
        """Look up until every order has ended or the wait budget is spent, then cancel what is still open. Returns an
        error for each order that has not ended."""
        errors = self._follow(orders)
        hanging = [order for order in _unsettled(orders) if order.id in self._working and not self.has_canceled(order)]
        if hanging and self.wait_budget.renew():
            errors = self._cancel(hanging)[1] + self._follow(orders)
        unsettled = _unsettled_errors(orders)
        return errors + unsettled if unsettled else self._edited_alarms(orders)

    def _edited_alarms(self, orders: Iterable[OrderRow]) -> list[BotError]:
        """What stops that the owner has enlarged have sold beyond their trades."""
        alarms = (self._alarm_about(order) for order in orders if order.trigger and order.filled > order.amount)
        return [alarm for alarm in alarms if alarm is not None]

    def cancel(self, orders: Sequence[OrderRow]) -> list[BotError]:
        """Cancel these orders and settle them; returns an error for each that has not ended."""
        self.wait_budget.renew()
        canceled, errors = self._cancel(orders)
        return errors + self.settle(orders) if canceled else errors + _unsettled_errors(orders)

    def cancel_at_once(self, orders: Sequence[OrderRow]) -> list[BotError]:
        """Cancel these orders and look them up once, without waiting. Returns the alarms about those that have ended;
        the caller sees to the others."""
        with self.exchange.in_haste():
            canceled, errors = self._cancel(orders)
            with self.wait_budget.spending():
                errors += self._look_up(orders) if canceled else []
        for error in errors:
            log.warning("%s", error)
        ended = [order for order in orders if order.state not in UNSETTLED]
        return [alarm for order in ended if (alarm := self._alarm_about(order)) is not None]

    def _cancel(self, orders: Sequence[OrderRow]) -> tuple[bool, list[BotError]]:
        """Cancel market orders one by one, so that one failure is no other's; resting stops together. Returns whether
        any request succeeded, and the errors of the others."""
        resting = [order for order in orders if order.trigger is not None]
        batches = [[order] for order in orders if order.trigger is None] + ([resting] if resting else [])
        answered, errors = attempt_each(self._cancel_together, batches)
        return bool(answered), errors

    def _cancel_together(self, orders: Sequence[OrderRow]) -> None:
        """Cancel these orders with one request. Raises BotError."""
        for order in orders:
            level = logging.WARNING if order.trigger is None else logging.INFO  # a stop rests to be canceled one day
            log.log(level, "canceling the %s of %s (%s)", order.side, order.symbol, order.client_order_id)
        ids = [order.client_order_id for order in orders]
        self._canceled.update(ids)
        if self.exchange.cancel_orders(ids):
            self._confirmed.update(ids)

    def has_canceled(self, order: OrderRow | OrderResult) -> bool:
        """Whether this run has told the exchange to cancel the order."""
        return order.client_order_id in self._canceled

    def fetch_execution(self, order: OrderRow, report: OrderReport, *, urgent: bool = False) -> Execution | None:
        """What an order has traded by now, without waiting; None while its fills don't add up to its report."""
        fills = self.exchange.fetch_fills([report], urgent=urgent)
        return self._execution(order, [report], fills)

    def _follow(self, orders: Sequence[OrderRow]) -> list[BotError]:
        """Look up until every order has ended or the wait budget is spent; returns the errors of the last round."""
        errors: list[BotError] = []
        costly = not _for_an_exit(orders) and any(not order.exchange_order_id for order in orders)
        pauses = iter(LOOK_UP_INTERVALS[costly:])  # one look less at a lost buy: exits keep their share of the counter
        while waiting := _unsettled(orders):
            canceled = len(self._canceled)
            with self.wait_budget.spending():
                errors = self._look_up(waiting)
            if len(self._canceled) > canceled:  # it ends within seconds
                self.wait_budget.renew()
            locked_out = any(isinstance(error, LockedOut) for error in errors)
            waiting, planned = _unsettled(waiting), next(pauses, LOOK_UP_INTERVALS[-1])
            if locked_out or not waiting or not self.wait_budget.wait(self._pause(waiting, planned)):
                break
        return errors

    def _pause(self, waiting: Iterable[OrderRow], planned: float) -> float:
        return max(planned, SECOND_LOOK_AFTER) if any(order.id in self._unfilled for order in waiting) else planned

    def _resume_interrupted(self, order: OrderRow) -> None:
        """Give an order that another run left in the middle a state to look it up by."""
        if order.state == OrderState.INTENDED:
            self.journal.mark_absent(order, "the run ended before it was sent", self.clock.now())
        elif order.state == OrderState.SUBMITTED:
            self.journal.mark_unknown(order, OutcomeUnknown("the run ended while it was being sent"))

    def _look_up(self, orders: Sequence[OrderRow]) -> list[BotError]:
        """One round of look-ups: orders with an exchange id by that, lost ones by their client order ids."""
        accepted = [order for order in orders if order.exchange_order_id]
        lost = [order for order in orders if not order.exchange_order_id]
        errors: list[BotError] = []
        reports: Mapping[str, OrderReport] = {}
        try:
            if accepted:
                ids = [str(order.exchange_order_id) for order in accepted]
                reports = self.exchange.fetch_orders(ids, urgent=_for_an_exit(accepted))
        except BotError as error:
            errors.append(error)
        reported = [(order, [report]) for order in accepted if (report := _own_report(order, reports)) is not None]
        if not errors:  # an id without a report long after the deadline may be a wrong one
            with_report = {order.id for order, _ in reported}
            missing = [order for order in accepted if order.id not in with_report]
            lost += [order for order in missing if self.clock.now() > order.deadline]
        found, find_errors = self._find(lost)
        looked_up = reported + found
        for order, own in looked_up:
            self._note_doubts(order, own)
        ended = [(order, own) for order, own in looked_up if own and all(report.final for report in own)]
        errors += [*find_errors, *self._record_endings([each for each in ended if self._is_believed(*each)])]
        return errors + self._cancel_hanging(looked_up)

    def _note_doubts(self, order: OrderRow, reports: Sequence[OrderReport]) -> None:
        (self._working.add if any(report.open for report in reports) else self._working.discard)(order.id)
        if any(report.filled > 0 or report.open for report in reports):
            self._unfilled.pop(order.id, None)
        for report in reports:
            if not report.open and not report.final:
                filled, amount = format_decimal(report.filled), format_decimal(order.amount)
                text = "the exchange calls %s closed, but shows %s of %s filled: it is looked up again"
                log.warning(text, report.exchange_order_id, filled, amount)

    def _is_believed(self, order: OrderRow, reports: Sequence[OrderReport]) -> bool:
        """Whether the ending may be recorded: one without any fill, or without a record, only at the second look.

        That a resting stop was canceled unfilled has two witnesses already: the answer to the cancel, and its record.
        """
        if any(report.filled > 0 for report in reports):
            return True
        if reports and self._is_confirmed(order):
            return True
        first_seen = self._unfilled.setdefault(order.id, self.wait_budget.spent)
        waited = self.wait_budget.spent - first_seen
        return waited > 0.9 * SECOND_LOOK_AFTER and not self._balance_denies(order)

    def _is_confirmed(self, order: OrderRow) -> bool:
        """Whether it is a resting stop that the exchange has said to have canceled for this run."""
        return order.trigger is not None and order.client_order_id in self._confirmed

    def _balance_denies(self, order: OrderRow) -> bool:
        """Whether an order without a fill has changed the balance all the same: coins without a stop, or coins that
        would be sold twice. A while after its deadline another reason is likelier."""
        lasts = COINS_FOUND_FOR if order.side == Side.BUY else CLOCK_TOLERANCE
        if self.exchange.now() > order.deadline + lasts:
            return False
        changed = change_by(order, self.exchange, self.journal)
        if changed is None or changed <= FOUND_SHARE * order.amount:
            return False
        log.warning(
            "%s has no fill by the records, but the balance shows %s %s %s than before: it is looked up again",
            order.client_order_id, format_decimal(changed), base_of(order.symbol),
            "more" if order.side == Side.BUY else "less",
        )  # fmt: skip
        return True

    def _is_forgotten(self, order: OrderRow) -> bool:
        """Whether a stop that rested once, and that the exchange has no record of any more, ended unfilled: at two
        looks, and by the balance. What has sold stays in its records."""
        if order.trigger is None or not self._is_believed(order, ()):
            return False
        gone = change_by(order, self.exchange, self.journal)
        return gone is not None and gone <= FOUND_SHARE * order.amount

    def _cancel_hanging(self, looked_up: Sequence[Found]) -> list[BotError]:
        """Cancel, once a run, the orders that are still open after their deadline."""
        working = [order for order, own in looked_up if any(report.open for report in own)]
        working = [order for order in _unsettled(working) if not self.has_canceled(order)]
        if not working:
            return []
        now = self.exchange.now()
        return self._cancel([order for order in working if now > order.deadline])[1]

    def _find(self, orders: Sequence[OrderRow]) -> tuple[list[Found], list[BotError]]:
        """The reports with these orders' client ids. None long enough after the deadline proves an order absent."""
        if not orders:
            return [], []
        oldest = min(order.deadline for order in orders) - CLOCK_TOLERANCE
        try:
            asked_at = self.exchange.now(fresh=True)  # an order is only given up by the exchange's clock
            ids, urgent = [order.client_order_id for order in orders], _for_an_exit(orders)
            found = self.exchange.find_orders(ids, oldest, urgent=urgent)
        except BotError as error:
            return [], [error]
        _, errors = attempt_each(lambda order: self._locate(order, found[order.client_order_id], asked_at), orders)
        return [(order, found[order.client_order_id]) for order in orders if order.exchange_order_id], errors

    def _locate(self, order: OrderRow, reports: Sequence[OrderReport], asked_at: datetime) -> None:
        if len(reports) > 1:
            log.error("the exchange shows %d orders for client id %s", len(reports), order.client_order_id)
        if order.exchange_order_id:  # it was accepted, so it can't be absent; its true id comes with its ending
            if not reports and asked_at > order.deadline + FORGOTTEN_AFTER and self._is_forgotten(order):
                self.journal.settle(order, _forgotten(order, self.clock.now()), self.clock.now())
            return
        if reports:
            self.journal.accept(order, reports[0].exchange_order_id)
        elif asked_at > order.deadline + _absent_after(order) and self._is_believed(order, ()):
            self.journal.mark_absent(order, "no such order on the exchange long after its deadline", self.clock.now())

    def _record_endings(self, ended: Sequence[Found]) -> list[BotError]:
        """Fetch the fills of all ended orders together, and record each ending; one failure stops no other."""
        unfilled = [order.id for order, own in ended if self._is_confirmed(order) and not any(r.filled for r in own)]
        reports = [report for order, own in ended for report in own if order.id not in unfilled]
        try:
            fills = self._fetch_fills(reports, urgent=_for_an_exit([order for order, _ in ended])) if reports else []
        except BotError as error:
            return [error]
        return attempt_each(lambda found: self._record_ending(*found, fills), ended)[1]

    def _record_ending(self, order: OrderRow, reports: Sequence[OrderReport], fills: Sequence[Fill]) -> None:
        execution = self._execution(order, reports, fills)
        if execution is not None:
            self.journal.settle(order, execution, self.clock.now(), stop=self.first_stop(order, execution))
            _log_ending(order, execution)
            self.fees.note_fill(order.symbol, execution.cost, execution.fee)
            if (alarm := self._alarm_about(order)) is not None:
                raise alarm

    def _alarm_about(self, order: OrderRow) -> BotError | None:
        bought = order.side == Side.BUY
        return self.journal.overspending_of(order) if bought else self.journal.overselling_of(order)

    def first_stop(self, order: OrderRow, execution: Execution) -> float | None:
        """The stop of the trade that this buy has opened; None for a sell, or when nothing was bought."""
        if order.side != Side.BUY or execution.filled <= 0:
            return None
        trade = self.journal.trade(order.trade_id)
        if trade.atr is None:
            raise AssertionError(f"trade {trade.id} was entered without an ATR")
        return self.rule.initial_stop(float(price_of(execution.cost, execution.filled)), trade.atr)

    def _fetch_fills(self, reports: Sequence[OrderReport], *, urgent: bool) -> list[Fill]:
        """The fills of ended orders, fetched twice when some are missing: one poor answer must not be the reason that
        an order's own rough figures are used instead."""
        fills = self.exchange.fetch_fills(reports, urgent=urgent)
        ids = {report.exchange_order_id for report in reports}
        filled = total(fill.amount for fill in fills if fill.exchange_order_id in ids)
        if filled != total(report.filled for report in reports) and self.wait_budget.wait(RETRY_FILLS_AFTER):
            fills = self.exchange.fetch_fills(reports, urgent=urgent)
        return fills

    def _execution(self, order: OrderRow, reports: Sequence[OrderReport], fills: Iterable[Fill]) -> Execution | None:
        """The sum of an order's fills; None until the exchange shows all of them.

        The owner may have changed the volume of a stop that rests, see `_is_resized`.
        """
        ids = {report.exchange_order_id for report in reports}
        own = [fill for fill in fills if fill.exchange_order_id in ids]
        filled, main = total(report.filled for report in reports), reports[0]
        in_fills, complete = total(fill.amount for fill in own), all(report.complete for report in reports)
        in_doubt = in_fills == filled and (complete or filled > order.amount)
        resized = in_doubt and self._is_resized(order, filled)
        if filled > order.amount and not resized:
            log.error("%s shows %s filled of %s: ignored", main.exchange_order_id, filled, order.amount)
            return None
        if complete and filled not in (order.amount, self._in_lots(order)) and not resized:
            log.error(
                "%s shows %s of %s as its whole volume: looked up again", main.exchange_order_id, filled, order.amount
            )
            return None
        if in_fills == filled:
            cost, fee = total(fill.cost for fill in own), total(fill.fee for fill in own)
        elif complete and in_fills < filled and self.exchange.now(fresh=True) > order.deadline + ABSENT_AFTER:
            log.error("fills of %s don't add up: estimating from its order record", main.exchange_order_id)
            cost, fee = total(report.estimated_cost for report in reports), total(report.fee for report in reports)
            if not 0 <= fee < cost:
                return None
        else:
            return None
        why = next((report.reason for report in reports if report.reason), None)
        at, exact = self._ended_at(order, main, own), in_fills == filled
        complete = complete and not (resized and filled < order.amount)
        return Execution(main.exchange_order_id, complete, filled, cost, fee, at, why, exact)

    def _is_resized(self, order: OrderRow, filled: Decimal) -> bool:
        """Whether this is a resting stop that somebody gave another amount at the exchange."""
        if order.trigger is None or order.state not in UNSETTLED or filled in (order.amount, self._in_lots(order)):
            return False
        return has_sold_another_amount(order, filled, self.exchange, self.journal, self.clock)

    def _in_lots(self, order: OrderRow) -> Decimal:
        """Its amount as the exchange may cut it."""
        market = self.exchange.load_markets().get(order.symbol)
        return order.amount if market is None else floor_to(order.amount, market.lot_decimals)

    def _ended_at(self, order: OrderRow, report: OrderReport, fills: Sequence[Fill]) -> datetime:
        """The exchange's time of the ending where it is plausible: cool-downs and missed closes count from it."""
        now = self.clock.now()
        at = max([fill.at for fill in fills], default=report.closed_at or now)
        latest = max(order.deadline, now) + CLOCK_TOLERANCE
        return at if order.deadline - CLOCK_TOLERANCE <= at <= latest else now


def _forgotten(order: OrderRow, now: datetime) -> Execution:
    nothing, why = Decimal(0), "the exchange has no record of it any more, and its coins are there"
    return Execution(str(order.exchange_order_id), False, nothing, nothing, nothing, now, canceled_why=why)


def _absent_after(order: OrderRow) -> timedelta:
    """How long after its deadline an order without a record counts as never placed. Exits wait for a stop to rest."""
    return ABSENT_AFTER if order.trigger is None else STOP_ABSENT_AFTER


def _log_ending(order: OrderRow, execution: Execution) -> None:
    figures = {"filled": execution.filled, "cost": execution.cost, "fee": execution.fee}
    price = f" at {float(price_of(execution.cost, execution.filled)):.8g}" if execution.filled else ""
    names = ("symbol", "side", "state", "reason", "trade_id", "client_order_id")
    action = "bought" if order.side == Side.BUY else "sold"
    log.info(
        "%s %s %s%s, fee %s: %s (%s)",
        action, format_decimal(execution.filled), order.symbol, price, format_decimal(execution.fee), order.state,
        order.client_order_id, extra={name: getattr(order, name) for name in names} | figures,
    )  # fmt: skip


def _own_report(order: OrderRow, reports: Mapping[str, OrderReport]) -> OrderReport | None:
    """The report under an order's id, unless it carries another order's client order id."""
    report = reports.get(str(order.exchange_order_id))
    return report if report is None or report.client_order_id in (None, order.client_order_id) else None


def _for_an_exit(orders: Iterable[OrderRow]) -> bool:
    return any(order.side == Side.SELL for order in orders)


def _unsettled(orders: Sequence[OrderRow]) -> list[OrderRow]:
    return [order for order in orders if order.state in UNSETTLED]


def _unsettled_errors(orders: Sequence[OrderRow]) -> list[BotError]:
    def describe(order: OrderRow) -> str:
        name = f"the {order.side} of {order.amount} {order.symbol}"
        return f"{name} is {order.state} (client order id {order.client_order_id})"

    hint = "the next run looks it up again; nothing is sent twice"
    return [OutcomeUnknown(describe(order), hint=hint) for order in _unsettled(orders)]
