"""Lies: small changes of true answers, told for so many answers or for so many seconds. Several may be told at once.

    kraken.lies.tell(WrongTicker("BTC/USD", "c", Decimal(1000)), answers=1)
    kraken.lies.tell(LaggingBalances(seconds=10), seconds=3600)

The account and the market stay as they are: orders are filled at the true price, from the true balance. Records of
orders that lie are `orders.Lie`.
"""

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, Protocol

from tests.fake_kraken.account import FakeAccount
from tests.fake_kraken.clock import KrakenClock
from tests.fake_kraken.markets import FakeMarkets
from tests.fake_kraken.wire import JsonObject, fixed

CANDLE_COLUMNS = {"time": 0, "open": 1, "high": 2, "low": 3, "close": 4, "vwap": 5, "volume": 6, "count": 7}


@dataclass(frozen=True)
class Truth:
    """What a lie may look at."""

    markets: FakeMarkets
    account: FakeAccount
    clock: KrakenClock


class FalseAnswer(Protocol):
    """One lie."""

    @property
    def endpoint(self) -> str: ...

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        """The result with the lie in it, None when the answer is not about its subject. It may change `result`."""


def scaled(text: str, factor: Decimal) -> str:
    """A figure times the factor, as plain text."""
    return f"{Decimal(text) * factor:f}"


@dataclass(frozen=True)
class WrongTicker:
    """Figures of Ticker (a, b, c, and the day's v, p, t, l, h, o) times a factor."""

    symbol: str
    figures: str
    factor: Decimal
    endpoint: str = "Ticker"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        ticker = result.get(truth.markets[self.symbol].id)
        if ticker is None:
            return None
        for name in self.figures:
            shown = ticker[name]
            if isinstance(shown, str):
                ticker[name] = scaled(shown, self.factor)
            elif name == "t":
                ticker[name] = [int(number * self.factor) for number in shown]
            else:
                ticker[name] = [scaled(shown[0], self.factor), *shown[1:]]
        return result


@dataclass(frozen=True)
class WrongCandles:
    """Columns of OHLC times a factor: in the newest closed row, one in the middle, the running one, or all rows."""

    symbol: str
    columns: tuple[str, ...]
    factor: Decimal
    rows: str = "all"
    endpoint: str = "OHLC"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        rows = result.get(truth.markets[self.symbol].id)
        if rows is None:
            return None
        chosen = {"all": rows, "newest": rows[-2:-1], "middle": rows[-4:-3], "running": rows[-1:]}[self.rows]
        for row in chosen:
            for name in self.columns:
                place = CANDLE_COLUMNS[name]
                whole = isinstance(row[place], int)
                row[place] = int(row[place] * self.factor) if whole else scaled(row[place], self.factor)
        return result


@dataclass(frozen=True)
class WrongMarket:
    """One figure of a market in AssetPairs times a factor, or its text replaced."""

    symbol: str
    figure: str
    factor: Decimal = Decimal(1)
    text: str | None = None
    endpoint: str = "AssetPairs"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        pair = result.get(truth.markets[self.symbol].id)
        if pair is None:
            return None
        shown = pair[self.figure]
        if self.text is not None:
            pair[self.figure] = self.text
        elif isinstance(shown, int):
            pair[self.figure] = int(shown * self.factor)
        else:
            pair[self.figure] = scaled(shown, self.factor)
        return result


@dataclass(frozen=True)
class MissingMarket:
    """A market is left out of AssetPairs."""

    symbol: str
    endpoint: str = "AssetPairs"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        return result if result.pop(truth.markets[self.symbol].id, None) is not None else None


@dataclass(frozen=True)
class OldAnswer:
    """What an endpoint said at another time; `at` also dates the answer so, as a cache on the way does."""

    endpoint: str
    result: JsonObject
    at: float | None = None

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        """Only what was asked for."""
        if self.endpoint.startswith("Balance"):
            return copy.deepcopy(self.result)
        known = result.keys() & self.result.keys()
        return copy.deepcopy({key: self.result[key] for key in result if key in self.result}) if known else None


@dataclass(frozen=True)
class LaggingBalances:
    """The balances of so many seconds ago: fills since then don't show."""

    seconds: float
    endpoint: str = "BalanceEx"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        then = truth.clock.now() - self.seconds
        late = [trade for trade in truth.account.trades if trade.at > then]
        for trade in late:
            market, sign = truth.markets[trade.symbol], 1 if trade.side == "buy" else -1
            _move(result, market.base.id, -sign * trade.volume, market.base.decimals)
            _move(result, market.quote.id, sign * trade.cost + trade.fee, market.quote.decimals)
        return result


def _move(result: JsonObject, asset: str, amount: Decimal, decimals: int) -> None:
    if asset in result:
        shown = Decimal(result[asset]["balance"]) + amount
        result[asset] = {**result[asset], "balance": fixed(shown, decimals)}


@dataclass(frozen=True)
class LackingBalances:
    """These assets are left out."""

    assets: tuple[str, ...]
    endpoint: str = "BalanceEx"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        return {asset: row for asset, row in result.items() if asset not in self.assets}


@dataclass(frozen=True)
class PartOfBalances:
    """Of these assets only this part is shown."""

    assets: tuple[str, ...]
    part: Decimal
    endpoint: str = "BalanceEx"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        return {
            asset: {**row, "balance": f"{Decimal(row['balance']) * self.part:f}"} if asset in self.assets else row
            for asset, row in result.items()
        }


