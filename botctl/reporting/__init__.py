"""Reports on the database or a backtest, as an HTML page or a PNG."""
