"""A script as a user of backtesting.py writes it: read a CSV, trade it, print. `backtesting_peer.py CSV`."""

import sys

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy


def ema(closes, span):
    return pd.Series(closes).ewm(span=span, adjust=False).mean().to_numpy()


def wilder(values, period):
    return pd.Series(values).ewm(alpha=1 / period, adjust=False).mean().to_numpy()


def rsi(closes, period):
    change = pd.Series(closes).diff().fillna(0)
    gain, loss = wilder(change.clip(lower=0), period), wilder(-change.clip(upper=0), period)
    return 100 * gain / np.maximum(gain + loss, 1e-12)


def atr(highs, lows, closes, period):
    before = pd.Series(closes).shift(1).fillna(closes[0])
    spread = np.maximum(highs, before) - np.minimum(lows, before)
    return wilder(spread, period)


class Council(Strategy):
    """EMA cross and RSI in; an ATR stop that trails out."""

    def init(self):
        data = self.data
        self.fast = self.I(ema, data.Close, 12)
        self.slow = self.I(ema, data.Close, 26)
        self.rsi = self.I(rsi, data.Close, 14)
        self.atr = self.I(atr, data.High, data.Low, data.Close, 14)

    def next(self):
        close = self.data.Close[-1]
        if self.position:
            self.high = max(self.high, close)
            if self.high > self.entry + 2 * self.atr_then:
                self.stop = max(self.stop, self.entry, self.high - 2 * self.atr_then)
            if close <= self.stop:
                self.position.close()
        elif self.fast[-1] > self.slow[-1] and self.rsi[-1] < 70:
            self.entry, self.atr_then, self.high = close, self.atr[-1], close
            self.stop = close - 2 * self.atr_then
            self.buy(size=0.01)


if __name__ == "__main__":
    frame = pd.read_csv(sys.argv[1])
    frame.columns = ["Time", "Open", "High", "Low", "Close", "Volume"]
    frame.index = pd.to_datetime(frame.pop("Time"), unit="s")
    print(Backtest(frame, Council, cash=1_000_000, commission=0.008, finalize_trades=True).run())