@dataclass(frozen=True)
class HeldBalances:
    """Of these assets this part is shown as on hold."""

    assets: tuple[str, ...]
    part: Decimal
    endpoint: str = "BalanceEx"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        return {
            asset: {**row, "hold_trade": f"{Decimal(row['balance']) * self.part:f}"} if asset in self.assets else row
            for asset, row in result.items()
        }


@dataclass(frozen=True)
class SmallerOrders:
    """Records of ended orders that show a part of the true volume as all that was asked for, and as filled. Their fills
    are not named."""

    share: Decimal
    endpoint: str = "QueryOrders"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        ended = [record for record in result.values() if record["status"] == "closed"]
        for record in ended:
            for figure in ("vol", "vol_exec", "cost", "fee"):
                record[figure] = scaled(record[figure], self.share)
            record["trades"] = []
        return result if ended else None


@dataclass(frozen=True)
class EmptyList:
    """Nothing at all in OpenOrders, ClosedOrders or TradesHistory, as from a replica that lags far behind."""

    endpoint: str

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        key = {"OpenOrders": "open", "ClosedOrders": "closed", "TradesHistory": "trades"}[self.endpoint]
        return {key: {}, "count": 0} if result.get(key) else None


STOP = "stop-loss"


def _stops(records: JsonObject) -> list[JsonObject]:
    return [record for record in records.values() if record["descr"]["ordertype"] == STOP]


def _unfilled_stops(records: JsonObject) -> list[JsonObject]:
    """The stops, after their fills are taken away."""
    stops = _stops(records)
    for order in stops:
        order.update(vol_exec="0.00000000", cost="0", fee="0", price="0")
        order.pop("trades", None)
    return stops


@dataclass(frozen=True)
class LackingStops:
    """OpenOrders leaves out the stops of this market, or only the newest one of all."""

    altname: str = ""
    endpoint: str = "OpenOrders"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        stops = {id: order for id, order in result["open"].items() if order["descr"]["ordertype"] == STOP}
        chosen = [id for id, order in stops.items() if order["descr"]["pair"] == self.altname] or [*stops][-1:]
        left = {id: order for id, order in result["open"].items() if id not in chosen}
        return {**result, "open": left} if chosen else None


@dataclass(frozen=True)
class DoubledStops:
    """OpenOrders has each stop twice: once more under another exchange id."""

    endpoint: str = "OpenOrders"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        records = result["open"]
        again = {f"OAAAAA-{id[7:]}": order for id, order in records.items() if order["descr"]["ordertype"] == STOP}
        return {**result, "open": records | again} if again else None


@dataclass(frozen=True)
class WrongStops:
    """A figure of stops (`vol`, `vol_exec` or the `trigger`) times a factor, in OpenOrders or QueryOrders."""

    figure: str
    factor: Decimal
    endpoint: str = "OpenOrders"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        stops = _stops(result["open"] if self.endpoint == "OpenOrders" else result)
        for order in stops:
            if self.figure == "trigger":
                order["descr"]["price"] = fixed(Decimal(order["descr"]["price"]) * self.factor, 1)
            elif self.figure == "vol_exec":
                order["vol_exec"] = fixed(Decimal(order["vol"]) * self.factor, 8)
            else:
                order["vol"] = fixed(Decimal(order["vol"]) * self.factor, 8)
        return result if stops else None


@dataclass(frozen=True)
class RestingRecords:
    """QueryOrders shows every stop as resting still, whatever has become of it."""

    endpoint: str = "QueryOrders"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        stops = _unfilled_stops(result)
        for order in stops:
            order.update(status="open", misc="", stopprice="0")
            for name in ("reason", "closetm"):
                order.pop(name, None)
        return result if stops else None


@dataclass(frozen=True)
class CanceledRecords:
    """QueryOrders shows every stop as canceled, with nothing filled."""

    endpoint: str = "QueryOrders"

    def change(self, result: JsonObject, truth: Truth) -> JsonObject | None:
        stops = _unfilled_stops(result)
        for order in stops:
            order.update(status="canceled", reason="User requested", closetm=order["opentm"])
        return result if stops else None


@dataclass
class Told:
    """A lie and its term: so many answers, until a moment of Kraken's clock, or until the truth is told."""

    lie: FalseAnswer
    answers_left: int | None
    until: float | None
    count: int = 0
    """How many answers had it."""


@dataclass
class Lies:
    """The lies of one fake Kraken. Each answer goes through all that are about its endpoint, in the order told."""

    truth: Truth
    told: list[Told] = field(default_factory=list)

    def tell(self, lie: FalseAnswer, *, answers: int | None = None, seconds: float | None = None) -> Told:
        """From now on, for so many answers about its subject or so many seconds; else until `end`."""
        until = None if seconds is None else self.truth.clock.now() + seconds
        self.told.append(Told(lie, answers, until))
        return self.told[-1]

    def end(self) -> None:
        """The truth from now on."""
        self.told.clear()

    def change(self, endpoint: str, result: JsonObject) -> tuple[JsonObject, str | None]:
        """The result with all lies in it, and the date of the answer where one lies about that too."""
        date: str | None = None
        for told in self._about(endpoint):
            changed = told.lie.change(copy.deepcopy(result), self.truth)
            if changed is None:
                continue
            result, told.count = changed, told.count + 1
            if told.answers_left is not None:
                told.answers_left -= 1
            at: Any = getattr(told.lie, "at", None)
            if at is not None:
                date = format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)
        return result, date

    def _about(self, endpoint: str) -> list[Told]:
        now = self.truth.clock.now()
        return [
            told
            for told in self.told
            if told.lie.endpoint == endpoint and told.answers_left != 0 and (told.until is None or now < told.until)
        ]
