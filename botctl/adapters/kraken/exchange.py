"""Kraken as the Exchange port: what is asked of Kraken for each method, and when that may be repeated."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from botctl.adapters.kraken.errors import (
    BEFORE_PROCESSING,
    UNKNOWN_ORDER,
    UNKNOWN_PAIR,
    KrakenApiError,
    order_error,
    read_error,
)
from botctl.adapters.kraken.markets import MarketCatalog, load_cached_catalog, load_catalog
from botctl.adapters.kraken.parsing import (
    parse_balances,
    parse_candles,
    parse_client_order_id,
    parse_fills,
    parse_key_expiry,
    parse_order_count,
    parse_order_id,
    parse_order_list,
    parse_order_record,
    parse_order_report,
    parse_order_reports,
    parse_quotes,
)
from botctl.adapters.kraken.session import KrakenSession
from botctl.adapters.kraken.transport import PendingCall
from botctl.adapters.retry import NotProcessed, repeat_read, repeat_unprocessed
from botctl.domain.candles import Candle
from botctl.domain.errors import BotError, ExchangeBusy, ExchangeUnreachable, LockedOut, OutcomeUnknown, UnusableAnswer
from botctl.domain.markets import Balances, Market, Quotes, market_of
from botctl.domain.money import format_decimal
from botctl.domain.orders import Fill, OrderRecord, OrderReport, OrderRequest
from botctl.domain.symbols import Timeframe
from botctl.domain.text import sanitize
from botctl.ports import Progress

ORDERS_A_CALL, FILLS_A_CALL = 50, 20
LOOK_UP_COST = 2.0
"""What OpenOrders, ClosedOrders and TradesHistory add to Kraken's counter; other private calls add one."""
MOST_PAGES = 5
AGED_AFTER = timedelta(seconds=5)
"""Prices that had to wait so long for the balances are asked for again: a stop is judged by what is now."""


@dataclass(frozen=True)
class _Prefetch:
    """A Ticker call that is under way, and the symbols that it asks for."""

    symbols: list[str]
    call: PendingCall


