"""Rebuilds open trades from the exchange's own records, where the database lost or never saw them. Sends nothing."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.candles import Candle
from botctl.domain.errors import BotError, Refused
from botctl.domain.money import format_decimal
from botctl.domain.orders import ACTIVE, UNSETTLED, TradeStatus
from botctl.domain.symbols import base_of
from botctl.ports import Progress
from botctl.reconciliation import rebuilt_rows as rows
from botctl.reconciliation.differences import order_difference
from botctl.reconciliation.exchange_records import ExchangeRecords, fetch_exchange_records
from botctl.reconciliation.exchange_trades import ExchangeOrder, ExchangeTrade
from botctl.reconciliation.reconcile import figures_at, figures_of
from botctl.reconciliation.results import RecoverAction
from botctl.reconciliation.stop_reconstruction import atr_at, reconstruct_stop
from botctl.store.corrections import Correction, apply_corrections, load_orders_with_trades, load_trades_by_tag
from botctl.store.models import Order, Trade, database
from botctl.trading.bot import Bot

log = logging.getLogger(__name__)

PAUSE_REASON = "recovered: check with `botctl reconcile`, then `botctl resume`"

SEVERAL_WORK = "several of its orders still work: cancel them at the exchange, then run it again"
ENTRY_NOT_IN_SIGHT = (
    "it sold, and its entry is not in sight: look further back with --since (entries of botctl 0.1.0 carry no mark)"
)

ADD, REDUCE, CLOSE, ADOPT = "add", "reduce", "close", "adopt"
SETTLE, LEAVE, PROBLEM = "settle", "leave", "problem"


@dataclass(frozen=True)
class Step:
    """One planned action, and what it writes; nothing for one that only tells."""

    view: RecoverAction
    correction: Correction | None = None
    opens: bool = False
    """Whether a trade becomes active by it: an asset has room for one."""

    @property
    def closes(self) -> bool:
        return self.view.action == CLOSE


@dataclass
class Plan:
    """What differs, and what would be written."""

    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    same_trades: int = 0
    foreign_orders: int = 0

    @property
    def corrections(self) -> list[Correction]:
        """What is to be written; what closes comes first, because an asset has one active trade."""
        ordered = sorted(self.steps, key=lambda step: step.opens)
        return [step.correction for step in ordered if step.correction is not None]

    @property
    def problems(self) -> list[BotError]:
        return [BotError(f"{view.symbol}: {view.detail}") for view in self.views if view.action == PROBLEM]

    @property
    def views(self) -> list[RecoverAction]:
        return [step.view for step in self.steps]


def plan_rebuild(bot: Bot, since: datetime, progress: Progress) -> Plan:
    """What the exchange's records since `since` change here. Changes nothing.

    Raises ExchangeUnreachable when the records or the candles can't be had whole.
    """
    return Rebuild(bot, fetch_exchange_records(bot.exchange, since, progress)).plan()


def apply_rebuild(bot: Bot, plan: Plan, *, fresh: bool) -> None:
    """Write the plan, all of it or nothing, and pause: a rebuilt database has lost a pause or a tripped guard.

    With `fresh` the database itself is new, so that it pauses even where nothing is to be written.
    """
    if not plan.corrections and not fresh:
        return
    now = bot.clock.now()
    with database.atomic("IMMEDIATE"):
        apply_corrections(plan.corrections, now)
        bot.switch.pause(now, freeze=False, reason=PAUSE_REASON)
    log.info("recovered %d trades from the exchange's records", len(plan.corrections))


class Rebuild:
    """Compares every trade of ours at the exchange with its row."""

    def __init__(self, bot: Bot, records: ExchangeRecords) -> None:
        self.bot = bot
        self.records = records
        self.trades = load_trades_by_tag()
        self.orders = {order.client_order_id: order for order in load_orders_with_trades()}
        self._numbers = {row.id for row in self.trades.values()}
        self._candles: dict[str, list[Candle]] = {}

    def plan(self) -> Plan:
        """One step for each trade that differs, in the order of their entries."""
        plan = Plan(foreign_orders=self.records.foreign_orders)
        for trade in sorted(self.records.trades, key=lambda trade: trade.opened_at):
            row = self.trades.get(trade.mark)
            try:
                step = self._missing(trade, plan) if row is None else self._known(trade, row)
            except Refused as refusal:
                step = _problem(trade, f"it can't be rebuilt ({refusal}): sell it at the exchange")
            if step is None:
                plan.same_trades += 1
            else:
                plan.steps.append(step)
        plan.steps += self._not_shown()
        plan.steps = list(self._one_for_each_asset(plan.steps))
        plan.notes += self._short_balances(plan.steps)
        return plan

    # A trade that has no row

    def _missing(self, trade: ExchangeTrade, plan: Plan) -> Step | None:
        """Add it if it holds something or an order of it still works; else it has ended, and is none of ours."""
        if len(trade.working) > 1:
            return _problem(trade, SEVERAL_WORK)
        if not trade.entries:
            return _problem(trade, ENTRY_NOT_IN_SIGHT)
        if not trade.working and trade.held <= 0:
            return None
        if not trade.working and trade.held < self._least(trade):
            plan.notes.append(f"{_name(trade)}: {format_decimal(trade.held)} {base_of(trade.symbol)} is left as dust")
            return None
        return self._open(trade, None)

    def _open(self, trade: ExchangeTrade, row: Trade | None) -> Step:
        """The trade as it stands, with its stop. `row` is one that says it never was filled."""
        settings, candles = self.bot.settings, self._candles_of(trade.symbol)
        atr, note = atr_at(candles, trade.orders[0].opened_at, settings)
        new = rows.new_columns(trade, settings.botctl_mode) if row is None else {}
        detail = [note] if note else []
        if trade.bought == 0:
            columns = {**new, **rows.pending_columns(trade, atr)}
            detail.insert(0, "its entry still works: the next run settles it")
        else:
            entry_price = rows.entry_columns(trade)["entry_price"]
            replay = reconstruct_stop(candles, entry_price, trade.opened_at, atr, settings)
            columns = {**new, **rows.open_columns(trade, atr, replay)}
            detail += [*_story(trade), *replay.notes]
        orders = [self._row_of(order) for order in trade.orders]
        number = row.id if row else self._free_number(trade)
        why = "; ".join(["from the exchange's records", *detail])
        view = RecoverAction(
            trade_id=number,
            symbol=trade.symbol,
            action=ADOPT if row else ADD,
            amount=columns["amount"],
            entry_price=columns.get("entry_price"),
            stop_loss_price=columns.get("stop_loss_price"),
            detail="; ".join(detail) or "it is missing here",
        )
        return Step(view, Correction(row, number, columns, orders, why), opens=True)

    def _free_number(self, trade: ExchangeTrade) -> int:
        """The number that the trade had, or the next one where another trade has that."""
        free = trade.number > 0 and trade.number not in self._numbers
        number = trade.number if free else max(self._numbers, default=0) + 1
        self._numbers.add(number)
        return number

    # A trade that has one

    def _known(self, trade: ExchangeTrade, row: Trade) -> Step | None:
        """None when every order of it stands in the journal as the exchange has it."""
        unsettled = [order for order in self.orders.values() if order.trade_id == row.id and order.state in UNSETTLED]
        if unsettled:
            return _told(row, SETTLE, f"an order of it is {unsettled[0].state}: the next run settles it")
        changed = [order for order in trade.orders if self._differs(order)]
        if not changed:
            return None
        if row.status == TradeStatus.CLOSED:
            return _told(row, PROBLEM, "it is closed here, and the exchange has other figures: see `botctl reconcile`")
        if len(trade.working) > 1:
            return _problem(trade, SEVERAL_WORK)
        if row.status != TradeStatus.OPEN:
            return self._open(trade, row) if trade.working or trade.held >= self._least(trade) else None
        if trade.entries and trade.bought == 0:
            return _told(row, PROBLEM, "it is open here, and the exchange filled nothing of its entry")
        return self._correct(trade, row, changed)

    def _correct(self, trade: ExchangeTrade, row: Trade, changed: Sequence[ExchangeOrder]) -> Step:
        """An open trade with the sells that its row does not know of: reduced, or closed."""
        ended = [order for order in changed if not order.working]
        sold = rows.UnrecordedFills.of((order, self._row_here(order)) for order in ended if order in trade.exits)
        columns = rows.reduced_columns(trade, row, sold)
        if any(order in trade.entries for order in ended):
            bought = rows.UnrecordedFills.of(
                (order, self._row_here(order)) for order in ended if order in trade.entries
            )
            columns |= {**rows.entry_columns(trade), "amount": columns["amount"] + bought.amount}
        action, left = REDUCE if sold.amount else ADOPT, columns["amount"]
        if sold.amount and self._is_over(trade, left):
            action, columns = CLOSE, rows.closed_columns(trade, row, columns)
        detail = f"{len(changed)} of its orders are not here as the exchange has them"
        if sold.amount:
            detail = f"sold {format_decimal(sold.amount)} {row.asset} for {format_decimal(sold.cost)}, fee {format_decimal(sold.fee)}"
        orders = [self._row_of(order) for order in changed]
        correction = Correction(row, row.id, columns, orders, f"from the exchange's records: {detail}")
        view = RecoverAction(row.id, row.symbol, action, left, row.entry_price, row.stop_loss_price, detail)
        return Step(view, correction)

    def _is_over(self, trade: ExchangeTrade, left: Decimal) -> bool:
        """Whether what is left of it can't be sold any more."""
        return left <= 0 or (not trade.working and left < self._least(trade))

    def _row_here(self, order: ExchangeOrder) -> Order | None:
        return self.orders.get(order.client_order_id)

    def _row_of(self, order: ExchangeOrder) -> tuple[Order | None, dict[str, Any]]:
        """An order's row here, if it has one, and what it must say."""
        row = self._row_here(order)
        whole = row is None or order.working
        return row, rows.order_columns(order) if whole else rows.ending_columns(order)

    def _differs(self, order: ExchangeOrder) -> bool:
        row = self._row_here(order)
        return bool(order_difference(figures_of(row) if row else None, figures_at(order)))

    # All of them together

    def _not_shown(self) -> Iterator[Step]:
        """Active trades of which the exchange shows nothing in the time that was looked at."""
        shown = {trade.mark for trade in self.records.trades}
        for mark, row in self.trades.items():
            if row.status in ACTIVE and mark not in shown:
                yield _told(row, LEAVE, "the exchange shows no order of it since then: it stays as it is")

    def _one_for_each_asset(self, steps: Sequence[Step]) -> Iterator[Step]:
        """An asset has one active trade: the one that is here, else the newest of those that are missing."""
        changed = [step.correction.trade for step in steps if step.correction and (step.opens or step.closes)]
        leaving = {row.id for row in changed if row is not None}
        taken = {row.asset for row in self.trades.values() if row.status in ACTIVE and row.id not in leaving}
        newest = {base_of(step.view.symbol): step for step in steps if step.opens}  # the last one stays in a dict
        for step in steps:
            asset = base_of(step.view.symbol)
            crowded = step.opens and (asset in taken or step is not newest[asset])
            yield _second_of_an_asset(step) if crowded else step

    def _short_balances(self, steps: Sequence[Step]) -> Iterator[str]:
        """Trades that hold more than there is: their sells are bounded by the balance anyway."""
        for step in steps:
            asset, amount = base_of(step.view.symbol), step.view.amount
            there = self.records.balances.total(asset)
            if step.opens and step.view.entry_price is not None and amount is not None and there < amount:
                yield (
                    f"{step.view.symbol}: the balance holds {format_decimal(there)} {asset}, less than the {format_decimal(amount)} that "
                    "was bought and not sold: was it sold or moved by hand?"
                )

    def _least(self, trade: ExchangeTrade) -> Decimal:
        """What can still be sold at all. Raises Refused for a market that is gone: nobody could sell there."""
        market = self.bot.exchange.load_markets().get(trade.symbol)
        if market is None:
            raise Refused(f"{trade.symbol} is no market any more")
        return market.min_amount

    def _candles_of(self, symbol: str) -> list[Candle]:
        if symbol not in self._candles:
            self._candles[symbol] = self.bot.exchange.fetch_candles(symbol, self.bot.settings.timeframe)
        return self._candles[symbol]


