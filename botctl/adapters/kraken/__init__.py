"""Kraken behind the Exchange port."""
