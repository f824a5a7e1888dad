"""The line of `botctl --help` for each command, so that it need not load them all.

Generated from their docstrings by `python -m tests.cli.help_lines`; a test compares.
"""

HELP_LINES = {
    "tick": "One visit: settle, guard, then let the Council trade.",
    "check-positions": "Check every open position against its stop, now.",
    "drawdown": "Value the account; too far down, sell everything.",
    "buy": "Buy SYMBOL at market for AMOUNT, with an ATR stop.",
    "sell": "Sell the open trade of SYMBOL's asset, or AMOUNT of it.",
    "liquidate": "The eject button: sell all trades, and disable buys.",
    "pause": "Stop trading: no Council, no entries.",
    "resume": "Trade again.",
    "status": "All of it at one glance, without network.",
    "positions": "Open trades with their stops.",
    "trades": "Every trade there was, its profit, and why it ended.",
    "orders": "The order journal.",
    "why": "What the Council decided on SYMBOL, and why.",
    "explain": "The whole life of one trade, in order.",
    "log": "The audit trail: each change of a trade or of the switch.",
    "balance": "What the exchange holds for us, with its value.",
    "reconcile": "Journal, trades and exchange side by side.",
    "recover": "Rebuild open trades from the exchange's own records.",
    "report": "Write a page of curves, trades and decisions.",
    "fetch": "Fetch candles from Kraken into data/candles.",
    "backtest": "Trade a history as botctl would have traded it.",
    "replay": "Play a history through the real tick.",
    "sweep": "Try every set of a grid, and show the best.",
    "notify": "Send a test message to every address of NOTIFY_URLS.",
    "schedule": "Have cron or systemd run the ticks.",
    "config": "See and check the settings.",
    "db": "The database: migrate, back up, check, copy.",
    "init": "Write .env (owner-only) and make the mode's database.",
    "demo": "Play the synthetic tape in a throw-away database.",
    "doctor": "Check all that a first live run needs, with the fixes.",
}
