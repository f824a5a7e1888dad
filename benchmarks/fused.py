"""The limit: the same strategy for one symbol as one hand-written loop."""

import numpy as np
from numba import njit


@njit
def fused(  # type: ignore[no-untyped-def]
    opens,
    highs,
    lows,
    closes,
    sentiments,
    cash,
    amount,
    fee,
    slippage,
    cooldown,
    multiple,
    breakeven,
    worst,
    equity,
    buffers,
):
    """The number of trades and the final cash. Writes the entry and exit bars of trades to `buffers`."""
    count, held, ready, tripped = 0, 0.0, 0, False
    entry = atr_then = stop = high = 0.0
    floor = cash * (1.0 - worst)
    fast_weight, slow_weight, weight = 2.0 / 13.0, 2.0 / 27.0, 1.0 / 14.0
    fast, slow = closes[:12].mean(), closes[:26].mean()
    atr, gain, loss = highs[0] - lows[0], 0.0, 0.0
    for at in range(1, 14):
        atr += max(highs[at], closes[at - 1]) - min(lows[at], closes[at - 1])
    for at in range(1, 15):
        gain += max(closes[at] - closes[at - 1], 0.0)
        loss += max(closes[at - 1] - closes[at], 0.0)
    atr, gain, loss = atr / 14.0, gain / 14.0, loss / 14.0
    previous = closes[11]
    for at in range(12, len(closes) - 1):
        close = closes[at]
        fast = fast * (1.0 - fast_weight) + close * fast_weight
        if at >= 26:
            slow = slow * (1.0 - slow_weight) + close * slow_weight
        if at >= 14:
            spread = max(highs[at], previous) - min(lows[at], previous)
            atr = atr * (1.0 - weight) + spread * weight
        if at >= 15:
            gain = gain * (1.0 - weight) + max(close - previous, 0.0) * weight
            loss = loss * (1.0 - weight) + max(previous - close, 0.0) * weight
        previous = close
        if at < 113:
            continue
        if held == 0.0:
            equity[at] = cash
            if (
                fast > slow
                and sentiments[at] == 1
                and 100.0 * gain < 70.0 * (gain + loss)
                and at >= ready
                and not tripped
            ):
                ask = opens[at + 1]
                size = np.floor(amount / ask * 1e8 + 1e-6) / 1e8
                cost = np.floor(size * ask * (1.0 + slippage) * 1e8 + 1e-6) / 1e8
                paid = cost + np.floor(cost * fee * 1e8 + 1e-6) / 1e8
                if paid <= cash and 0.0 < ask - multiple * atr < ask:
                    cash, held, entry, atr_then = cash - paid, size, cost / size, atr
                    stop, high = entry - multiple * atr, entry
                    buffers[count, 0] = at
            continue
        worth = cash + held * close
        equity[at] = worth
        hit = worth < floor
        if hit:
            tripped = True
        else:
            high = max(high, close)
            if high > entry + breakeven * atr_then:
                stop = max(stop, max(entry, high - multiple * atr_then))
            hit = close <= stop
        if hit or (sentiments[at] == 2 and fast < slow):
            cost = np.floor(held * opens[at + 1] * (1.0 - slippage) * 1e8 + 1e-6) / 1e8
            cash += cost - np.floor(cost * fee * 1e8 + 1e-6) / 1e8
            held, ready = 0.0, at + cooldown
            buffers[count, 1] = at
            count += 1
    return count + (held > 0.0), cash
