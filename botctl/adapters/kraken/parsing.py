"""Parses Kraken's answers into our own types."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from botctl.domain.candles import Candle, check_candle, from_unix, to_unix
from botctl.domain.errors import ExchangeUnreachable, OutcomeUnknown, UnusableAnswer
from botctl.domain.fees import PairFees, parse_fee_rate
from botctl.domain.markets import Balances, Holding, Quote, Quotes
from botctl.domain.money import MAX_AMOUNT, format_decimal, to_amount, to_decimal
from botctl.domain.orders import Fill, FillRecord, OrderRecord, OrderReport, Side
from botctl.domain.text import sanitize
from botctl.ports import ApiKey

log = logging.getLogger(__name__)

FORBIDDEN_RIGHTS = {"withdraw-funds", "add-withdraw-address", "update-withdraw-address"}
"""The rights of a key that lead to a withdrawal."""
ENDED_EARLY = {"canceled", "expired"}
FINAL = {"closed", *ENDED_EARLY}
STATUSES = FINAL | {"open", "pending"}
ORDER_ID = re.compile(r"[A-Z0-9]{2,}(-[A-Z0-9]{2,})+")
"""The form of Kraken's order ids, such as OXZOZH-UV45N-IM6I7O."""
MOST_THAT_KRAKEN_TAKES = Decimal("0.02")
"""As a fraction, more than twice the rate of the dearest tier: a larger one is a wrong answer."""
COST_TOLERANCE = Decimal("0.0001")
"""In quote. Kraken rounds costs, so the error can exceed half the cost of the smallest fills."""


def parse_quotes(
    tickers: Mapping[str, Any],
    symbols: Sequence[str],
    at: datetime,
    *,
    date_gap: timedelta = timedelta(0),
    seen_at: datetime | None = None,
) -> Quotes:
    """The quotes of `symbols` from tickers by symbol, which arrived at `at`. Unreadable ones are in `bad`."""
    good: dict[str, Quote] = {}
    bad: dict[str, str] = {}
    for symbol in symbols:
        try:
            good[symbol] = replace(_parse_quote(symbol, tickers[symbol], at), date_gap=date_gap, seen_at=seen_at)
        except (KeyError, IndexError, TypeError):
            bad[symbol] = "has no price in Kraken's answer"
        except ValueError as error:
            bad[symbol] = f"has no usable price ({error})"
    return Quotes(good, bad)


def _parse_quote(symbol: str, ticker: Mapping[str, Any], at: datetime) -> Quote:
    """c is the last trade, b the bid, a the ask, each a list that starts with the price. Only c is required."""
    return Quote(symbol, to_amount(ticker["c"][0]), _optional_price(ticker, "b"), _optional_price(ticker, "a"), at)


