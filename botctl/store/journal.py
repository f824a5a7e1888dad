"""The order journal: intent before request, every step in one transaction with the trade and its audit event.

This is the only room that changes a trade or an order.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from peewee import IntegrityError

from botctl.domain.client_order_ids import ATTEMPT_BITS, ClientId
from botctl.domain.costs import calculate_pnl
from botctl.domain.errors import BelowMinimum, BotError, Refused
from botctl.domain.money import format_decimal, price_of
from botctl.domain.orders import Execution, ExitReason, OrderRequest, OrderState, Side, TradeStatus, advance
from botctl.domain.symbols import base_of
from botctl.store.bulk import insert_rows, update_rows
from botctl.store.models import ACTIVE_TRADES, UNSETTLED_ORDERS, Event, Order, Trade, advance_id_sequence, database

RECOVERED = "recovered"
"""The kind of an event that tells what came from the exchange's records."""


@dataclass(frozen=True)
class StopUpdate:
    """What one look at the market changes on a trade. Prices in quote per asset."""

    trade: Trade
    stop: float
    high: float
    checked_at: datetime
    price: float
    """The price that decided: the last one, or a missed close."""
    why: str
    exiting: ExitReason | None = None
    """Set when this look hit the stop: the verdict outlives a run that ends before it has sold."""


@dataclass(frozen=True)
class Correction:
    """What the exchange's records change on one trade and its orders: columns by name."""

    trade: Trade | None
    """None for one that is missing here."""
    number: int
    """The trade's id, also of a missing one."""
    columns: Mapping[str, Any]
    orders: Sequence[tuple[Order | None, Mapping[str, Any]]]
    why: str


