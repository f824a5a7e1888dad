"""Histories of candles and sentiment: read, fetched, stored and turned into indicators."""
