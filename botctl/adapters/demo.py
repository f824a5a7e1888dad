"""The demo's market: the synthetic tape that comes with botctl, played as any other history."""

import csv
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from botctl.adapters.simulated import SimulatedMarket
from botctl.domain.candles import CandleColumns
from botctl.domain.errors import ConfigError
from botctl.domain.markets import Market
from botctl.domain.sentiment import SentimentHistory
from botctl.domain.symbols import Timeframe
from botctl.market_data.timeline import line_up
from botctl.store import key_value

POSITION = "tape.position"
"""Where the demo stands is kept in its database under this name: each tick of a demo is a process of its own."""
TIMEFRAME = Timeframe.MINUTES_15
HALF_SPREAD = Decimal("0.00005")
"""Bid and ask lie so far, as a fraction of the next price, on either side of it."""
NAME = "the demo's tape"


def tape_folder() -> Path:
    """Where the tape lies: inside an installed package, or in data/ of a clone."""
    packaged = Path(__file__).parents[1] / "tape"
    return packaged if packaged.exists() else Path(__file__).parents[2] / "data" / "tape"


def load_demo_market(folder: Path | None = None) -> SimulatedMarket:
    """The bundled tape, where the open database says that it stands. It plays to its very last candle."""
    folder = folder or tape_folder()
    try:
        description = json.loads((folder / "markets.json").read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"the demo's tape in {folder} can't be read", hint="reinstall botctl") from error
    markets = {row["symbol"]: _market(row) for row in description["markets"]}
    sheets = {symbol: _read_rows(folder, symbol) for symbol in markets}
    histories = [_columns(symbol, rows) for symbol, rows in sheets.items()]
    warm_up = int(description["warm_up"])
    grid = line_up(histories, 0, None, None)
    grid = replace(grid, first=warm_up, last=len(grid.times) - 1)
    kept = key_value.load(POSITION)
    return SimulatedMarket(
        histories,
        grid,
        _sentiment(grid.seconds, next(iter(sheets.values()))),
        name=NAME,
        markets=markets,
        half_spread=HALF_SPREAD,
        start=int(kept[0]) if kept else None,
        keep=lambda bar: key_value.save(POSITION, str(bar)),
    )


def _market(row: dict[str, Any]) -> Market:
    return Market(
        symbol=row["symbol"],
        base=row["base"],
        quote=row["quote"],
        exchange_id=row["symbol"],
        lot_decimals=int(row["lot_decimals"]),
        price_decimals=int(row["price_decimals"]),
        min_amount=Decimal(row["min_amount"]),
        min_cost=Decimal(row["min_cost"]),
    )


def _read_rows(folder: Path, symbol: str) -> list[list[str]]:
    """The rows of one symbol: time, open, high, low, close, volume, fear_greed."""
    path = folder / f"{symbol.replace('/', '-')}.csv"
    try:
        with path.open(newline="") as file:
            return [row for row in csv.reader(file) if row and row[0].isdigit()]
    except OSError as error:
        raise ConfigError(f"the demo's tape {path} can't be read", hint="reinstall botctl") from error


def _columns(symbol: str, rows: list[list[str]]) -> CandleColumns:
    times, *figures = list(zip(*rows, strict=True))[:6]
    return CandleColumns(symbol, TIMEFRAME.seconds, [*map(int, times)], *([*map(float, f)] for f in figures))


def _sentiment(seconds: int, rows: list[list[str]]) -> SentimentHistory:
    """The tape's own Fear & Greed index, measured at each close."""
    return SentimentHistory([int(row[0]) + seconds for row in rows], [int(row[6]) for row in rows])
