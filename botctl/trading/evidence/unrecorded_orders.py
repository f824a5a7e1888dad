"""Finds orders of botctl at the exchange that this journal lacks: the database may be old, or not the only one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from botctl.domain.client_order_ids import parse_client_id
from botctl.domain.errors import BotError, Refused
from botctl.domain.freshness import is_fresh
from botctl.ports import Clock, Exchange
from botctl.store.evidence.unrecorded_orders import (
    Comparison,
    UnrecordedOrder,
    load_comparison,
    load_exit_block,
    load_recovery,
    load_unrecorded,
    save_comparison,
    save_unrecorded,
    without_recorded,
)
from botctl.store.ticks import load_last_tick_at

log = logging.getLogger(__name__)

MAX_GAP = 4
"""A comparison is due when the last tick is longer ago than so many intervals."""
MAX_NAMED_ORDERS = 3


@dataclass(frozen=True)
class UnrecordedOrdersCheck:
    """Compares the newest orders at the exchange with the journal, when there is a reason to. Sends no order."""

    exchange: Exchange
    clock: Clock
    interval: timedelta
    """The time between two ticks."""
    enabled: bool = True
    """False for an exchange whose orders are in this database as well."""

    def check(self) -> list[BotError]:
        """Called before a run trades. One error for each asset of which an order is not in the journal.

        Only the first run of a database, one after a gap and one on a database that was put back ask the exchange.
        """
        if not self.enabled:
            return []
        errors: list[BotError] = []
        try:
            self._compare_if_due()
        except BotError as error:
            errors.append(error)
        try:
            orders = self._forget_recorded(load_unrecorded())
        except BotError as error:
            return [*errors, error]
        return errors + unrecorded_errors(orders)

    def find(self, *, with_open: bool = True) -> list[UnrecordedOrder]:
        """The orders of botctl among the newest of the account that the journal lacks; oldest first.

        Those that an earlier recovery has examined are not among them. Raises ExchangeUnreachable.
        """
        records = self.exchange.list_newest_orders(with_open=with_open)
        recovery = load_recovery()
        ours = [
            UnrecordedOrder(str(each.report.client_order_id), each.symbol, each.side, each.report.opened_at)
            for each in records
            if parse_client_id(each.report.client_order_id) is not None
            and not (recovery is not None and recovery.covers(each.report.opened_at))
        ]
        return without_recorded(ours)

    def _compare_if_due(self) -> None:
        comparison, now = load_comparison(), self.clock.now()
        if not comparison.pending:
            if not self._is_due(comparison, now):
                return
            comparison = Comparison(comparison.at, pending=True)
            save_comparison(comparison)  # a run that ends before it has compared leaves it to the next one
        found = self.find(with_open=comparison.put_back)
        known = load_unrecorded()
        new = [each for each in found if each.client_order_id not in {order.client_order_id for order in known}]
        if new:
            save_unrecorded([*known, *new])
        save_comparison(Comparison(now))
        log.info("compared the journal with the exchange: %d orders are not in it", len(new))

    def _is_due(self, comparison: Comparison, now: datetime) -> bool:
        longest = MAX_GAP * self.interval + timedelta(seconds=1)
        return not any(
            at is not None and is_fresh(at, now, longest)
            for at in (comparison.at, comparison.at and load_last_tick_at())
        )

    def _forget_recorded(self, orders: Sequence[UnrecordedOrder]) -> list[UnrecordedOrder]:
        """Without what the journal has learnt meanwhile."""
        left = without_recorded(orders) if orders else []
        if len(left) < len(orders):
            save_unrecorded(left)
        return left


def unrecorded_errors(orders: Sequence[UnrecordedOrder]) -> list[BotError]:
    """One error for each asset."""
    assets = list(dict.fromkeys(each.asset for each in orders))
    return [_error_of(asset, [each for each in orders if each.asset == asset]) for asset in assets]


def check_entry(asset: str) -> None:
    """Raises Refused while the journal may lack orders of this asset."""
    if load_comparison().pending:
        raise Refused(
            "the journal has not been compared with the exchange's orders",
            hint="nothing is bought until it has been: run `botctl check-positions`",
        )
    orders = [each for each in load_unrecorded() if each.asset == asset]
    if orders:
        raise _refusal(describe_unrecorded(asset, orders))


def check_exit(asset: str) -> None:
    """Raises Refused while the journal may lack sells of this asset: what it holds may be sold already."""
    block = load_exit_block()
    if asset in block.assets:
        raise _refusal(f"orders of {asset} at the exchange are not in the journal")
    if block.everything:
        raise Refused(
            "the database is older than the last run, and has not been compared with the exchange's orders",
            hint="nothing is sold until it has been: run `botctl check-positions`",
        )


def describe_unrecorded(asset: str, orders: Sequence[UnrecordedOrder]) -> str:
    named = "; ".join(
        f"{each.side} of {each.opened_at:%Y-%m-%d %H:%M} UTC ({each.client_order_id}{_owner(each.client_order_id)})"
        for each in orders[-MAX_NAMED_ORDERS:]
    )
    more = f"; and {len(orders) - MAX_NAMED_ORDERS} more" if len(orders) > MAX_NAMED_ORDERS else ""
    count = f"{len(orders)} orders" if len(orders) > 1 else "an order"
    return f"{count} of {asset} at the exchange not in the journal: {named}{more}"


def _owner(client_order_id: str) -> str:
    client_id = parse_client_id(client_order_id)
    return f", database {client_id.database}" if client_id is not None and client_id.database else ""


def _error_of(asset: str, orders: Sequence[UnrecordedOrder]) -> BotError:
    examined = all(each.examined for each in orders)
    blocked = f"{asset} is not bought" if examined else f"{asset} is neither bought nor sold"
    return BotError(describe_unrecorded(asset, orders), hint=f"{blocked} until you run `botctl recover`")


def _refusal(problem: str) -> Refused:
    return Refused(problem, hint="run `botctl recover`")