class KrakenMarketData:
    """Kraken's public side: enough for paper trading."""

    def __init__(self, session: Callable[[], KrakenSession]) -> None:
        self._make_wire = session
        self._session: KrakenSession | None = None
        self._catalog: MarketCatalog | None = None
        self._prefetch: _Prefetch | None = None

    @property
    def session(self) -> KrakenSession:
        """Made at the first call, so that a run without one never loads ccxt."""
        if self._session is None:
            self._session = self._make_wire()
        return self._session

    @property
    def catalog(self) -> MarketCatalog:
        """The markets, loaded at the first use."""
        if self._catalog is None:
            self._catalog = load_catalog(self.session)
        return self._catalog

    def load_markets(self) -> Mapping[str, Market]:
        return self.catalog.markets

    def prefetch_quotes(self, symbols: Sequence[str]) -> None:
        """Send the Ticker call now, so that its answer comes while other calls are made.

        Only a first try: where it fails, `fetch_quotes` repeats it. While no markets are known nothing is sent: they
        come first.
        """
        if self._catalog is None:
            self._catalog = load_cached_catalog()
        known = self._known(symbols) if self._catalog is not None else []
        if known:
            self._prefetch = _Prefetch(known, self.session.begin("Ticker", {"pair": self._names(known)}))

    def fetch_quotes(self, symbols: Sequence[str]) -> Quotes:
        """One Ticker call. One unknown name fails the whole of it at Kraken, so then each symbol is asked alone."""
        known = self._known(symbols)
        bad = Quotes({}, {symbol: "is no market on Kraken" for symbol in symbols if symbol not in self.catalog.markets})
        if not known:  # an empty list would fetch every market there is
            return bad
        try:
            tickers, at = self._fetch_tickers(known)
        except KrakenApiError as api_error:
            if len(known) == 1 or not api_error.mentions(UNKNOWN_PAIR):
                return _merge(bad, Quotes({}, dict.fromkeys(known, str(api_error))))
            return _merge(bad, *(self.fetch_quotes([symbol]) for symbol in known))
        return _merge(bad, parse_quotes(tickers, known, at))

    def _known(self, symbols: Sequence[str]) -> list[str]:
        return [symbol for symbol in dict.fromkeys(symbols) if symbol in self.catalog.markets]

    def _names(self, symbols: Sequence[str]) -> str:
        return ",".join(self.catalog.markets[symbol].exchange_id for symbol in symbols)

    def _take_prefetched(self, symbols: Sequence[str]) -> PendingCall | None:
        """The call under way, if it asks for these very symbols. It serves once."""
        prefetch, self._prefetch = self._prefetch, None
        return prefetch.call if prefetch is not None and prefetch.symbols == symbols else None

    def _fetch_tickers(self, symbols: Sequence[str]) -> tuple[dict[str, Any], datetime]:
        """What Kraken says of each symbol, and when its answer came."""
        params = {"pair": self._names(symbols)}

        def call() -> tuple[dict[str, Any], datetime]:
            prefetched = self._take_prefetched(symbols)
            try:
                answer, at = self._ask_ticker(params) if prefetched is None else prefetched.result()
                if datetime.now(UTC) - at > AGED_AFTER:
                    with suppress(BotError, KrakenApiError):  # then the older ones serve
                        answer, at = self._ask_ticker(params)
            except KrakenApiError as api_error:
                if api_error.mentions(UNKNOWN_PAIR):
                    raise
                raise read_error(api_error) from api_error
            return {self.catalog.symbols.get(name, name): ticker for name, ticker in answer.items()}, at

        return repeat_read(call)

    def _ask_ticker(self, params: Mapping[str, str]) -> tuple[Mapping[str, Any], datetime]:
        return self.session.get("Ticker", params), datetime.now(UTC)

    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        """Up to 719 closed candles. The last row is always the running one, and is dropped."""
        market = market_of(self.catalog.markets, symbol)
        params = {"pair": market.exchange_id, "interval": str(timeframe.seconds // 60)}
        answer = self._read(lambda: self.session.get("OHLC", params))
        rows = next((value for name, value in answer.items() if self.catalog.symbols.get(name) == symbol), None)
        return parse_candles(symbol, rows)

    def count_requests(self) -> int:
        return 0 if self._session is None else self._session.requests  # asking must not load ccxt

    def _read(self, call: Callable[[], Any]) -> Any:
        """A call that is safe to repeat, with Kraken's texts turned into our errors."""

        def attempt() -> Any:
            try:
                return call()
            except KrakenApiError as api_error:
                raise read_error(api_error) from api_error

        return repeat_read(attempt)

    def fetch_system_status(self) -> str:
        """online, maintenance, cancel_only or post_only."""
        return sanitize(str(self._read(lambda: self.session.get("SystemStatus")).get("status")))


class KrakenExchange(KrakenMarketData):
    """Kraken with our money in it. Every private call must be made under the process lock."""

    def now(self, *, fresh: bool = False) -> datetime:
        now: datetime = self._read(lambda: self.session.now(fresh=fresh))
        return now

    def forget_time(self) -> None:
        self.session.forget_time()

    def fetch_balances(self) -> Balances:
        answer = self._read(lambda: self.session.post("BalanceEx"))
        return parse_balances(answer, self.catalog.currency)

    def add_order(self, request: OrderRequest, *, validate: bool = False) -> str | None:
        """One AddOrder. The same order leaves again only after a refusal that came before processing."""
        market = market_of(self.catalog.markets, request.symbol)
        params = {
            "pair": market.exchange_id,
            "type": request.side.value,
            "ordertype": "market",
            "volume": format_decimal(request.amount),
            "oflags": "fciq",
            "cl_ord_id": request.client_order_id,
            "deadline": request.deadline.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if validate:
            params["validate"] = "true"

        answer = repeat_unprocessed(partial(self._send_order, params))
        return None if validate else parse_order_id(answer)

    def _send_order(self, params: Mapping[str, str]) -> Mapping[str, Any]:
        """Kraken's answer to one AddOrder, or what its absence or refusal means. Raises NotProcessed as well."""
        try:
            answer: Mapping[str, Any] = self.session.post("AddOrder", params, cost=0)
        except LockedOut as error:  # ours, before a byte left
            raise ExchangeBusy(error.message, hint=error.hint) from error
        except ExchangeUnreachable as error:
            raise OutcomeUnknown(f"{error.message}; the order may exist") from error
        except KrakenApiError as api_error:
            if api_error.all_of(*BEFORE_PROCESSING) and not api_error.beside_result:
                raise NotProcessed(order_error(api_error)) from api_error
            raise order_error(api_error) from api_error
        return answer

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
        for report in (parse_order_report(txid, order) for txid, order in found.items()):
            if report.client_order_id in wanted:
                wanted[report.client_order_id].append(report)
        return wanted

    def list_orders(self, since: datetime, progress: Progress) -> list[OrderRecord]:
        """Open orders first, as in `find_orders`, then every page of ended ones."""
        still_open = self._open_orders()
        ended = self._all_closed_orders_since(since, progress)
        records = [
            parse_order_record(txid, order, self.catalog.symbols) for txid, order in {**still_open, **ended}.items()
        ]
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

    def _orders_named(self, name: str) -> dict[str, Any]:
        """What carries this client order id. What is not found counts as never placed, so the answer must be whole."""
        found = self._open_orders(cl_ord_id=name)
        ended, count = self._closed_page(cl_ord_id=name)
        found |= ended
        nameless = [txid for txid, order in found.items() if not parse_client_order_id(order)]
        if nameless or len(ended) < (count or 0):
            raise UnusableAnswer(f"Kraken's answer about the order {name} is not whole")
        return found

    def _open_orders(self, **params: str) -> dict[str, Any]:
        answer = self._read(lambda: self.session.post("OpenOrders", {**params, "trades": "true"}, cost=LOOK_UP_COST))
        return parse_order_list(answer, "open")

    def _closed_page(self, **params: str) -> tuple[dict[str, Any], int | None]:
        """One page of ended orders, and how many there are in all, where Kraken says so."""
        answer = self._read(lambda: self.session.post("ClosedOrders", {**params, "trades": "true"}, cost=LOOK_UP_COST))
        return parse_order_list(answer, "closed"), parse_order_count(answer)

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
            fills += parse_fills(self._query_trades(some))
        for report in reports:
            if report.filled > 0 and not report.fill_ids:
                fills += self._fills_from_history(report)
        return fills

    def fetch_key_info(self) -> Mapping[str, Any]:
        """What Kraken says of the key in use: its permissions, when it expires."""
        answer: Mapping[str, Any] = self._read(lambda: self.session.post("GetApiKeyInfo"))
        return answer

    def fetch_key_expiry(self) -> datetime | None:
        """When the key in use ends; None when it never does. Raises UnusableAnswer."""
        return parse_key_expiry(self.fetch_key_info())

    def _query_orders(self, ids: Sequence[str]) -> dict[str, OrderReport]:
        def attempt() -> Mapping[str, Any]:
            try:
                answer: Mapping[str, Any] = self.session.post("QueryOrders", {"txid": ",".join(ids), "trades": "true"})
            except KrakenApiError as api_error:
                if api_error.mentions(*UNKNOWN_ORDER):
                    raise
                raise read_error(api_error) from api_error
            return answer

        try:
            answer = repeat_read(attempt)
        except KrakenApiError:  # one id that Kraken does not know yet fails the whole call
            if len(ids) == 1:
                return {}
            return {txid: report for one in ids for txid, report in self._query_orders([one]).items()}
        return {txid: report for txid, report in parse_order_reports(answer).items() if txid in ids}

    def _query_trades(self, ids: Sequence[str]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._read(lambda: self.session.post("QueryTrades", {"txid": ",".join(ids)}))
        return answer

    def _fills_from_history(self, report: OrderReport) -> list[Fill]:
        """The fills of an order whose record names none: found among the account's trades since it was placed."""
        since = f"{report.opened_at.timestamp() - 1:.0f}"
        params = {"start": since, "trades": "true"}
        answer = self._read(lambda: self.session.post("TradesHistory", params, cost=LOOK_UP_COST))
        trades = answer.get("trades")
        if not isinstance(trades, dict):
            raise ExchangeUnreachable("Kraken's answer to TradesHistory has no list of trades")
        return [fill for fill in parse_fills(trades) if fill.exchange_order_id == report.exchange_order_id]


def _merge(*looks: Quotes) -> Quotes:
    good = {symbol: quote for look in looks for symbol, quote in look.good.items()}
    bad = {symbol: why for look in looks for symbol, why in look.bad.items()}
    return Quotes(good, bad)


def _chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
