"""The commands that try the strategy on past candles: they place no order."""
