"""Kraken's markets and its names of currencies, cached in the database for a day."""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from botctl.adapters.kraken.errors import UNKNOWN_PAIR, KrakenApiError, read_error
from botctl.adapters.kraken.session import KrakenSession
from botctl.adapters.retry import repeat_read
from botctl.domain.errors import BotError, ExchangeUnreachable
from botctl.domain.freshness import is_fresh
from botctl.domain.markets import Market
from botctl.domain.money import MAX_AMOUNT, to_decimal
from botctl.domain.serialization import parse_json
from botctl.domain.symbols import ASSET_ALIASES
from botctl.domain.text import sanitize
from botctl.store import key_value
from botctl.store.evidence.price_decimals import save_price_decimals

log = logging.getLogger(__name__)

MAX_CACHE_AGE = timedelta(days=1)
MAX_INCOMPLETE_AGE = timedelta(minutes=10)
"""An answer that lacks a market is cached only this long: the market may have an open position."""
UNLISTED = "unlisted"
"""The status of a market that Kraken lists no more. It can't be traded; its row still names old orders and balances."""
LOT_DECIMALS = range(31)
CACHE_KEY = "kraken.markets"
NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
WSNAME = re.compile(rf"{NAME.pattern}/{NAME.pattern}")
FORM = re.compile(r"^(?P<name>[A-Za-z0-9]+)\.(?P<form>[FBMSPT]|HOLD)$")
"""Balance keys of assets that earn, are staked or on hold: XBT.F, DOT.S, USD.HOLD, and with a term in days DOT28.S."""

OLD_IDS = {
    **{f"X{name}": name for name in ("XBT", "ETH", "XRP", "LTC", "XLM", "XMR", "ZEC", "ETC", "REP", "MLN")},
    "XXDG": "XDG",
    **{f"Z{name}": name for name in ("USD", "EUR", "GBP", "CAD", "AUD", "JPY")},
}
"""Kraken's ids of old assets, for balances of assets without a market; the other ids are in AssetPairs."""
ALTNAMES = {name: altname for altname, name in ASSET_ALIASES.items()}
Row = list[Any]
"""What botctl uses of a market in AssetPairs; the status is the last column."""
PRICE_DECIMALS = 6
"""The column of the decimals of its prices."""


@dataclass(frozen=True)
class MarketCatalog:
    """All markets by symbol, and all names that Kraken uses for a market or a currency."""

    rows: Sequence[Row]
    markets: Mapping[str, Market]
    symbols: Mapping[str, str]
    """Market id, altname or wsname to symbol."""
    currencies: Mapping[str, str]
    """Asset id or altname to our name."""

    def currency(self, key: str) -> tuple[str, str]:
        """A balance key as our currency name and the form: XXBT -> (BTC, ''), DOT28.S -> (DOT, 'S')."""
        match = FORM.match(key)
        name, form = (match["name"], match["form"]) if match else (key, "")
        without_term = re.sub(r"\d+$", "", name)
        if form and name not in self.currencies and without_term in self.currencies:
            name = without_term
        name = self.currencies.get(name, OLD_IDS.get(name, name))
        return sanitize(ASSET_ALIASES.get(name, name), 40), form


def load_cached_catalog() -> MarketCatalog | None:
    cached = _load_cached()
    return cached[0] if cached and is_fresh(cached[1], datetime.now(UTC), MAX_CACHE_AGE) else None


def _load_cached() -> tuple[MarketCatalog, datetime] | None:
    """The stored list, however old; None without one that can be read."""
    return key_value.load_parsed(CACHE_KEY, lambda text: _catalog([_checked(row) for row in parse_json(text)]))


def _checked(row: Row) -> Row:
    """A stored row. Raises TypeError or ValueError for one of another shape."""
    market_id, altname, wsname, base, quote, lot, price, min_amount, min_cost, status = row
    texts = (market_id, altname, wsname, base, quote, min_amount, min_cost, status)
    minima = to_decimal(min_amount), to_decimal(min_cost)
    if not all(isinstance(each, str) for each in texts) or wsname.count("/") != 1 or min(minima) < 0:
        raise ValueError(f"{row!r:.100} is not a market")
    if lot not in LOT_DECIMALS or price not in LOT_DECIMALS:
        raise ValueError(f"{row!r:.100} has no usable decimals")
    return row


def load_catalog(session: KrakenSession) -> MarketCatalog:
    """The cached markets, fetched again once a day. An older cache is used while Kraken is unavailable."""
    cached = load_cached_catalog()
    return fetch_catalog(session) if cached is None else cached


def fetch_catalog(session: KrakenSession) -> MarketCatalog:
    """All markets, asked for now; an older cache while Kraken is unavailable."""
    cached = _load_cached()
    try:
        # With a cache one attempt is enough: stops wait for this call.
        rows, unread = _rows(_fetch_pairs(session) if cached else repeat_read(lambda: _fetch_pairs(session)))
    except BotError:
        if not cached:
            raise
        log.warning("Kraken's markets are unavailable; using those of %s", cached[1].date())
        return cached[0]
    names = {row[2] for row in rows}
    lost = [row for row in cached[0].rows if row[2] not in names] if cached else []
    incomplete = any(row[-1] != UNLISTED for row in lost) if cached else unread
    fetched_at = datetime.now(UTC) - MAX_CACHE_AGE + MAX_INCOMPLETE_AGE if incomplete else None
    return _save([*rows, *map(_unlisted, lost)], fetched_at)


