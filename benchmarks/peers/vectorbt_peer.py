"""The same strategy with vectorbt, as its documentation would have it: indicators, signals, an adjusted stop loss.

Run by the benchmark in an environment of its own: `vectorbt_peer.py ARRAYS once|sweep`. Prints one JSON object.
"""

import json
import resource
import sys
import time

import numpy as np
import vectorbt as vbt
from numba import njit
from vectorbt.portfolio.enums import StopEntryPrice, StopExitPrice

ATR_FADED = 113
WILDER_14 = 27
"""The span of an exponential average that weighs as Wilder's of fourteen."""


@njit
def adjust(c, atrs, multiples, breakevens):
    """Fixed below the entry, then trailing: told as a fraction of the highest price."""
    atr, multiple = atrs[c.init_i], multiples[c.col]
    stop = c.init_price - multiple * atr
    if c.curr_price > c.init_price + breakevens[c.col] * atr:
        stop = max(stop, max(c.init_price, c.curr_price - multiple * atr))
    return 1.0 - stop / c.curr_price, True


def upright(row):
    """As one column, without the last candle: nobody fills its orders."""
    return row[:-1, None]


def trade(data, multiples, breakevens):
    opens, highs, lows, closes, sentiments = (data[name] for name in ("opens", "highs", "lows", "closes", "sentiments"))
    fast = vbt.MA.run(closes, 12, ewm=True).ma.to_numpy().ravel()
    slow = vbt.MA.run(closes, 26, ewm=True).ma.to_numpy().ravel()
    rsi = vbt.RSI.run(closes, WILDER_14, ewm=True).rsi.to_numpy().ravel()
    atrs = vbt.ATR.run(highs, lows, closes, WILDER_14, ewm=True).atr.to_numpy().ravel()
    entries = (fast > slow) & (rsi < 70) & (sentiments == 1)
    entries[:ATR_FADED] = False
    exits = (fast < slow) & (sentiments == 2)
    fills = np.append(opens[1:], closes[-1])
    return vbt.Portfolio.from_signals(
        upright(closes),
        entries=upright(entries),
        exits=upright(exits),
        price=upright(fills),
        size=upright(np.floor(100.0 / fills * 1e8 + 1e-6) / 1e8),
        fees=0.008,
        slippage=0.0005,
        init_cash=10_000.0,
        sl_stop=np.broadcast_to(np.full(len(multiples), 0.5), (1, len(multiples))),
        adjust_sl_func_nb=adjust,
        adjust_sl_args=(atrs, multiples, breakevens),
        stop_entry_price=StopEntryPrice.FillPrice,
        stop_exit_price=StopExitPrice.Price,
        freq="15min",
    )


def once(data):
    one, two = np.array([2.0]), np.array([2.0])
    records = trade(data, one, two).trades.records  # compiles
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        records = trade(data, one, two).trades.records
        seconds.append(time.perf_counter() - began)
    return {
        "seconds": min(seconds),
        "trades": [[int(row.entry_idx), int(row.exit_idx), float(row.pnl)] for row in records.itertuples()],
    }


def sweep(data):
    grid = [(multiple, breakeven) for multiple in np.linspace(1, 5, 40) for breakeven in np.linspace(1, 4, 25)]
    multiples, breakevens = (np.array(column) for column in zip(*grid, strict=True))
    trade(data, multiples[:2], breakevens[:2]).total_return()
    began = time.perf_counter()
    portfolio = trade(data, multiples, breakevens)
    returns = portfolio.total_return()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "returns": [float(one) for one in returns], "peak_bytes": peak}


if __name__ == "__main__":
    arrays = dict(np.load(sys.argv[1]))
    print(json.dumps({"once": once, "sweep": sweep}[sys.argv[2]](arrays)))
