"""Compares the database with the exchange, and repairs it."""
