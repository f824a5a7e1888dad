"""Kraken's names: which markets there are, and what its balance keys mean. Kept in the database for a day."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from botctl.adapters.kraken.errors import KrakenApiError, read_error
from botctl.adapters.kraken.session import KrakenSession
from botctl.adapters.retry import repeat_read
from botctl.domain.errors import BotError, ExchangeUnreachable
from botctl.domain.markets import Market
from botctl.domain.money import MAX_AMOUNT, to_decimal
from botctl.domain.symbols import OLD_NAMES
from botctl.domain.text import sanitize
from botctl.store import key_value

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(days=1)
DOUBTED_FOR = timedelta(minutes=10)
"""How long an answer is kept that lacks a market: it may be one with an open position."""
LOT_DECIMALS = range(31)
MARKETS = "kraken.markets"
NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
WSNAME = re.compile(rf"{NAME.pattern}/{NAME.pattern}")
FORM = re.compile(r"^(?P<name>[A-Z0-9]+)\.(?P<form>[FBMSP])$")
"""Balance keys of coins that earn or are staked: XBT.F, DOT.S, and with a term in days DOT28.S."""

OLD_IDS = {
    **{f"X{name}": name for name in ("XBT", "ETH", "XRP", "LTC", "XLM", "XMR", "ZEC", "ETC", "REP", "MLN")},
    "XXDG": "XDG",
    **{f"Z{name}": name for name in ("USD", "EUR", "GBP", "CAD", "AUD", "JPY")},
}
"""Ids of old assets. Markets name most of them; this is for a balance without any market of its own."""


@dataclass(frozen=True)
class MarketCatalog:
    """All markets by symbol, and every name that Kraken uses for a market or a currency."""

    markets: Mapping[str, Market]
    symbols: Mapping[str, str]
    """Market id, altname or wsname to symbol."""
    currencies: Mapping[str, str]
    """Asset id or altname to our name."""

    def currency(self, key: str) -> tuple[str, str]:
        """A balance key as our currency name and its form: XXBT -> (BTC, ''), DOT28.S -> (DOT, 'S')."""
        match = FORM.match(key)
        name, form = (match["name"], match["form"]) if match else (key, "")
        without_term = re.sub(r"\d{2}$", "", name)
        if form and name not in self.currencies and without_term in self.currencies:
            name = without_term
        name = self.currencies.get(name, OLD_IDS.get(name, name))
        return sanitize(OLD_NAMES.get(name, name), 40), form


def load_cached_catalog() -> MarketCatalog | None:
    """The markets as kept in the database, if they are of today."""
    kept = key_value.load_cached(MARKETS)
    return _catalog(json.loads(kept[0])) if kept and datetime.now(UTC) - kept[1] < KEPT_FOR else None


def load_catalog(session: KrakenSession) -> MarketCatalog:
    """The markets as kept in the database, fetched anew once a day. An older copy serves while Kraken can't be had."""
    if (catalog := load_cached_catalog()) is not None:
        return catalog
    kept = key_value.load_cached(MARKETS)
    try:
        # With an old copy at hand one try is enough: stops wait for this.
        rows, unread = _rows(_try_pairs(session) if kept else repeat_read(lambda: _try_pairs(session)))
    except BotError:
        if not kept:
            raise
        log.warning("Kraken's markets can't be had now; those of %s serve", kept[1].date())
        return _catalog(json.loads(kept[0]))
    lost = {row[0] for row in json.loads(kept[0])} - {row[0] for row in rows} if kept else unread
    key_value.save_cached(MARKETS, json.dumps(rows), datetime.now(UTC) - KEPT_FOR + DOUBTED_FOR if lost else None)
    return _catalog(rows)


def _fetch_pairs(session: KrakenSession) -> Mapping[str, Any]:
    pairs: Mapping[str, Any] = session.get("AssetPairs")
    if not pairs:
        raise ExchangeUnreachable("Kraken's answer to AssetPairs names no market")
    return pairs


def _try_pairs(session: KrakenSession) -> Mapping[str, Any]:
    try:
        return _fetch_pairs(session)
    except KrakenApiError as api_error:
        raise read_error(api_error) from api_error


def _rows(pairs: Mapping[str, Any]) -> tuple[list[list[Any]], int]:
    """AssetPairs cut to what botctl uses, as lists that json keeps small; and how many could not be read."""
    rows: dict[str, list[Any]] = {}
    unread = 0
    for market_id, pair in pairs.items():
        try:
            if market_id.endswith(".d"):  # dark pools take no orders from us
                continue
            row = _row(market_id, pair)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("market %s is not understood: %s", sanitize(market_id, 40), error)
            unread += 1
            continue
        wsname = row[2]
        if wsname in rows:  # an order for the one must never go to the other
            raise ExchangeUnreachable(f"Kraken's answer to AssetPairs has two markets {wsname}")
        rows[wsname] = row
    if not rows:
        raise ExchangeUnreachable("Kraken's answer to AssetPairs names no market that can be read")
    return list(rows.values()), unread


def _row(market_id: str, pair: Mapping[str, Any]) -> list[Any]:
    """One market. Raises what odd JSON raises, or ValueError for figures that can't be."""
    base, quote, altname = (_name(pair[key]) for key in ("base", "quote", "altname"))
    wsname = pair.get("wsname") or "/".join(OLD_IDS.get(name, name) for name in (base, quote))
    if not isinstance(wsname, str) or not WSNAME.fullmatch(wsname):
        raise ValueError(f"{wsname!r:.40} is no name of a market")
    least = [to_decimal(pair.get(key, "0")) for key in ("ordermin", "costmin")]
    lot, price = int(pair["lot_decimals"]), int(pair["pair_decimals"])
    if min(least) < 0 or max(least) >= MAX_AMOUNT or lot not in LOT_DECIMALS:
        raise ValueError(f"lots of {lot} decimals, at least {least[0]}, worth {least[1]}")
    minima = [str(minimum) for minimum in least]
    return [_name(market_id), altname, wsname, base, quote, lot, price, *minima, str(pair.get("status", "online"))]


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r:.40} is no name")
    return value


class _Markets(Mapping[str, Market]):
    """All markets by symbol, of which a run reads those that it trades: the others stay the text they are."""

    def __init__(self, rows: Mapping[str, list[Any]]) -> None:
        self._rows = rows
        self._read: dict[str, Market] = {}

    def __getitem__(self, symbol: str) -> Market:
        if symbol not in self._read:
            market_id, _, _, _, _, lot, price, min_amount, min_cost, status = self._rows[symbol]
            base, quote = symbol.split("/")
            minima = Decimal(min_amount), Decimal(min_cost)
            self._read[symbol] = Market(symbol, base, quote, market_id, lot, price, *minima, status)
        return self._read[symbol]

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _catalog(rows: list[list[Any]]) -> MarketCatalog:
    markets: dict[str, list[Any]] = {}
    symbols: dict[str, str] = {}
    currencies: dict[str, str] = {}
    for row in rows:
        market_id, altname, wsname, base_id, quote_id = row[:5]
        base_name, quote_name = wsname.split("/")
        base, quote = OLD_NAMES.get(base_name, base_name), OLD_NAMES.get(quote_name, quote_name)
        symbol = f"{base}/{quote}"
        markets[symbol] = row
        symbols[market_id] = symbols[altname] = symbols[wsname] = symbols[symbol] = symbol
        currencies[base_id] = currencies[base_name] = base
        currencies[quote_id] = currencies[quote_name] = quote
    return MarketCatalog(_Markets(markets), symbols, currencies)
