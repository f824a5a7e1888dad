"""The order journal: orders are recorded before they are sent, and trades change together with an audit event.

Only this module and `corrections` write trades and orders.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import batched
from typing import Any, cast

from peewee import IntegrityError

from botctl.domain.account.holdings import OutsideSales
from botctl.domain.client_order_ids import ATTEMPT_BITS, ClientId, names_database
from botctl.domain.errors import AlreadyOpen, BotError, Refused
from botctl.domain.money import format_decimal, price_of
from botctl.domain.orders import Execution, ExitReason, OrderRequest, OrderState, Side, TradeStatus, advance
from botctl.domain.symbols import base_of
from botctl.store.broken_rows import get_trade
from botctl.store.bulk import insert_rows, update_rows
from botctl.store.evidence.canceled_orders import add_canceled_order
from botctl.store.evidence.database_id import load_database_id
from botctl.store.evidence.missing_coins import mark_as_explained
from botctl.store.journal_reads import JournalReads
from botctl.store.models import Event, Order, Trade, database
from botctl.store.rows import OrderRow, TradeRow
from botctl.store.trade_changes import (
    Columns,
    book_outside_sale,
    change_trade,
    close_trade,
    corrected_entry,
    event_columns,
    set_columns,
    settle_entry,
    settle_exit,
    shrink_trade,
)

STOP_COLUMNS = (Trade.stop_loss_price, Trade.high_price, Trade.checked_at, Trade.seen_at, Trade.exiting)
MAX_IDS = 500
"""Ids in one statement: SQLite's limit can be as low as 999 parameters."""


@dataclass(frozen=True)
class StopUpdate:
    """The result of one stop check of a trade. Prices in quote per asset."""

    trade: TradeRow
    stop: float
    high: float
    checked_at: datetime
    price: float
    """The price that decided: the last price, or a missed close."""
    why: str
    seen_at: datetime | None = None
    """The exchange's time of the price, where it told."""
    exiting: ExitReason | None = None
    """Set when the stop was hit: a run that ends before it has sold must not lose that."""


