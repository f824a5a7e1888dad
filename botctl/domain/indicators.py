"""EMA, RSI and ATR one candle at a time: plain arithmetic on floats that judges the last candle and a whole history.

Every function takes and returns scalars, or walks over anything that can be indexed, so it runs as it stands and
compiled by numba alike. Definitions: J. Welles Wilder, New Concepts in Technical Trading Systems (1978), for the ATR,
the RSI and their smoothing; each average begins with the plain mean of its first values.
"""

from collections.abc import MutableSequence, Sequence
from typing import NamedTuple

SEED_FADES_AFTER = 100
"""Wilder's average still feels its first value for so many candles beyond its period."""
CANDLES_NEEDED = 114
"""The technical agent wants to see so many, so that the seeds of its averages have faded."""

BULLISH, BEARISH, NEUTRAL, UNKNOWN = 1, 2, 3, 0
"""What the technical agent says, as numbers that fit into an array."""


class Averages(NamedTuple):
    """One figure for each average that the technical agent and the stop live by: its value, or its weight."""

    fast: float
    slow: float
    gain: float
    loss: float
    atr: float


def smooth(average: float, value: float, weight: float) -> float:
    """An exponential average after one more value: `weight` of the new value, the rest of the old average."""
    return average * (1.0 - weight) + value * weight


def fade(total: float, value: float, weight: float) -> float:
    """Wilder's sum after one more value: it loses its part `weight` first. By that weight it is the average, and two
    of them stand to each other as their averages do."""
    return total * (1.0 - weight) + value


def true_range(high: float, low: float, previous_close: float) -> float:
    """How far the price went in one candle, with the gap to the close before it. In quote per asset."""
    return max(high, previous_close) - min(low, previous_close)


def relative_strength(gain: float, loss: float) -> float:
    """RSI, 0 to 100, of the average gain and the average loss; NaN where the price never moved."""
    total = gain + loss
    return 100.0 * gain / total if total > 0.0 else float("nan")


def technical_opinion(fast: float, slow: float, gain: float, loss: float, ceiling: float) -> int:
    """Fast EMA over slow and RSI below `ceiling`: BULLISH; under it: BEARISH; else NEUTRAL, without figures UNKNOWN."""
    return UNKNOWN if fast != fast or slow != slow else opinion_of_figures(fast, slow, gain, loss, ceiling)


def opinion_of_figures(fast: float, slow: float, gain: float, loss: float, ceiling: float) -> int:
    """The same where no average is NaN.

    The RSI is asked for without its division, which costs more than all the rest: it lies below the ceiling when
    100 * gain < ceiling * (gain + loss). Without any move there is no RSI. There is nothing to branch on either: a
    processor that guesses wrong which way a market turns loses the time of several candles.
    """
    moves = gain + loss
    bullish = (fast > slow) & (100.0 * gain < ceiling * moves)
    return (moves > 0.0) * (NEUTRAL - (NEUTRAL - BULLISH) * bullish - (NEUTRAL - BEARISH) * (fast < slow))


def read_market(
    highs: Sequence[float],
    lows: Sequence[float],
    closes: Sequence[float],
    ema_fast: int,
    ema_slow: int,
    rsi_period: int,
    ceiling: float,
    atr_period: int,
    opinions: MutableSequence[int],
    atrs: MutableSequence[float],
) -> tuple[float, float, float, float]:
    """The technical agent's opinion and the ATR of every candle, and the last EMAs, gain and loss.

    Each candle is judged by itself and those before it, so the last opinion of a history is the one that a run at
    its end forms. Where the candles don't reach, opinions are UNKNOWN and the ATR is NaN.
    """
    count = len(closes)
    fast_weight, slow_weight = 2.0 / (ema_fast + 1.0), 2.0 / (ema_slow + 1.0)
    rsi_weight, atr_weight = 1.0 / rsi_period, 1.0 / atr_period
    nan = float("nan")
    fast = slow = gain = loss = atr = nan
    fast_sum = slow_sum = gain_sum = loss_sum = range_sum = 0.0
    seeded = max(max(ema_fast, ema_slow), max(rsi_period + 1, atr_period))
    previous = closes[0] if count else nan
    for at in range(min(seeded, count)):
        close = closes[at]
        spread = true_range(highs[at], lows[at], previous) if at else highs[at] - lows[at]
        up, down = max(close - previous, 0.0), max(previous - close, 0.0)
        previous = close
        if at < ema_fast:
            fast_sum += close
            fast = fast_sum / ema_fast if at == ema_fast - 1 else nan
        else:
            fast = smooth(fast, close, fast_weight)
        if at < ema_slow:
            slow_sum += close
            slow = slow_sum / ema_slow if at == ema_slow - 1 else nan
        else:
            slow = smooth(slow, close, slow_weight)
        if at <= rsi_period:
            gain_sum += up
            loss_sum += down
            gain, loss = (gain_sum, loss_sum) if at == rsi_period else (nan, nan)
        else:
            gain, loss = fade(gain, up, rsi_weight), fade(loss, down, rsi_weight)
        if at < atr_period:
            range_sum += spread
            atr = range_sum / atr_period if at == atr_period - 1 else nan
        else:
            atr = smooth(atr, spread, atr_weight)
        opinions[at] = technical_opinion(fast, slow, gain, loss, ceiling)
        atrs[at] = atr
    if seeded >= count:
        return fast, slow, gain, loss
    averages = Averages(fast, slow, gain, loss, atr)
    weights = Averages(fast_weight, slow_weight, rsi_weight, rsi_weight, atr_weight)
    return read_on(highs, lows, closes, seeded, averages, weights, ceiling, opinions, atrs)


def read_on(
    highs: Sequence[float],
    lows: Sequence[float],
    closes: Sequence[float],
    begin: int,
    averages: Averages,
    weights: Averages,
    ceiling: float,
    opinions: MutableSequence[int],
    atrs: MutableSequence[float],
) -> tuple[float, float, float, float]:
    """The same from candle `begin` on, which is not the first, once every average has its seed: nearly all candles of
    a history come this way."""
    fast, slow, gain, loss, atr = averages
    begin = max(begin, 1)  # so that the compiler knows: no index is counted from the end
    previous = closes[begin - 1]
    for after in range(len(closes) - begin):
        at = begin + after
        close = closes[at]
        fast, slow = smooth(fast, close, weights.fast), smooth(slow, close, weights.slow)
        move = close - previous
        rise = max(move, 0.0)
        gain, loss = fade(gain, rise, weights.gain), fade(loss, rise - move, weights.loss)
        atr = smooth(atr, true_range(highs[at], lows[at], previous), weights.atr)
        previous = close
        opinions[at] = opinion_of_figures(fast, slow, gain, loss, ceiling)
        atrs[at] = atr
    return fast, slow, gain, loss
