"""The equity of a finished run at each bar, from the exact money of its trades.

The engine decides on floats, in which the cost of many units at a tiny price can miss a lot. What is shown is of the
trades themselves, so that curve, drawdown, ratios and final equity agree.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botctl.backtesting.results import BacktestTrade

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]


def equity_of_trades(
    trades: Sequence[BacktestTrade],
    symbols: Sequence[int],
    entries: Sequence[int],
    exits: Sequence[int],
    closes: "Array",
    initial: Decimal,
) -> "Array":
    """Cash and what is held at its close, at each bar after its orders. `closes` are by symbol and bar; of each trade
    come its symbol, and the bars of its entry and exit, which is beyond the last one for a trade that is still open."""
    import numpy as np

    bars = closes.shape[1]
    flows: dict[int, Decimal] = {0: initial}
    equity = np.zeros(bars)
    for trade, symbol, entered, exited in zip(trades, symbols, entries, exits, strict=True):
        flows[entered] = flows.get(entered, Decimal(0)) - trade.entry_cost - trade.entry_fee
        if trade.exit_proceeds is not None and trade.exit_fee is not None:
            flows[exited] = flows.get(exited, Decimal(0)) + trade.exit_proceeds - trade.exit_fee
        equity[entered:exited] += float(trade.amount) * closes[symbol, entered:exited]
    return equity + _cash_at_each_bar(flows, bars)


def _cash_at_each_bar(flows: dict[int, Decimal], bars: int) -> "Array":
    import numpy as np

    cash, begins = Decimal(0), sorted(flows)
    amounts = []
    for bar in begins:
        cash += flows[bar]
        amounts.append(float(cash))
    return np.repeat(amounts, np.diff([*begins, bars]))


def deepest_drawdown(equity: "Array", initial: float) -> float:
    """As a fraction of the high before it, that of the start included: 0.2 is twenty percent."""
    import numpy as np

    highs = np.maximum(np.maximum.accumulate(equity), initial)
    return float(np.max(1.0 - equity / highs, initial=0.0))