def fetch_market_again(session: KrakenSession, catalog: MarketCatalog, symbol: str) -> MarketCatalog:
    """The markets with this one as Kraken lists it now. It is asked for alone, and the others keep their age.

    Raises ExchangeUnreachable without a usable answer, which proves nothing.
    """
    known = next((row for row in catalog.rows if _symbol_of(row) == symbol), None)
    name = "".join(ALTNAMES.get(part, part) for part in symbol.split("/")) if known is None else known[0]
    try:
        rows = repeat_read(lambda: _rows(_fetch_pairs(session, pair=name)))[0]
    except KrakenApiError:  # the pair is unknown
        rows = []
    new = {row[2] for row in rows}
    others = [row for row in catalog.rows if row is not known and row[2] not in new]
    gone = [_unlisted(known)] if known is not None and known[2] not in new else []
    return _save_keeping_age(catalog, [*others, *rows, *gone])


def without_market(catalog: MarketCatalog, symbol: str) -> MarketCatalog:
    """The markets after Kraken refused this one as unknown."""
    return _save_keeping_age(catalog, [_unlisted(row) if _symbol_of(row) == symbol else row for row in catalog.rows])


def _save_keeping_age(before: MarketCatalog, rows: Sequence[Row]) -> MarketCatalog:
    if sorted(rows) == sorted(before.rows):
        return before
    cached = key_value.load_cached(CACHE_KEY)
    return _save(rows, cached[1] if cached else None)


def _save(rows: Sequence[Row], at: datetime | None) -> MarketCatalog:
    key_value.save_cached(CACHE_KEY, json.dumps(rows), at)
    save_price_decimals({_symbol_of(row): row[PRICE_DECIMALS] for row in rows})
    return _catalog(rows)


def _unlisted(row: Row) -> Row:
    return [*row[:-1], UNLISTED]


def _symbol_of(row: Row) -> str:
    return "/".join(ASSET_ALIASES.get(name, name) for name in row[2].split("/"))


def _fetch_pairs(session: KrakenSession, *, pair: str | None = None) -> Mapping[str, Any]:
    """All pairs, or one. Raises KrakenApiError if that one is unknown."""
    try:
        pairs: Mapping[str, Any] = session.get("AssetPairs", None if pair is None else {"pair": pair})
    except KrakenApiError as api_error:
        if pair is not None and api_error.all_of(UNKNOWN_PAIR):
            raise
        raise read_error(api_error) from api_error
    if not pairs:
        raise ExchangeUnreachable("Kraken's answer to AssetPairs contains no market")
    return pairs


def _rows(pairs: Mapping[str, Any]) -> tuple[list[Row], int]:
    """What botctl uses of AssetPairs, as lists to keep the JSON small, and the number of unreadable markets."""
    rows: dict[str, Row] = {}
    unread = 0
    for market_id, pair in pairs.items():
        try:
            if market_id.endswith(".d"):  # dark pools accept no market orders
                continue
            row = _row(market_id, pair)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("market %s can't be read: %s", sanitize(market_id, 40), error)
            unread += 1
            continue
        wsname = row[2]
        if wsname in rows:  # an order for one of them must never go to the other
            raise ExchangeUnreachable(f"Kraken's answer to AssetPairs has two markets {wsname}")
        rows[wsname] = row
    if not rows:
        raise ExchangeUnreachable("Kraken's answer to AssetPairs contains no readable market")
    return list(rows.values()), unread


def _row(market_id: str, pair: Mapping[str, Any]) -> Row:
    """One market. Raises AttributeError, KeyError, TypeError or ValueError."""
    base, quote, altname = (_name(pair[key]) for key in ("base", "quote", "altname"))
    wsname = pair.get("wsname") or "/".join(OLD_IDS.get(name, name) for name in (base, quote))
    if not isinstance(wsname, str) or not WSNAME.fullmatch(wsname):
        raise ValueError(f"{wsname!r:.40} is not the name of a market")
    minima = [to_decimal(pair.get(key, "0")) for key in ("ordermin", "costmin")]
    lot, price = int(pair["lot_decimals"]), int(pair["pair_decimals"])
    if min(minima) < 0 or max(minima) >= MAX_AMOUNT or lot not in LOT_DECIMALS:
        raise ValueError(f"lot decimals {lot}, order minimum {minima[0]}, cost minimum {minima[1]}")
    status = str(pair.get("status", "online"))
    return [_name(market_id), altname, wsname, base, quote, lot, price, *map(str, minima), status]


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r:.40} is not a name")
    return value


class _Markets(Mapping[str, Market]):
    """All markets by symbol, each parsed at its first use: a run needs few of them."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self._rows = rows
        self._parsed: dict[str, Market] = {}

    def __getitem__(self, symbol: str) -> Market:
        if symbol not in self._parsed:
            market_id, _, _, _, _, lot, price, min_amount, min_cost, status = self._rows[symbol]
            base, quote = symbol.split("/")
            minima = Decimal(min_amount), Decimal(min_cost)
            self._parsed[symbol] = Market(symbol, base, quote, market_id, lot, price, *minima, status)
        return self._parsed[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _catalog(rows: Sequence[Row]) -> MarketCatalog:
    markets: dict[str, Row] = {}
    symbols: dict[str, str] = {}
    currencies: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row[-1] != UNLISTED):  # a market that is listed has the last word on a name
        market_id, altname, wsname, base_id, quote_id = row[:5]
        base_name, quote_name = wsname.split("/")
        base, quote = (ASSET_ALIASES.get(name, name) for name in (base_name, quote_name))
        symbol = f"{base}/{quote}"
        if row[-1] != UNLISTED:
            markets[symbol] = row
        symbols[market_id] = symbols[altname] = symbols[wsname] = symbols[symbol] = symbol
        currencies[base_id] = currencies[base_name] = base
        currencies[quote_id] = currencies[quote_name] = quote
    return MarketCatalog(rows, _Markets(markets), symbols, currencies)
