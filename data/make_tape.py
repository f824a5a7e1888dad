"""Writes the demo's tape: synthetic candles and moods that follow the story below, the same bytes on every run."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import fsum
from pathlib import Path
from random import Random

SEED = 451  # tried out: with another one the opening below ends its trades in other ways
NOTE = f"synthetic: made by data/make_tape.py with seed {SEED}; not market data"
START = datetime(2025, 1, 1, tzinfo=UTC)
CANDLE_SECONDS = 15 * 60
WARM_UP = 200  # the first tick already sees this many candles before its own, enough for every indicator
MOOD_HOURS = 6  # the mood may change once in so many hours; each regime lasts a multiple of them
TAPE = Path(__file__).parent / "tape"


@dataclass(frozen=True)
class Market:
    """What is quoted, where its price begins, and how wildly it moves beside the regime's volatility."""

    symbol: str
    first_price: float
    price_decimals: int
    min_amount: str
    wildness: float
    candle_volume: float  # in the asset, on an ordinary candle

    @property
    def file_name(self) -> str:
        return self.symbol.replace("/", "-") + ".csv"


@dataclass(frozen=True)
class Regime:
    """A stretch of weather: by its end the two prices have moved by about `btc` and `eth` percent."""

    name: str
    hours: int
    btc: float
    eth: float
    volatility: float  # one candle's typical move, in percent
    mood: int  # the fear & greed index wanders around it: up to 46 is fear, from 55 is greed


@dataclass(frozen=True)
class Candle:
    """One row of the tape but for its time and mood."""

    open: float
    high: float
    low: float
    close: float
    volume: float


MARKETS = (
    Market("BTC/USD", 64000.0, 1, "0.00005", wildness=1.0, candle_volume=18.0),
    Market("ETH/USD", 2600.0, 2, "0.001", wildness=1.2, candle_volume=240.0),
)

STORY = (
    # The opening is staged: within 200 ticks a stop loss, a trailing stop and the Council each end a trade.
    # The first tick comes 2 hours into "relief".
    Regime("new year's slide", 42, -3.5, -4.0, 0.22, 40),
    Regime("a floor", 6, 0.9, 0.8, 0.20, 36),
    Regime("relief", 12, 3.6, 3.2, 0.22, 36),
    Regime("second thoughts", 6, -1.6, -2.0, 0.22, 49),
    Regime("a rebound that fails", 6, 1.2, 1.4, 0.22, 42),
    Regime("a cold shower", 6, -2.6, -3.2, 0.28, 36),
    Regime("nobody moves", 12, 0.2, 0.0, 0.16, 50),
    Regime("buyers come back", 6, 1.6, 2.0, 0.30, 43),
    Regime("sold on the news", 12, -1.2, -1.3, 0.13, 60),
    Regime("a Sunday", 18, 0.6, 0.8, 0.14, 51),
    Regime("doubt", 12, -1.6, -1.2, 0.20, 45),
    Regime("a quick recovery", 24, 4.2, 4.8, 0.24, 43),
    # From here on the weather is only varied: calm, climb, crash and recovery.
    Regime("calm", 96, 1.0, -1.0, 0.15, 51),
    Regime("a bad headline", 18, -2.2, -2.6, 0.24, 44),
    Regime("it was nothing", 18, 2.8, 3.2, 0.24, 45),
    Regime("climb", 96, 6.0, 8.0, 0.20, 58),
    Regime("a wobble", 24, -2.5, -3.0, 0.26, 47),
    Regime("buy the wobble", 24, 4.5, 5.5, 0.27, 44),
    Regime("euphoria", 72, 6.5, 8.0, 0.28, 76),
    Regime("distribution", 96, -3.0, -4.0, 0.22, 66),
    Regime("correction", 84, -8.0, -9.5, 0.28, 44),
    Regime("bargains", 12, 2.4, 3.0, 0.30, 42),
    Regime("nobody follows", 24, -1.6, -1.8, 0.13, 58),
    Regime("dead calm", 108, 0.5, 1.0, 0.14, 50),
    Regime("spring", 60, 6.0, 5.0, 0.20, 44),
    Regime("plateau", 144, -0.5, 1.5, 0.18, 56),
    Regime("cracks", 72, -5.0, -6.0, 0.25, 48),
    Regime("crash", 30, -13.0, -16.0, 0.42, 24),
    Regime("dead cat", 18, 6.0, 7.5, 0.40, 22),
    Regime("aftershock", 96, -7.5, -9.0, 0.32, 20),
    Regime("exhaustion", 120, 0.5, 0.5, 0.20, 47),
    Regime("first light", 48, 6.0, 7.0, 0.24, 38),
    Regime("disbelief", 96, 0.0, -1.0, 0.18, 51),
    Regime("recovery", 72, 8.0, 10.0, 0.24, 43),
    Regime("profit taking", 36, -2.2, -2.6, 0.15, 59),
    Regime("second wind", 24, 3.5, 4.0, 0.24, 45),
    Regime("relief rally", 120, 6.0, 7.0, 0.22, 56),
    Regime("chop", 96, -1.5, -2.5, 0.24, 48),
    Regime("rumours", 12, 2.2, 2.8, 0.30, 44),
    Regime("denials", 24, -1.8, -2.0, 0.14, 57),
    Regime("fade", 96, -4.0, -5.0, 0.22, 53),
    Regime("second spring", 72, 6.0, 7.0, 0.22, 45),
    Regime("a last scare", 18, -2.2, -2.6, 0.26, 44),
    Regime("quiet end", 144, 1.5, 2.0, 0.15, 51),
)


