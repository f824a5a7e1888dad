"""Checks what the exchange says against what is known: prices, balances, orders, markets, the key."""
