"""What a run reads of trades and orders. A row that can't be read is left out, and named once at the run's end."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import batched
from typing import Any, NamedTuple

from botctl.domain.errors import BelowMinimum, BotError, BrokenRow
from botctl.domain.orders import ExitReason, OrderState, Side, TradeStatus
from botctl.domain.symbols import base_of
from botctl.store.broken_rows import find_broken_rows, find_unknown_rows, get_trade, load_row, load_rows
from botctl.store.key_value import UNREADABLE
from botctl.store.models import ACTIVE_TRADES, INEXACT_ORDERS, UNKNOWN_STATES, UNSETTLED_ORDERS, Event, Order, Trade
from botctl.store.rows import OrderRow, TradeRow
from botctl.store.trade_changes import OVERSOLD, OVERSPENT

MAX_IDS = 500
"""Ids in one statement: SQLite's limit can be as low as 999 parameters."""
OPEN_TRADES = (ACTIVE_TRADES, Trade.status == TradeStatus.OPEN)


class StopLevel(NamedTuple):
    """The stop of an open trade."""

    trade_id: int
    symbol: str
    stop: float | None
    exiting: str | None


@dataclass
class JournalReads:
    _broken: dict[str, BrokenRow] = field(default_factory=dict, init=False)
    _of_this_run: set[int] = field(default_factory=set, init=False)
    """The ids of the orders that this run has recorded. No clock tells them from earlier ones: it may be set back."""

    def begin_run(self) -> None:
        """All orders that are recorded by now are of earlier runs."""
        self._of_this_run.clear()

    def broken_rows(self) -> list[BotError]:
        """The error of each row that this run had to leave out, and of each whose status nobody knows."""
        self._note(find_unknown_rows())
        return list(self._broken.values())

    def check_rows(self) -> None:
        """Raises BrokenRow when an open trade or an unsettled order can't be read: then nothing is bought."""
        self._note(find_broken_rows())
        for error in self._broken.values():
            raise error

    def broken_assets(self) -> frozenset[str]:
        """The assets of trades that were left out: what they hold is not known."""
        return frozenset(asset for each in self._broken.values() for asset in each.assets)

    def _note(self, broken: Sequence[BrokenRow]) -> None:
        for each in broken:
            self._broken.setdefault(each.row, each)

    def _load(self, query: Any) -> list[Any]:
        rows = load_rows(query)
        self._note(rows.broken)
        return list(rows)

    def unsettled(self, *, earlier: bool = False) -> list[OrderRow]:
        """The unsettled orders, oldest first: all, or those of `earlier` runs."""
        orders = self._load(Order.select().where(UNSETTLED_ORDERS).order_by(Order.id))
        return [order for order in orders if not (earlier and order.id in self._of_this_run)]

    def open_trades(self) -> list[TradeRow]:
        """Every open trade, oldest first."""
        return self._load(Trade.select().where(*OPEN_TRADES).order_by(Trade.id))

    def active_trades(self) -> list[TradeRow]:
        """Every trade that is pending or open, oldest first."""
        return self._load(Trade.select().where(ACTIVE_TRADES).order_by(Trade.id))

    def trades(self, trade_ids: Sequence[int]) -> list[TradeRow]:
        """These trades, in order of their ids."""
        found = [
            row for ids in batched(trade_ids, MAX_IDS) for row in self._load(Trade.select().where(Trade.id.in_(ids)))
        ]
        return sorted(found, key=lambda row: int(row.id))

    def stop_levels(self) -> list[StopLevel]:
        """The stop of each open trade, oldest first. Quicker than whole rows: a stop that is hit waits for it."""
        columns: Any = Trade.select(Trade.id, Trade.symbol, Trade.stop_loss_price, Trade.exiting)
        try:
            levels = [StopLevel(*row) for row in columns.where(*OPEN_TRADES).order_by(Trade.id).tuples()]
            if all(map(_is_sound, levels)):
                return levels
        except UNREADABLE:
            pass
        return [StopLevel(row.id, row.symbol, row.stop_loss_price, row.exiting) for row in self.open_trades()]

    def open_symbols(self) -> list[str]:
        query: Any = Trade.select(Trade.symbol).where(*OPEN_TRADES).order_by(Trade.id)
        return [symbol for (symbol,) in query.tuples() if _is_symbol(symbol)]

    def active_trade(self, asset: str) -> TradeRow | None:
        """The trade of this asset that is pending or open; there is at most one. Raises BrokenRow."""
        trade: Trade | None = load_row(Trade.select().where(ACTIVE_TRADES, Trade.asset == asset))
        return trade

    def trade(self, trade_id: int) -> TradeRow:
        """Raises BrokenRow."""
        return get_trade(trade_id)

    def open_trade(self, trade_id: int) -> TradeRow | None:
        """Raises BrokenRow."""
        trade: Trade | None = load_row(Trade.select().where(Trade.id == trade_id, Trade.status == TradeStatus.OPEN))
        return trade

    def active_count(self) -> int:
        return int(Trade.select().where(ACTIVE_TRADES).count())

    def last_exit_time(self, asset: str) -> datetime | None:
        """When the asset's last trade closed. Raises BrokenRow."""
        row = self.last_closed_trade(asset)
        return None if row is None else row.exit_time

    def last_closed_trade(self, asset: str) -> TradeRow | None:
        """The asset's trade that closed last. Raises BrokenRow."""
        closed = Trade.select().where((Trade.asset == asset) & (Trade.status == TradeStatus.CLOSED))
        row: Trade | None = load_row(closed.order_by(Trade.exit_time.desc()))
        return row

    def expected_holdings(self) -> dict[str, Decimal]:
        """What open trades hold by their settled orders, by asset. A sell without a known ending may have sold."""
        held = self._held()
        for order in self._load_amounts():
            if order.trade_id in held:
                asset, amount = held[order.trade_id]
                held[order.trade_id] = asset, amount - order.amount
        unknown = self.broken_assets()
        return {asset: amount for asset, amount in held.values() if amount > 0 and asset not in unknown}

    def _held(self) -> dict[int, tuple[str, Decimal]]:
        query: Any = Trade.select(Trade.id, Trade.symbol, Trade.asset, Trade.amount).where(*OPEN_TRADES)
        try:
            rows = list(query.tuples())
            if all(
                base_of(symbol) == asset and amount.is_finite() and amount >= 0 for _, symbol, asset, amount in rows
            ):
                return {trade_id: (asset, amount) for trade_id, _, asset, amount in rows}
        except UNREADABLE:
            pass
        return {row.id: (row.asset, row.amount) for row in self.open_trades()}

    def _load_amounts(self) -> list[OrderRow]:
        """The unsettled sells. Those that can't be read are named by `unsettled`."""
        sells = (UNSETTLED_ORDERS, Order.side == Side.SELL)
        try:
            orders: list[OrderRow] = list(Order.select(Order.trade, Order.amount).where(*sells))
            if all(order.amount.is_finite() for order in orders):
                return orders
        except UNREADABLE:
            pass
        return self._load(Order.select().where(*sells))

    def own_order_ids(self, exchange_order_ids: Collection[str]) -> set[str]:
        """Those of the exchange's order ids that belong to orders of this journal."""
        found: set[str] = set()
        for ids in batched(exchange_order_ids, MAX_IDS):
            rows = Order.select(Order.exchange_order_id).where(Order.exchange_order_id.in_(ids))
            found |= {str(row.exchange_order_id) for row in rows}
        return found

    def refused_below_minimum(self, trade: TradeRow) -> bool:
        """Whether the exchange refused this trade's last order as too small."""
        columns = Order.select(Order.state, Order.error_class)
        last: Order | None = columns.where(Order.trade == trade).order_by(Order.id.desc()).first()
        below_minimum = (OrderState.REJECTED, BelowMinimum.__name__)
        return last is not None and (last.state, last.error_class) == below_minimum

    def overspending_of(self, order: OrderRow) -> BotError | None:
        """The error of a buy that cost far more than it was to cost."""
        columns = Event.select(Event.why)
        event: Event | None = columns.where((Event.order_id == order.id) & (Event.kind == OVERSPENT)).first()
        return None if event is None else BotError(event.why, hint="sell the excess, and check the source of the price")

    def overselling_of(self, order: OrderRow) -> BotError | None:
        """The error of a sell that filled more than its trade held."""
        columns = Event.select(Event.why).order_by(Event.id.desc())
        event: Event | None = columns.where((Event.order_id == order.id) & (Event.kind == OVERSOLD)).first()
        return None if event is None else BotError(event.why, hint="buy them back if you miss them")

    def unsettled_trade_ids(self) -> set[int]:
        """The trades with an unsettled order, or one of a state that nobody knows: a second order now could sell
        twice."""
        return self._trade_ids(UNSETTLED_ORDERS) | self._trade_ids(UNKNOWN_STATES)

    def unguarded_trade_ids(self) -> set[int]:
        """The trades whose unsettled order is for all they hold. After a part-sell the stop still guards the rest."""
        return self._trade_ids(UNSETTLED_ORDERS, Order.whole) | self._trade_ids(UNKNOWN_STATES)

    def _trade_ids(self, *which: Any) -> set[int]:
        return {order.trade_id for order in Order.select(Order.trade).where(*which)}

    def inexact_orders(self) -> list[OrderRow]:
        return self._load(Order.select().where(INEXACT_ORDERS).order_by(Order.id))

    def canceled_sells(self, trade_ids: Sequence[int]) -> list[OrderRow]:
        """The sells of these trades that ended before they were filled completely."""
        canceled = (Order.side == Side.SELL) & (Order.state == OrderState.CANCELED)
        return [
            row
            for ids in batched(trade_ids, MAX_IDS)
            for row in self._load(Order.select().where(canceled, Order.trade.in_(ids)))
        ]


def _is_sound(level: StopLevel) -> bool:
    """Whether a stop can be compared. What is wrong with the whole row is found when it is loaded."""
    stop_is_a_price = level.stop is None or 0 < level.stop < float("inf")
    return stop_is_a_price and _is_symbol(level.symbol) and level.exiting in (None, *ExitReason)


def _is_symbol(symbol: object) -> bool:
    return isinstance(symbol, str) and symbol.count("/") == 1 and all(symbol.split("/"))
