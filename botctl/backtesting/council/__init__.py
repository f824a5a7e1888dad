"""Councils of a backtest other than the compiled one: own agents, programs, and recorded decisions."""
