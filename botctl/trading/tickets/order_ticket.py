"""The ticket of an order that is not sent yet: what it is about to do, by the rules that will size and guard it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from botctl.domain.costs import COST_DECIMALS, cost_and_fee, net_pnl, share_of
from botctl.domain.errors import ExchangeUnreachable
from botctl.domain.markets import Market, Quote
from botctl.domain.money import floor_to
from botctl.domain.orders import Side
from botctl.domain.serialization import NOT_IN_JSON
from botctl.domain.sizing import SizeRule, unit_loss
from botctl.store.rows import TradeRow
from botctl.trading.entries import EntryPlanner, Spend
from botctl.trading.exits import WantedExit, in_lots


@dataclass(frozen=True)
class OrderTicket:
    """What an order would do at the prices of now. It is filled by those of later: all figures are about right.

    Money and prices in quote, the amount in the asset. A sale has no stop, a buy no P&L.
    """

    side: str
    symbol: str
    trade_id: int | None
    amount: Decimal
    price: Decimal
    """The ask of a buy, the bid of a sale."""
    cost: Decimal
    """Before the fee; of a sale what it brings."""
    fee: Decimal
    stop_loss_price: float | None = None
    max_loss: Decimal | None = None
    """What is lost if the stop sells, with both fees and the slippage of the settings."""
    cash_after: Decimal | None = None
    """What stays free in the quote currency after a buy; below zero where there is not enough."""
    pnl: Decimal | None = None
    """The net result of a sale: of the whole trade, or of the part that is sold."""
    price_decimals: int | None = field(default=None, metadata=NOT_IN_JSON)


def plan_buy_ticket(
    planner: EntryPlanner, symbol: str, spend: Spend, rule: SizeRule, free: Callable[[str], Decimal]
) -> OrderTicket:
    """The ticket of a buy, with every check that the buy meets before it is recorded. Raises BotError as they do.

    `free` tells the free funds in a currency.
    """
    market = planner.find_market(symbol)
    entry = planner.plan(market, spend)
    rate, ask = planner.fees.taker(symbol), float(entry.ask)
    cost, fee = cost_and_fee(entry.amount, entry.ask, rate)
    lost = float(entry.amount) * unit_loss(ask, ask - entry.stop, float(rate), rule.slippage, rule.exit_slippage)
    return OrderTicket(
        Side.BUY, symbol, None, entry.amount, entry.ask, cost, fee, entry.stop,
        max_loss=floor_to(Decimal(repr(lost)), COST_DECIMALS),
        cash_after=free(market.quote) - cost - fee,
        price_decimals=market.price_decimals,
    )  # fmt: skip


def sale_ticket(wanted: WantedExit, market: Market, quote: Quote, fee_rate: Decimal) -> OrderTicket:
    """The ticket of a sale at the bid. Raises BadValue for more than the trade holds, ExchangeUnreachable without a
    bid."""
    if quote.bid is None:
        raise ExchangeUnreachable(f"{market.symbol} has no bid price", hint="try again")
    trade, amount = wanted.trade, in_lots(wanted.trade, wanted.amount_to_sell(), market.lot_decimals)
    cost, fee = cost_and_fee(amount, quote.bid, fee_rate)
    pnl = _net_result(trade, amount, cost, fee_rate, whole=wanted.amount is None or amount >= trade.amount)
    return OrderTicket(
        Side.SELL, trade.symbol, trade.id, amount, quote.bid, cost, fee, pnl=pnl, price_decimals=market.price_decimals
    )


def _net_result(trade: TradeRow, amount: Decimal, worth: Decimal, fee_rate: Decimal, *, whole: bool) -> Decimal | None:
    if trade.entry_cost is None or trade.entry_fee is None:
        return None
    paid = trade.entry_cost + trade.entry_fee
    if not whole:
        part = share_of(paid, amount, trade.entry_amount or trade.amount + trade.sold_amount)
        return net_pnl(part, Decimal(0), worth, fee_rate)
    received = (trade.exit_proceeds or Decimal(0)) - (trade.exit_fee or Decimal(0))
    return net_pnl(paid, received, worth, fee_rate)
