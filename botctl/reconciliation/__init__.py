"""The database beside what the exchange has, and its repair."""
