"""Strategies tried on past candles."""
