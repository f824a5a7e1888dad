"""Kraken: its prices, the account, and how it says so."""
