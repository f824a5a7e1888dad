"""Prepares exits: before a sell of a trade leaves, its resting stop and its earlier sells have ended, and are booked
completely."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import batched

from botctl.domain.errors import BotError, OutcomeUnknown, as_bot_error, attempt_each
from botctl.domain.money import format_decimal
from botctl.domain.orders import UNSETTLED, OrderReport
from botctl.domain.symbols import base_of
from botctl.store.journal import Journal
from botctl.store.resting_stops import begin_ending, load_resting_stops
from botctl.store.rows import OrderRow
from botctl.trading.exits import WantedExit
from botctl.trading.orders.settlement import OrderSettlement
from botctl.trading.snapshot import Snapshot

log = logging.getLogger(__name__)


STOPS_TOGETHER = 50
"""Resting stops that one request cancels, and another asks for: their sells leave before the next ones are canceled."""
PREPARED_EARLY = 4
"""Smaller groups that a run prepares while other exits are still looked for: the late trades come one by one, and each
costs a point of Kraken's rate counter. What is left after these is prepared together."""


@dataclass(frozen=True)
class ReadyExits:
    wanted: list[WantedExit]
    """The exits that may be sent, with their trades as they are now."""
    snapshot: Snapshot
    errors: list[BotError]
    fired: list[OrderRow]
    """Resting stops that have sold something before they could be canceled: they are exits of their own."""


def find_sold_before(wanted: Sequence[WantedExit], journal: Journal) -> set[int]:
    """The trades with an earlier sell that is unsettled or was canceled: their exits need preparation."""
    if not wanted:
        return set()
    earlier = journal.canceled_sells([each.trade.id for each in wanted])
    return journal.unsettled_trade_ids() | {order.trade_id for order in earlier}


def find_resting(wanted: Sequence[WantedExit]) -> set[int]:
    """The trades with a resting stop, which ends before they are sold."""
    return {order.trade_id for order in load_resting_stops([each.trade.id for each in wanted])} if wanted else set()


@dataclass
class EarlyPreparation:
    """Prepares exits whose only earlier order is a resting stop, while the exits of other trades are still looked for.

    Nothing is waited for or asked twice. What is not ready at once is in `waiting`, and after a group that was not
    ready as a whole nothing more is prepared early: `prepare_exits` is for the rest.
    """

    settlement: OrderSettlement
    left: int = PREPARED_EARLY
    waiting: list[WantedExit] = field(default_factory=list)

    def prepare(self, wanted: Sequence[WantedExit], snapshot: Snapshot) -> Iterator[ReadyExits]:
        """What is ready, group by group. Raises nothing: the exits of others go on."""
        for group in batched(wanted, STOPS_TOGETHER):
            if self.left <= 0:
                self.waiting += group
                continue
            self.left -= len(group) < STOPS_TOGETHER
            try:
                ready = self._prepare(group, snapshot)
            except Exception as error:  # noqa: BLE001 - whatever it is, the exits of other trades go on
                log.warning("resting stops: %s", as_bot_error(error))
                self.waiting += group
                self.left = 0
                continue
            snapshot = ready.snapshot
            yield ready

    def _prepare(self, wanted: Sequence[WantedExit], snapshot: Snapshot) -> ReadyExits:
        resting = _begin_ending(wanted, self.settlement)
        errors = self.settlement.cancel_at_once(resting)
        hanging = {order.trade_id for order in resting if order.state in UNSETTLED}
        if hanging:
            self.left = 0
            self.waiting += [each for each in wanted if each.trade.id in hanging]
        ended = [order for order in resting if order.trade_id not in hanging]
        settled = [_refreshed(each, self.settlement) for each in wanted if each.trade.id not in hanging]
        ready = [each for each in settled if each is not None]
        return ReadyExits(ready, _after(ended, snapshot, self.settlement), errors, _fired(ended))


