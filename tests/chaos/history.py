"""The path that prices take in one world, and the candles that Kraken makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

QUARTER = 900.0
FLAT_CANDLES = 120
"""Before the world began its prices stood still for so many quarters of an hour."""

type Candle = tuple[Decimal, Decimal, Decimal, Decimal]
"""Open, high, low and close."""


@dataclass(frozen=True)
class Move:
    at: float
    price: Decimal


class History:
    """Every price of every symbol since the world began. Moments are unix seconds of the world's true clock."""

    def __init__(self, began_at: float, prices: Mapping[str, Decimal]) -> None:
        self.began_at = began_at
        self._moves = {symbol: [Move(began_at, price)] for symbol, price in prices.items()}

    def move(self, symbol: str, price: Decimal, at: float) -> None:
        """From `at` on it costs `price`."""
        self._moves[symbol].append(Move(at, price))

    def price_at(self, symbol: str, moment: float) -> Decimal:
        moves = self._moves[symbol]
        return next((move.price for move in reversed(moves) if move.at <= moment), moves[0].price)

    def prices_between(self, symbol: str, since: float, until: float) -> list[Decimal]:
        """The price at `since` and every later one until `until`."""
        moved = [move.price for move in self._moves[symbol] if since < move.at <= until]
        return [self.price_at(symbol, since), *moved]

    def closes(self, symbol: str, since: float, until: float) -> list[Decimal]:
        """The price at each full quarter of an hour after `since`, until `until`."""
        first, last = int(since // QUARTER) + 1, int(until // QUARTER)
        return [self.price_at(symbol, number * QUARTER) for number in range(first, last + 1)]

    def candles(self, symbol: str, until: float, ahead: float = 0.0) -> list[Candle]:
        """All closed candles, oldest first, of a Kraken whose clock is `ahead` of the true one."""
        first, last = int((self.began_at + ahead) // QUARTER), int((until + ahead) // QUARTER)
        price = self._moves[symbol][0].price
        candles = [(price, price + price / 200, price - price / 200, price)] * FLAT_CANDLES
        for number in range(first, last):
            begin, end = number * QUARTER - ahead, (number + 1) * QUARTER - ahead
            prices = self.prices_between(symbol, begin, end)
            candles.append((prices[0], max(prices), min(prices), prices[-1]))
        return candles
