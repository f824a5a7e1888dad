"""The same with backtrader. `backtrader_peer.py CSV`."""

import sys

import backtrader as bt
import pandas as pd


class Council(bt.Strategy):
    """EMA cross and RSI in; an ATR stop that trails out."""

    def __init__(self):
        self.fast, self.slow = bt.ind.EMA(period=12), bt.ind.EMA(period=26)
        self.rsi, self.atr = bt.ind.RSI(period=14), bt.ind.ATR(period=14)

    def next(self):
        close = self.data.close[0]
        if self.position:
            self.high = max(self.high, close)
            if self.high > self.entry + 2 * self.atr_then:
                self.stop_at = max(self.stop_at, self.entry, self.high - 2 * self.atr_then)
            if close <= self.stop_at:
                self.close()
        elif self.fast[0] > self.slow[0] and self.rsi[0] < 70:
            self.entry, self.atr_then, self.high = close, self.atr[0], close
            self.stop_at = close - 2 * self.atr_then
            self.buy(size=0.001)


if __name__ == "__main__":
    frame = pd.read_csv(sys.argv[1])
    frame.index = pd.to_datetime(frame.pop("time"), unit="s")
    cerebro = bt.Cerebro()
    cerebro.broker.setcash(1_000_000)
    cerebro.broker.setcommission(0.008)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Council)
    cerebro.run()
    print(cerebro.broker.getvalue())