@dataclass
class Journal(JournalReads):
    """Records what is about to be sent, and what the exchange reports of it."""

    mode: str

    @cached_property
    def database_id(self) -> str:
        """The id of the database in the client order ids of its orders."""
        return load_database_id()

    def intend_entry(
        self,
        symbol: str,
        amount: Decimal,
        atr: float,
        *,
        check: Callable[[], None],
        deadline: datetime,
        now: datetime,
        ask: Decimal | None = None,
    ) -> OrderRow:
        """Reserve the asset and record a buy that was sized at `ask`, in one transaction.

        `check` runs inside it, so that a pause committed before the buy is recorded refuses it. Raises what
        the check raises, and Refused when the asset has an active trade, which a unique index enforces.
        """
        asset = base_of(symbol)
        try:
            with database.atomic("IMMEDIATE"):
                check()
                trade = Trade.create(symbol=symbol, asset=asset, mode=self.mode, created_at=now, amount=amount, atr=atr)
                after = {"status": trade.status, "amount": amount, "atr": atr}
                Event.create(**event_columns(now, "entry intended", trade, {}, after, ""), price=ask)
                return self._record_order(trade, self._new_client_id(trade, None, True), amount, deadline, now)
        except IntegrityError as error:
            raise already_open(asset, self.active_trade(asset)) from error

    def intend_exit(
        self,
        trade: TradeRow,
        amount: Decimal,
        reason: ExitReason,
        *,
        whole: bool,
        check: Callable[[], None],
        deadline: datetime,
        now: datetime,
    ) -> OrderRow:
        """Record a sell of `amount`. With `whole` it is for all that is left, which marks the trade as exiting.

        `check` runs in the same transaction, as for an entry.
        """
        with _transaction(trade):
            check()
            if whole and not get_trade(trade.id).exiting:  # an exit that has begun keeps its own reason
                why = f"sell {format_decimal(amount)} {trade.asset}"
                change_trade(trade, now, "exit intended", why, exiting=reason)
            return self._record_order(trade, self._new_client_id(trade, reason, whole), amount, deadline, now)

    def intend_resting_stop(
        self,
        trade: TradeRow,
        amount: Decimal,
        trigger: Decimal,
        reason: ExitReason,
        *,
        check: Callable[[], None],
        deadline: datetime,
        now: datetime,
    ) -> OrderRow:
        """Record a stop order that is to rest at the exchange; `reason` is what its exit is to be called.

        `check` runs in the same transaction, as for an entry. An order that is not settled, or another resting stop,
        makes it an error.
        """
        with _transaction(trade):
            check()
            row = get_trade(trade.id)
            if row.status != TradeStatus.OPEN or row.exiting:
                raise Refused(f"trade {trade.id} is {'being sold' if row.exiting else row.status}: it gets no stop")
            client_id = self._new_client_id(trade, None, True, resting=True)
            return self._record_order(trade, client_id, amount, deadline, now, trigger=trigger, reason=reason)

    def _record_order(
        self,
        trade: TradeRow,
        client_id: ClientId,
        amount: Decimal,
        deadline: datetime,
        now: datetime,
        *,
        trigger: Decimal | None = None,
        reason: ExitReason | None = None,
    ) -> OrderRow:
        """A buy, or with a reason a sell; with a trigger a stop, which leaves the trade guarded by the rule as well."""
        reason = reason or client_id.reason
        order: OrderRow = Order.create(
            client_order_id=str(client_id), trade=trade, side=Side.BUY if reason is None else Side.SELL,
            symbol=trade.symbol, reason=reason, whole=client_id.whole and trigger is None, amount=amount,
            trigger=trigger, deadline=deadline, created_at=now,
        )  # fmt: skip
        self._of_this_run.add(order.id)
        return order

    def _new_client_id(
        self, trade: TradeRow, reason: ExitReason | None, whole: bool, *, resting: bool = False
    ) -> ClientId:
        """A fresh one: Kraken keeps client order ids unique among open orders only."""
        while True:
            attempt, database_id = secrets.randbits(ATTEMPT_BITS), self.database_id
            named = database_id if names_database(trade.mark) else None
            client_id = ClientId(trade.mark, trade.id, reason, whole, attempt, named, resting)
            if Order.get_or_none(Order.client_order_id == str(client_id)) is None:
                return client_id

    def submit(self, order: OrderRow) -> OrderRequest:
        """Commit that the order is about to be sent, and return the request."""
        _set_state(order, OrderState.SUBMITTED)
        return OrderRequest(order.client_order_id, Side(order.side), order.symbol, order.amount, order.deadline)

    def accept(self, order: OrderRow, exchange_order_id: str) -> None:
        """The exchange has the order: a market order is about to trade, a stop rests."""
        state = OrderState.ACCEPTED if order.trigger is None else OrderState.RESTING
        _set_state(order, state, exchange_order_id=exchange_order_id)

    def mark_unknown(self, order: OrderRow, error: BotError) -> None:
        _set_state(order, OrderState.UNKNOWN, error=str(error), error_class=type(error).__name__)

    def reject(self, order: OrderRow, refusal: BotError, now: datetime) -> None:
        _end_unplaced(order, OrderState.REJECTED, str(refusal), now, refusal)

    def mark_absent(self, order: OrderRow, why: str, now: datetime) -> None:
        _end_unplaced(order, OrderState.ABSENT, why, now)

    def settle(self, order: OrderRow, execution: Execution, now: datetime, *, stop: float | None = None) -> None:
        """Record the order's ending on the order and on its trade, in one transaction.

        A filled buy needs the `stop` that guards the trade from now on.
        """
        ended = OrderState.FILLED if execution.complete and execution.filled > 0 else OrderState.CANCELED
        canceled = {"error": execution.canceled_why, "error_class": None} if execution.canceled_why else {}
        with _transaction(order):
            _set_state(
                order, ended, exchange_order_id=execution.exchange_order_id, settled_at=now,
                filled=execution.filled, cost=execution.cost, fee=execution.fee,
                average_price=price_of(execution.cost, execution.filled) if execution.filled else None,
                inexact=not execution.exact, **canceled,
            )  # fmt: skip
            trade = get_trade(order.trade_id)
            if order.side == Side.BUY:
                settle_entry(trade, order, execution, stop, now)
            else:
                settle_exit(trade, order, execution, now)
            if ended == OrderState.CANCELED:
                add_canceled_order(order.id)

    def book_late_fills(self, order: OrderRow, execution: Execution, now: datetime) -> None:
        """More of a sell was filled than was known when it was settled: add the difference to order and trade."""
        late = replace(
            execution, at=now, filled=execution.filled - order.filled,
            cost=execution.cost - (order.cost or 0), fee=execution.fee - (order.fee or 0),
        )  # fmt: skip
        with _transaction(order):
            changes = {
                "filled": execution.filled, "cost": execution.cost, "fee": execution.fee,
                "average_price": price_of(execution.cost, execution.filled), "inexact": not execution.exact,
            }  # fmt: skip
            Order.update(**changes).where(Order.id == order.id).execute()
            set_columns(order, changes)
            settle_exit(get_trade(order.trade_id), order, late, now)

    def correct_figures(self, order: OrderRow, execution: Execution, now: datetime, *, stop: float | None) -> None:
        """The exact cost and fee of an ended order, in place of estimates. The stop follows the entry price, but up."""
        cost, fee = execution.cost - (order.cost or 0), execution.fee - (order.fee or 0)
        price = price_of(execution.cost, execution.filled)
        with _transaction(order):
            changes = {"cost": execution.cost, "fee": execution.fee, "average_price": price, "inexact": False}
            Order.update(**changes).where(Order.id == order.id).execute()
            set_columns(order, changes)
            trade = get_trade(order.trade_id)
            columns = corrected_entry(trade, cost, fee, price, stop) if order.side == Side.BUY else {
                "exit_proceeds": trade.exit_proceeds + cost, "exit_fee": trade.exit_fee + fee,
            }  # fmt: skip
            if order.side == Side.SELL and trade.exit_price is not None:
                columns["exit_price"] = price_of(trade.exit_proceeds + cost, trade.sold_amount)
            if trade.pnl is not None:
                columns["pnl"] = trade.pnl + (-cost if order.side == Side.BUY else cost) - fee
            change_trade(trade, now, "corrected", "the exact figures of an order are known", order, **columns)

    def save_stops(self, updates: Sequence[StopUpdate]) -> None:
        """Save the stops, highs and hit stops of one round of checks, in one transaction. A stop never falls.

        The number of statements does not depend on the number of trades: sells wait for this.
        """
        with _transaction(*(update.trade for update in updates)):
            rows = _load_stop_columns([update.trade.id for update in updates])
            moved, unmoved, hit = (list[tuple[int, dict[str, Any]]]() for _ in range(3))
            events: list[dict[str, Any]] = []
            for update in updates:
                trade, before = update.trade, rows[update.trade.id]
                stop = max(update.stop, trade.stop_loss_price or update.stop, before["stop_loss_price"] or update.stop)
                after: dict[str, Any] = {"checked_at": update.checked_at, "seen_at": update.seen_at}
                if stop != trade.stop_loss_price or update.high != trade.high_price:
                    kind = "stop moved" if stop != trade.stop_loss_price else "new high"
                    after = {"stop_loss_price": stop, "high_price": update.high, **after}
                    moved.append((trade.id, after))
                    events.append(_stop_event(update, kind, before, after))
                else:  # a check that changed nothing else has no event
                    unmoved.append((trade.id, after))
                if update.exiting and not trade.exiting:
                    exiting = {"exiting": update.exiting}
                    hit.append((trade.id, exiting))
                    events.append(_stop_event(update, "stop hit", before, exiting))
                    after = after | exiting
                set_columns(trade, after)
            for changes in (moved, unmoved, hit):
                update_rows(Trade, changes)
            insert_rows(Event, events)

    def close_as_dust(self, trade: TradeRow, reason: ExitReason, why: str, now: datetime) -> None:
        """Close a trade whose rest can't be sold. The rest takes its share of cost and fee with it."""
        with _transaction(trade):
            row = cast("Trade", trade)
            shrink_trade(row, row.amount, "dust", why, now)
            close_trade(row, reason, why, now)

    def shrink(self, trade: TradeRow, gone: Decimal, why: str, now: datetime, *, sold: bool = False) -> None:
        """Take `gone` off a trade, with its share of cost and fee: the P&L is of what botctl sells itself. With `sold`
        outside sales explain it, and nothing more.

        A trade that was partly sold and holds nothing after that is closed, for the reason of its exit.
        """
        with _transaction(trade):
            row = cast("Trade", trade)
            if sold:
                mark_as_explained(row.asset, gone, row.entry_time or now)
            shrink_trade(row, gone, "shrunk", why, now)
            if row.amount <= 0:
                close_trade(row, ExitReason(row.exiting or ExitReason.EXTERNAL), why, now)

    def close_external(
        self, trade: TradeRow, why: str, now: datetime, sale: OutsideSales | None = None, fraction: Decimal = Decimal(1)
    ) -> None:
        """Close a trade whose coins are gone, with `fraction` of an outside sale's proceeds and fee.

        Without a sale in the trade's quote currency its P&L is unknown.
        """
        with _transaction(trade):
            row, at = cast("Trade", trade), now if sale is None else min(sale.at, now)
            known = sale is not None and sale.cost is not None
            if sale is not None:
                mark_as_explained(row.asset, row.amount, row.entry_time or now)
            if sale is not None and known:
                book_outside_sale(row, sale, fraction, why, now)
            close_trade(row, ExitReason.EXTERNAL, why, now, pnl_known=known, exit_time=at)