class Journal:
    """Writes down what is about to happen, and what the exchange says did."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    # What is there

    def unsettled(self) -> list[Order]:
        """Every order whose ending is not known yet, oldest first."""
        return list(Order.select().where(UNSETTLED_ORDERS).order_by(Order.id))

    def open_trades(self) -> list[Trade]:
        """Every trade that holds something, oldest first."""
        return list(Trade.select().where(ACTIVE_TRADES, Trade.status == TradeStatus.OPEN).order_by(Trade.id))

    def open_symbols(self) -> list[str]:
        """The symbols of these trades, for whoever needs no more of them."""
        trades = Trade.select(Trade.symbol).where(ACTIVE_TRADES, Trade.status == TradeStatus.OPEN).order_by(Trade.id)
        rows: Iterable[Any] = trades.tuples()
        return [row[0] for row in rows]

    def active_trade(self, asset: str) -> Trade | None:
        """The one trade of this asset that is open or being opened."""
        trade: Trade | None = Trade.get_or_none(ACTIVE_TRADES, Trade.asset == asset)
        return trade

    def open_trade(self, trade_id: int) -> Trade | None:
        """The trade if it is open, freshly read."""
        trade: Trade | None = Trade.get_or_none((Trade.id == trade_id) & (Trade.status == TradeStatus.OPEN))
        return trade

    def active_count(self) -> int:
        """How many trades are open or being opened."""
        return int(Trade.select().where(ACTIVE_TRADES).count())

    def last_exit_at(self, asset: str) -> datetime | None:
        """When the asset's last trade closed."""
        row: Trade | None = (
            Trade.select()
            .where((Trade.asset == asset) & (Trade.status == TradeStatus.CLOSED))
            .order_by(Trade.closed_at.desc())
            .first()
        )
        return None if row is None else row.closed_at

    def refused_below_minimum(self, trade: Trade) -> bool:
        """Whether the exchange refused this trade's last order as too small."""
        last: Order | None = Order.select().where(Order.trade == trade).order_by(Order.id.desc()).first()
        if last is None or last.state != OrderState.REJECTED:
            return False
        return last.error_class == BelowMinimum.__name__

    def unsettled_trade_ids(self) -> set[int]:
        """The trades that an order may still change: a second one now could sell twice."""
        return {order.trade_id for order in Order.select(Order.trade).where(UNSETTLED_ORDERS)}

    def orders_with_trades(self) -> list[Order]:
        """Every order there is, oldest first, each with its trade."""
        return list(Order.select(Order, Trade).join(Trade).order_by(Order.id))

    def trades_by_tag(self) -> dict[str, Trade]:
        """Every trade there is, by what its client order ids carry."""
        return {trade.mark: trade for trade in Trade.select().order_by(Trade.id)}

    # Intents

    def intend_entry(
        self,
        symbol: str,
        amount: Decimal,
        atr: float,
        *,
        permit: Callable[[], None],
        deadline: datetime,
        now: datetime,
    ) -> Order:
        """Reserve the asset and write down a buy, in one transaction.

        `permit` is asked inside it: whoever committed a pause before this buy is written has the last word. Raises
        what it raises, and Refused when the asset has an active trade: the database's own index says so.
        """
        asset = base_of(symbol)
        try:
            with database.atomic("IMMEDIATE"):
                permit()
                trade = Trade.create(symbol=symbol, asset=asset, mode=self.mode, created_at=now, amount=amount, atr=atr)
                intended = {"status": trade.status, "amount": amount, "atr": atr}
                Event.create(**_event(now, "entry intended", trade, {}, intended))
                return _new_order(trade, Side.BUY, amount, None, True, deadline, now)
        except IntegrityError as error:
            raise already_open(asset, self.active_trade(asset)) from error

    def intend_exit(
        self,
        trade: Trade,
        amount: Decimal,
        reason: ExitReason,
        *,
        whole: bool,
        permit: Callable[[], None],
        deadline: datetime,
        now: datetime,
    ) -> Order:
        """Write down a sell of `amount`; with `whole` it is for all that is left, which sets the trade exiting.

        `permit` is asked in the same transaction, as for an entry.
        """
        with _transaction(trade):
            permit()
            if whole and not Trade.get_by_id(trade.id).exiting:  # an exit that has begun keeps its own reason
                _change(trade, now, "exit intended", f"sell {format_decimal(amount)} {trade.asset}", exiting=reason)
            return _new_order(trade, Side.SELL, amount, reason, whole, deadline, now)

    # Steps of an order

    def submit(self, order: Order) -> OrderRequest:
        """Commit that the order is about to leave, and return what is to be sent."""
        _move(order, OrderState.SUBMITTED)
        return OrderRequest(order.client_order_id, Side(order.side), order.symbol, order.amount, order.deadline)

    def accept(self, order: Order, exchange_order_id: str) -> None:
        """The exchange has it."""
        _move(order, OrderState.ACCEPTED, exchange_order_id=exchange_order_id)

    def mark_unknown(self, order: Order, error: BotError) -> None:
        """Nobody knows whether the exchange has it."""
        _move(order, OrderState.UNKNOWN, error=str(error), error_class=type(error).__name__)

    def reject(self, order: Order, refusal: BotError, now: datetime) -> None:
        """A definite no."""
        self._came_to_nothing(order, OrderState.REJECTED, str(refusal), now, type(refusal).__name__)

    def mark_absent(self, order: Order, why: str, now: datetime) -> None:
        """It never was."""
        self._came_to_nothing(order, OrderState.ABSENT, why, now)

    def settle(self, order: Order, execution: Execution, now: datetime, *, stop: float | None = None) -> None:
        """The order has ended: write what it did on the order and on its trade, together.

        A buy that was filled needs the `stop` that guards it from now on.
        """
        ended = OrderState.FILLED if execution.complete and execution.filled > 0 else OrderState.CANCELED
        with _transaction(order):
            _move(
                order,
                ended,
                exchange_order_id=execution.exchange_order_id,
                filled=execution.filled,
                cost=execution.cost,
                fee=execution.fee,
                average_price=price_of(execution.cost, execution.filled) if execution.filled else None,
                settled_at=now,
            )
            trade = Trade.get_by_id(order.trade_id)
            if order.side == Side.BUY:
                self._settle_entry(trade, order, execution, stop, now)
            else:
                self._settle_exit(trade, order, execution, now)

    # Changes of a trade that are no order

    def save_stops(self, updates: Sequence[StopUpdate]) -> None:
        """All moved stops, highs and verdicts of one look, in one transaction. A stop never falls.

        The statements are as many for hundreds of trades as for one: sells wait for this.
        """
        with _transaction(*(update.trade for update in updates)):
            rows = _stops_now([update.trade.id for update in updates])
            moved: list[tuple[int, dict[str, Any]]] = []
            looked: list[tuple[int, dict[str, Any]]] = []
            hit: list[tuple[int, dict[str, Any]]] = []
            events: list[dict[str, Any]] = []
            for update in updates:
                trade, before = update.trade, rows[update.trade.id]
                stop = max(update.stop, trade.stop_loss_price or update.stop, before["stop_loss_price"] or update.stop)
                if stop != trade.stop_loss_price or update.high != trade.high_price:
                    kind = "stop moved" if stop != trade.stop_loss_price else "new high"
                    after = {"stop_loss_price": stop, "high_price": update.high, "checked_at": update.checked_at}
                    moved.append((trade.id, after))
                    events.append(_stop_check_event(update, kind, _only(before, after), after))
                else:  # nothing moved: the look itself is no change worth an event
                    after = {"checked_at": update.checked_at}
                    looked.append((trade.id, after))
                if update.exiting and not trade.exiting:
                    verdict = {"exiting": update.exiting}
                    hit.append((trade.id, verdict))
                    events.append(_stop_check_event(update, "stop hit", _only(before, verdict), verdict))
                    trade.exiting = update.exiting
                for name, value in after.items():
                    setattr(trade, name, value)
            for changes in (moved, looked, hit):
                update_rows(Trade, changes)
            insert_rows(Event, events)

    def close_without_order(self, trade: Trade, reason: ExitReason, why: str, now: datetime) -> None:
        """Close a trade whose rest can't be sold: dust, or coins that are no longer there."""
        with _transaction(trade):
            self._close(trade, reason, why, now)

    def reduce_amount(self, trade: Trade, amount: Decimal, why: str, now: datetime) -> None:
        """Less is there than the trade says."""
        with _transaction(trade):
            _change(trade, now, "shrunk", why, amount=amount)

    def correct(self, corrections: Sequence[Correction], now: datetime) -> None:
        """What the exchange's own records say, in place of what stands here or is missing: all of it, or nothing."""
        with database.atomic("IMMEDIATE"):
            for correction in corrections:
                _correct(correction, now)

    def one_transaction(self) -> AbstractContextManager[object]:
        """For steps that must all be kept or none."""
        transaction: AbstractContextManager[object] = database.atomic("IMMEDIATE")
        return transaction

    # How orders end on their trade

    def _came_to_nothing(
        self, order: Order, state: OrderState, why: str, now: datetime, error_class: str | None = None
    ) -> None:
        with _transaction(order):
            _move(order, state, error=why, error_class=error_class, settled_at=now)
            trade = Trade.get_by_id(order.trade_id)
            if order.side == Side.BUY:
                _change(trade, now, "entry failed", why, order, status=TradeStatus.FAILED, closed_at=now)
            elif trade.exiting == ExitReason.MANUAL:  # a person saw the error; every other exit is tried again
                _change(trade, now, "exit failed", why, order, exiting=None)

    def _settle_entry(
        self, trade: Trade, order: Order, execution: Execution, stop: float | None, now: datetime
    ) -> None:
        if execution.filled <= 0:
            _change(trade, now, "entry failed", "nothing was filled", order, status=TradeStatus.FAILED, closed_at=now)
            return
        price = price_of(execution.cost, execution.filled)
        if stop is None:
            raise AssertionError(f"trade {trade.id} was entered without a stop")
        _change(
            trade,
            now,
            "opened",
            f"bought {format_decimal(execution.filled)} {trade.asset} at {float(price):.8g}",
            order,
            status=TradeStatus.OPEN,
            amount=execution.filled,
            entry_amount=execution.filled,
            entry_price=price,
            entry_cost=execution.cost,
            entry_fee=execution.fee,
            entry_order_id=execution.exchange_order_id,
            opened_at=execution.at,
            stop_loss_price=stop,
            high_price=float(price),
            checked_at=execution.at,
        )

    def _settle_exit(self, trade: Trade, order: Order, execution: Execution, now: datetime) -> None:
        if execution.filled > 0:
            price = float(price_of(execution.cost, execution.filled))
            _change(
                trade,
                now,
                "sold",
                f"sold {format_decimal(execution.filled)} {trade.asset} at {price:.8g}",
                order,
                amount=trade.amount - execution.filled,
                sold_amount=trade.sold_amount + execution.filled,
                exit_proceeds=trade.exit_proceeds + execution.cost,
                exit_fee=trade.exit_fee + execution.fee,
                exit_order_id=execution.exchange_order_id,
            )
        if trade.amount <= 0:
            reason = ExitReason(order.reason or ExitReason.MANUAL)
            self._close(trade, reason, f"sold to the last lot: {reason}", execution.at, order)

    def _close(self, trade: Trade, reason: ExitReason, why: str, at: datetime, order: Order | None = None) -> None:
        """What is still held then is dust or gone. The P&L of an EXTERNAL exit is unknown: somebody else sold."""
        sold = trade.sold_amount > 0
        pnl = None
        if reason is not ExitReason.EXTERNAL and trade.entry_cost is not None and trade.entry_fee is not None:
            pnl = calculate_pnl(trade.entry_cost, trade.entry_fee, trade.exit_proceeds, trade.exit_fee)
        _change(
            trade,
            at,
            "closed",
            why,
            order,
            status=TradeStatus.CLOSED,
            amount=trade.sold_amount if sold else trade.entry_amount,
            exit_price=price_of(trade.exit_proceeds, trade.sold_amount) if sold else None,
            exit_reason=reason,
            closed_at=at,
            exiting=None,
            pnl=pnl,
        )


