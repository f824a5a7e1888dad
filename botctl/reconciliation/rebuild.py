"""Rebuilds trades that the database lost from the exchange's records. Sends no orders."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from botctl.domain.account.holdings import unit_of
from botctl.domain.candles import Candle
from botctl.domain.errors import BadValue, BotError, Refused, UnusableAnswer
from botctl.domain.money import format_decimal
from botctl.domain.orders import ACTIVE, UNSETTLED, OrderState, TradeStatus
from botctl.domain.symbols import Timeframe, base_of
from botctl.ports import Progress
from botctl.reconciliation import rebuilt_rows as rows
from botctl.reconciliation.differences import order_difference
from botctl.reconciliation.exchange_records import ExchangeRecords, fetch_exchange_records
from botctl.reconciliation.exchange_trades import ExchangeOrder, ExchangeTrade, Totals, has_ended, left_by_orders
from botctl.reconciliation.reconcile import exchange_figures, journal_figures
from botctl.reconciliation.results import RecoverAction
from botctl.reconciliation.stop_reconstruction import ReconstructedStop, atr_at, reconstruct_stop, stop_without_atr
from botctl.store.corrections import (
    Correction,
    apply_corrections,
    load_orders_with_trades,
    load_trades_by_tag,
    load_written_off,
)
from botctl.store.evidence.unrecorded_orders import (
    Comparison,
    Recovery,
    UnrecordedOrder,
    load_unrecorded,
    save_comparison,
    save_recovery,
    save_unrecorded,
    without_recorded,
)
from botctl.store.models import Order, Trade, database
from botctl.trading.bot import Bot
from botctl.trading.snapshot import SECOND_SNAPSHOT_AFTER

log = logging.getLogger(__name__)

RECOVER_SPAN = timedelta(days=90)
PAUSE_REASON = "recovered: check with `botctl reconcile`, then `botctl resume`"
SEVERAL_WORKING = "several of its orders are still open: cancel them at the exchange, then run recover again"
ENTRY_OUTSIDE_PERIOD = (
    "it sold, but its entry is outside the period: look further back with --since (entries of botctl 0.1.0 have no tag)"
)

ADD, REDUCE, CLOSE, ADOPT = "add", "reduce", "close", "adopt"
SETTLE, LEAVE, PROBLEM = "settle", "leave", "problem"


@dataclass(frozen=True)
class Step:
    """One planned action and what it writes, if anything."""

    view: RecoverAction
    correction: Correction | None = None
    opens: bool = False
    """Whether it makes a trade active: an asset has at most one."""


@dataclass
class Plan:
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    same_trades: int = 0
    foreign_orders: int = 0
    left_out: list[UnrecordedOrder] = field(default_factory=list)
    """The orders of trades that have not ended; apply keeps those that it did not record."""
    empty: bool = False
    """Whether the database has no trade yet: it was lost, and the switch with it."""
    recovery: Recovery | None = None

    @property
    def corrections(self) -> list[Correction]:
        """What closes a trade comes first, because an asset has one active trade."""
        ordered = sorted(self.steps, key=lambda step: step.opens)
        return [step.correction for step in ordered if step.correction is not None]

    @property
    def problems(self) -> list[BotError]:
        return [BotError(f"{view.symbol}: {view.detail}") for view in self.views if view.action == PROBLEM]

    @property
    def views(self) -> list[RecoverAction]:
        return [step.view for step in self.steps]


def default_start(bot: Bot) -> datetime:
    """RECOVER_SPAN ago, or earlier where an order that the journal lacks is older."""
    return min([bot.clock.now() - RECOVER_SPAN, *(order.opened_at for order in load_unrecorded())])


def plan_rebuild(bot: Bot, since: datetime, progress: Progress, *, adopt: bool) -> Plan:
    """What the exchange's records since `since` change; with `adopt` also to another database's trades.

    Raises ExchangeUnreachable when the records are incomplete.
    """
    now = bot.exchange.now()
    records = fetch_exchange_records(bot.exchange, since, progress)
    at = max([now, *(trade.ended_at for trade in records.trades)])  # its clock may be a second behind
    plan = Rebuild(bot, records, adopt=adopt).plan()
    older = [order for order in load_unrecorded() if order.opened_at < since]
    return replace(plan, left_out=[*older, *plan.left_out], recovery=Recovery(since, at))


def apply_rebuild(bot: Bot, plan: Plan) -> None:
    """Write the plan, and pause: a rebuilt database has lost a pause or a tripped guard, an empty one the switch."""
    now = bot.clock.now()
    with database.atomic("IMMEDIATE"):
        apply_corrections(plan.corrections, now)
        if plan.corrections or plan.empty:
            bot.switch.pause(now, freeze=False, reason=PAUSE_REASON)
        if plan.recovery is not None:
            save_recovery(plan.recovery)
        save_comparison(Comparison(now))
        save_unrecorded(without_recorded(plan.left_out))
    log.info("recovered %d trades from the exchange's records", len(plan.corrections))


class Rebuild:
    """Compares each of our trades at the exchange with its row."""

    def __init__(self, bot: Bot, records: ExchangeRecords, *, adopt: bool) -> None:
        self.bot = bot
        self.adopt = adopt
        self.written_off = load_written_off()
        self.records = records
        self.trades = load_trades_by_tag()
        self.orders = {order.client_order_id: order for order in load_orders_with_trades()}
        self._ids = {row.id for row in self.trades.values()}
        self._candles: dict[tuple[str, Timeframe], list[Candle]] = {}

    def plan(self) -> Plan:
        """One step for each trade that differs, in the order of their entries."""
        plan = Plan(foreign_orders=self.records.foreign_orders, empty=not self.trades)
        for trade in sorted(self.records.trades, key=lambda trade: trade.entry_time):
            row = self.trades.get(trade.tag)
            note = None
            try:
                step, note = self._restore(trade) if row is None else (self._compare(trade, row), None)
            except (Refused, BadValue) as refusal:  # too few candles, or a market that is gone
                step = _problem(trade, f"it can't be rebuilt ({refusal}): sell it at the exchange")
            plan.steps += [] if step is None else [_named(step, trade.database or self.bot.journal.database_id)]
            plan.notes += [] if note is None else [note]
            plan.same_trades += step is None
            plan.left_out += [] if self._has_ended(trade) else _unrecorded_orders(trade, examined=row is None)
        plan.steps += self._trades_without_records()
        plan.steps = list(self._one_per_asset(plan.steps))
        plan.notes += self._short_balances(plan.steps)
        return plan

    # Trades without a row

    def _restore(self, trade: ExchangeTrade) -> tuple[Step | None, str | None]:
        """Add the trade if it holds something or has a working order; otherwise it has ended, perhaps with a note."""
        if len(trade.working) > 1:
            return _problem(trade, SEVERAL_WORKING), None
        if not trade.entries:
            return _problem(trade, ENTRY_OUTSIDE_PERIOD), None
        if not trade.working and trade.held <= 0:
            return None, None
        if not self._may_adopt(trade):
            return _problem(trade, another_database(trade)), None
        if not trade.working and trade.held < self._min_amount(trade):
            return None, f"{_name(trade)}: {format_decimal(trade.held)} {base_of(trade.symbol)} is left as dust"
        return self._open(trade, None), None

    def _open(self, trade: ExchangeTrade, row: Trade | None) -> Step:
        """The trade with its stop. `row` is one without a fill."""
        settings = self.bot.settings
        atr, stop, details = self._stop_of(trade)
        new = rows.new_columns(trade, settings.botctl_mode) if row is None else {}
        if stop is None:
            columns = {**new, **rows.pending_columns(trade, atr)}
            details.insert(0, "its entry is still open: the next run settles it")
        else:
            columns = {**new, **rows.open_columns(trade, atr, stop)}
            details += [*_details(trade), *stop.notes]
        trade_id = row.id if row else self._free_id(trade)
        view = RecoverAction(
            trade_id=trade_id,
            symbol=trade.symbol,
            action=ADOPT if row else ADD,
            database="",
            amount=columns["amount"],
            entry_price=columns.get("entry_price"),
            stop_loss_price=columns.get("stop_loss_price"),
            detail="; ".join(details) or "it is missing in the database",
        )
        why = "; ".join(["from the exchange's records", *details])
        orders = self._order_corrections(trade, trade.orders)
        return Step(view, Correction(row, trade_id, columns, orders, why), opens=True)

    def _stop_of(self, trade: ExchangeTrade) -> tuple[float, ReconstructedStop | None, list[str]]:
        """Its ATR, its stop unless nothing is bought yet, and notes. Where the candles carry no ATR there is a stop
        all the same."""
        settings = self.bot.settings
        candles = self._candles_of(trade.symbol, settings.timeframe)
        filled = trade.bought.amount > 0
        asked_for = trade.orders[0]
        try:
            signals = self._candles_of(trade.symbol, settings.signal_timeframe)
            atr, note = atr_at(signals, asked_for.opened_at, settings)
        except Refused:
            last = self._last_price(trade.symbol)
            entry_price = rows.entry_columns(trade)["entry_price"] if filled else last or Decimal(1)
            atr, stop = stop_without_atr(candles, entry_price, trade.entry_time, last, settings)
            return atr, stop if filled else None, [] if filled else list(stop.notes)
        notes = [note] if note else []
        if not filled:
            return atr, None, notes
        entry_price = rows.entry_columns(trade)["entry_price"]
        return atr, reconstruct_stop(candles, entry_price, trade.entry_time, atr, settings), notes

    def _last_price(self, symbol: str) -> Decimal | None:
        quote = self.bot.exchange.fetch_quotes([symbol]).good.get(symbol)
        return None if quote is None else quote.last

    def _may_adopt(self, trade: ExchangeTrade) -> bool:
        """Whether the trade is this database's, or that of the one that was lost."""
        own = trade.database in (None, self.bot.journal.database_id)
        return own or self.adopt or not self.trades

    def _has_ended(self, trade: ExchangeTrade) -> bool:
        return has_ended(trade, self.bot.exchange.load_markets())

    def _free_id(self, trade: ExchangeTrade) -> int:
        """The trade's former id, or the next one where another trade has that."""
        free = trade.number > 0 and trade.number not in self._ids
        trade_id = trade.number if free else max(self._ids, default=0) + 1
        self._ids.add(trade_id)
        return trade_id

    # Trades with a row

    def _compare(self, trade: ExchangeTrade, row: Trade) -> Step | None:
        """None when the journal has every order of it as the exchange does."""
        unsettled = [order for order in self.orders.values() if order.trade_id == row.id and order.state in UNSETTLED]
        unsettled += [order for order in self._resting(row) if any(map(self._differs, _same_order(trade, order)))]
        if unsettled:
            return _unchanged(row, SETTLE, f"an order of it is {unsettled[0].state}: the next run settles it")
        changed = [order for order in trade.orders if self._differs(order)]
        if row.status == TradeStatus.CLOSED:
            return self._compare_closed(trade, row, changed)
        if not changed:
            return None
        if len(trade.working) > 1:
            return _problem(trade, SEVERAL_WORKING)
        if row.status != TradeStatus.OPEN:
            return self._open(trade, row) if trade.working or trade.held >= self._min_amount(trade) else None
        if trade.entries and trade.bought.amount == 0:
            return _unchanged(row, PROBLEM, "it is open, but the exchange filled nothing of its entry")
        return self._correct(trade, row, changed)

    def _compare_closed(self, trade: ExchangeTrade, row: Trade, changed: Sequence[ExchangeOrder]) -> Step | None:
        """Open it again if its orders left coins that nobody has written off."""
        left = left_by_orders(trade, self.written_off.get(row.id, Decimal(0)))
        if trade.entries and not trade.working and left > 0 and left >= self._min_amount(trade):
            opened = self._open(trade, row)
            amount = f"{format_decimal(left)} {row.asset}"
            view = replace(opened.view, amount=left, detail=f"it is closed, but its orders left {amount}")
            columns = rows.reopened_columns(
                trade, left, row, dict(opened.correction.columns if opened.correction else {})
            )
            orders = self._order_corrections(trade, changed)
            return Step(view, Correction(row, row.id, columns, orders, view.detail), opens=True)
        if changed:
            return _unchanged(row, PROBLEM, "it is closed, but the exchange's figures differ: see `botctl reconcile`")
        return None

    def _correct(self, trade: ExchangeTrade, row: Trade, changed: Sequence[ExchangeOrder]) -> Step:
        """Reduce or close an open trade by the sells that its row lacks."""
        ended = [order for order in changed if order.has_ended]
        sold = self._unrecorded(order for order in ended if order in trade.exits)
        columns = rows.reduced_columns(trade, row, sold)
        if any(order in trade.entries for order in ended):
            bought = self._unrecorded(order for order in ended if order in trade.entries)
            columns |= {**rows.entry_columns(trade), "amount": columns["amount"] + bought.amount}
        action, left = REDUCE if sold.amount else ADOPT, columns["amount"]
        unsellable = left <= 0 or (not trade.working and left < self._min_amount(trade))
        if sold.amount and unsellable:
            action, columns = CLOSE, rows.closed_columns(trade, row, columns)
        detail = f"{len(changed)} of its orders differ from the exchange's"
        if sold.amount:
            amount, cost, fee = map(format_decimal, (sold.amount, sold.cost, sold.fee))
            detail = f"sold {amount} {row.asset} for {cost}, fee {fee}"
        orders = self._order_corrections(trade, changed)
        correction = Correction(row, row.id, columns, orders, f"from the exchange's records: {detail}")
        view = RecoverAction(row.id, row.symbol, action, "", left, row.entry_price, row.stop_loss_price, detail)
        return Step(view, correction)

    def _unrecorded(self, orders: Iterable[ExchangeOrder]) -> Totals:
        return rows.unrecorded((order, self.orders.get(order.client_order_id)) for order in orders)

    def _resting(self, row: Trade) -> list[Order]:
        return [each for each in self.orders.values() if each.trade_id == row.id and each.state == OrderState.RESTING]

    def _order_corrections(
        self, trade: ExchangeTrade, orders: Iterable[ExchangeOrder]
    ) -> list[tuple[Order | None, dict[str, Any]]]:
        """Without the second resting stop of a trade, which the next run cancels: it belongs to none."""
        resting = [order.client_order_id for order in trade.orders if order.state is OrderState.RESTING]
        return [self._order_correction(trade, order) for order in orders if order.client_order_id not in resting[1:]]

    def _order_correction(self, trade: ExchangeTrade, order: ExchangeOrder) -> tuple[Order | None, dict[str, Any]]:
        row = self.orders.get(order.client_order_id)
        whole = row is None or not order.has_ended
        return row, rows.order_columns(trade, order) if whole else rows.ending_columns(order)

    def _differs(self, order: ExchangeOrder) -> bool:
        row = self.orders.get(order.client_order_id)
        return bool(order_difference(journal_figures(row) if row else None, exchange_figures(order)))

    # All trades

    def _trades_without_records(self) -> Iterator[Step]:
        recorded = {trade.tag for trade in self.records.trades}
        for tag, row in self.trades.items():
            if row.status in ACTIVE and tag not in recorded:
                step = _unchanged(row, LEAVE, "the exchange has no order of it in the period: it is left unchanged")
                yield _named(step, self.bot.journal.database_id)

    def _one_per_asset(self, steps: Sequence[Step]) -> Iterator[Step]:
        """An asset keeps one active trade: the one in the database, or the newest missing one."""
        changed = [
            step.correction.trade for step in steps if step.correction and (step.opens or step.view.action == CLOSE)
        ]
        changed_ids = {row.id for row in changed if row is not None}
        taken = {row.asset for row in self.trades.values() if row.status in ACTIVE and row.id not in changed_ids}
        newest = {base_of(step.view.symbol): step for step in steps if step.opens}  # the last one stays in a dict
        for step in steps:
            asset = base_of(step.view.symbol)
            crowded = step.opens and (asset in taken or step is not newest[asset])
            yield _second_trade(step) if crowded else step

    def _short_balances(self, steps: Sequence[Step]) -> Iterator[str]:
        """Notes on trades that hold more than the balance; their sells are bounded by the balance anyway."""
        for step in steps:
            symbol, amount = step.view.symbol, step.view.amount
            balance = self.records.balances.total(base_of(symbol))
            if (
                step.opens
                and step.view.entry_price is not None
                and amount is not None
                and amount - balance >= unit_of(balance)
            ):
                yield (
                    f"{symbol}: the balance is {format_decimal(balance)} {base_of(symbol)}, less than the "
                    f"{format_decimal(amount)} bought and not sold: was it sold or moved by hand?"
                )

    def _min_amount(self, trade: ExchangeTrade) -> Decimal:
        """The smallest amount that can be sold. Raises Refused for a market that is gone."""
        market = self.bot.exchange.load_markets().get(trade.symbol)
        if market is None:
            raise Refused(f"{trade.symbol} is no longer a market")
        return market.min_amount

    def _candles_of(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        """Its candles; none, where two answers have none that can be used: a trade gets a stop all the same."""
        key = symbol, timeframe
        if key not in self._candles:
            try:
                self._candles[key] = self.bot.exchange.fetch_candles(symbol, timeframe)
            except UnusableAnswer:
                self.bot.clock.sleep(SECOND_SNAPSHOT_AFTER)
                try:
                    self._candles[key] = self.bot.exchange.fetch_candles(symbol, timeframe)
                except UnusableAnswer:
                    self._candles[key] = []
        return self._candles[key]


def _same_order(trade: ExchangeTrade, row: Order) -> list[ExchangeOrder]:
    return [order for order in trade.orders if order.client_order_id == row.client_order_id]


def another_database(trade: ExchangeTrade) -> str:
    return (
        f"it is of database {trade.database}, and another installation may guard it: if none does, run recover "
        "with --adopt"
    )


def _unrecorded_orders(trade: ExchangeTrade, *, examined: bool) -> list[UnrecordedOrder]:
    return [
        UnrecordedOrder(order.client_order_id, order.symbol, order.side, order.opened_at, examined)
        for order in trade.orders
    ]


def _named(step: Step, database_id: str) -> Step:
    return replace(step, view=replace(step.view, database=database_id))


def _details(trade: ExchangeTrade) -> Iterator[str]:
    if not all(order.exact for order in trade.orders):
        yield "the exchange did not return all its fills: its figures are rounded"
    if trade.sold.amount:
        yield f"{format_decimal(trade.sold.amount)} of {format_decimal(trade.bought.amount)} was sold"
    if trade.working:
        yield "a sell of it is still open: the next run settles it"
    if trade.exiting:
        yield f"its exit has begun ({trade.exiting}): the next check continues it"


def _second_trade(step: Step) -> Step:
    """The step as a problem, because its asset already has an active trade."""
    view, asset = step.view, base_of(step.view.symbol)
    detail = (
        f"{asset} has a second trade: {format_decimal(view.amount or Decimal(0))} {asset} are UNGUARDED; sell them "
        "at the exchange, or close the other trade and run recover again"
    )
    return Step(replace(view, action=PROBLEM, detail=detail))


def _problem(trade: ExchangeTrade, detail: str) -> Step:
    held = trade.held if trade.entries else None
    return Step(RecoverAction(trade.number, trade.symbol, PROBLEM, "", held, None, None, f"{_name(trade)}: {detail}"))


def _unchanged(row: Trade, action: str, detail: str) -> Step:
    return Step(RecoverAction(row.id, row.symbol, action, "", row.amount, row.entry_price, row.stop_loss_price, detail))


def _name(trade: ExchangeTrade) -> str:
    return f"trade {trade.number} ({trade.symbol})"