def already_open(asset: str, trade: TradeRow | None) -> AlreadyOpen:
    which = f"trade {trade.id} ({trade.symbol}, {trade.status})" if trade else "a trade"
    return AlreadyOpen(f"{asset} already has {which}", hint=f"see `botctl positions`, or sell {asset} first")


def _end_unplaced(order: OrderRow, state: OrderState, why: str, now: datetime, refusal: BotError | None = None) -> None:
    """End an order that was not placed. An exit that has begun goes on; one by hand only if it failed in passing: a
    definite refusal was seen by the user."""
    passing = order.state == OrderState.UNKNOWN if refusal is None else refusal.retryable
    with _transaction(order):
        error_class = None if refusal is None else type(refusal).__name__
        _set_state(order, state, error=why, error_class=error_class, settled_at=now)
        trade = get_trade(order.trade_id)
        if order.side == Side.BUY:
            change_trade(trade, now, "entry failed", why, order, status=TradeStatus.FAILED, exit_time=now)
        elif trade.exiting == ExitReason.MANUAL and not passing and order.trigger is None:
            change_trade(trade, now, "exit failed", why, order, exiting=None)


@contextmanager
def _transaction(*rows: Any) -> Iterator[None]:
    """One transaction. If it fails `rows` get their columns back: what was not written must not look written."""
    before = [dict(row.__data__) for row in rows]
    try:
        with database.atomic("IMMEDIATE"):
            yield
    except BaseException:
        for row, data in zip(rows, before, strict=True):
            row.__data__.update(data)
        raise


def _set_state(order: OrderRow, to: OrderState, **changes: Any) -> None:
    changes["state"] = advance(OrderState(order.state), to)
    Order.update(**changes).where(Order.id == order.id).execute()
    set_columns(order, changes)


def _stop_event(update: StopUpdate, kind: str, before: Columns, after: Columns) -> dict[str, Any]:
    before = {name: before[name] for name in after}
    event = event_columns(update.checked_at, kind, update.trade, before, after, update.why)
    return {**event, "price": Decimal(format_decimal(Decimal(repr(update.price))))}


def _load_stop_columns(trade_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The stops of these trades as the database has them: the rows in memory may be out of date."""
    select: Any = Trade.select(Trade.id, *STOP_COLUMNS)
    return {row["id"]: row for ids in batched(trade_ids, MAX_IDS) for row in select.where(Trade.id.in_(ids)).dicts()}