def already_open(asset: str, trade: Trade | None) -> Refused:
    """Why a second trade of an asset is refused."""
    which = f"trade {trade.id} ({trade.symbol}, {trade.status})" if trade else "a trade"
    return Refused(f"{asset} already has {which}", hint=f"see `botctl positions`, or sell {asset} first")


@contextmanager
def _transaction(*rows: Order | Trade) -> Iterator[None]:
    """One short transaction. When it fails, `rows` say again what the database says: an ending that was not written
    must not look like one."""
    before = [dict(row.__data__) for row in rows]
    try:
        with database.atomic("IMMEDIATE"):
            yield
    except BaseException:
        for row, data in zip(rows, before, strict=True):
            row.__data__.update(data)
        raise


def _new_order(
    trade: Trade,
    side: Side,
    amount: Decimal,
    reason: ExitReason | None,
    whole: bool,
    deadline: datetime,
    now: datetime,
) -> Order:
    """A fresh client order id for every attempt: Kraken keeps one unique among open orders only."""
    client_id = ClientId(trade.mark, trade.id, reason, whole, secrets.randbits(ATTEMPT_BITS))
    order: Order = Order.create(
        client_order_id=str(client_id),
        trade=trade,
        side=side,
        symbol=trade.symbol,
        reason=reason,
        whole=whole,
        amount=amount,
        deadline=deadline,
        created_at=now,
    )
    return order


