"""The demo's market: the synthetic candles that come with botctl, played like any other history."""

import csv
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from botctl.adapters.simulated import SimulatedMarket
from botctl.domain.candles import CandleColumns
from botctl.domain.errors import ConfigError
from botctl.domain.indicators import CANDLES_NEEDED
from botctl.domain.markets import Market
from botctl.domain.sentiment import SentimentHistory
from botctl.domain.serialization import parse_json
from botctl.domain.symbols import Timeframe
from botctl.market_data.timeline import align_histories
from botctl.store import key_value
from botctl.store.evidence.price_decimals import save_price_decimals

POSITION_KEY = "tape.position"
"""The last bar that was played, in the demo's database: each tick of a demo is a process of its own."""
TIMEFRAME = Timeframe.MINUTES_15
HALF_SPREAD = Decimal("0.00005")
"""The distance of bid and ask from the next price, as a fraction of it."""


def demo_data_folder() -> Path:
    """The folder of the demo's data: inside an installed package, or in data/ of a clone."""
    packaged = Path(__file__).parents[1] / "tape"
    return packaged if packaged.exists() else Path(__file__).parents[2] / "data" / "tape"


@dataclass(frozen=True)
class Tape:
    """The demo's data as its files have it."""

    markets: dict[str, Market]
    histories: list[CandleColumns]
    """In the order of the markets."""
    sentiment: SentimentHistory
    warm_up: int
    """The first bar that is played."""


def load_demo_market(folder: Path | None = None, signals: Timeframe = TIMEFRAME) -> SimulatedMarket:
    """The demo's market at the bar that the open database has stored. It can be played to its very last candle.

    A new database begins where there are enough candles of `signals`, if there are ever.
    """
    tape = _load_tape(folder or demo_data_folder())
    timeline = align_histories(tape.histories, 0, None, None)
    last, warmed_up = len(timeline.times) - 1, CANDLES_NEEDED * signals.seconds // TIMEFRAME.seconds - 1
    first = max(tape.warm_up, warmed_up) if warmed_up < last else tape.warm_up
    timeline = replace(timeline, first=first, last=last)
    stored = key_value.load(POSITION_KEY)
    if stored is None:
        save_price_decimals({symbol: market.price_decimals for symbol, market in tape.markets.items()})
    return SimulatedMarket(
        tape.histories,
        timeline,
        tape.sentiment,
        name="the demo's data",
        markets=tape.markets,
        half_spread=HALF_SPREAD,
        last_bar=int(stored[0]) if stored else None,
        save_bar=lambda bar: key_value.save(POSITION_KEY, str(bar)),
    )


@cache  # 50 ms, and the files of an installation don't change while a process runs
def _load_tape(folder: Path) -> Tape:
    """Raises ConfigError."""
    try:
        description = parse_json((folder / "markets.json").read_text())
        markets = {row["symbol"]: _parse_market(row) for row in description["markets"]}
        rows = {symbol: _read_rows(folder, symbol) for symbol in markets}
    except (OSError, ValueError) as error:
        raise ConfigError(f"the demo's data in {folder} can't be read", hint="reinstall botctl") from error
    histories = [_parse_candles(symbol, rows[symbol]) for symbol in markets]
    sentiment = _parse_sentiment(next(iter(rows.values())))
    return Tape(markets, histories, sentiment, int(description["warm_up"]))


def _parse_market(row: dict[str, Any]) -> Market:
    decimals = int(row["lot_decimals"]), int(row["price_decimals"])
    minima = Decimal(row["min_amount"]), Decimal(row["min_cost"])
    return Market(row["symbol"], row["base"], row["quote"], row["symbol"], *decimals, *minima)


def _read_rows(folder: Path, symbol: str) -> list[list[str]]:
    """The rows of one symbol: time, open, high, low, close, volume, fear_greed."""
    with (folder / f"{symbol.replace('/', '-')}.csv").open(newline="") as file:
        return [row for row in csv.reader(file) if row and row[0].isdigit()]


def _parse_candles(symbol: str, rows: list[list[str]]) -> CandleColumns:
    times, *columns = list(zip(*rows, strict=True))[:6]
    return CandleColumns(symbol, TIMEFRAME.seconds, [*map(int, times)], *([*map(float, c)] for c in columns))


def _parse_sentiment(rows: list[list[str]]) -> SentimentHistory:
    """The Fear & Greed index, measured at each close."""
    return SentimentHistory([int(row[0]) + TIMEFRAME.seconds for row in rows], [int(row[6]) for row in rows])
