"""Keeps one stop at the exchange for each open trade, below the stop of the rule, and moves it up with that.

The rule decides at each check; the resting stop is there for what happens between two checks, and while this machine
is off. Each run proves it by one list of open orders: nothing is believed of an order because it was placed once.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.client_order_ids import parse_client_id
from botctl.domain.errors import BotError, ExchangeRefused, Unprotected, attempt_each
from botctl.domain.markets import Market, below_minimum, market_of
from botctl.domain.money import floor_to, format_decimal
from botctl.domain.orders import ExitReason, OrderRecord, OrderReport, stop_reason
from botctl.domain.stops import is_too_low, resting_trigger, trigger_in_ticks
from botctl.domain.symbols import base_of
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.resting_stops import begin_ending, has_lost_stops, load_resting_stops, record_move
from botctl.store.rows import OrderRow, TradeRow
from botctl.trading.orders.placement import OrderPlacement
from botctl.trading.orders.settlement import OrderSettlement

log = logging.getLogger(__name__)

LOST_FOR = timedelta(days=1)
"""How long a stop that never arrived is looked for, also when no trade is open."""


@dataclass(frozen=True)
class WantedStop:
    """The resting stop that an open trade should have."""

    trade: TradeRow
    market: Market
    amount: Decimal
    trigger: Decimal
    reason: ExitReason


@dataclass(frozen=True)
class Proof:
    """What was found and mended."""

    notes: list[str]
    errors: list[BotError]


@dataclass
class RestingStops:
    exchange: Exchange
    journal: Journal
    clock: Clock
    placement: OrderPlacement
    settlement: OrderSettlement
    distance: float | None
    """How many average true ranges a resting stop lies below the rule's; None where none is wanted."""

    def place_missing(self) -> list[BotError]:
        """Place the resting stop of each open trade that has none by the journal, as after an entry or a part-sell."""
        if self.distance is None:
            return []
        resting = {order.trade_id for order in load_resting_stops()}
        bare = [trade for trade in self.journal.open_trades() if trade.id not in resting]
        return attempt_each(lambda trade: self._keep(trade, None, {}, {}), bare)[1]

    def settle_fired(self, assets: Iterable[str]) -> bool:
        """Settle the resting stops of these assets, whose balance lacks coins, if they have fired. Returns whether one
        has; what can't be asked is proved later in the run."""
        lacking = set(assets)
        resting = [order for order in load_resting_stops() if base_of(order.symbol) in lacking]
        try:
            fired = self._find_ended(resting)
        except BotError as error:
            log.warning("resting stops: %s", error)
            return False
        self._settle(fired)
        return any(order.filled > 0 for order in fired)

    def cancel_all(self, trade_ids: Iterable[int] | None = None) -> list[BotError]:
        """Cancel the resting stops of these trades, or all. Returns an error for each without a known ending."""
        wanted = None if trade_ids is None else set(trade_ids)
        resting = [order for order in load_resting_stops() if wanted is None or order.trade_id in wanted]
        begin_ending(resting, {}, self.clock.now())
        return self.settlement.cancel(resting) if resting else []

    def prove(self, prices: Mapping[str, Decimal]) -> Proof:
        """One list of open orders; then every open trade has its resting stop, or there is an error that says why.

        Asks for nothing where there are neither open trades nor resting stops. None is placed above the last of
        `prices`: it would sell at once, which the rule decides.
        """
        resting = load_resting_stops()
        trades = self.journal.open_trades() if self.distance is not None else []
        if not resting and not trades and not has_lost_stops(self.clock.now() - LOST_FOR):
            return Proof([], [])
        try:
            listed = [record for record in self.exchange.list_open_orders(urgent=True) if _is_resting(record)]
        except BotError as error:
            return Proof([], [Unprotected(f"the resting stops were not looked at: {error.message}", hint=error.hint)])
        notes, errors = self._settle_ended(resting, listed)
        errors += self._cancel_orphans(load_resting_stops(), listed)
        if self.distance is None:
            return Proof(notes + _left_note(load_resting_stops()), errors)
        kept = {order.trade_id: order for order in load_resting_stops()}
        found = {record.report.client_order_id: record for record in listed}
        _, failed = attempt_each(
            lambda trade: self._keep(trade, kept.get(trade.id), found, prices), self.journal.open_trades()
        )
        return Proof(notes, errors + failed)

    def _settle_ended(
        self, resting: Sequence[OrderRow], listed: Sequence[OrderRecord]
    ) -> tuple[list[str], list[BotError]]:
        """Settle those that have fired, by the list, and those that are not in it and have ended by their records."""
        found = {record.report.client_order_id: record.report for record in listed}
        fired = [order for order in resting if (report := found.get(order.client_order_id)) and _has_fired(report)]
        try:
            gone = self._find_ended([order for order in resting if order.client_order_id not in found])
        except BotError as error:
            return [], [Unprotected(f"resting stops were not found: {error.message}", hint=error.hint)]
        errors = self._settle([*fired, *gone])
        return [_ending_note(order) for order in (*fired, *gone) if order.settled_at is not None], errors

    def _find_ended(self, resting: Sequence[OrderRow]) -> list[OrderRow]:
        """Those that have fired or ended, by their own records. A list that lacks one proves nothing."""
        if not resting:
            return []
        reports = self.exchange.fetch_orders([str(order.exchange_order_id) for order in resting], urgent=True)
        by_id = {str(order.exchange_order_id): order for order in resting}
        return [by_id[txid] for txid, report in reports.items() if not report.open or _has_fired(report)]

    def _settle(self, orders: Sequence[OrderRow]) -> list[BotError]:
        if not orders:
            return []
        begin_ending(orders, {}, self.clock.now())
        return self.settlement.settle(orders)

    def _cancel_orphans(self, resting: Sequence[OrderRow], listed: Sequence[OrderRecord]) -> list[BotError]:
        """Cancel resting stops of this database that belong to no open trade, or that a trade has beside its own."""
        known = {order.client_order_id for order in (*resting, *self.journal.unsettled())}
        own = [parse_client_id(record.report.client_order_id) for record in listed]
        orphans = [
            str(record.report.client_order_id)
            for record, client_id in zip(listed, own, strict=True)
            if client_id is not None
            and client_id.database == self.journal.database_id
            and record.report.client_order_id not in known
        ]
        if not orphans:
            return []
        log.warning("canceling resting stops without a trade: %s", ", ".join(orphans))
        try:
            self.exchange.cancel_orders(orphans)
        except BotError as error:
            return [error]
        return []

    def _keep(
        self,
        trade: TradeRow,
        order: OrderRow | None,
        found: Mapping[str | None, OrderRecord],
        prices: Mapping[str, Decimal],
    ) -> None:
        """Place or move the resting stop of one trade. Raises Unprotected."""
        if trade.exiting or trade.id in self.journal.unsettled_trade_ids():
            return  # its exit goes on, or its stop is settled first
        wanted = self._wanted(trade)
        if order is None:
            self._place(wanted, prices.get(trade.symbol))
            return
        record = found.get(order.client_order_id)
        if record is None:
            raise _unprotected(trade, BotError("the list of open orders lacks it", hint="the next tick looks again"))
        if record.amount != wanted.amount:
            self._end(order, trade)
            self._place(wanted, prices.get(trade.symbol))
        elif _is_below(record, wanted):
            self._move(wanted, order)

    def _end(self, order: OrderRow, trade: TradeRow) -> None:
        begin_ending([order], {}, self.clock.now())
        if errors := self.settlement.cancel([order]):
            raise _unprotected(trade, errors[0])
        if order.filled > 0:
            raise _unprotected(trade, BotError("it has sold a part", hint="the next check sells the rest"))

    def _wanted(self, trade: TradeRow) -> WantedStop:
        """Raises Unprotected where there can be none."""
        market = market_of(self.exchange.load_markets(), trade.symbol)
        if trade.stop_loss_price is None or trade.atr is None or trade.entry_price is None or self.distance is None:
            raise Unprotected(f"trade {trade.id} ({trade.symbol}) has no stop", hint="see `botctl positions`")
        stop, entry = trade.stop_loss_price, float(trade.entry_price)
        trigger = trigger_in_ticks(resting_trigger(stop, trade.atr, self.distance), market.price_decimals)
        amount = floor_to(trade.amount, market.lot_decimals)
        if trigger is None:
            why = f"its stop would be {self.distance:g} ATR below {stop:.8g}, which is not a price"
            raise _unprotected(trade, BotError(why, hint="see EXCHANGE_STOP_ATR"))
        if (why_small := below_minimum(amount, trigger, market)) is not None:
            raise _unprotected(trade, BotError(why_small))
        return WantedStop(trade, market, amount, trigger, stop_reason(stop, entry))

    def _place(self, wanted: WantedStop, price: Decimal | None) -> None:
        trade = wanted.trade
        if price is not None and price <= wanted.trigger:
            raise _unprotected(trade, BotError(f"the price is below {format_decimal(wanted.trigger)}, its trigger"))

        def intend(deadline: datetime, now: datetime) -> OrderRow:
            return self.journal.intend_resting_stop(
                trade, wanted.amount, wanted.trigger, wanted.reason, check=lambda: None, deadline=deadline, now=now
            )

        try:
            order = self.placement.place_stop(intend)
        except BotError as error:
            raise _unprotected(trade, error) from error
        if errors := self.settlement.settle([order]):
            raise _unprotected(trade, errors[0])

    def _move(self, wanted: WantedStop, order: OrderRow) -> None:
        try:
            self.exchange.amend_stop(order.client_order_id, wanted.trigger, wanted.amount)
        except BotError as error:
            log.warning("the resting stop of trade %d: %s", wanted.trade.id, error)
            if isinstance(error, ExchangeRefused):  # it may have fired by now
                self._settle(self._find_ended([order]))
            raise _unprotected(wanted.trade, error) from error
        record_move(order, wanted.trigger, wanted.reason, self.clock.now())
        log.info("resting stop of trade %d moved to %s", wanted.trade.id, format_decimal(wanted.trigger))