def _correct(correction: Correction, now: datetime) -> None:
    """One trade and its orders, each change with its event. The caller holds the transaction."""
    trade, columns = correction.trade, correction.columns
    if trade is None:
        trade = Trade.create(id=correction.number, **columns)
        advance_id_sequence(Trade)
        Event.create(**_event(now, RECOVERED, trade, {}, dict(columns), correction.why))
    elif columns:
        _change(trade, now, RECOVERED, correction.why, **columns)
    for order, figures in correction.orders:
        before = {} if order is None else {name: getattr(order, name) for name in figures}
        if order is None:
            order = Order.create(trade=trade, **figures)
        else:
            Order.update(**figures).where(Order.id == order.id).execute()
        # Not under the trade's id: there an event tells columns of the trade.
        Event.create(at=now, kind=RECOVERED, order_id=order.id, before=before, after=dict(figures), why=correction.why)


def _move(order: Order, to: OrderState, **changes: Any) -> None:
    state = advance(OrderState(order.state), to)
    Order.update(state=state, **changes).where(Order.id == order.id).execute()
    order.state = state
    for name, value in changes.items():
        setattr(order, name, value)


def _change(trade: Trade, at: datetime, kind: str, why: str, order: Order | None = None, **changes: Any) -> None:
    """Change a trade and write the event that tells of it. The caller holds the transaction.

    What was there before is read from the row: `trade` may have been in somebody's hands for a while.
    """
    row = Trade.get_by_id(trade.id)
    before = {name: getattr(row, name) for name in changes}
    Trade.update(**changes).where(Trade.id == trade.id).execute()
    for name, value in changes.items():
        setattr(trade, name, value)
    Event.create(**_event(at, kind, trade, before, changes, why, order))


def _event(
    at: datetime,
    kind: str,
    trade: Trade,
    before: dict[str, Any],
    after: dict[str, Any],
    why: str = "",
    order: Order | None = None,
) -> dict[str, Any]:
    """An event's columns."""
    return {
        "at": at,
        "kind": kind,
        "trade_id": trade.id,
        "order_id": order.id if order else None,
        "before": before,
        "after": dict(after),
        "why": why or kind,
    }


def _stop_check_event(update: StopUpdate, kind: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The columns of an event that one look at the market caused."""
    event = _event(update.checked_at, kind, update.trade, before, after, update.why)
    return {**event, "price": Decimal(format_decimal(Decimal(repr(update.price))))}


STOP_COLUMNS = (Trade.stop_loss_price, Trade.high_price, Trade.checked_at, Trade.exiting)
MOST_IDS = 500
"""In one statement: SQLite takes so many at its smallest."""


def _stops_now(trade_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What the rows of these trades say now of their stops: somebody may have had the trades in hand for a while."""
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(trade_ids), MOST_IDS):
        ids = list(trade_ids[start : start + MOST_IDS])
        rows: Iterable[Any] = Trade.select(Trade.id, *STOP_COLUMNS).where(Trade.id.in_(ids)).dicts()
        found |= {row["id"]: row for row in rows}
    return found


def _only(row: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}
