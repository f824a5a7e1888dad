"""What an order would do, before anybody says yes."""

from collections.abc import Sequence
from decimal import Decimal

from botctl.cli.tables import Drawing, coloured, draw_table, group, pairs
from botctl.domain.money import total
from botctl.domain.symbols import base_of, quote_of
from botctl.domain.text import UNKNOWN, format_amount, format_money, format_percent, format_price, format_signed
from botctl.store.rows import TradeRow
from botctl.trading.tickets.order_ticket import OrderTicket


def draw_ticket(ticket: OrderTicket) -> str:
    base, quote = base_of(ticket.symbol), quote_of(ticket.symbol)
    name = "the bid" if ticket.side == "sell" else "the ask"
    rows = [
        (f"{ticket.side} about", f"{format_amount(ticket.amount)} {base}"),
        ("price", f"{format_price(ticket.price, ticket.price_decimals)} {quote}, {name} now"),
        ("proceeds" if ticket.side == "sell" else "cost", format_money(ticket.cost, quote)),
        ("fee", format_money(ticket.fee, quote)),
    ]
    if ticket.stop_loss_price is not None:
        below = format_percent(1 - Decimal(repr(ticket.stop_loss_price)) / ticket.price)
        rows.append(("stop", f"{format_price(ticket.stop_loss_price, ticket.price_decimals)}, {below} below"))
        rows.append(("loss there", f"at most about {format_money(ticket.max_loss, quote)}, both fees included"))
    if ticket.cash_after is not None:
        short = ": not enough cash" if ticket.cash_after < 0 else ""
        rows.append(("cash after", f"{format_money(ticket.cash_after, quote)}{short}"))
    if ticket.side == "sell":
        rows.append(("net result", f"{format_signed(ticket.pnl, quote)}, fees included"))
    return pairs(rows)


def draw_sale_tickets(trades: Sequence[TradeRow], tickets: Sequence[OrderTicket]) -> Drawing:
    """All trades that a liquidation would sell, with what each brings where its price is known."""
    if not trades:
        return "no trade is open: only buys are disabled"
    known = {ticket.trade_id: ticket for ticket in tickets}
    cells = []
    for trade in trades:
        ticket, quote = known.get(trade.id), quote_of(trade.symbol)
        price = UNKNOWN if ticket is None else format_price(ticket.price, ticket.price_decimals)
        net = None if ticket is None else ticket.cost - ticket.fee
        pnl = None if ticket is None else ticket.pnl
        cells.append(
            [
                str(trade.id), trade.symbol, format_amount(trade.amount), price,
                format_money(net, quote, named=False), coloured(pnl, quote),
            ]
        )  # fmt: skip
    columns = ("id", "symbol", "amount", "price", "proceeds", "P&L")
    return group("Would be sold, at the prices of now:", draw_table(columns, cells), *_totals(tickets))


def _totals(tickets: Sequence[OrderTicket]) -> list[str]:
    quotes = dict.fromkeys(quote_of(ticket.symbol) for ticket in tickets)
    lines = []
    for quote in quotes:
        own = [ticket for ticket in tickets if quote_of(ticket.symbol) == quote]
        worth = total(ticket.cost - ticket.fee for ticket in own)
        pnl = total(ticket.pnl for ticket in own if ticket.pnl is not None)
        lines.append(f"about {format_money(worth, quote)} after fees, net result {format_signed(pnl, quote)}")
    return lines