def noise(rng: Random) -> float:
    """A bell-shaped draw of mean 0 and deviation 1.

    It is a plain sum, where `gauss` takes a logarithm, whose last digit is not the same on every machine.
    """
    return fsum(rng.random() for _ in range(12)) - 6.0


def draw_moods(regime: Regime, rng: Random) -> list[int]:
    """The fear & greed index at each candle of `regime`."""
    candles_per_mood = MOOD_HOURS * 3600 // CANDLE_SECONDS
    moods = (regime.mood + rng.randint(-2, 2) for _ in range(regime.hours // MOOD_HOURS))
    return [mood for mood in moods for _ in range(candles_per_mood)]


def draw_steps(percent: float, volatility: float, shared: list[float], rng: Random) -> list[float]:
    """Each candle's move as a fraction, noise included; together they add up to `percent`.

    Most of the noise is `shared`, because the two markets mostly move together. (The two weights' squares add up to 1.)
    """
    own = [0.85 * common + 0.53 * noise(rng) for common in shared]
    bias = fsum(own) / len(own)
    return [percent / 100 / len(own) + volatility / 100 * (move - bias) for move in own]


def draw_candles(market: Market, price: float, steps: list[float], rng: Random) -> Iterator[Candle]:
    """The candles of one regime, the first of which opens at `price`."""
    typical = fsum(abs(step) for step in steps) / len(steps)
    for step in steps:
        opened, price = price, round(price * (1 + step), market.price_decimals)
        reach = 0.7 * typical * opened  # how far a wick may stick out
        yield Candle(
            open=opened,
            high=round(max(opened, price) + reach * rng.random(), market.price_decimals),
            low=round(min(opened, price) - reach * rng.random(), market.price_decimals),
            close=price,
            volume=market.candle_volume * (0.3 + abs(step) / typical) * (0.5 + rng.random()),
        )


def draw_tape() -> tuple[list[int], dict[str, list[Candle]]]:
    """The moods, and each market's candles, from the first regime to the last."""
    rng = Random(SEED)
    moods: list[int] = []
    candles: dict[str, list[Candle]] = {market.symbol: [] for market in MARKETS}
    for regime in STORY:
        moods += draw_moods(regime, rng)
        shared = [noise(rng) for _ in range(regime.hours * 3600 // CANDLE_SECONDS)]
        for market, percent in zip(MARKETS, (regime.btc, regime.eth), strict=True):
            tape = candles[market.symbol]
            price = tape[-1].close if tape else market.first_price
            steps = draw_steps(percent, regime.volatility * market.wildness, shared, rng)
            tape += draw_candles(market, price, steps, rng)
    return moods, candles


def csv_text(market: Market, candles: list[Candle], moods: list[int]) -> str:
    """The market's file. Its first line says what it is, for whoever meets the file alone."""
    lines = [
        f"# {NOTE}",
        "time,open,high,low,close,volume,fear_greed",
    ]
    time = int(START.timestamp())
    for candle, mood in zip(candles, moods, strict=True):
        prices = (candle.open, candle.high, candle.low, candle.close)
        quoted = ",".join(f"{price:.{market.price_decimals}f}" for price in prices)
        lines.append(f"{time},{quoted},{candle.volume:.4f},{mood}")
        time += CANDLE_SECONDS
    return "\n".join(lines) + "\n"


def market_facts(market: Market) -> dict[str, str | int]:
    """What an exchange would say about its market: the decimals it keeps and the smallest order it takes."""
    base, quote = market.symbol.split("/")
    return {
        "symbol": market.symbol,
        "base": base,
        "quote": quote,
        "lot_decimals": 8,
        "price_decimals": market.price_decimals,
        "cost_decimals": 5,
        "min_amount": market.min_amount,
        "min_cost": "0.5",
    }


def markets_text() -> str:
    """The file beside the candles, for what they do not say."""
    facts = [market_facts(market) for market in MARKETS]
    return json.dumps({"note": NOTE, "warm_up": WARM_UP, "markets": facts}, indent=2) + "\n"


def make_files() -> dict[Path, bytes]:
    """Every file of the tape, as it should be on disk."""
    moods, candles = draw_tape()
    texts = {TAPE / market.file_name: csv_text(market, candles[market.symbol], moods) for market in MARKETS}
    texts[TAPE / "markets.json"] = markets_text()
    return {path: text.encode("ascii") for path, text in texts.items()}


def check_files(files: dict[Path, bytes]) -> int:
    """Name each file that is not as it should be; 1 if there is one."""
    stale = [path for path, content in files.items() if not path.is_file() or path.read_bytes() != content]
    for path in stale:
        print(f"{path} differs: run python data/make_tape.py", file=sys.stderr)
    return 1 if stale else 0


def main() -> int:
    """Write the tape, or with `--check` only compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs from the story")
    arguments = parser.parse_args()
    files = make_files()
    if arguments.check:
        return check_files(files)
    TAPE.mkdir(exist_ok=True)
    for path, content in files.items():
        path.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