def _has_fired(report: OrderReport) -> bool:
    return report.fired or report.filled > 0


def _is_below(record: OrderRecord, wanted: WantedStop) -> bool:
    trigger = record.report.trigger
    return trigger is not None and is_too_low(trigger, wanted.trigger, wanted.market.price_decimals)


def _left_note(resting: Sequence[OrderRow]) -> list[str]:
    if not resting:
        return []
    return [f"{len(resting)} stops rest at the exchange with EXCHANGE_STOP=off: see `botctl resting-stops`"]


def _is_resting(record: OrderRecord) -> bool:
    """Whether an open order is a resting stop of botctl."""
    client_id = parse_client_id(record.report.client_order_id)
    return client_id is not None and client_id.resting


def _unprotected(trade: TradeRow, why: BotError) -> Unprotected:
    return Unprotected(f"trade {trade.id} ({trade.symbol}) has no resting stop: {why.message}", hint=why.hint)


def _ending_note(order: OrderRow) -> str:
    if order.filled > 0:
        sold = f"{format_decimal(order.filled)} of {format_decimal(order.amount)} {order.symbol}"
        return f"the resting stop of trade {order.trade_id} has sold {sold}"
    return f"the resting stop of trade {order.trade_id} ({order.symbol}) was canceled by somebody else"
