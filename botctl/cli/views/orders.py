"""The order journal, and the results of orders."""

from collections.abc import Sequence

from botctl.cli.tables import Drawing, draw_rows, group, pairs
from botctl.domain.text import format_amount, format_money, format_price, format_signed
from botctl.queries.resting_stops import RestingStopView
from botctl.queries.results import OrderView
from botctl.trading.results import LiquidationView, OrderResult


def draw_orders(rows: Sequence[OrderView]) -> Drawing:
    columns = {
        "id": lambda row: str(row.id),
        "trade": lambda row: str(row.trade_id),
        "side": lambda row: row.side,
        "symbol": lambda row: row.symbol,
        "state": lambda row: row.state,
        "amount": lambda row: format_amount(row.amount),
        "filled": lambda row: format_amount(row.filled),
        "price": lambda row: format_price(row.average_price),
        "fee": lambda row: format_money(row.fee),
    }
    return group(draw_rows(rows, columns), *[f"{row.id}: {row.error}" for row in rows if row.error])


def draw_resting_stops(rows: Sequence[RestingStopView]) -> Drawing:
    columns = {
        "trade": lambda row: str(row.trade_id),
        "symbol": lambda row: row.symbol,
        "amount": lambda row: format_amount(row.amount),
        "trigger": lambda row: format_price(row.trigger),
        "stop": lambda row: format_price(row.stop_loss_price),
        "order": lambda row: row.exchange_order_id or "",
    }
    return draw_rows(rows, columns)


def draw_order(result: OrderResult) -> Drawing:
    filled = "" if result.state == "VALIDATED" else f"{format_amount(result.filled)} of "
    rows = [
        ("order", f"{result.side} {result.symbol} {result.state}"),
        ("amount", f"{filled}{format_amount(result.amount)}"),
    ]
    if result.average_price is not None:
        rows += [
            ("price", format_price(result.average_price)),
            ("cost" if result.side == "buy" else "proceeds", format_money(result.cost)),
            ("fee", format_money(result.fee)),
        ]
    if result.trade_id:
        reason = result.reason if result.trade_status == "CLOSED" else None
        rows.append(("trade", " ".join(filter(None, (str(result.trade_id), result.trade_status, reason)))))
    if result.side == "buy" and result.stop_loss_price is not None:
        rows.append(("stop", f"{format_price(result.stop_loss_price)} (ATR {format_price(result.atr)})"))
    if result.pnl is not None:
        rows.append(("P&L", format_signed(result.pnl)))
    if result.note:
        rows.append(("note", result.note))
    return pairs(rows)


def describe_order(result: OrderResult) -> str:
    verb = "bought" if result.side == "buy" else "sold"
    if result.state == "VALIDATED":
        return f"validated: would have {verb} {format_amount(result.amount)} {result.symbol}"
    if result.filled == 0:
        return f"{result.side} {result.symbol} is {result.state}"
    line = f"{verb} {format_amount(result.filled)} {result.symbol} at {format_price(result.average_price)}"
    if result.side == "buy":
        return f"{line}, stop {format_price(result.stop_loss_price)}"
    return f"{line}: {result.reason}" + ("" if result.pnl is None else f", P&L {format_signed(result.pnl)}")


def draw_liquidation(view: LiquidationView) -> Drawing:
    sold = [describe_order(result) for result in view.exits] or [
        "nothing was sold" if view.errors or view.open_trades else "nothing to sell"
    ]
    buys = "enabled" if view.buy_enabled else "disabled"
    return group(*sold, f"{view.open_trades} trades are open, buys are {buys}")
