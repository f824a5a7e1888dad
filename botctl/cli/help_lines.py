"""The line of `botctl --help` for each command, so that it need not load them all.

Generated from their docstrings by `python -m tests.cli.help_lines`; a test compares.
"""

HELP_LINES = {
    "tick": "Run one tick: check stops, settle orders, then trade.",
    "check-positions": "Check open positions against their stops.",
    "drawdown": "Check the drawdown, and sell everything beyond the limit.",
    "buy": "Buy SYMBOL at market for AMOUNT, with an ATR stop.",
    "sell": "Sell the open trade of SYMBOL's asset, or AMOUNT of it.",
    "liquidate": "Sell all open trades and disable buys.",
    "forget": "Close an open trade by your word, without an order.",
    "pause": "Pause trading: no new entries, while stops stay active.",
    "resume": "Resume trading.",
    "status": "Show the state of the bot, without network.",
    "positions": "List open trades with their stops.",
    "trades": "List all trades with their profit.",
    "orders": "List the orders of the journal.",
    "why": "Show what the Council decided on SYMBOL, and why.",
    "explain": "Show the full history of one trade.",
    "log": "Show the audit trail of trades and the kill switch.",
    "balance": "Show the account's balances and their value.",
    "reconcile": "Compare the database with the exchange's records.",
    "recover": "Rebuild open trades from the exchange's records.",
    "report": "Write an HTML report of equity, trades and decisions.",
    "fetch": "Download candles from Kraken into data/candles.",
    "backtest": "Backtest the strategy on candle files.",
    "replay": "Replay candle files through the real tick.",
    "sweep": "Backtest every combination of a parameter grid.",
    "notify": "Send a test message to every address of NOTIFY_URLS.",
    "schedule": "Run ticks from cron or systemd.",
    "agent": "Write agents for the Council, and try them.",
    "config": "Show and check the settings.",
    "db": "Migrate, back up, check or copy the database.",
    "init": "Create .env and the database of a mode.",
    "demo": "Run ticks on the demo market, in a temporary database.",
    "doctor": "Check everything a live run needs, and suggest fixes.",
}
