"""The public half of the fake Kraken: its clock, its markets with their prices, and its candles."""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.fake_kraken.wire import Endpoint, JsonObject, Number, Refusal, Request, decimal, fixed, whole_number

INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
MOST_CANDLES = 720
TAKER_FEES = [[0, 0.4], [10000, 0.35], [50000, 0.24], [100000, 0.22], [250000, 0.2], [500000, 0.18], [1000000, 0.16]]
MAKER_FEES = [[0, 0.25], [10000, 0.2], [50000, 0.14], [100000, 0.12], [250000, 0.1], [500000, 0.08], [1000000, 0.06]]


@dataclass(frozen=True)
class Asset:
    """What Kraken calls an asset (`XXBT`, altname `XBT`), and how many decimals its balance shows."""

    id: str
    altname: str
    decimals: int


@dataclass(frozen=True)
class Candle:
    """One closed candle without its time: the time follows from its place before the running one."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = Decimal(1)


@dataclass
class Market:
    """One tradable pair. Tests may change any figure of it at any time, its `status` above all."""

    symbol: str
    id: str
    altname: str
    wsname: str
    base: Asset
    quote: Asset
    pair_decimals: int
    ordermin: Decimal
    costmin: Decimal
    last: Decimal
    bid: Decimal
    ask: Decimal
    status: str = "online"
    lot_decimals: int = 8
    cost_decimals: int = 5
    default_candles: list[Candle] = field(default_factory=list)
    candles: dict[int, list[Candle]] = field(default_factory=dict)

    def closed_candles(self, interval: int) -> list[Candle]:
        return self.candles.get(interval, self.default_candles)

    def price_text(self, price: Decimal) -> str:
        """The price as Kraken writes it, with five decimals or more; never rounded, so that tests may set any price."""
        if not price.is_finite():
            return str(price)
        exponent = price.as_tuple().exponent
        assert isinstance(exponent, int)
        return f"{price:.{max(5, self.pair_decimals, -exponent)}f}"


# Old assets carry an X or a Z in their id. Newer ones are simply called by their name.
ASSETS = {
    "BTC": Asset("XXBT", "XBT", 10),
    "ETH": Asset("XETH", "ETH", 10),
    "XRP": Asset("XXRP", "XRP", 8),
    "LTC": Asset("XLTC", "LTC", 10),
    "DOGE": Asset("XXDG", "XDG", 8),
    "USD": Asset("ZUSD", "USD", 4),
    "EUR": Asset("ZEUR", "EUR", 4),
    "GBP": Asset("ZGBP", "GBP", 4),
}


def asset_named(name: str) -> Asset:
    return ASSETS.get(name) or Asset(name, name, 10)


def flat(price: Decimal, true_range: Decimal, count: int) -> list[Candle]:
    """Candles that all close at `price` and span `true_range`: their ATR is that range from the first one on."""
    half = true_range / 2
    return [Candle(price, price + half, price - half, price)] * count


def to_candles(closes_or_rows: Iterable[Number | Sequence[Number]]) -> list[Candle]:
    """Bare closes are joined into candles (each opens where the last one closed); rows are open, high, low, close."""
    candles: list[Candle] = []
    for entry in closes_or_rows:
        if isinstance(entry, Decimal | int | float | str):
            close = decimal(entry)
            opened = candles[-1].close if candles else close
            candles.append(Candle(opened, max(opened, close), min(opened, close), close))
        else:
            candles.append(Candle(*(decimal(figure) for figure in entry)))
    return candles


class FakeMarkets:
    """Clock, markets, prices and candles, with the public endpoints that show them.

    It is the lowest of three layers of one object (see FakeKraken), so that a test has a single thing to talk to.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock_offset = 0.0
        self.system_status = "online"
        self.markets: dict[str, Market] = {}
        self.add_market("BTC/USD", 50000, id="XXBTZUSD", pair_decimals=1, ordermin="0.00005")
        self.add_market("BTC/EUR", 46000, id="XXBTZEUR", pair_decimals=1, ordermin="0.00005", costmin="0.45")
        self.add_market("ETH/USD", 2500, id="XETHZUSD", pair_decimals=2, ordermin="0.001")
        self.add_market("SOL/USD", 150, pair_decimals=2, ordermin="0.02")
        self.add_market("ADA/USD", "0.5", pair_decimals=6, ordermin="4.4")
        self.add_market("DOGE/USD", "0.1", pair_decimals=7, ordermin="13")
        self.add_market("EUR/USD", "1.08", id="ZEURZUSD", pair_decimals=5, ordermin="0.5")
        self.add_market("DOT/USD", 5, pair_decimals=4, ordermin="0.6")

    # What tests do to it.

    def now(self) -> float:
        """Kraken's clock in unix seconds. `clock_offset` moves it; a frozen clock of the test process freezes it."""
        return time.time() + self.clock_offset

    def add_market(
        self,
        symbol: str,
        last: Number = 1,
        *,
        id: str | None = None,
        pair_decimals: int = 4,
        ordermin: Number = 1,
        costmin: Number = "0.5",
        status: str = "online",
    ) -> Market:
        """List one more market, without spread and with 200 flat candles of one percent."""
        base, quote = (asset_named(name) for name in symbol.split("/"))
        price = decimal(last)
        market = Market(
            symbol=symbol,
            id=id or base.altname + quote.altname,
            altname=base.altname + quote.altname,
            wsname=f"{base.altname}/{quote.altname}",
            base=base,
            quote=quote,
            pair_decimals=pair_decimals,
            ordermin=decimal(ordermin),
            costmin=decimal(costmin),
            last=price,
            bid=price,
            ask=price,
            status=status,
            default_candles=flat(price, price / 100, 200),
        )
        with self.lock:
            self.markets[symbol] = market
        return market

    def add_markets(self, count: int, last: Number = 1) -> list[str]:
        """List AAA01/USD, AAA02/USD and so on; return their symbols."""
        symbols = [f"AAA{number:02}/USD" for number in range(1, count + 1)]
        for symbol in symbols:
            self.add_market(symbol, last)
        return symbols

    def set_price(self, symbol: str, last: Number, bid: Number | None = None, ask: Number | None = None) -> None:
        """Without `bid` and `ask` there is no spread: both are the last price."""
        with self.lock:
            market = self.markets[symbol]
            market.last = decimal(last)
            market.bid = market.last if bid is None else decimal(bid)
            market.ask = market.last if ask is None else decimal(ask)

    def set_candles(self, symbol: str, closes_or_rows: Iterable[Number | Sequence[Number]], interval: int = 15) -> None:
        """The closed candles, oldest first: closes, or rows of open, high, low, close and perhaps volume.

        The newest always ends at the last boundary of Kraken's clock, also when that clock moves on: a test
        that happens to run across a quarter of an hour sees the same series. The running candle is added when asked.
        """
        with self.lock:
            self.markets[symbol].candles[interval] = to_candles(closes_or_rows)

    def flat_candles(
        self, symbol: str, price: Number, true_range: Number, count: int = 200, interval: int = 15
    ) -> None:
        """Closed candles whose ATR is exactly `true_range`. The last price stays what it was."""
        with self.lock:
            self.markets[symbol].candles[interval] = flat(decimal(price), decimal(true_range), count)

    # What the wire sees of it.

    def public_endpoints(self) -> dict[str, Endpoint]:
        return {
            "Time": self._time,
            "SystemStatus": self._system_status,
            "Assets": self._assets,
            "AssetPairs": self._asset_pairs,
            "Ticker": self._ticker,
            "OHLC": self._ohlc,
        }

    def market_named(self, name: str) -> Market:
        """Kraken takes the id, the altname, and either form with a slash."""
        for market in self.markets.values():
            if name in (market.id, market.altname, market.wsname, market.symbol):
                return market
        raise Refusal("EQuery:Unknown asset pair")

    def _asked_markets(self, request: Request) -> list[Market]:
        """One unknown name fails the whole call, as it does at Kraken."""
        names = request.params.get("pair")
        return [self.market_named(name) for name in names.split(",")] if names else list(self.markets.values())

    def _time(self, _request: Request) -> JsonObject:
        now = datetime.fromtimestamp(self.now(), UTC)
        return {"unixtime": int(now.timestamp()), "rfc1123": now.strftime("%a, %d %b %y %H:%M:%S +0000")}

    def _system_status(self, _request: Request) -> JsonObject:
        now = datetime.fromtimestamp(self.now(), UTC)
        return {"status": self.system_status, "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def known_assets(self) -> dict[str, Asset]:
        return {asset.id: asset for market in self.markets.values() for asset in (market.base, market.quote)}

    def _assets(self, request: Request) -> JsonObject:
        known = self.known_assets()
        asked = request.params.get("asset")
        chosen = [a for a in known.values() if not asked or {a.id, a.altname} & set(asked.split(","))]
        if not chosen:
            raise Refusal("EQuery:Unknown asset")
        return {asset.id: asset_json(asset) for asset in chosen}

    def _asset_pairs(self, request: Request) -> JsonObject:
        return {market.id: market_json(market) for market in self._asked_markets(request)}

    def _ticker(self, request: Request) -> JsonObject:
        return {market.id: ticker_json(market) for market in self._asked_markets(request)}

    def _ohlc(self, request: Request) -> JsonObject:
        """At most 720 rows, those after `since`, and always the running candle as the last one."""
        market = self.market_named(request.params.get("pair", ""))
        interval = whole_number(request.params, "interval", 1)
        if interval not in INTERVALS:
            raise Refusal("EGeneral:Invalid arguments:interval")
        since = whole_number(request.params, "since", 0)
        step = interval * 60
        running_at = int(self.now() // step) * step
        candles = [*market.closed_candles(interval), running_candle(market, interval)]
        first_at = running_at - step * (len(candles) - 1)
        rows = [ohlc_row(market, first_at + step * place, candle) for place, candle in enumerate(candles)]
        newest = rows[-MOST_CANDLES:]
        return {market.id: [row for row in newest if row[0] > since or row is newest[-1]], "last": running_at - step}


def running_candle(market: Market, interval: int) -> Candle:
    """The candle that isn't over yet: it began at the last close and stands at the last price."""
    closed = market.closed_candles(interval)
    opened = closed[-1].close if closed else market.last
    if not market.last.is_finite():
        return Candle(opened, opened, opened, market.last)
    return Candle(opened, max(opened, market.last), min(opened, market.last), market.last, Decimal("0.1"))


def ohlc_row(market: Market, at: int, candle: Candle) -> list[Any]:
    prices = [market.price_text(price) for price in (candle.open, candle.high, candle.low, candle.close, candle.close)]
    return [at, *prices, fixed(candle.volume, 8), 1]


def asset_json(asset: Asset) -> JsonObject:
    return {
        "aclass": "currency",
        "altname": asset.altname,
        "decimals": asset.decimals,
        "display_decimals": 2 if asset.decimals == 4 else 5,
        "status": "enabled",
    }


def market_json(market: Market) -> JsonObject:
    return {
        "altname": market.altname,
        "wsname": market.wsname,
        "aclass_base": "currency",
        "base": market.base.id,
        "aclass_quote": "currency",
        "quote": market.quote.id,
        "lot": "unit",
        "cost_decimals": market.cost_decimals,
        "pair_decimals": market.pair_decimals,
        "lot_decimals": market.lot_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": TAKER_FEES,
        "fees_maker": MAKER_FEES,
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": f"{market.ordermin:f}",
        "costmin": f"{market.costmin:f}",
        "tick_size": f"{Decimal(1).scaleb(-market.pair_decimals):f}",
        "status": market.status,
    }


def ticker_json(market: Market) -> JsonObject:
    """Only ask, bid and last mean something here. The day's figures pretend that the price never moved."""
    ask, bid, last = (market.price_text(price) for price in (market.ask, market.bid, market.last))
    return {
        "a": [ask, "3", "3.000"],
        "b": [bid, "2", "2.000"],
        "c": [last, "0.01000000"],
        "v": ["812.40000000", "1907.10000000"],
        "p": [last, last],
        "t": [1204, 2977],
        "l": [last, last],
        "h": [last, last],
        "o": last,
    }
