"""Kraken as the Exchange port: its answers become our own types here, from the raw figures."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial
from itertools import islice, pairwise
from typing import Any

from botctl.domain.candles import Candle, check_candle
from botctl.domain.errors import BotError, ExchangeBusy, ExchangeUnreachable, LockedOut, OutcomeUnknown, UnusableAnswer
from botctl.domain.markets import Balances, Holding, Market, Quote, Quotes, market_of
from botctl.domain.money import MOST, plain, to_amount, to_decimal
from botctl.domain.order_states import Side
from botctl.domain.orders import Fill, OrderRecord, OrderReport, OrderRequest
from botctl.domain.symbols import TIMEFRAMES
from botctl.domain.words import printable
from botctl.exchange.kraken_errors import (
    BEFORE_PROCESSING,
    UNKNOWN_ORDER,
    UNKNOWN_PAIR,
    KrakenSays,
    order_error,
    read_error,
)
from botctl.exchange.kraken_line import Call
from botctl.exchange.kraken_markets import MarketBook, load_market_book, recall_market_book
from botctl.exchange.kraken_wire import KrakenWire
from botctl.exchange.retry import NotProcessed, repeat_read, repeat_unprocessed
from botctl.ports import Progress

log = logging.getLogger(__name__)

ORDERS_A_CALL, FILLS_A_CALL = 50, 20
LOOK_UP_COST = 2.0
"""What OpenOrders, ClosedOrders and TradesHistory add to Kraken's counter; other private calls add one."""
MOST_PAGES = 5
AGED_AFTER = timedelta(seconds=5)
"""Prices that had to wait so long for the balances are asked for again: a stop is judged by what is now."""
FINAL = {"closed", "canceled", "expired"}
STATUSES = FINAL | {"open", "pending"}
ORDER_ID = re.compile(r"[A-Z0-9]{2,}(-[A-Z0-9]{2,})+")
"""The form of Kraken's order ids, such as OXZOZH-UV45N-IM6I7O."""
A_FRACTION = Decimal("0.0001")
"""In quote. Costs are rounded, so those of the smallest fills may be off by more than their half."""


def read_key_expiry(info: Mapping[str, Any]) -> datetime | None:
    """When a key ends, by Kraken's word on it; None when it never does. Raises UnusableAnswer."""
    until = str(info.get("validUntil") or 0)
    if not re.fullmatch(r"[0-9]{1,11}", until):
        raise UnusableAnswer("Kraken's word on when the key expires can't be read")
    return datetime.fromtimestamp(int(until), UTC) if int(until) else None


