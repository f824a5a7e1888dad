"""What can be read out of candles."""
