"""What the exchange's own records say of each trade: what it bought, what it sold, and what it still holds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botctl.domain.client_order_ids import ClientId, parse_client_id
from botctl.domain.money import price_of, total
from botctl.domain.orders import ExitReason, Fill, OrderRecord, OrderState, Side


@dataclass(frozen=True)
class ExchangeOrder:
    """An order of ours as the exchange has it. Amounts in the asset; cost (a sell's proceeds) and fee in quote."""

    client_order_id: str
    said: ClientId
    """What its client order id says, or the journal where the id is of an older botctl."""
    exchange_order_id: str
    symbol: str
    side: Side
    amount: Decimal
    """Asked for."""
    state: OrderState
    """ACCEPTED while it works, else FILLED or CANCELED: what the journal calls it."""
    filled: Decimal
    cost: Decimal
    fee: Decimal
    opened_at: datetime
    at: datetime
    """Its last fill, else its end."""
    exact: bool
    """Whether the figures are the sum of its fills, or only its record's, cut to the price's decimals."""

    @property
    def working(self) -> bool:
        return self.state is OrderState.ACCEPTED

    @property
    def average_price(self) -> Decimal | None:
        return price_of(self.cost, self.filled) if self.filled else None


@dataclass(frozen=True)
class ExchangeTrade:
    """All orders of one trade, oldest first. Only ended ones count in its figures, as in the journal."""

    mark: str
    orders: tuple[ExchangeOrder, ...]

    @property
    def symbol(self) -> str:
        return self.orders[0].symbol

    @property
    def number(self) -> int:
        """What the database that sent the orders called the trade."""
        return self.orders[0].said.trade_id

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
    def bought(self) -> Decimal:
        return total(order.filled for order in self.entries if not order.working)

    @property
    def entry_cost(self) -> Decimal:
        return total(order.cost for order in self.entries if not order.working)

    @property
    def entry_fee(self) -> Decimal:
        return total(order.fee for order in self.entries if not order.working)

    @property
    def opened_at(self) -> datetime:
        """The last fill of the entry."""
        return max(order.at for order in self.entries or self.orders)

    @property
    def sold(self) -> Decimal:
        return total(order.filled for order in self.exits if not order.working)

    @property
    def proceeds(self) -> Decimal:
        return total(order.cost for order in self.exits if not order.working)

    @property
    def exit_fee(self) -> Decimal:
        return total(order.fee for order in self.exits if not order.working)

    @property
    def held(self) -> Decimal:
        """What its ended orders leave."""
        return self.bought - self.sold

    @property
    def last_sale(self) -> ExchangeOrder | None:
        """The exit that sold last."""
        sales = [order for order in self.exits if order.filled > 0 and not order.working]
        return max(sales, key=lambda order: order.at) if sales else None

    @property
    def exiting(self) -> ExitReason | None:
        """Why an exit of the whole trade has begun, if one has: it goes on until nothing is left."""
        return next((order.said.reason for order in self.exits if order.said.whole), None)


def build_exchange_trades(
    records: Sequence[OrderRecord], fills: Iterable[Fill], known: Mapping[str, ClientId]
) -> list[ExchangeTrade]:
    """The orders of ours among `records`, by trade, oldest first. `known` names those whose ids don't say whose they
    are: older ones that the journal has."""
    fills_of: defaultdict[str, list[Fill]] = defaultdict(list)
    for fill in fills:
        fills_of[fill.exchange_order_id].append(fill)
    named: defaultdict[str, list[OrderRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.report.opened_at):
        named[record.report.client_order_id or ""].append(record)
    trades: defaultdict[str, list[ExchangeOrder]] = defaultdict(list)
    for client_order_id, some in named.items():
        if (said := owner_of(client_order_id, known)) is not None:
            own = [fill for record in some for fill in fills_of[record.report.exchange_order_id]]
            trades[said.trade_tag].append(_order(client_order_id, said, some, own))
    return [ExchangeTrade(mark, tuple(orders)) for mark, orders in trades.items()]


def owner_of(client_order_id: str | None, known: Mapping[str, ClientId]) -> ClientId | None:
    """Which trade of ours an order belongs to; None for the owner's own."""
    return parse_client_id(client_order_id) or known.get(client_order_id or "")


def _order(
    client_order_id: str, said: ClientId, records: Sequence[OrderRecord], fills: Sequence[Fill]
) -> ExchangeOrder:
    """One intent with all that the exchange shows for it: an id may name several orders there."""
    first, reports = records[0], [record.report for record in records]
    filled = total(report.filled for report in reports)
    exact = total(fill.amount for fill in fills) == filled
    if not all(report.final for report in reports):
        state = OrderState.ACCEPTED
    else:
        complete = filled > 0 and all(report.complete for report in reports)
        state = OrderState.FILLED if complete else OrderState.CANCELED
    return ExchangeOrder(
        client_order_id=client_order_id,
        said=said,
        exchange_order_id=first.report.exchange_order_id,
        symbol=first.symbol,
        side=first.side,
        amount=first.amount,
        state=state,
        filled=filled,
        cost=total(fill.cost for fill in fills) if exact else total(report.cost for report in reports),
        fee=total(fill.fee for fill in fills) if exact else total(report.fee for report in reports),
        opened_at=first.report.opened_at,
        at=max([fill.at for fill in fills], default=first.report.closed_at or first.report.opened_at),
        exact=exact,
    )
