"""The script that everybody writes first: `ccxt_script.py SYMBOL...` loads ccxt and the markets, then asks for the
balance and the prices, and holds each price against a stop."""

import os
import sys

import ccxt

exchange = ccxt.kraken(
    {
        "apiKey": os.environ["KRAKEN_API_KEY"],
        "secret": os.environ["KRAKEN_PRIVATE_KEY"],
        "urls": {"api": {"public": os.environ["KRAKEN_API_URL"], "private": os.environ["KRAKEN_API_URL"]}},
        "enableRateLimit": False,
    }
)
exchange.load_markets()
balance = exchange.fetch_balance()
tickers = exchange.fetch_tickers(sys.argv[1:])
for symbol in sys.argv[1:]:
    base = symbol.split("/")[0]
    print(symbol, balance[base]["total"], tickers[symbol]["last"], "sell" if tickers[symbol]["last"] <= 0.8 else "hold")
