"""The order journal, and the results of orders."""

from collections.abc import Mapping, Sequence

from botctl.cli.tables import Drawing, draw_rows, group, pairs
from botctl.domain.orders import OrderState
from botctl.domain.symbols import quote_of
from botctl.domain.text import counted, format_amount, format_money, format_price, format_signed, format_time, short_id
from botctl.queries.resting_stops import RestingStopView
from botctl.queries.results import OrderView
from botctl.trading.results import LiquidationView, OrderResult

NO_DECIMALS: Mapping[str, int] = {}


def draw_orders(rows: Sequence[OrderView], decimals: Mapping[str, int], *, full: bool = False) -> str:
    """Each order as a sentence, newest last. `decimals` are of the prices, by symbol; `full` has the whole ids."""
    lines = []
    for row in rows:
        sentence = f"{_sentence(row, decimals.get(row.symbol))} ({_names(row, full=full)})"
        lines.append((format_time(row.created_at, seconds=full), sentence))
        if row.error:
            lines.append(("", row.error))
    return pairs(lines)


def _sentence(row: OrderView, decimals: int | None) -> str:
    verb, quote = "bought" if row.side == "buy" else "sold", quote_of(row.symbol)
    why = f", {row.reason}" if row.reason else ""
    if row.filled:
        of = "" if row.filled == row.amount else f" of {format_amount(row.amount)}"
        price, fee = format_price(row.average_price, decimals), format_money(row.fee, quote)
        return f"{verb} {format_amount(row.filled)}{of} {row.symbol} at {price}, fee {fee}{why}: {row.state}"
    order = f"{row.side} of {format_amount(row.amount)} {row.symbol}"
    if row.trigger is not None:
        return f"{order} once the price is {format_price(row.trigger, decimals)} or lower: {row.state}"
    looked_up = ", each tick looks it up" if row.state == OrderState.UNKNOWN else ""
    return f"{order}{why}: {row.state}{looked_up}"


def _names(row: OrderView, *, full: bool) -> str:
    """The order and its ids: the exchange's, where it gave one, stands for both unless `full`."""
    exchange = row.exchange_order_id and (row.exchange_order_id if full else short_id(row.exchange_order_id))
    client = row.client_order_id if full or not exchange else None
    return ", ".join(filter(None, (f"order {row.id} of trade {row.trade_id}", exchange, client)))


def draw_resting_stops(rows: Sequence[RestingStopView], decimals: Mapping[str, int]) -> Drawing:
    columns = {
        "trade": lambda row: str(row.trade_id),
        "symbol": lambda row: row.symbol,
        "amount": lambda row: format_amount(row.amount),
        "trigger": lambda row: format_price(row.trigger, decimals.get(row.symbol)),
        "stop": lambda row: format_price(row.stop_loss_price, decimals.get(row.symbol)),
        "order id": lambda row: row.exchange_order_id or "",
    }
    return draw_rows(rows, columns)


def draw_order(result: OrderResult, decimals: Mapping[str, int]) -> Drawing:
    quote, digits = quote_of(result.symbol), decimals.get(result.symbol)
    filled = "" if result.state == "VALIDATED" else f"{format_amount(result.filled)} of "
    rows = [
        ("order", f"{result.side} {result.symbol} {result.state}"),
        ("amount", f"{filled}{format_amount(result.amount)}"),
    ]
    if result.average_price is not None:
        rows += [
            ("price", format_price(result.average_price, digits)),
            ("cost" if result.side == "buy" else "proceeds", format_money(result.cost, quote)),
            ("fee", format_money(result.fee, quote)),
        ]
    if result.trade_id:
        reason = result.reason if result.trade_status == "CLOSED" else None
        rows.append(("trade", " ".join(filter(None, (str(result.trade_id), result.trade_status, reason)))))
    if result.side == "buy" and result.stop_loss_price is not None:
        stop, atr = format_price(result.stop_loss_price, digits), format_price(result.atr, digits)
        rows.append(("stop", f"{stop} (ATR {atr})"))
    if result.pnl is not None:
        rows.append(("P&L", format_signed(result.pnl, quote)))
    if result.note:
        rows.append(("note", result.note))
    return pairs(rows)


def describe_order(result: OrderResult, decimals: Mapping[str, int] = NO_DECIMALS) -> str:
    """An order in one line. Without `decimals` its prices are written by their size."""
    verb, digits = "bought" if result.side == "buy" else "sold", decimals.get(result.symbol)
    if result.state == "VALIDATED":
        return f"validated: would have {verb} {format_amount(result.amount)} {result.symbol}"
    if result.filled == 0:
        return f"{result.side} {result.symbol} is {result.state}"
    line = f"{verb} {format_amount(result.filled)} {result.symbol} at {format_price(result.average_price, digits)}"
    if result.side == "buy":
        return f"{line}, stop {format_price(result.stop_loss_price, digits)}"
    profit = "" if result.pnl is None else f", P&L {format_signed(result.pnl, quote_of(result.symbol))}"
    return f"{line}: {result.reason}{profit}"


def draw_liquidation(view: LiquidationView, decimals: Mapping[str, int]) -> Drawing:
    sold = [describe_order(result, decimals) for result in view.exits] or [
        "nothing was sold" if view.errors or view.open_trades else "nothing to sell"
    ]
    buys = "enabled" if view.buy_enabled else "disabled"
    return group(*sold, f"{counted(view.open_trades, 'trade is', 'trades are')} open, buys are {buys}")
