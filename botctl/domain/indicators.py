"""EMA, RSI and ATR of a whole history, one candle at a time, in plain arithmetic on floats.

The functions take scalars or anything that can be indexed, so that they run interpreted and compiled by numba alike.
Definitions: J. Welles Wilder, New Concepts in Technical Trading Systems (1978), for the ATR, the RSI and their
smoothing; each average starts with the plain mean of its first values.
"""

import math
from collections.abc import MutableSequence, Sequence
from typing import NamedTuple

MAX_SEED_SHARE = 0.001
"""Less than this share of an ATR comes from its first value, the mean of its first candles."""
CANDLES_NEEDED = 114
"""How many the technical agent needs, so that the seeds of its averages have faded. No ATR needs fewer."""
MAX_ATR_PERIOD = 91
"""A longer one needs more closed candles than Kraken returns."""
TIE = 1e-12
"""Averages that differ by no more than this share are equal: what is left of a market that stands still is rounding."""

RSI_AGREES_FROM = 300
"""From so many candles on pandas-ta's RSI, which begins with the first change and no mean, is that of a backtest."""
EMA_TIE, RSI_TIE = 1e-9, 1e-6
"""How near the EMAs are to each other, as a fraction, and the RSI to its ceiling, where the last digits decide."""

BULLISH, BEARISH, NEUTRAL, UNKNOWN = 1, 2, 3, 0
"""The technical agent's opinions as numbers, which fit into an array."""


class Averages(NamedTuple):
    """The value, or the weight, of each average that the technical agent and the stop use."""

    fast: float
    slow: float
    gain: float
    loss: float
    atr: float


def candles_needed(atr_period: int) -> int:
    """How many closed candles an ATR of this period needs, so that its first value counts for less than MAX_SEED_SHARE.

    Each candle after the first `atr_period` leaves 1 - 1 / `atr_period` of that value.
    """
    faded = math.floor(math.log(MAX_SEED_SHARE) / math.log(1 - 1 / atr_period)) + 1 if atr_period > 1 else 0
    return max(CANDLES_NEEDED, atr_period + faded)


def smooth(average: float, value: float, weight: float) -> float:
    """An exponential average after one more value: `weight` of the new value, the rest of the old average."""
    return average * (1.0 - weight) + value * weight


def wilder_sum(total: float, value: float, weight: float) -> float:
    """Wilder's sum after one more value. Times `weight` it is the average, and the ratio of two sums is that of
    their averages."""
    return total * (1.0 - weight) + value


def true_range(high: float, low: float, previous_close: float) -> float:
    """The range of a candle including the gap to the previous close, in quote per asset."""
    return max(high, previous_close) - min(low, previous_close)


def relative_strength(gain: float, loss: float) -> float:
    """RSI, 0 to 100, of the average gain and the average loss; NaN where the price never moved."""
    total = gain + loss
    return 100.0 * gain / total if total > 0.0 else float("nan")


def technical_opinion(fast: float, slow: float, gain: float, loss: float, ceiling: float) -> int:
    """Fast EMA over slow and RSI below `ceiling`: BULLISH; under it: BEARISH; else NEUTRAL, without figures UNKNOWN.
    EMAs within TIE of each other are neither over nor under."""
    return UNKNOWN if fast != fast or slow != slow else opinion_of_valid_averages(fast, slow, gain, loss, ceiling)


def opinion_of_valid_averages(fast: float, slow: float, gain: float, loss: float, ceiling: float) -> int:
    """The same where no average is NaN.

    RSI < ceiling is computed without the division, which costs more than all the rest, as
    100 * gain < ceiling * (gain + loss). Without any move there is no RSI. The code has no branches, because each one
    that a processor predicts wrong costs the time of several candles.
    """
    moves, margin = gain + loss, TIE * slow
    bullish = (fast - slow > margin) & (100.0 * gain < ceiling * moves)
    return (moves > 0.0) * (NEUTRAL - (NEUTRAL - BULLISH) * bullish - (NEUTRAL - BEARISH) * (slow - fast > margin))


def trend_opinion(fast: float, slow: float, rsi: float, ceiling: float) -> int:
    """`technical_opinion` of figures that are known, with the RSI itself; NaN is UNKNOWN."""
    if fast != fast or slow != slow or rsi != rsi:
        return UNKNOWN
    if fast > slow:
        return BULLISH if rsi < ceiling else NEUTRAL
    return BEARISH if fast < slow else NEUTRAL


def may_differ(count: int, fast: float, slow: float, rsi: float, ceiling: float) -> bool:
    """Whether pandas-ta and a backtest, whose figures agree to some digits, may have different opinions here: at a tie
    of the averages, at the ceiling, and while the first values of the RSI still count. Then the backtest's is the one
    that counts, so that a run decides what a backtest has shown."""
    near = abs(fast - slow) <= EMA_TIE * slow or abs(rsi - ceiling) <= RSI_TIE
    return count < RSI_AGREES_FROM or near


def seed_average(
    total: float, average: float, value: float, at: int, period: int, weight: float
) -> tuple[float, float]:
    """The sum of the first `period` values, and the average after value number `at`: NaN until they are complete."""
    if at >= period:
        return total, smooth(average, value, weight)
    total += value
    return total, total / period if at == period - 1 else float("nan")


def calculate_indicators(
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
    """Fill in the technical agent's opinion and the ATR of every candle; return the last EMAs, gain and loss.

    Each row depends on no later candle, so a backtest sees what a run at that moment sees. While there are too few
    candles the opinion is UNKNOWN and the ATR is NaN.
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
        fast_sum, fast = seed_average(fast_sum, fast, close, at, ema_fast, fast_weight)
        slow_sum, slow = seed_average(slow_sum, slow, close, at, ema_slow, slow_weight)
        if at <= rsi_period:
            gain_sum += up
            loss_sum += down
            gain, loss = (gain_sum, loss_sum) if at == rsi_period else (nan, nan)
        else:
            gain, loss = wilder_sum(gain, up, rsi_weight), wilder_sum(loss, down, rsi_weight)
        range_sum, atr = seed_average(range_sum, atr, spread, at, atr_period, atr_weight)
        opinions[at] = technical_opinion(fast, slow, gain, loss, ceiling)
        atrs[at] = atr
    if seeded >= count:
        return fast, slow, gain, loss
    averages = Averages(fast, slow, gain, loss, atr)
    weights = Averages(fast_weight, slow_weight, rsi_weight, rsi_weight, atr_weight)
    return continue_indicators(highs, lows, closes, seeded, averages, weights, ceiling, opinions, atrs)


def continue_indicators(
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
    """The same from candle `begin` on, when every average has its seed: the fast path of nearly all candles."""
    fast, slow, gain, loss, atr = averages
    begin = max(begin, 1)  # shows the compiler that no index is negative
    previous = closes[begin - 1]
    for after in range(len(closes) - begin):
        at = begin + after
        close = closes[at]
        fast, slow = smooth(fast, close, weights.fast), smooth(slow, close, weights.slow)
        move = close - previous
        rise = max(move, 0.0)
        gain, loss = wilder_sum(gain, rise, weights.gain), wilder_sum(loss, rise - move, weights.loss)
        atr = smooth(atr, true_range(highs[at], lows[at], previous), weights.atr)
        previous = close
        opinions[at] = opinion_of_valid_averages(fast, slow, gain, loss, ceiling)
        atrs[at] = atr
    return fast, slow, gain, loss
