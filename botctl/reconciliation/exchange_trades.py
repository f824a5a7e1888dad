"""Each trade by the exchange's records: what it bought, sold, and still holds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from botctl.domain.client_order_ids import ClientId, parse_client_id
from botctl.domain.markets import Market
from botctl.domain.money import price_of, total
from botctl.domain.orders import ExitReason, Fill, OrderRecord, OrderState, Side


@dataclass(frozen=True)
class ExchangeOrder:
    """One of our orders at the exchange. Amounts in the asset; cost (a sell's proceeds) and fee in quote."""

    client_order_id: str
    client_id: ClientId
    """From its client order id, or from the journal for an id of an older botctl."""
    exchange_order_id: str
    symbol: str
    side: Side
    amount: Decimal
    state: OrderState
    """ACCEPTED while it works, RESTING while it waits for its trigger, then FILLED or CANCELED."""
    filled: Decimal
    cost: Decimal
    fee: Decimal
    opened_at: datetime
    at: datetime
    """Its last fill, or its end without one."""
    exact: bool
    """Whether the figures are the sum of its fills, not the order's own, which have only the price's decimals."""
    trigger: Decimal | None = None
    """Of a stop that rests, or that has fired."""

    @property
    def has_ended(self) -> bool:
        return not self.working and self.state is not OrderState.RESTING

    @property
    def working(self) -> bool:
        return self.state is OrderState.ACCEPTED

    @property
    def average_price(self) -> Decimal | None:
        return price_of(self.cost, self.filled) if self.filled else None


class Totals(NamedTuple):
    """Sums over orders. Amount in the asset; cost (or proceeds) and fee in quote."""

    amount: Decimal
    cost: Decimal
    fee: Decimal

    @classmethod
    def of(cls, orders: Iterable[ExchangeOrder]) -> "Totals":
        figures = [(order.filled, order.cost, order.fee) for order in orders]
        return cls(*map(total, zip(*figures, strict=True))) if figures else cls(Decimal(0), Decimal(0), Decimal(0))


@dataclass(frozen=True)
class ExchangeTrade:
    """The orders of one trade, oldest first. Only ended ones count in its figures, as in the journal."""

    tag: str
    """The part of its client order ids that names it."""
    orders: tuple[ExchangeOrder, ...]

    @property
    def symbol(self) -> str:
        return self.orders[0].symbol

    @property
    def number(self) -> int:
        """Its id in the database that sent the orders."""
        return self.orders[0].client_id.trade_id

    @property
    def database(self) -> str | None:
        """The id of the database that began it; None from before databases had one."""
        return (self.entries or self.orders)[0].client_id.database

    @property
    def ended_at(self) -> datetime:
        """The last fill or end of any order of it."""
        return max(order.at for order in self.orders)

    @property
    def entries(self) -> tuple[ExchangeOrder, ...]:
        return tuple(order for order in self.orders if order.side is Side.BUY)

    @property
    def exits(self) -> tuple[ExchangeOrder, ...]:
        return tuple(order for order in self.orders if order.side is Side.SELL)

    @property
    def working(self) -> tuple[ExchangeOrder, ...]:
        return tuple(order for order in self.orders if order.working)

    @property
    def bought(self) -> Totals:
        return Totals.of(order for order in self.entries if not order.working)

    @property
    def sold(self) -> Totals:
        return Totals.of(order for order in self.exits if not order.working)

    @property
    def entry_time(self) -> datetime:
        """The last fill of the entry."""
        return max(order.at for order in self.entries or self.orders)

    @property
    def held(self) -> Decimal:
        return self.bought.amount - self.sold.amount

    @property
    def last_sale(self) -> ExchangeOrder | None:
        sales = [order for order in self.exits if order.filled > 0 and not order.working]
        return max(sales, key=lambda order: order.at) if sales else None

    @property
    def exiting(self) -> ExitReason | None:
        """Why an exit of the whole trade has begun: it continues until nothing is left."""
        begun = (order for order in self.exits if order.client_id.whole and (order.trigger is None or order.filled > 0))
        return next((self.reason_of(order) for order in begun), None)

    def reason_of(self, order: ExchangeOrder) -> ExitReason | None:
        """Why an order sells. A resting stop does not say: where its trigger is above the entry, it trails."""
        if order.trigger is None:
            return order.client_id.reason
        entry = price_of(self.bought.cost, self.bought.amount) if self.bought.amount else order.trigger
        return ExitReason.TRAILING_STOP if order.trigger > entry else ExitReason.STOP_LOSS


def left_by_orders(trade: ExchangeTrade, written_off: Decimal) -> Decimal:
    """What the exchange's orders of a trade leave of it, without what was written off in the database."""
    return trade.held - written_off


def has_ended(trade: ExchangeTrade, markets: Mapping[str, Market]) -> bool:
    """Whether nothing of it works any more, and no more than dust is left."""
    market = markets.get(trade.symbol)
    dust = trade.held <= 0 or (market is not None and trade.held < market.min_amount)
    return bool(trade.entries) and not trade.working and dust


def build_exchange_trades(
    records: Sequence[OrderRecord], fills: Iterable[Fill], untagged: Mapping[str, ClientId]
) -> list[ExchangeTrade]:
    """Our orders among `records`, by trade, oldest first. `untagged` identifies older orders without a trade tag."""
    fills_of: defaultdict[str, list[Fill]] = defaultdict(list)
    for fill in fills:
        fills_of[fill.exchange_order_id].append(fill)
    records_of: defaultdict[str, list[OrderRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.report.opened_at):
        records_of[record.report.client_order_id or ""].append(record)
    trades: defaultdict[str, list[ExchangeOrder]] = defaultdict(list)
    for client_order_id, own in records_of.items():
        if (client_id := owner_of(client_order_id, untagged)) is not None:
            own_fills = [fill for record in own for fill in fills_of[record.report.exchange_order_id]]
            trades[client_id.trade_tag].append(_order(client_order_id, client_id, own, own_fills))
    return [ExchangeTrade(tag, tuple(orders)) for tag, orders in trades.items()]


def owner_of(client_order_id: str | None, untagged: Mapping[str, ClientId]) -> ClientId | None:
    """The trade that an order belongs to; None for the user's own orders."""
    return parse_client_id(client_order_id) or untagged.get(client_order_id or "")


def _order(
    client_order_id: str, client_id: ClientId, records: Sequence[OrderRecord], fills: Sequence[Fill]
) -> ExchangeOrder:
    """One order with all its records: an id may have several at the exchange."""
    first, reports = records[0], [record.report for record in records]
    filled = total(report.filled for report in reports)
    exact = total(fill.amount for fill in fills) == filled
    if not all(report.final for report in reports):
        waits = client_id.resting and filled == 0 and not any(report.fired for report in reports)
        state = OrderState.RESTING if waits else OrderState.ACCEPTED
    else:
        complete = filled > 0 and all(report.complete for report in reports)
        state = OrderState.FILLED if complete else OrderState.CANCELED
    return ExchangeOrder(
        client_order_id=client_order_id,
        client_id=client_id,
        exchange_order_id=first.report.exchange_order_id,
        symbol=first.symbol,
        side=first.side,
        amount=first.amount,
        state=state,
        filled=filled,
        cost=total(fill.cost for fill in fills) if exact else total(report.estimated_cost for report in reports),
        fee=total(fill.fee for fill in fills) if exact else total(report.fee for report in reports),
        opened_at=first.report.opened_at,
        at=max([fill.at for fill in fills], default=first.report.closed_at or first.report.opened_at),
        exact=exact,
        trigger=next((report.trigger for report in reports if report.trigger is not None), None),
    )
