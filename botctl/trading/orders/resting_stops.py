"""Keeps one stop at the exchange for each open trade, below the stop of the rule, and moves it up with that.

The rule decides at each check; the resting stop is there for what happens between two checks, and while this machine
is off. Each run proves it by one list of open orders: nothing is believed of an order because it was placed once.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.client_order_ids import parse_client_id
from botctl.domain.errors import (
    BelowMinimum,
    BotError,
    ExchangeRefused,
    InsufficientFunds,
    Unprotected,
    attempt_each,
)
from botctl.domain.markets import Market, below_minimum, market_of
from botctl.domain.money import floor_to, format_decimal
from botctl.domain.orders import ACTIVE, ExitReason, OrderRecord, OrderReport, OrderState, Side, stop_reason
from botctl.domain.stops import is_too_low, resting_trigger, trigger_in_ticks
from botctl.domain.symbols import base_of
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.resting_stops import begin_ending, has_lost_stops, load_resting_stops, record_move
from botctl.store.rows import OrderRow, TradeRow
from botctl.trading.account_fees import break_even_of
from botctl.trading.orders.placement import OrderPlacement
from botctl.trading.orders.settlement import FORGOTTEN_AFTER, OrderSettlement

log = logging.getLogger(__name__)

COINS_ARRIVE_WITHIN = 3.0
"""Seconds. Coins that were just bought were once refused for sale as long as that."""
COINS_HELD = "if your own orders hold its coins, cancel them; until then the rule's stop guards it at each check"
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

    @property
    def has_news(self) -> bool:
        """Without news no stop has ended, so that no exit has begun."""
        return bool(self.notes or self.errors)

    def __add__(self, later: "Proof") -> "Proof":
        return Proof(self.notes + later.notes, self.errors + later.errors)


@dataclass
class RestingStops:
    exchange: Exchange
    journal: Journal
    clock: Clock
    placement: OrderPlacement
    settlement: OrderSettlement
    distance: float | None
    """How many average true ranges a resting stop lies below the rule's; None where none is wanted."""
    _unsaid: Proof = field(default_factory=lambda: Proof([], []), init=False)
    """What was found before the proof."""

    def place_missing(self, trade_ids: Collection[int | None]) -> list[BotError]:
        """Place the resting stop of those of these trades that have none by the journal: after an entry or a part-sell.
        Those of other trades are left to `prove`, which tells a price that is below the trigger already."""
        if self.distance is None or not trade_ids:
            return []
        resting = {order.trade_id for order in load_resting_stops()}
        trades = [trade for trade in self.journal.open_trades() if trade.id in trade_ids]
        busy = self._busy(trades)
        bare = [trade for trade in trades if trade.id not in resting and trade.id not in busy]
        return attempt_each(lambda trade: self._place(self._wanted(trade), None, patient=True), bare)[1]

    def count(self) -> int:
        """How many rest, by the journal."""
        return len(load_resting_stops())

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
        self._unsaid += Proof(errors=self._settle(fired), notes=_ending_notes(fired))
        return any(order.filled > 0 for order in fired)

    def cancel_all(self, trade_ids: Iterable[int] | None = None) -> list[BotError]:
        """Cancel the resting stops of these trades, or all. Returns an error for each without a known ending."""
        wanted = None if trade_ids is None else set(trade_ids)
        resting = [order for order in load_resting_stops() if wanted is None or order.trade_id in wanted]
        begin_ending(resting, {}, self.clock.now())
        return self.settlement.cancel(resting) if resting else []

    def prove(self, prices: Mapping[str, Decimal]) -> Proof:
        """One list of open orders; then every open trade has its resting stop, or there is an error that says why. With
        it comes what `settle_fired` has found.

        Asks for nothing where there are neither open trades nor resting stops. None is placed above the last of
        `prices`: it would sell at once, which the rule decides.
        """
        found = self.take_found()
        return found + self._prove(prices)

    def take_found(self) -> Proof:
        """What was found before the proof, and has not been told yet."""
        found, self._unsaid = self._unsaid, Proof([], [])
        return found

    def _prove(self, prices: Mapping[str, Decimal]) -> Proof:
        resting = load_resting_stops()
        trades = self.journal.open_trades() if self.distance is not None else []
        if not resting and not trades and not has_lost_stops(self.clock.now() - LOST_FOR):
            return Proof([], [])
        try:
            listed = [record for record in self.exchange.list_open_orders(urgent=True) if _is_resting(record)]
        except BotError as error:
            return Proof([], [Unprotected(f"the resting stops were not looked at: {error.message}", hint=error.hint)])
        notes, errors = self._settle_ended(resting, listed)
        errors += self._cancel_left_over(load_resting_stops())
        errors += self._cancel_orphans([*resting, *load_resting_stops()], listed)
        if self.distance is None:
            return Proof(notes + _left_note(load_resting_stops()), errors)
        kept = {order.trade_id: order for order in load_resting_stops()}
        found = {record.report.client_order_id: record for record in listed}
        trades = self.journal.open_trades()
        busy = self._busy(trades)
        moved, failed = attempt_each(
            lambda trade: self._keep(trade, kept.get(trade.id), found, prices),
            [trade for trade in trades if trade.id not in busy],
        )
        return Proof(notes + [note for note in moved if note is not None], errors + failed)

    def _settle_ended(
        self, resting: Sequence[OrderRow], listed: Sequence[OrderRecord]
    ) -> tuple[list[str], list[BotError]]:
        """Settle those that have fired, by the list, and those that are not in it and have ended by their records."""
        found = {record.report.client_order_id: record.report for record in listed}
        fired = [order for order in resting if (report := found.get(order.client_order_id)) and _has_fired(report)]
        missing = [order for order in resting if order.client_order_id not in found]
        try:
            reports = self._reports_of(missing)
        except BotError as error:
            return [], [Unprotected(f"resting stops were not found: {error.message}", hint=error.hint)]
        gone = [order for order in missing if _has_ended(reports.get(order.client_order_id))]
        errors = self._settle([*fired, *gone])
        forgotten = [order for order in missing if order.client_order_id not in reports and self._is_old(order)]
        if forgotten:  # canceled first: should one rest all the same, none is placed beside it
            begin_ending(forgotten, {}, self.clock.now())
            errors += self.settlement.cancel(forgotten)
            gone += forgotten
        return _ending_notes([*fired, *gone]), errors

    def _find_ended(self, resting: Sequence[OrderRow]) -> list[OrderRow]:
        """Those that have fired or ended, by their own records. A list that lacks one proves nothing."""
        reports = self._reports_of(resting)
        return [order for order in resting if _has_ended(reports.get(order.client_order_id))]

    def _reports_of(self, resting: Sequence[OrderRow]) -> dict[str, OrderReport]:
        """The exchange's records of these, by client order id, without those that it has none of."""
        if not resting:
            return {}
        reports = self.exchange.fetch_orders([str(order.exchange_order_id) for order in resting], urgent=True)
        return {
            order.client_order_id: reports[str(order.exchange_order_id)]
            for order in resting
            if str(order.exchange_order_id) in reports
        }

    def _is_old(self, order: OrderRow) -> bool:
        """Whether it is so old that the exchange may have dropped its record."""
        return self.clock.now() > order.deadline + FORGOTTEN_AFTER

    def _settle(self, orders: Sequence[OrderRow]) -> list[BotError]:
        if not orders:
            return []
        begin_ending(orders, {}, self.clock.now())
        return self.settlement.settle(orders)

    def _cancel_left_over(self, resting: Sequence[OrderRow]) -> list[BotError]:
        """Cancel those whose trade has ended otherwise, as when its coins were sold by hand: they would sell coins that
        are the owner's alone."""
        ended = {
            trade.id for trade in self.journal.trades([each.trade_id for each in resting]) if trade.status not in ACTIVE
        }
        return self.cancel_all(ended) if ended else []

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

    def _busy(self, trades: Iterable[TradeRow]) -> set[int]:
        """Those whose exit goes on, or of which an order is to be settled first."""
        return self.journal.unsettled_trade_ids() | {trade.id for trade in trades if trade.exiting is not None}

    def _keep(
        self,
        trade: TradeRow,
        order: OrderRow | None,
        found: Mapping[str | None, OrderRecord],
        prices: Mapping[str, Decimal],
    ) -> str | None:
        """Place or move the resting stop of one trade. Returns a note where somebody else has moved it. Raises
        Unprotected."""
        wanted, price = self._wanted(trade), prices.get(trade.symbol)
        if order is None:
            self._place(wanted, price)
            return None
        record = found.get(order.client_order_id)
        if record is None:
            raise _unprotected(trade, BotError("the list of open orders lacks it", hint="the next tick looks again"))
        shown = _check_kind(record, wanted)
        if record.amount != wanted.amount:
            self._replace(order, wanted, price)
        elif is_too_low(shown, wanted.trigger, wanted.market.price_tick):
            self._move(wanted, order, price)
        elif shown != order.trigger:
            record_move(order, shown, wanted.reason, self.clock.now())
            if shown > wanted.trigger:
                return _moved_note(order, wanted)
        return None

    def _replace(self, order: OrderRow, wanted: WantedStop, price: Decimal | None) -> None:
        """Cancel it and place a new one. In between the stop of the rule guards the trade, as without resting stops."""
        begin_ending([order], {}, self.clock.now())
        if errors := self.settlement.cancel([order]):
            raise _unprotected(wanted.trade, errors[0])
        if order.filled > 0:
            raise _unprotected(wanted.trade, BotError("it has sold a part", hint="the next check sells the rest"))
        self._place(wanted, price)

    def _wanted(self, trade: TradeRow) -> WantedStop:
        """Raises Unprotected where there can be none."""
        try:
            market = market_of(self.exchange.load_markets(), trade.symbol)
        except BotError as error:
            raise _unprotected(trade, error) from error
        if trade.stop_loss_price is None or trade.atr is None or trade.entry_price is None or self.distance is None:
            raise Unprotected(f"trade {trade.id} ({trade.symbol}) has no stop", hint="see `botctl positions`")
        stop, entry = trade.stop_loss_price, float(trade.entry_price)
        trigger = trigger_in_ticks(resting_trigger(stop, trade.atr, self.distance), market.price_tick)
        if trigger is None:
            why = f"its stop would be {self.distance:g} ATR below {stop:.8g}, which is not a price"
            raise _unprotected(trade, BotError(why, hint="see EXCHANGE_STOP_ATR"))
        break_even = break_even_of(trade, self.settlement.rule, self.settlement.fees)
        amount = floor_to(trade.amount, market.lot_decimals)
        return WantedStop(trade, market, amount, trigger, stop_reason(stop, entry, break_even))

    def _place(self, wanted: WantedStop, price: Decimal | None, *, patient: bool = False) -> None:
        """With `patient` a refusal for want of coins is waited out once: coins that were bought a moment ago may not be
        there to be sold yet. Raises Unprotected."""
        trade = wanted.trade
        if price is not None and price <= wanted.trigger:
            raise _unprotected(trade, BotError(f"the price is below {format_decimal(wanted.trigger)}, its trigger"))
        if (why_small := below_minimum(wanted.amount, wanted.trigger, wanted.market)) is not None:
            raise _unprotected(trade, BotError(why_small, hint="the rule's stop guards it at each check"))
        try:
            order = self._send(wanted, patient=patient)
            errors = self._confirm(order)
        except BotError as error:
            raise _unprotected(trade, error) from error
        if errors:
            raise _unprotected(trade, errors[0])
        if order.state != OrderState.RESTING and order.filled == 0:
            raise _unprotected(trade, BotError(f"it ended {order.state}", hint="the next tick places another"))

    def _confirm(self, order: OrderRow) -> list[BotError]:
        """Look up a stop whose answer was lost: whether it is there, and rests."""
        if order.exchange_order_id:
            return []
        errors = self.settlement.settle([order])
        return errors or self._settle(self._find_ended([order] if order.state == OrderState.RESTING else []))

    def _send(self, wanted: WantedStop, *, patient: bool) -> OrderRow:
        def intend(deadline: datetime, now: datetime) -> OrderRow:
            return self.journal.intend_resting_stop(
                wanted.trade, wanted.amount, wanted.trigger, wanted.reason, check=lambda: None, deadline=deadline,
                now=now,
            )  # fmt: skip

        try:
            return self.placement.place_stop(intend)
        except (InsufficientFunds, BelowMinimum):
            if not patient or not self.settlement.wait_budget.wait(COINS_ARRIVE_WITHIN):
                raise
        return self.placement.place_stop(intend)

    def _move(self, wanted: WantedStop, order: OrderRow, price: Decimal | None) -> None:
        """Move it up in place. Where that is refused it is canceled and placed anew; an answer that was lost is looked
        up. Raises Unprotected."""
        try:
            self.exchange.amend_stop(order.client_order_id, wanted.trigger, wanted.amount)
        except ExchangeRefused as refusal:
            log.warning("the resting stop of trade %d: %s", wanted.trade.id, refusal)
            self._move_refused(wanted, order, price)
            return
        except BotError as error:
            log.warning("the resting stop of trade %d: %s: looking it up", wanted.trade.id, error)
            if not self._has_moved(order, wanted):
                raise _not_moved(wanted, error) from error
        record_move(order, wanted.trigger, wanted.reason, self.clock.now())
        log.info("resting stop of trade %d moved to %s", wanted.trade.id, format_decimal(wanted.trigger))

    def _move_refused(self, wanted: WantedStop, order: OrderRow, price: Decimal | None) -> None:
        """It may have fired, or be canceled, by now: then that is booked first."""
        try:
            ended = self._find_ended([order])
        except BotError as error:
            raise _not_moved(wanted, error) from error
        if not ended:
            self._replace(order, wanted, price)
            return
        if errors := self._settle(ended):
            raise _unprotected(wanted.trade, errors[0])
        trade = self.journal.open_trade(wanted.trade.id)
        if trade is not None and trade.exiting:
            raise _unprotected(trade, BotError("it has sold a part", hint="the next check sells the rest"))
        if trade is not None:
            self._place(wanted, price)

    def _has_moved(self, order: OrderRow, wanted: WantedStop) -> bool:
        try:
            report = self._reports_of([order]).get(order.client_order_id)
        except BotError as error:
            log.warning("the resting stop of trade %d: %s", wanted.trade.id, error)
            return False
        return report is not None and report.open and report.trigger == wanted.trigger