class KrakenMarketData:
    """Kraken's public side: enough for paper trading."""

    def __init__(self, wire: Callable[[], KrakenWire]) -> None:
        self._make_wire = wire

    @cached_property
    def wire(self) -> KrakenWire:
        """Made at the first call, so that a run without one never loads ccxt."""
        return self._make_wire()

    @cached_property
    def book(self) -> MarketBook:
        return load_market_book(self.wire)

    def load_markets(self) -> Mapping[str, Market]:
        return self.book.markets

    def fetch_quotes(self, symbols: Sequence[str]) -> Quotes:
        """One Ticker call. One unknown name fails the whole of it at Kraken, so then each symbol is asked alone."""
        return self._quotes(symbols, None)

    def begin_quotes(self, symbols: Sequence[str]) -> Callable[[], Quotes]:
        """The same, whose call is under way on return. Only a first try: where it failed, asking for the answer
        repeats it. While no markets are known nothing is: they come first."""
        if "book" not in self.__dict__ and (book := recall_market_book()) is not None:
            self.book = book
        known = self._known(symbols) if "book" in self.__dict__ else []
        return partial(
            self._quotes, symbols, self.wire.begin("Ticker", {"pair": self._names(known)}) if known else None
        )

    def _known(self, symbols: Sequence[str]) -> list[str]:
        return [symbol for symbol in dict.fromkeys(symbols) if symbol in self.book.markets]

    def _names(self, symbols: Sequence[str]) -> str:
        return ",".join(self.book.markets[symbol].exchange_id for symbol in symbols)

    def _quotes(self, symbols: Sequence[str], begun: Call | None) -> Quotes:
        known = self._known(symbols)
        bad = {symbol: "is no market on Kraken" for symbol in symbols if symbol not in self.book.markets}
        if not known:  # an empty list would fetch every market there is
            return Quotes({}, bad)
        try:
            found, at = self._fetch_tickers(known, begun)
        except KrakenSays as said:
            if len(known) == 1 or not said.mentions(UNKNOWN_PAIR):
                return Quotes({}, bad | dict.fromkeys(known, str(said)))
            return _merge(Quotes({}, bad), *(self.fetch_quotes([symbol]) for symbol in known))
        good: dict[str, Quote] = {}
        for symbol in known:
            try:
                good[symbol] = _quote(symbol, found[symbol], at)
            except (KeyError, IndexError, TypeError):
                bad[symbol] = "has no price in Kraken's answer"
            except ValueError as error:
                bad[symbol] = f"has no usable price ({error})"
        return Quotes(good, bad)

    def _fetch_tickers(self, symbols: Sequence[str], begun: Call | None) -> tuple[dict[str, Any], datetime]:
        """What Kraken says of each symbol, and when its answer came."""
        params, first = {"pair": self._names(symbols)}, [] if begun is None else [begun]

        def call() -> tuple[dict[str, Any], datetime]:
            try:
                answer, at = first.pop().result() if first else self._ask_ticker(params)
                if datetime.now(UTC) - at > AGED_AFTER:
                    with suppress(BotError, KrakenSays):  # then the older ones serve
                        answer, at = self._ask_ticker(params)
            except KrakenSays as said:
                if said.mentions(UNKNOWN_PAIR):
                    raise
                raise read_error(said) from said
            return {self.book.symbols.get(name, name): ticker for name, ticker in answer.items()}, at

        return repeat_read(call)

    def _ask_ticker(self, params: Mapping[str, str]) -> tuple[Mapping[str, Any], datetime]:
        return self.wire.get("Ticker", params), datetime.now(UTC)

    def fetch_candles(self, symbol: str, timeframe: str) -> list[Candle]:
        """Up to 719 closed candles. The last row is always the running one, and is dropped."""
        market = market_of(self.book.markets, symbol)
        params = {"pair": market.exchange_id, "interval": str(TIMEFRAMES[timeframe] // 60)}
        answer = self._read(lambda: self.wire.get("OHLC", params))
        rows = next((value for name, value in answer.items() if self.book.symbols.get(name) == symbol), None)
        if not isinstance(rows, list) or not rows:
            raise UnusableAnswer(f"Kraken's answer to OHLC has no candles of {symbol}")
        try:
            candles = [check_candle(_candle(row)) for row in rows[:-1]]
        except (LookupError, TypeError, ValueError) as error:
            raise UnusableAnswer(f"Kraken's candles of {symbol} can't be read ({error})") from error
        if any(later.time <= earlier.time for earlier, later in pairwise(candles)):
            raise UnusableAnswer(f"Kraken's candles of {symbol} are out of order")
        return candles

    def count_requests(self) -> int:
        return self.wire.requests if "wire" in self.__dict__ else 0  # asking must not load ccxt

    def _read(self, call: Callable[[], Any]) -> Any:
        """A call that is safe to repeat, with Kraken's texts turned into our errors."""

        def attempt() -> Any:
            try:
                return call()
            except KrakenSays as said:
                raise read_error(said) from said

        return repeat_read(attempt)

    def fetch_system_status(self) -> str:
        """online, maintenance, cancel_only or post_only."""
        return printable(str(self._read(lambda: self.wire.get("SystemStatus")).get("status")))


class KrakenExchange(KrakenMarketData):
    """Kraken with our money in it. Every private call must be made under the process lock."""

    def now(self, *, fresh: bool = False) -> datetime:
        now: datetime = self._read(lambda: self.wire.now(fresh=fresh))
        return now

    def forget_time(self) -> None:
        self.wire.forget_time()

    def fetch_balances(self) -> Balances:
        answer = self._read(lambda: self.wire.post("BalanceEx"))
        if not answer:
            raise ExchangeUnreachable("Kraken's balance answer is empty")
        try:
            return Balances(tuple(self._holding(key, row) for key, row in answer.items()))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ExchangeUnreachable(f"Kraken's balance answer can't be read ({error})") from error

    def add_order(self, request: OrderRequest, *, validate: bool = False) -> str | None:
        """One AddOrder. The same order leaves again only after a refusal that came before processing."""
        market = market_of(self.book.markets, request.symbol)
        params = {
            "pair": market.exchange_id,
            "type": request.side.value,
            "ordertype": "market",
            "volume": plain(request.amount),
            "oflags": "fciq",
            "cl_ord_id": request.client_order_id,
            "deadline": request.deadline.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if validate:
            params["validate"] = "true"

        def attempt() -> Mapping[str, Any]:
            try:
                answer: Mapping[str, Any] = self.wire.post("AddOrder", params, cost=0)
            except LockedOut as error:  # ours, before a byte left
                raise ExchangeBusy(error.message, hint=error.hint) from error
            except ExchangeUnreachable as error:
                raise OutcomeUnknown(f"{error.message}; the order may exist") from error
            except KrakenSays as said:
                if said.all_of(*BEFORE_PROCESSING) and not said.beside_result:
                    raise NotProcessed(str(said)) from said
                raise order_error(said) from said
            return answer

        try:
            answer = repeat_unprocessed(attempt)
        except NotProcessed as refused:
            if not isinstance(refused.__cause__, KrakenSays):
                raise
            raise order_error(refused.__cause__) from refused
        if validate:
            return None
        txid = answer.get("txid")
        if not (isinstance(txid, list) and len(txid) == 1 and isinstance(txid[0], str)):
            raise OutcomeUnknown("Kraken's answer to AddOrder names no order; it may exist")
        if not ORDER_ID.fullmatch(txid[0]):
            raise OutcomeUnknown("Kraken's answer to AddOrder has an order id that is none; the order may exist")
        return txid[0]

    def fetch_orders(self, exchange_order_ids: Sequence[str]) -> dict[str, OrderReport]:
        reports: dict[str, OrderReport] = {}
        for ids in _chunks(exchange_order_ids, ORDERS_A_CALL):
            reports |= self._query_orders(ids)
        return reports

    def find_orders(self, client_order_ids: Sequence[str], since: datetime) -> dict[str, list[OrderReport]]:
        """Open orders first: an order moves from open to closed, never back, so it can't slip through between.

        One id is asked for by name. Several are sought among all orders since `since`: asking for each would fill
        Kraken's rate counter within four.
        """
        wanted: dict[str, list[OrderReport]] = {client_order_id: [] for client_order_id in client_order_ids}
        found: dict[str, Any] | None = None
        if len(wanted) > 1:
            still_open, ended = self._open_orders(), self._closed_orders_since(since)
            found = None if ended is None else still_open | ended
        if found is None:
            found = {}
            for name in wanted:
                found |= self._orders_named(name)
        for report in (_report(txid, order) for txid, order in found.items()):
            if report.client_order_id in wanted:
                wanted[report.client_order_id].append(report)
        return wanted

    def list_orders(self, since: datetime, progress: Progress) -> list[OrderRecord]:
        """Open orders first, as in `find_orders`, then every page of ended ones."""
        still_open = self._open_orders()
        ended = self._all_closed_orders_since(since, progress)
        records = [self._record(txid, order) for txid, order in {**still_open, **ended}.items()]
        return sorted(records, key=lambda record: record.report.opened_at)

    def _all_closed_orders_since(self, since: datetime, progress: Progress) -> dict[str, Any]:
        """All pages, however many. What ends meanwhile moves every order on by one: then the pages don't add up."""
        start, offset = f"{since.timestamp() - 1:.0f}", 0
        found: dict[str, Any] = {}
        while True:
            orders, whole = self._closed_page(start=start, ofs=str(offset))
            new = orders.keys() - found.keys()
            found |= orders
            progress(len(found), whole)
            if len(found) == whole or (not orders and len(found) >= (whole or 0)):
                return found
            if not new:
                raise ExchangeUnreachable(
                    f"Kraken's pages of ended orders don't add up: {len(found)} seen, and there are {whole or 'more'}",
                    hint="an order may have ended meanwhile: try again",
                )
            offset += ORDERS_A_CALL

    def _record(self, txid: str, order: Any) -> OrderRecord:
        report = _report(txid, order)
        try:
            pair, side = str(order["descr"]["pair"]), Side(order["descr"]["type"])
            return OrderRecord(self.book.symbols.get(pair, pair), side, to_decimal(order["vol"]), report)
        except (KeyError, TypeError, ValueError) as error:
            raise UnusableAnswer(f"Kraken's record of order {txid} can't be read ({error})") from error

    def _orders_named(self, name: str) -> dict[str, Any]:
        """What carries this client order id. What is not found counts as never placed, so the answer must be whole."""
        found = self._open_orders(cl_ord_id=name)
        ended, count = self._closed_page(cl_ord_id=name)
        found |= ended
        nameless = [txid for txid, order in found.items() if not _client_id_in(order)]
        if nameless or len(ended) < (count or 0):
            raise UnusableAnswer(f"Kraken's answer about the order {name} is not whole")
        return found

    def _open_orders(self, **params: str) -> dict[str, Any]:
        answer = self._read(lambda: self.wire.post("OpenOrders", {**params, "trades": "true"}, cost=LOOK_UP_COST))
        return _orders_in(answer, "open")

    def _closed_page(self, **params: str) -> tuple[dict[str, Any], int | None]:
        """One page of ended orders, and how many there are in all, where Kraken says so."""
        answer = self._read(lambda: self.wire.post("ClosedOrders", {**params, "trades": "true"}, cost=LOOK_UP_COST))
        orders = _orders_in(answer, "closed")
        try:
            return orders, int(str(answer["count"])) if "count" in answer else None
        except ValueError as error:
            raise ExchangeUnreachable("Kraken's answer to ClosedOrders has a count that is none") from error

    def _closed_orders_since(self, since: datetime) -> dict[str, Any] | None:
        """All pages of them, or None when they are too many: an order is only absent if every page was seen."""
        start = f"{since.timestamp() - 1:.0f}"
        found: dict[str, Any] = {}
        for page in range(MOST_PAGES):
            orders, count = self._closed_page(start=start, ofs=str(page * ORDERS_A_CALL))
            found |= orders
            # Without a count only an empty page is the end: a first page must not pass for all of them.
            if not orders or (count is not None and len(found) >= count):
                return found
        return None

    def fetch_fills(self, reports: Sequence[OrderReport]) -> list[Fill]:
        ids = [fill_id for report in reports for fill_id in report.fill_ids]
        fills: list[Fill] = []
        for some in _chunks(ids, FILLS_A_CALL):
            answer = self._read(lambda some=some: self.wire.post("QueryTrades", {"txid": ",".join(some)}))  # type: ignore[misc]
            fills += _fills(answer)
        for report in reports:
            if report.filled > 0 and not report.fill_ids:
                fills += self._fills_from_history(report)
        return fills

    def fetch_key_info(self) -> Mapping[str, Any]:
        """What Kraken says of the key in use: its permissions, when it expires."""
        answer: Mapping[str, Any] = self._read(lambda: self.wire.post("GetApiKeyInfo"))
        return answer

    def fetch_key_expiry(self) -> datetime | None:
        """When the key in use ends; None when it never does. Raises UnusableAnswer."""
        return read_key_expiry(self.fetch_key_info())

    def _query_orders(self, ids: Sequence[str]) -> dict[str, OrderReport]:
        def attempt() -> Mapping[str, Any]:
            try:
                answer: Mapping[str, Any] = self.wire.post("QueryOrders", {"txid": ",".join(ids), "trades": "true"})
            except KrakenSays as said:
                if said.mentions(*UNKNOWN_ORDER):
                    raise
                raise read_error(said) from said
            return answer

        try:
            answer = repeat_read(attempt)
        except KrakenSays:  # one id that Kraken does not know yet fails the whole call
            if len(ids) == 1:
                return {}
            return {txid: report for one in ids for txid, report in self._query_orders([one]).items()}
        reports, unusable = {}, None
        for txid, order in answer.items():
            try:
                reports[txid] = _report(txid, order)
            except UnusableAnswer as error:  # one bad record must not hide the others' endings
                log.error("%s", error)
                unusable = error
        if unusable and not reports:
            raise unusable
        return {txid: report for txid, report in reports.items() if txid in ids}

    def _fills_from_history(self, report: OrderReport) -> list[Fill]:
        """The fills of an order whose record names none: found among the account's trades since it was placed."""
        since = f"{report.opened_at.timestamp() - 1:.0f}"
        params = {"start": since, "trades": "true"}
        answer = self._read(lambda: self.wire.post("TradesHistory", params, cost=LOOK_UP_COST))
        trades = answer.get("trades")
        if not isinstance(trades, dict):
            raise ExchangeUnreachable("Kraken's answer to TradesHistory has no list of trades")
        return [fill for fill in _fills(trades) if fill.exchange_order_id == report.exchange_order_id]

    def _holding(self, key: str, row: Mapping[str, Any]) -> Holding:
        """free = balance + credit - credit_used - hold_trade, as Kraken defines it."""
        total = to_decimal(row["balance"])
        credit = to_decimal(row.get("credit", "0")) - to_decimal(row.get("credit_used", "0"))
        currency, form = self.book.currency(key)
        return Holding(currency, form, total, total + credit - to_decimal(row.get("hold_trade", "0")))


def _orders_in(answer: Mapping[str, Any], key: str) -> dict[str, Any]:
    orders = answer.get(key)
    if not isinstance(orders, dict):
        raise ExchangeUnreachable(f"Kraken's answer has no list of {key} orders")
    return orders


def _merge(*looks: Quotes) -> Quotes:
    good = {symbol: quote for look in looks for symbol, quote in look.good.items()}
    bad = {symbol: why for look in looks for symbol, why in look.bad.items()}
    return Quotes(good, bad)


def _quote(symbol: str, ticker: Mapping[str, Any], at: datetime) -> Quote:
    """c is the last trade, b the bid, a the ask: price first in each. Only the last price must be there."""
    return Quote(symbol, to_amount(ticker["c"][0]), _side(ticker, "b"), _side(ticker, "a"), at)


def _side(ticker: Mapping[str, Any], key: str) -> Decimal | None:
    try:
        return to_amount(ticker[key][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _candle(row: Sequence[Any]) -> Candle:
    """Kraken's row: time, open, high, low, close, vwap, volume, count."""
    opened, high, low, close = (float(to_amount(text)) for text in row[1:5])
    return Candle(int(_moment(row[0]).timestamp()), opened, high, low, close, float(_figure(row[6])))


def _report(txid: str, order: Any) -> OrderReport:
    try:
        status = order["status"]
        if status not in STATUSES:
            raise ValueError(f"status {status!r}")
        fill_ids = order.get("trades") or ()
        ended = order.get("closetm")
        client_id = order.get("cl_ord_id")
        if not isinstance(client_id, str | None) or not isinstance(fill_ids, list | tuple):
            raise TypeError("its names are no texts")
        filled, cost, fee = (_figure(order[key]) for key in ("vol_exec", "cost", "fee"))
        if not filled and (cost or fee or fill_ids):
            raise ValueError("nothing is filled, and yet it cost something")
        return OrderReport(
            exchange_order_id=txid,
            client_order_id=client_id,
            final=status in FINAL,
            complete=status == "closed",
            filled=filled,
            fill_ids=tuple(dict.fromkeys(str(fill_id) for fill_id in fill_ids)),
            cost=cost,
            fee=fee,
            opened_at=_moment(order["opentm"]),
            closed_at=_moment(ended) if ended else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnusableAnswer(f"Kraken's record of order {printable(txid, 40)} can't be read ({error})") from error


def _client_id_in(order: Any) -> Any:
    return order.get("cl_ord_id") if isinstance(order, dict) else None


def _fills(trades: Mapping[str, Any]) -> Iterator[Fill]:
    for trade_id, trade in trades.items():
        try:
            amount, cost, fee = (_figure(trade[key]) for key in ("vol", "cost", "fee"))
            worth = amount * to_amount(trade["price"])
            if not worth <= 2 * cost + A_FRACTION or not cost <= 2 * worth + A_FRACTION or fee > cost:
                raise ValueError(f"{plain(amount)} for {plain(cost)} and a fee of {plain(fee)} is no trade")
            yield Fill(trade_id, str(trade["ordertxid"]), amount, cost, fee, _moment(trade["time"]))
        except (KeyError, TypeError, ValueError) as error:
            log.error("Kraken's record of trade %s can't be read (%s)", printable(trade_id, 40), error)


def _figure(value: Any) -> Decimal:
    """An amount, a cost or a fee: zero or more, and not absurd."""
    number = to_decimal(value)
    if not 0 <= number < MOST:
        raise ValueError(f"{number} is no figure of an order")
    return number


def _moment(seconds: Any) -> datetime:
    try:
        return datetime.fromtimestamp(float(to_decimal(seconds)), UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds!r:.60} is no moment") from error


def _chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