def _story(trade: ExchangeTrade) -> Iterator[str]:
    """What is to be said of a trade that is missing here."""
    if not all(order.exact for order in trade.orders):
        yield "the exchange does not show all its fills: its figures are rounded"
    if trade.sold:
        yield f"{format_decimal(trade.sold)} of {format_decimal(trade.bought)} was sold"
    if trade.working:
        yield "a sell of it still works: the next run settles it"
    if trade.exiting:
        yield f"its exit has begun ({trade.exiting}): the next check goes on"


def _second_of_an_asset(step: Step) -> Step:
    """A trade that there is no room for: it must not pass unseen."""
    view, asset = step.view, base_of(step.view.symbol)
    detail = (
        f"{asset} has a second trade: {format_decimal(view.amount or Decimal(0))} {asset} are UNGUARDED; sell them at the "
        "exchange, or close the other trade and run it again"
    )
    return Step(replace(view, action=PROBLEM, detail=detail))


def _problem(trade: ExchangeTrade, detail: str) -> Step:
    held = trade.held if trade.entries else None
    return Step(RecoverAction(trade.number, trade.symbol, PROBLEM, held, None, None, f"{_name(trade)}: {detail}"))


def _told(row: Trade, action: str, detail: str) -> Step:
    return Step(RecoverAction(row.id, row.symbol, action, row.amount, row.entry_price, row.stop_loss_price, detail))


def _name(trade: ExchangeTrade) -> str:
    return f"trade {trade.number} ({trade.symbol})"