def _has_fired(report: OrderReport) -> bool:
    return report.fired or report.filled > 0


def _has_ended(report: OrderReport | None) -> bool:
    return report is not None and (not report.open or _has_fired(report))


def _check_kind(record: OrderRecord, wanted: WantedStop) -> Decimal:
    """The trigger of a listed order. Raises Unprotected for one that is no stop of this trade at all."""
    trigger = record.report.trigger
    if record.symbol != wanted.trade.symbol or record.side is not Side.SELL or trigger is None:
        shown = f"a {record.side} of {record.symbol}" + ("" if trigger is None else " with a trigger")
        raise _unprotected(wanted.trade, BotError(f"the exchange shows it as {shown}", hint="check it at Kraken"))
    return trigger


def _not_moved(wanted: WantedStop, why: BotError) -> Unprotected:
    trade = wanted.trade
    text = f"the resting stop of trade {trade.id} ({trade.symbol}) may be too low, it could not be moved"
    return Unprotected(f"{text}: {why.message}", hint=why.hint or "the next tick tries again")


def _moved_note(order: OrderRow, wanted: WantedStop) -> str:
    shown, rule = format_decimal(order.trigger or Decimal(0)), format_decimal(wanted.trigger)
    return (
        f"the resting stop of trade {order.trade_id} ({order.symbol}) rests at {shown}, above {rule}: it is left there"
    )


def _left_note(resting: Sequence[OrderRow]) -> list[str]:
    if not resting:
        return []
    text = f"{len(resting)} stops rest at the exchange with EXCHANGE_STOP=off, and no longer move"
    return [f"{text}: `botctl resting-stops --cancel` cancels them"]


def _is_resting(record: OrderRecord) -> bool:
    """Whether an open order is a resting stop of botctl."""
    client_id = parse_client_id(record.report.client_order_id)
    return client_id is not None and client_id.resting


def _unprotected(trade: TradeRow, why: BotError) -> Unprotected:
    hint = COINS_HELD if isinstance(why, InsufficientFunds) else why.hint
    return Unprotected(f"trade {trade.id} ({trade.symbol}) has no resting stop: {why.message}", hint=hint)


def _ending_notes(orders: Sequence[OrderRow]) -> list[str]:
    return [_ending_note(order) for order in orders if order.settled_at is not None]


def _ending_note(order: OrderRow) -> str:
    if order.filled > 0:
        sold = f"{format_decimal(order.filled)} of {format_decimal(order.amount)} {order.symbol}"
        return f"the resting stop of trade {order.trade_id} has sold {sold}"
    return f"the resting stop of trade {order.trade_id} ({order.symbol}) was canceled outside botctl"
