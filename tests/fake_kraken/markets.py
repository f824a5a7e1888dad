"""The fake Kraken's markets: assets, prices and candles."""

import copy
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tests.fake_kraken.wire import Number, Refusal, decimal


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
class TickerLie:
    """Figures of Ticker, a for ask, b for bid and c for last, that are shown `factor` times as high."""

    figures: str
    factor: Decimal
    answers_left: int | None


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
    highest: Decimal
    """The highest price that it ever had."""
    status: str = "online"
    lot_decimals: int = 8
    cost_decimals: int = 5
    tick_size: Decimal | None = None
    """The grid of its prices, where that is coarser than their decimals."""
    default_candles: list[Candle] = field(default_factory=list)
    candles: dict[int, list[Candle]] = field(default_factory=dict)
    lie: TickerLie | None = None

    @property
    def price_tick(self) -> Decimal:
        return self.tick_size or Decimal(1).scaleb(-self.pair_decimals)

    def shown_in_ticker(self) -> dict[str, Decimal]:
        """What one Ticker answer says of ask, bid and last."""
        shown = {"a": self.ask, "b": self.bid, "c": self.last}
        if self.lie is None or self.lie.answers_left == 0:
            return shown
        if self.lie.answers_left is not None:
            self.lie.answers_left -= 1
        return {name: price * self.lie.factor if name in self.lie.figures else price for name, price in shown.items()}

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


@dataclass(frozen=True)
class MarketsSnapshot:
    """What `FakeMarkets.restore` needs to go back to this moment."""

    by_symbol: dict[str, Market]
    delisted: dict[str, Market]
    system_status: str


class FakeMarkets:
    """Every market by its symbol: `markets["BTC/USD"]`."""

    def __init__(self, lock: threading.RLock) -> None:
        self.system_status = "online"
        self.candle_source: Callable[[str], Iterable[Sequence[Number]]] | None = None
        """Where the closed 15-minute candles of a symbol come from whenever they are asked for, if not from
        `set_candles`."""
        self._lock = lock
        self._by_symbol: dict[str, Market] = {}
        self._delisted: dict[str, Market] = {}
        self.add("BTC/USD", 50000, id="XXBTZUSD", pair_decimals=1, ordermin="0.00005")
        self.add("BTC/EUR", 46000, id="XXBTZEUR", pair_decimals=1, ordermin="0.00005", costmin="0.45")
        self.add("ETH/USD", 2500, id="XETHZUSD", pair_decimals=2, ordermin="0.001")
        self.add("SOL/USD", 150, pair_decimals=2, ordermin="0.02")
        self.add("ADA/USD", "0.5", pair_decimals=6, ordermin="4.4")
        self.add("DOGE/USD", "0.1", pair_decimals=7, ordermin="13")
        self.add("EUR/USD", "1.08", id="ZEURZUSD", pair_decimals=5, ordermin="0.5")
        self.add("DOT/USD", 5, pair_decimals=4, ordermin="0.6")

    def __getitem__(self, symbol: str) -> Market:
        """Also of a delisted one: its old orders stay on record."""
        return self._by_symbol.get(symbol) or self._delisted[symbol]

    def __iter__(self) -> Iterator[Market]:
        return iter(self._by_symbol.values())

    def snapshot(self) -> MarketsSnapshot:
        return MarketsSnapshot(*copy.deepcopy((self._by_symbol, self._delisted)), self.system_status)

    def restore(self, kept: MarketsSnapshot) -> None:
        self._by_symbol, self._delisted = copy.deepcopy((kept.by_symbol, kept.delisted))
        self.system_status = kept.system_status

    def named(self, name: str) -> Market:
        """Kraken takes the id, the altname, and either form with a slash."""
        for market in self:
            if name in (market.id, market.altname, market.wsname, market.symbol):
                return market
        raise Refusal("EQuery:Unknown asset pair")

    def assets(self) -> dict[str, Asset]:
        """Every asset of a market, by its id."""
        return {asset.id: asset for market in self for asset in (market.base, market.quote)}

    # What tests do to it.

    def add(
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
            highest=price,
            status=status,
            default_candles=flat(price, price / 100, 200),
        )
        with self._lock:
            self._by_symbol[symbol] = market
        return market

    def add_many(self, count: int, last: Number = 1) -> list[str]:
        """List AAA01/USD, AAA02/USD and so on; return their symbols."""
        symbols = [f"AAA{number:02}/USD" for number in range(1, count + 1)]
        for symbol in symbols:
            self.add(symbol, last)
        return symbols

    def remove(self, symbol: str) -> None:
        """Delist it."""
        with self._lock:
            self._delisted[symbol] = self._by_symbol.pop(symbol)

    def list_again(self, symbol: str) -> None:
        """Undo `remove`."""
        with self._lock:
            self._by_symbol[symbol] = self._delisted.pop(symbol)

    def set_price(self, symbol: str, last: Number, bid: Number | None = None, ask: Number | None = None) -> None:
        """Without `bid` and `ask` there is no spread: both are the last price."""
        with self._lock:
            market = self._by_symbol[symbol]
            market.last = decimal(last)
            market.bid = market.last if bid is None else decimal(bid)
            market.ask = market.last if ask is None else decimal(ask)
            market.highest = max([market.highest, *(p for p in (market.last, market.ask) if p.is_finite())])

    def lie_about(self, symbol: str, figures: str, factor: Number, answers: int | None = None) -> None:
        """Show these figures of Ticker (`a`, `b`, `c`) wrong, for so many answers or until `tell_the_truth`. Orders
        are filled at the true price."""
        with self._lock:
            self._by_symbol[symbol].lie = TickerLie(figures, decimal(factor), answers)

    def tell_the_truth(self) -> None:
        with self._lock:
            for market in self:
                market.lie = None

    def set_candles(self, symbol: str, closes_or_rows: Iterable[Number | Sequence[Number]], interval: int = 15) -> None:
        """The closed candles, oldest first: closes, or rows of open, high, low, close and perhaps volume.

        The newest always ends at the last boundary of Kraken's clock, also when that clock moves on: a test
        that happens to run across a quarter of an hour sees the same series. The running candle is added when asked.
        """
        with self._lock:
            self._by_symbol[symbol].candles[interval] = to_candles(closes_or_rows)

    def flat_candles(
        self, symbol: str, price: Number, true_range: Number, count: int = 120, interval: int = 15
    ) -> None:
        """Closed candles whose ATR is exactly `true_range`. The last price stays what it was."""
        with self._lock:
            self._by_symbol[symbol].candles[interval] = flat(decimal(price), decimal(true_range), count)
