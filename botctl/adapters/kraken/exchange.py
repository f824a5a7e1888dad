"""Kraken as the Exchange port: the calls behind each method, and which of them may be repeated."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import batched
from typing import Any

from botctl.adapters.kraken import open_orders, parsing
from botctl.adapters.kraken.errors import (
    BEFORE_PROCESSING,
    UNKNOWN_ORDER,
    UNKNOWN_PAIR,
    KrakenApiError,
    order_error,
    read_error,
)
from botctl.adapters.kraken.markets import (
    MarketCatalog,
    fetch_catalog,
    fetch_market_again,
    load_cached_catalog,
    load_catalog,
    without_market,
)
from botctl.adapters.kraken.open_orders import ORDERS_PER_CALL
from botctl.adapters.kraken.order_params import market_params, stop_params
from botctl.adapters.kraken.session import KrakenSession
from botctl.adapters.kraken.transport import PendingCall, Reply
from botctl.adapters.retry import NotProcessed, repeat_read, repeat_unprocessed
from botctl.domain.candles import Candle
from botctl.domain.errors import BotError, ExchangeBusy, ExchangeUnreachable, LockedOut, OutcomeUnknown, UnusableAnswer
from botctl.domain.fees import PairFees
from botctl.domain.freshness import is_fresh
from botctl.domain.markets import Balances, Market, Quotes, market_of
from botctl.domain.money import total
from botctl.domain.orders import Fill, FillRecord, OrderRecord, OrderReport, OrderRequest, StopRequest
from botctl.domain.symbols import Timeframe
from botctl.domain.text import sanitize
from botctl.ports import ApiKey, Progress

FILLS_PER_CALL = 20
HISTORY_COST = 2.0
"""What OpenOrders, ClosedOrders and TradesHistory add to Kraken's rate counter; other private calls add one."""
MAX_PAGES = 5
HISTORY_MARGIN = timedelta(minutes=10)
"""Fills of an order are searched until so long after its record says that it ended."""
MAX_QUOTE_AGE = timedelta(seconds=5)
"""Prices that waited longer for the balances are fetched again: stops are compared with current prices."""
NO_MARKET = "is not a market of Kraken"


