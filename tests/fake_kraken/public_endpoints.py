"""The public endpoints of the fake Kraken: time, status, assets, markets, prices and candles."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.fake_kraken.clock import KrakenClock
from tests.fake_kraken.markets import Asset, Candle, FakeMarkets, Market
from tests.fake_kraken.wire import Endpoint, JsonObject, Params, Refusal, Request, fixed, whole_number

INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
MOST_CANDLES = 720


class PublicEndpoints:
    """What the wire sees of the markets."""

    def __init__(self, markets: FakeMarkets, clock: KrakenClock) -> None:
        self._markets = markets
        self._clock = clock

    def by_name(self) -> dict[str, Endpoint]:
        return {
            "Time": self._time,
            "SystemStatus": self._system_status,
            "Assets": self._assets,
            "AssetPairs": self._asset_pairs,
            "Ticker": self._ticker,
            "OHLC": self._ohlc,
        }

    def _time(self, _request: Request) -> JsonObject:
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        return {"unixtime": int(now.timestamp()), "rfc1123": now.strftime("%a, %d %b %y %H:%M:%S +0000")}

    def _system_status(self, _request: Request) -> JsonObject:
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        return {"status": self._markets.system_status, "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _assets(self, request: Request) -> JsonObject:
        known = self._markets.assets()
        asked = request.params.get("asset")
        chosen = [a for a in known.values() if not asked or {a.id, a.altname} & set(asked.split(","))]
        if not chosen:
            raise Refusal("EQuery:Unknown asset")
        return {asset.id: asset_json(asset) for asset in chosen}

    def _asset_pairs(self, request: Request) -> JsonObject:
        return {market.id: market_json(market) for market in asked_markets(self._markets, request.params)}

    def _ticker(self, request: Request) -> JsonObject:
        return {market.id: ticker_json(market) for market in asked_markets(self._markets, request.params)}

    def _ohlc(self, request: Request) -> JsonObject:
        """At most 720 rows, those after `since`, and always the running candle as the last one."""
        market = self._markets.named(request.params.get("pair", ""))
        interval = whole_number(request.params, "interval", 1)
        if self._markets.candle_source:
            self._markets.set_candles(market.symbol, self._markets.candle_source(market.symbol))
        if interval not in INTERVALS:
            raise Refusal("EGeneral:Invalid arguments:interval")
        since = whole_number(request.params, "since", 0)
        step = interval * 60
        running_at = int(self._clock.now() // step) * step
        candles = [*market.closed_candles(interval), running_candle(market, interval)]
        first_at = running_at - step * (len(candles) - 1)
        newest = ohlc_rows(market, first_at, step, candles)[-MOST_CANDLES:]
        return {market.id: [row for row in newest if row[0] > since or row is newest[-1]], "last": running_at - step}


def asked_markets(markets: FakeMarkets, params: Params) -> list[Market]:
    """One unknown name fails the whole call, as it does at Kraken."""
    names = params.get("pair")
    return [markets.named(name) for name in names.split(",")] if names else list(markets)


def running_candle(market: Market, interval: int) -> Candle:
    """The candle that isn't over yet: it began at the last close and stands at the last price."""
    closed = market.closed_candles(interval)
    opened = closed[-1].close if closed else market.last
    if not market.last.is_finite():
        return Candle(opened, opened, opened, market.last)
    return Candle(opened, max(opened, market.last), min(opened, market.last), market.last, Decimal("0.1"))


def ohlc_rows(market: Market, first_at: int, step: int, candles: list[Candle]) -> list[list[Any]]:
    """Flat markets have the same candle again and again, which is written once."""
    figures = {id(candle): ohlc_figures(market, candle) for candle in {id(each): each for each in candles}.values()}
    return [[first_at + step * place, *figures[id(candle)]] for place, candle in enumerate(candles)]


def ohlc_figures(market: Market, candle: Candle) -> list[Any]:
    prices = [market.price_text(price) for price in (candle.open, candle.high, candle.low, candle.close, candle.close)]
    return [*prices, fixed(candle.volume, 8), 1]


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
        "fees": [],  # empty on all pairs since September 2026
        "fees_maker": [],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": f"{market.ordermin:f}",
        "costmin": f"{market.costmin:f}",
        "tick_size": f"{market.price_tick:f}",
        "status": market.status,
    }


def ticker_json(market: Market) -> JsonObject:
    """Only ask, bid and last mean something here. The day's figures pretend that the price never moved."""
    ask, bid, last = (market.price_text(price) for price in market.shown_in_ticker().values())
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
