"""The report: a page and a picture made from the database or a backtest."""