class KrakenMarketData:
    """Kraken's public endpoints: all that paper trading needs."""

    def __init__(self, open_session: Callable[[], KrakenSession]) -> None:
        self._open_session = open_session
        self._session: KrakenSession | None = None
        self._catalog: MarketCatalog | None = None
        self._prefetched: tuple[list[str], PendingCall] | None = None
        self._asked_again: set[str] = set()
        self._refetched = False

    @property
    def session(self) -> KrakenSession:
        """Opened at the first call, so that a run without one never loads ccxt."""
        if self._session is None:
            self._session = self._open_session()
        return self._session

    @property
    def catalog(self) -> MarketCatalog:
        if self._catalog is None:
            self._catalog = load_catalog(self.session)
        return self._catalog

    def load_markets(self) -> Mapping[str, Market]:
        return self.catalog.markets

    def prefetch_quotes(self, symbols: Sequence[str]) -> None:
        """Send the Ticker call now, during other calls; `fetch_quotes` repeats it if it fails. Needs cached markets."""
        if self._catalog is None:
            self._catalog = load_cached_catalog()
        listed = self._listed(symbols) if self._catalog is not None else []
        if listed:
            self._prefetched = listed, self.session.start_call("Ticker", {"pair": self._market_ids(listed)})

    def find_market(self, symbol: str) -> Market:
        """The list is at most a day old: a market that it lacks or calls closed is asked for alone, once a run."""
        market = self.catalog.markets.get(symbol)
        if (market is None or not market.tradable) and symbol not in self._asked_again:
            try:
                self._catalog = fetch_market_again(self.session, self.catalog, symbol)
            except BotError:
                if market is None:
                    raise
            self._asked_again.add(symbol)
        return market_of(self.catalog.markets, symbol)

    def fetch_quotes(self, symbols: Sequence[str]) -> Quotes:
        """One Ticker call. If Kraken refuses it because of an unknown name, the others are asked for without that."""
        listed = self._listed(symbols)
        bad = Quotes({}, {symbol: NO_MARKET for symbol in symbols if symbol not in listed})
        if not listed:  # an empty list would fetch all markets
            return bad
        try:
            tickers, reply = self._read(lambda: self._fetch_tickers(listed), unless=(UNKNOWN_PAIR,))
        except KrakenApiError:
            return _merge(bad, self._fetch_without_unknown(listed))
        gap = self.session.date_gap(reply)
        seen_at = None if reply.date is None else reply.date - gap
        return _merge(bad, parsing.parse_quotes(tickers, listed, reply.sent_at, date_gap=gap, seen_at=seen_at))

    def _fetch_without_unknown(self, symbols: Sequence[str]) -> Quotes:
        """The quotes of these symbols, at least one of which Kraken does not know: of those that a new list of its
        markets has, else of each alone. What is unknown is taken off the list, so that later runs don't ask for it."""
        if len(symbols) == 1:
            self._catalog = without_market(self.catalog, symbols[0])
            return Quotes({}, dict.fromkeys(symbols, NO_MARKET))
        if not self._refetched:
            self._refetched = True
            self._catalog = fetch_catalog(self.session)
            if len(self._listed(symbols)) < len(symbols):
                return self.fetch_quotes(symbols)
        return _merge(*(self.fetch_quotes([symbol]) for symbol in symbols))

    def _listed(self, symbols: Sequence[str]) -> list[str]:
        return [symbol for symbol in dict.fromkeys(symbols) if symbol in self.catalog.markets]

    def _market_ids(self, symbols: Sequence[str]) -> str:
        return ",".join(self.catalog.markets[symbol].exchange_id for symbol in symbols)

    def _fetch_tickers(self, symbols: Sequence[str]) -> tuple[dict[str, Any], Reply]:
        """Tickers by symbol, and the answer they came in."""
        params = {"pair": self._market_ids(symbols)}
        prefetched, self._prefetched = self._prefetched, None
        usable = prefetched is not None and prefetched[0] == symbols
        answer, reply = prefetched[1].result() if prefetched and usable else self._call_ticker(params)
        if not is_fresh(reply.sent_at, datetime.now(UTC), MAX_QUOTE_AGE):
            with suppress(BotError, KrakenApiError):  # use the older ones
                answer, reply = self._call_ticker(params)
        return {self.catalog.symbols.get(name, name): ticker for name, ticker in answer.items()}, reply

    def _call_ticker(self, params: Mapping[str, str]) -> tuple[Mapping[str, Any], Reply]:
        return self.session.get_with_reply("Ticker", params)

    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        """Up to 719 closed candles. Kraken's last row is always the running candle and is dropped."""
        return parsing.parse_candles(symbol, self._fetch_candle_rows(symbol, timeframe))

    def fetch_running_candle(self, symbol: str, timeframe: Timeframe) -> Candle:
        since = datetime.now(UTC) - timedelta(seconds=timeframe.seconds)  # Kraken adds the running candle in any case
        rows = self._fetch_candle_rows(symbol, timeframe, since=f"{since.timestamp():.0f}")
        return parsing.parse_running_candle(symbol, rows)

    def _fetch_candle_rows(self, symbol: str, timeframe: Timeframe, **more: str) -> Any:
        market = self.catalog.markets.get(symbol) or self.find_market(symbol)
        params = {"pair": market.exchange_id, "interval": str(timeframe.seconds // 60), **more}
        answer = self._read(lambda: self.session.get("OHLC", params))
        return next((value for name, value in answer.items() if self.catalog.symbols.get(name) == symbol), None)

    def count_requests(self) -> int:
        return 0 if self._session is None else self._session.requests  # must not load ccxt

    def _read(self, call: Callable[[], Any], *, unless: tuple[str, ...] = ()) -> Any:
        """Repeat a call that is safe to repeat, and translate Kraken's errors `unless` they begin like this."""

        def attempt() -> Any:
            try:
                return call()
            except KrakenApiError as api_error:
                if api_error.mentions(*unless):
                    raise
                raise read_error(api_error) from api_error

        return attempt() if self.session.hasty else repeat_read(attempt)

    def fetch_system_status(self) -> str:
        """online, maintenance, cancel_only or post_only."""
        return sanitize(str(self._read(lambda: self.session.get("SystemStatus")).get("status")))


class KrakenExchange(KrakenMarketData):
    """Kraken with an account. Private calls must be made under the process lock."""

    def now(self, *, fresh: bool = False) -> datetime:
        now: datetime = self._read(lambda: self.session.now(fresh=fresh))
        return now

    def forget_time(self) -> None:
        self.session.forget_time()

    def fetch_balances(self) -> Balances:
        with self.session.using_reserve():
            answer = self._read(lambda: self.session.post("BalanceEx"))
        return parsing.parse_balances(answer, self.catalog.currency)

    def add_order(self, request: OrderRequest, *, validate: bool = False) -> str | None:
        """One AddOrder, repeated only after a refusal before processing."""
        market = market_of(self.catalog.markets, request.symbol)
        params = market_params(request, market)
        if validate:
            params["validate"] = "true"
        answer = repeat_unprocessed(partial(self._send_order, params))
        return None if validate else parsing.parse_order_id(answer)

    def _send_order(self, params: Mapping[str, str]) -> Mapping[str, Any]:
        """Kraken's answer to one AddOrder. Raises NotProcessed, or the error for a refusal or a missing answer."""
        try:
            answer: Mapping[str, Any] = self.session.post("AddOrder", params, cost=0)
        except LockedOut as error:  # raised by the session: nothing was sent
            raise ExchangeBusy(error.message, hint=error.hint) from error
        except ExchangeUnreachable as error:
            raise OutcomeUnknown(f"{error.message}; the order may exist") from error
        except KrakenApiError as api_error:
            if api_error.all_of(*BEFORE_PROCESSING) and not api_error.beside_result:
                raise NotProcessed(order_error(api_error)) from api_error
            raise order_error(api_error) from api_error
        return answer

    def add_stop(self, request: StopRequest) -> str:
        market = market_of(self.catalog.markets, request.symbol)
        return parsing.parse_order_id(repeat_unprocessed(partial(self._send_order, stop_params(request, market))))

    def amend_stop(self, client_order_id: str, trigger: Decimal, amount: Decimal) -> None:
        open_orders.amend_stop(self.session, self._read, client_order_id, trigger, amount)

    def cancel_orders(self, client_order_ids: Sequence[str]) -> bool:
        return open_orders.cancel_orders(self.session, self._read, client_order_ids)

    def in_haste(self) -> AbstractContextManager[None]:
        return self.session.in_haste()

    def list_open_orders(self, *, urgent: bool = False) -> list[OrderRecord]:
        with self.session.using_reserve(urgent):
            return open_orders.read_open_orders(self._open_orders(), self.catalog.symbols)

    def fetch_orders(self, exchange_order_ids: Sequence[str], *, urgent: bool = False) -> dict[str, OrderReport]:
        reports: dict[str, OrderReport] = {}
        with self.session.using_reserve(urgent):
            for ids in batched(exchange_order_ids, ORDERS_PER_CALL):
                reports |= self._query_orders(ids)
        return reports

    def find_orders(
        self, client_order_ids: Sequence[str], since: datetime, *, urgent: bool = False
    ) -> dict[str, list[OrderReport]]:
        """Open orders first: an order moves from open to closed, never back, so none is missed between the calls."""
        with self.session.using_reserve(urgent):
            return self._find_orders(client_order_ids, since)

    def _find_orders(self, client_order_ids: Sequence[str], since: datetime) -> dict[str, list[OrderReport]]:
        # Several are looked up among all orders: one query for each would exhaust Kraken's rate counter after four.
        found = self._orders_since(since) if len(client_order_ids) > 1 else None
        if found is None:
            found = {}
            for client_order_id in client_order_ids:
                found |= self._query_client_order_id(client_order_id)
        reports: dict[str, list[OrderReport]] = {client_order_id: [] for client_order_id in client_order_ids}
        for report in (parsing.parse_order_report(txid, order) for txid, order in found.items()):
            if report.client_order_id in reports:
                reports[report.client_order_id].append(report)
        return reports

    def list_orders(self, since: datetime, progress: Progress) -> list[OrderRecord]:
        """Open orders first, as in `find_orders`, then every page of ended ones."""
        orders = self._open_orders() | self._all_closed_orders_since(since, progress)
        records = [parsing.parse_order_record(txid, order, self.catalog.symbols) for txid, order in orders.items()]
        return sorted(records, key=lambda record: record.report.opened_at)

    def list_newest_orders(self, *, with_open: bool) -> list[OrderRecord]:
        """Open orders first, as in `find_orders`, then the first page of ended ones."""
        orders = self._open_orders() if with_open else {}
        ended, count = self._closed_page()
        if count is not None and len(ended) < min(count, ORDERS_PER_CALL):
            raise UnusableAnswer(f"Kraken's page of ended orders is incomplete: {len(ended)} of {count}")
        records = [
            parsing.parse_order_record(txid, order, self.catalog.symbols) for txid, order in (orders | ended).items()
        ]
        return sorted(records, key=lambda record: record.report.opened_at)

    def _all_closed_orders_since(self, since: datetime, progress: Progress) -> dict[str, Any]:
        """All pages. An order that ends meanwhile shifts every page by one; then the counts don't match."""
        offset = 0
        found: dict[str, Any] = {}
        while True:
            orders, count = self._closed_page(start=_start(since), ofs=str(offset))
            new = orders.keys() - found.keys()
            found |= orders
            progress(len(found), count)
            if len(found) == count or (not orders and len(found) >= (count or 0)):
                return found
            if not new:
                raise ExchangeUnreachable(
                    f"Kraken's pages of ended orders don't match: {len(found)} received of {count or 'more'}",
                    hint="an order may have ended meanwhile: try again",
                )
            offset += ORDERS_PER_CALL

    def _query_client_order_id(self, client_order_id: str) -> dict[str, Any]:
        """The orders with this id. A missing one counts as never placed, so the answer must be complete."""
        found = self._open_orders(cl_ord_id=client_order_id)
        ended, count = self._closed_page(cl_ord_id=client_order_id)
        found |= ended
        if len(ended) < (count or 0) or not all(
            isinstance(order, dict) and order.get("cl_ord_id") for order in found.values()
        ):
            raise UnusableAnswer(f"Kraken's answer about the order {client_order_id} is incomplete")
        return found

    def _open_orders(self, **params: str) -> dict[str, Any]:
        answer = self._read(lambda: self.session.post("OpenOrders", {**params, "trades": "true"}, cost=HISTORY_COST))
        return parsing.parse_order_list(answer, "open")

    def _closed_page(self, **params: str) -> tuple[dict[str, Any], int | None]:
        """One page of ended orders, and the total number of them if Kraken reports it."""
        answer = self._read(lambda: self.session.post("ClosedOrders", {**params, "trades": "true"}, cost=HISTORY_COST))
        return parsing.parse_order_list(answer, "closed"), parsing.parse_order_count(answer)

    def _orders_since(self, since: datetime) -> dict[str, Any] | None:
        """All open and ended orders, or None if there are too many pages: only a complete list proves absence."""
        still_open = self._open_orders()
        ended: dict[str, Any] = {}
        for page in range(MAX_PAGES):
            orders, count = self._closed_page(start=_start(since), ofs=str(page * ORDERS_PER_CALL))
            ended |= orders
            # Without a count only an empty page is the end: the first page might not be all.
            if not orders or (count is not None and len(ended) >= count):
                return still_open | ended
        return None

    def fetch_fills(self, reports: Sequence[OrderReport], *, urgent: bool = False) -> list[Fill]:
        with self.session.using_reserve(urgent):
            return self._fetch_fills(reports)

    def _fetch_fills(self, reports: Sequence[OrderReport]) -> list[Fill]:
        fill_ids = [fill_id for report in reports for fill_id in report.fill_ids]
        fills: list[Fill] = []
        for ids in batched(fill_ids, FILLS_PER_CALL):
            fills += parsing.parse_fills(self._read(partial(self.session.post, "QueryTrades", {"txid": ",".join(ids)})))
        for report in reports:
            if not report.filled or not _adds_up(report, fills):
                found = {fill.fill_id for fill in fills}
                fills += [fill for fill in self._fills_from_history(report) if fill.fill_id not in found]
        return fills

    def list_fills(self, since: datetime) -> list[FillRecord]:
        """Every page of TradesHistory. A fill meanwhile shifts the pages: then the counts don't match."""
        found: dict[str, Any] = {}
        while True:
            params = {"start": _start(since), "ofs": str(len(found))}
            answer = self._read(partial(self.session.post, "TradesHistory", params, cost=HISTORY_COST))
            page, count = parsing.parse_order_list(answer, "trades"), parsing.parse_order_count(answer)
            new = page.keys() - found.keys()
            found |= page
            if len(found) == count or not page:
                break
            if not new:
                raise ExchangeUnreachable(f"Kraken's pages of trades don't match: {len(found)} of {count or 'more'}")
        if count is not None and len(found) < count:
            raise ExchangeUnreachable(f"Kraken's list of trades is incomplete: {len(found)} of {count}")
        records = [parsing.parse_fill_record(txid, trade, self.catalog.symbols) for txid, trade in found.items()]
        return sorted(records, key=lambda record: record.fill.at)

    def fetch_key_info(self) -> Mapping[str, Any]:
        """The permissions and the expiry of the API key, as Kraken returns them."""
        answer: Mapping[str, Any] = self._read(lambda: self.session.post("GetApiKeyInfo"))
        return answer

    def fetch_api_key(self) -> ApiKey:
        """One request, not repeated: it is made once a day, and its failure changes nothing."""
        try:
            return parsing.parse_api_key(self.session.post("GetApiKeyInfo"))
        except KrakenApiError as api_error:
            raise read_error(api_error) from api_error

    def fetch_fees(self, symbols: Sequence[str]) -> dict[str, PairFees]:
        """One request, not repeated, as `fetch_api_key`. Markets that the list lacks would fail it for all."""
        listed = self._listed(symbols)
        if not listed:
            return {}
        try:
            answer = self.session.post("TradeVolume", {"pair": self._market_ids(listed)})
        except KrakenApiError as api_error:
            raise read_error(api_error) from api_error
        return parsing.parse_fees(answer, self.catalog.symbols)

    def _query_orders(self, ids: Sequence[str]) -> dict[str, OrderReport]:
        params = {"txid": ",".join(ids), "trades": "true"}
        try:
            answer = self._read(lambda: self.session.post("QueryOrders", params), unless=UNKNOWN_ORDER)
        except KrakenApiError:  # one id that is not known to Kraken yet fails the whole call
            if len(ids) == 1:
                return {}
            return {txid: report for one in ids for txid, report in self._query_orders([one]).items()}
        return {txid: report for txid, report in parsing.parse_order_reports(answer).items() if txid in ids}

    def _fills_from_history(self, report: OrderReport) -> list[Fill]:
        """The fills of an order among all trades of the account while it was open.

        Raises ExchangeUnreachable rather than use an incomplete list: it may prove that nothing was filled.
        """
        params = {"start": _start(report.opened_at), "trades": "true"}
        if report.closed_at is not None:
            params["end"] = f"{(report.closed_at + HISTORY_MARGIN).timestamp():.0f}"
        found: dict[str, Any] = {}
        for page in range(MAX_PAGES):
            page_params = {**params, "ofs": str(page * ORDERS_PER_CALL)}
            answer = self._read(partial(self.session.post, "TradesHistory", page_params, cost=HISTORY_COST))
            trades, count = parsing.parse_order_list(answer, "trades"), parsing.parse_order_count(answer)
            found |= trades
            if not trades or (count is not None and len(found) >= count):
                fills = parsing.parse_fills(found)
                return [fill for fill in fills if fill.exchange_order_id == report.exchange_order_id]
        raise ExchangeUnreachable(f"Kraken lists more than {len(found)} trades around {report.exchange_order_id}")


def _adds_up(report: OrderReport, fills: Sequence[Fill]) -> bool:
    own = [fill.amount for fill in fills if fill.exchange_order_id == report.exchange_order_id]
    return total(own) == report.filled


def _start(since: datetime) -> str:
    """Kraken's `start` parameter, which excludes its own second."""
    return f"{since.timestamp() - 1:.0f}"


def _merge(*several: Quotes) -> Quotes:
    good = {symbol: quote for quotes in several for symbol, quote in quotes.good.items()}
    bad = {symbol: problem for quotes in several for symbol, problem in quotes.bad.items()}
    return Quotes(good, bad)