def prepare_exits(wanted: Sequence[WantedExit], snapshot: Snapshot, settlement: OrderSettlement) -> ReadyExits:
    """Cancel resting stops and sells that still work, and ask once more for those that were canceled: a late fill must
    not be sold twice.

    An exit whose trade has an unsettled order, or an earlier sell that can't be asked for, is left to the next run.
    """
    journal, trade_ids = settlement.journal, [each.trade.id for each in wanted]
    _begin_ending(wanted, settlement)
    working = [order for order in journal.unsettled() if order.trade_id in trade_ids]
    errors = settlement.cancel(working) if working else []
    stops = {order.id for order in working if order.trigger is not None}  # how they ended was asked just now
    canceled = [order for order in journal.canceled_sells(trade_ids) if order.id not in stops]
    held_back = journal.unsettled_trade_ids()
    try:
        ids = [str(order.exchange_order_id) for order in canceled]
        reports = settlement.exchange.fetch_orders(ids, urgent=True) if canceled else {}
        booked, late_errors = attempt_each(lambda order: _book_late_fills(order, reports, settlement), canceled)
        errors += late_errors
        held_back |= {order.trade_id for order in canceled if order.id not in booked} if late_errors else set()
    except BotError as error:
        errors.append(error)
        held_back |= {order.trade_id for order in canceled}
    touched = {order.trade_id for order in (*working, *canceled)}
    ready = [_refreshed(each, settlement) if each.trade.id in touched else each for each in wanted]
    left = [each for each in ready if each is not None and each.trade.id not in held_back]
    errors += [_waiting(each) for each in ready if each is not None and each.trade.id in held_back]
    return ReadyExits(left, _after(working, snapshot, settlement), errors, _fired(working))


def _fired(orders: Sequence[OrderRow]) -> list[OrderRow]:
    return [order for order in orders if order.trigger is not None and order.filled > 0]


def _begin_ending(wanted: Sequence[WantedExit], settlement: OrderSettlement) -> list[OrderRow]:
    """Record that the resting stops of these trades end, and that those which are sold whole are being sold."""
    resting = load_resting_stops([each.trade.id for each in wanted])
    reasons = {each.trade.id: each.reason for each in wanted if each.amount is None}
    begin_ending(resting, reasons, settlement.clock.now())
    return resting


def _waiting(wanted: WantedExit) -> OutcomeUnknown:
    trade = wanted.trade
    return OutcomeUnknown(
        f"the exit of trade {trade.id} ({trade.symbol}, {wanted.reason}) waits for its earlier sell",
        hint="the next check sells the rest once that is settled",
    )


def _book_late_fills(order: OrderRow, reports: dict[str, OrderReport], settlement: OrderSettlement) -> int:
    """Book what a canceled sell has filled since it was settled. Returns its id. Raises OutcomeUnknown; or BotError,
    once it is booked, when it is more than the trade holds."""
    report = reports.get(str(order.exchange_order_id))
    if report is None or report.filled <= order.filled:
        return order.id
    execution = settlement.fetch_execution(order, report, urgent=True)
    if execution is None:
        raise OutcomeUnknown(
            f"the sell {order.client_order_id} of {order.symbol} shows {format_decimal(report.filled)} filled after "
            f"{format_decimal(order.filled)}, and its fills don't add up",
            hint="the next run looks again; nothing is sold twice",
        )
    log.warning("%s was filled after its end: %s", order.client_order_id, format_decimal(execution.filled))
    settlement.journal.book_late_fills(order, execution, settlement.clock.now())
    if (oversold := settlement.journal.overselling_of(order)) is not None:
        raise oversold
    return order.id


def _refreshed(wanted: WantedExit, settlement: OrderSettlement) -> WantedExit | None:
    """The exit with its trade as it is now; None when that has closed."""
    trade = settlement.journal.open_trade(wanted.trade.id)
    if trade is None:
        return None
    return replace(wanted, trade=trade, amount=None if wanted.amount is None else min(wanted.amount, trade.amount))


def _after(canceled: Sequence[OrderRow], snapshot: Snapshot, settlement: OrderSettlement) -> Snapshot:
    """The look with what these orders held free again. One that has sold something needs new balances."""
    unsold = all(order.trigger is not None and order.filled == 0 for order in canceled)
    if not canceled or snapshot.balances is None or not unsold:
        return _with_fresh_balances(snapshot, settlement) if canceled else snapshot
    balances = snapshot.balances
    for order in canceled:
        balances = balances.with_released(base_of(order.symbol), order.amount)
    return replace(snapshot, balances=balances)


def _with_fresh_balances(snapshot: Snapshot, settlement: OrderSettlement) -> Snapshot:
    """What a canceled order held is free again. Without an answer the trades' own amounts are sold."""
    try:
        return replace(snapshot, balances=settlement.exchange.fetch_balances())
    except BotError as error:
        log.warning("balances: %s", error)
        return replace(snapshot, balances=None)
