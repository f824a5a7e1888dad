"""The demo's market: a bundled synthetic tape that moves one candle on with each tick."""

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from botctl.domain.candles import TIMEFRAMES, Candle, CandleColumns
from botctl.domain.errors import ConfigError
from botctl.domain.markets import Market, Quote, Quotes
from botctl.domain.money import floor_to
from botctl.ports import Reading
from botctl.store import memory

POSITION = "tape.position"
STEP = timedelta(minutes=15)
WINDOW = 720
"""As many candles as Kraken shows."""
HALF_SPREAD = Decimal("0.00005")
"""Bid and ask lie so far, as a fraction of the last price, on either side of it."""


def tape_folder() -> Path:
    """Where the tape lies: inside an installed package, or in data/ of a clone."""
    packaged = Path(__file__).parents[1] / "tape"
    return packaged if packaged.exists() else Path(__file__).parents[2] / "data" / "tape"


class Tape:
    """Prices, candles, mood and time of the demo. Where it stands is kept in the database."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or tape_folder()
        self._rows: dict[str, list[list[str]]] = {}

    @cached_property
    def _description(self) -> dict[str, object]:
        try:
            description: dict[str, object] = json.loads((self.folder / "markets.json").read_text())
        except (OSError, ValueError) as error:
            raise ConfigError(f"the demo's tape in {self.folder} can't be read", hint="reinstall botctl") from error
        return description

    @cached_property
    def _markets(self) -> dict[str, Market]:
        markets: dict[str, Market] = {}
        for row in self._description["markets"]:  # type: ignore[attr-defined]
            markets[row["symbol"]] = Market(
                symbol=row["symbol"],
                base=row["base"],
                quote=row["quote"],
                exchange_id=row["symbol"],
                lot_decimals=int(row["lot_decimals"]),
                price_decimals=int(row["price_decimals"]),
                min_amount=Decimal(row["min_amount"]),
                min_cost=Decimal(row["min_cost"]),
            )
        return markets

    # As a clock

    def now(self) -> datetime:
        """When the newest candle on the tape closed."""
        return self._candle(next(iter(self._markets)), self._position).closed_at(int(STEP.total_seconds()))

    def sleep(self, seconds: float) -> None:
        """The tape stands still between two ticks."""

    def start_visit(self) -> bool:
        """One candle further; False at the end of the tape."""
        if self._position + 1 >= len(self._read(next(iter(self._markets)))):
            return False
        self._position += 1
        memory.save(POSITION, str(self._position))
        return True

    @cached_property
    def _position(self) -> int:
        """Index of the newest closed candle. Before the first tick: the last one of the warm-up."""
        kept = memory.load(POSITION)
        return int(kept[0]) if kept else int(str(self._description["warm_up"])) - 1

    # As a market

    def load_markets(self) -> Mapping[str, Market]:
        return self._markets

    def fetch_quotes(self, symbols: Sequence[str]) -> Quotes:
        """The newest close is the last price, with a small spread around it."""
        good, bad = {}, {}
        for symbol in symbols:
            if symbol not in self._markets:
                bad[symbol] = "is not on the demo's tape"
                continue
            last = Decimal(self._read(symbol)[self._position][4])
            good[symbol] = Quote(symbol, last, self._near(symbol, last, -1), self._near(symbol, last, 1), self.now())
        return Quotes(good, bad)

    def fetch_candles(self, symbol: str, timeframe: str) -> list[Candle]:
        """The newest 720 closed candles of the tape; it has 15-minute ones only."""
        if symbol not in self._markets or TIMEFRAMES[timeframe] != STEP.total_seconds():
            raise ConfigError(f"the demo's tape has no {timeframe} candles of {symbol}", hint="it has 15m ones only")
        first = max(0, self._position + 1 - WINDOW)
        return [self._candle(symbol, index) for index in range(first, self._position + 1)]

    def history(self, symbol: str) -> CandleColumns | None:
        """Every candle that has closed so far."""
        if symbol not in self._markets:
            return None
        candles = [self._candle(symbol, index) for index in range(self._position + 1)]
        return CandleColumns(symbol, int(STEP.total_seconds()), *zip(*candles, strict=True))

    # As a mood

    def read(self) -> Reading:
        """The tape's own Fear & Greed index."""
        row = self._read(next(iter(self._markets)))[self._position]
        return Reading(int(row[6]), self.now(), "on the tape")

    def _near(self, symbol: str, last: Decimal, direction: int) -> Decimal:
        return floor_to(last * (1 + direction * HALF_SPREAD), self._markets[symbol].price_decimals)

    def _candle(self, symbol: str, index: int) -> Candle:
        opened, *figures = self._read(symbol)[index][:6]
        open_, high, low, close, volume = map(float, figures)
        return Candle(int(opened), open_, high, low, close, volume)

    def _read(self, symbol: str) -> list[list[str]]:
        """The rows of one symbol: time, open, high, low, close, volume, fear_greed."""
        if symbol not in self._rows:
            path = self.folder / f"{symbol.replace('/', '-')}.csv"
            try:
                with path.open(newline="") as file:
                    self._rows[symbol] = [row for row in csv.reader(file) if row and row[0].isdigit()]
            except OSError as error:
                raise ConfigError(f"the demo's tape {path} can't be read", hint="reinstall botctl") from error
        return self._rows[symbol]