def _optional_price(ticker: Mapping[str, Any], key: str) -> Decimal | None:
    try:
        return to_amount(ticker[key][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def parse_candles(symbol: str, rows: Any) -> list[Candle]:
    """The closed candles of an OHLC answer, whose last row is always the running one. Raises UnusableAnswer."""
    if not isinstance(rows, list) or not rows:
        raise UnusableAnswer(f"Kraken's answer to OHLC has no candles of {symbol}")
    try:
        candles = [check_candle(_parse_candle(row)) for row in rows[:-1]]
    except (LookupError, TypeError, ValueError) as error:
        raise UnusableAnswer(f"Kraken's candles of {symbol} can't be read ({error})") from error
    if any(later.time <= earlier.time for earlier, later in pairwise(candles)):
        raise UnusableAnswer(f"Kraken's candles of {symbol} are out of order")
    return candles


def parse_running_candle(symbol: str, rows: Any) -> Candle:
    """The last row of an OHLC answer. Raises UnusableAnswer."""
    if not isinstance(rows, list) or not rows:
        raise UnusableAnswer(f"Kraken's answer to OHLC has no running candle of {symbol}")
    try:
        return check_candle(_parse_candle(rows[-1]))
    except (LookupError, TypeError, ValueError) as error:
        raise UnusableAnswer(f"Kraken's running candle of {symbol} can't be read ({error})") from error


def _parse_candle(row: Sequence[Any]) -> Candle:
    """A row has time, open, high, low, close, vwap, volume, count."""
    opened, high, low, close = (float(to_amount(text)) for text in row[1:5])
    return Candle(to_unix(_parse_time(row[0])), opened, high, low, close, float(_parse_quantity(row[6])))


def parse_balances(answer: Mapping[str, Any], read_currency: Callable[[str], tuple[str, str]]) -> Balances:
    """A BalanceEx answer. `read_currency` turns a balance key into our currency name and the form."""
    if not answer:
        raise ExchangeUnreachable("Kraken's balance answer is empty")
    try:
        return Balances(tuple(_parse_holding(*read_currency(key), row) for key, row in answer.items()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ExchangeUnreachable(f"Kraken's balance answer can't be read ({error})") from error


def _parse_holding(currency: str, form: str, row: Mapping[str, Any]) -> Holding:
    """free = balance + credit - credit_used - hold_trade, as Kraken defines it."""
    total = to_decimal(row["balance"])
    credit = to_decimal(row.get("credit", "0")) - to_decimal(row.get("credit_used", "0"))
    return Holding(currency, form, total, total + credit - to_decimal(row.get("hold_trade", "0")))


def parse_order_id(answer: Mapping[str, Any]) -> str:
    """The id of the one order in an AddOrder answer. Raises OutcomeUnknown."""
    txid = answer.get("txid")
    if not (isinstance(txid, list) and len(txid) == 1 and isinstance(txid[0], str)):
        raise OutcomeUnknown("Kraken's answer to AddOrder has no order id; the order may exist")
    if not ORDER_ID.fullmatch(txid[0]):
        raise OutcomeUnknown("Kraken's answer to AddOrder has an invalid order id; the order may exist")
    return txid[0]


def parse_cancel_count(answer: Mapping[str, Any]) -> int:
    """How many orders a cancel has ended by now: none while it is pending. Raises UnusableAnswer."""
    count = answer.get("count")
    if not isinstance(count, int) or count < 0:
        raise UnusableAnswer("Kraken's answer to a cancel has no count")
    return 0 if answer.get("pending") else count


def parse_order_list(answer: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The orders under `key` of an answer, by Kraken's id, still in Kraken's form."""
    orders = answer.get(key)
    if not isinstance(orders, dict):
        raise ExchangeUnreachable(f"Kraken's answer has no list of {key} orders")
    return orders


def parse_order_count(answer: Mapping[str, Any]) -> int | None:
    """The number of orders or trades on all pages, if the answer contains it."""
    try:
        return int(str(answer["count"])) if "count" in answer else None
    except ValueError as error:
        raise ExchangeUnreachable("Kraken's answer has an invalid count") from error


def parse_order_reports(answer: Mapping[str, Any]) -> dict[str, OrderReport]:
    """The readable reports of a QueryOrders answer by Kraken's id. Raises UnusableAnswer if there are none."""
    reports: dict[str, OrderReport] = {}
    unusable: UnusableAnswer | None = None
    for txid, order in answer.items():
        try:
            reports[txid] = parse_order_report(txid, order)
        except UnusableAnswer as error:
            log.error("%s", error)
            unusable = error
    if unusable and not reports:
        raise unusable
    return reports


def parse_order_report(txid: str, order: Any) -> OrderReport:
    """The report of one order. Raises UnusableAnswer."""
    try:
        status = order["status"]
        if status not in STATUSES:
            raise ValueError(f"unknown status {status!r}")
        fill_ids = order.get("trades") or ()
        closed = order.get("closetm")
        client_order_id = order.get("cl_ord_id")
        if not isinstance(client_order_id, str | None) or not isinstance(fill_ids, list | tuple):
            raise TypeError("an id is not text")
        filled, cost, fee = (_parse_quantity(order[key]) for key in ("vol_exec", "cost", "fee"))
        if not filled and (cost or fee or fill_ids):
            raise ValueError("it has a cost, a fee or fills, but nothing is filled")
        in_quote = "viqc" in str(order.get("oflags"))  # then `vol` is a cost
        whole = status == "closed" and (in_quote or filled == _parse_quantity(order["vol"]))
        return OrderReport(
            exchange_order_id=txid,
            client_order_id=client_order_id,
            open=status not in FINAL,
            final=whole or status in ENDED_EARLY,
            complete=whole,
            filled=filled,
            fill_ids=tuple(dict.fromkeys(str(fill_id) for fill_id in fill_ids)),
            cost=cost,
            fee=fee,
            opened_at=_parse_time(order["opentm"]),
            closed_at=_parse_time(closed) if closed else None,
            price=_parse_quantity(order["price"]) if order.get("price") else None,
            reason=sanitize(str(order["reason"]), 100) if order.get("reason") else None,
            trigger=_parse_trigger(order.get("descr")),
            fired="stopped" in str(order.get("misc")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnusableAnswer(f"Kraken's record of order {sanitize(txid, 40)} can't be read ({error})") from error


def _parse_trigger(description: Any) -> Decimal | None:
    """The trigger of a stop-loss, which is its `price`; of a waiting one `stopprice` is zero."""
    if not isinstance(description, dict) or description.get("ordertype") != "stop-loss":
        return None
    return to_amount(description["price"])


def parse_order_record(txid: str, order: Any, symbols: Mapping[str, str]) -> OrderRecord:
    """One listed order. `symbols` has our symbol for each of Kraken's names. Raises UnusableAnswer."""
    report = parse_order_report(txid, order)
    try:
        pair, side = str(order["descr"]["pair"]), Side(order["descr"]["type"])
        return OrderRecord(symbols.get(pair, pair), side, to_decimal(order["vol"]), report)
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableAnswer(f"Kraken's record of order {txid} can't be read ({error})") from error


def parse_fills(trades: Mapping[str, Any]) -> Iterator[Fill]:
    """The fills among Kraken's trade records by id. Unreadable ones are logged and left out."""
    for trade_id, trade in trades.items():
        try:
            yield _parse_fill(trade_id, trade)
        except (KeyError, TypeError, ValueError) as error:
            log.error("Kraken's record of trade %s can't be read (%s)", sanitize(trade_id, 40), error)


def parse_fill_record(trade_id: str, trade: Any, symbols: Mapping[str, str]) -> FillRecord:
    """One listed fill. `symbols` has our symbol for each of Kraken's names. Raises UnusableAnswer."""
    try:
        pair, side = str(trade["pair"]), Side(trade["type"])
        return FillRecord(symbols.get(pair, pair), side, _parse_fill(trade_id, trade))
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableAnswer(f"Kraken's record of trade {sanitize(trade_id, 40)} can't be read ({error})") from error


def _parse_fill(trade_id: str, trade: Mapping[str, Any]) -> Fill:
    amount, cost, fee = (_parse_quantity(trade[key]) for key in ("vol", "cost", "fee"))
    worth = amount * to_amount(trade["price"])
    if not worth <= 2 * cost + COST_TOLERANCE or not cost <= 2 * worth + COST_TOLERANCE or fee > cost:
        shown = (format_decimal(number) for number in (amount, cost, fee))
        raise ValueError("amount {}, cost {} and fee {} contradict the price".format(*shown))
    return Fill(trade_id, str(trade["ordertxid"]), amount, cost, fee, _parse_time(trade["time"]))


def parse_api_key(info: Any) -> ApiKey:
    """A GetApiKeyInfo answer. Raises UnusableAnswer: rights that it does not tell prove nothing."""
    rights = info.get("permissions") if isinstance(info, dict) else None
    if not isinstance(rights, list) or not rights or not all(isinstance(right, str) for right in rights):
        raise UnusableAnswer("the key's rights in Kraken's answer can't be read")
    return ApiKey(tuple(sorted(FORBIDDEN_RIGHTS & set(rights))), parse_key_expiry(info))


def parse_fees(answer: Any, symbols: Mapping[str, str]) -> dict[str, PairFees]:
    """A TradeVolume answer, whose rates are in percent. Raises UnusableAnswer for one that tells no rate."""
    takers = answer.get("fees") if isinstance(answer, dict) else None
    makers = answer.get("fees_maker") if isinstance(answer, dict) else None
    try:
        return {
            symbols.get(name, name): PairFees(
                _parse_rate(fees["fee"]),
                _parse_rate(makers[name]["fee"]) if isinstance(makers, dict) and name in makers else None,
            )
            for name, fees in (takers or {}).items()
        }
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise UnusableAnswer("the fees in Kraken's answer can't be read") from error


def _parse_rate(percent: Any) -> Decimal:
    """A fraction. Raises ValueError for one that is no rate of Kraken's, such as a fraction taken for percents."""
    rate = to_decimal(percent) / 100
    if rate > MOST_THAT_KRAKEN_TAKES:
        raise ValueError(f"{percent} % is more than Kraken takes")
    return parse_fee_rate(str(rate))


def parse_key_expiry(info: Mapping[str, Any]) -> datetime | None:
    """When a key expires, by a GetApiKeyInfo answer; None when it never does. Raises UnusableAnswer."""
    until = str(info.get("validUntil") or 0)
    if not re.fullmatch(r"[0-9]{1,11}", until):
        raise UnusableAnswer("the key's expiry in Kraken's answer can't be read")
    return from_unix(int(until)) if int(until) else None


def _parse_quantity(value: Any) -> Decimal:
    """An amount, a cost or a fee: at least zero and below MAX_AMOUNT."""
    number = to_decimal(value)
    if not 0 <= number < MAX_AMOUNT:
        raise ValueError(f"{number} is out of range")
    return number


def _parse_time(seconds: Any) -> datetime:
    try:
        return from_unix(to_decimal(seconds))
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds!r:.60} is not a time") from error
