"""What a bar's sales bring: money and amounts in lots, one trade a symbol.

Plain numbers only: numba compiles these functions unchanged.
"""

from collections.abc import MutableSequence, Sequence

from botctl.backtesting.exits import DRAWDOWN, LOTS_PER_UNIT, truncate_to_lot
from botctl.backtesting.tables import Table


def sale_proceeds(held: float, bid: float, fee_rate: float, slippage: float) -> float:
    """The proceeds of a sale after its fee."""
    cost = truncate_to_lot(held * LOTS_PER_UNIT * bid * (1.0 - slippage))
    return cost - truncate_to_lot(cost * fee_rate)


def sell_rested(
    cash: float,
    active: int,
    held: MutableSequence[float],
    exit_bar: Sequence[int],
    exit_bid: Sequence[float],
    last_exit: MutableSequence[int],
    event: int,
    fee_rate: float,
    slippage: float,
) -> tuple[float, int]:
    """Sell what resting stops have sold before this bar's tick. Returns the cash and the number of open trades."""
    for symbol in range(len(held)):
        if held[symbol] > 0.0 and exit_bar[symbol] == event and exit_bid[symbol] > 0.0:
            cash += sale_proceeds(held[symbol], exit_bid[symbol], fee_rate, slippage)
            held[symbol], last_exit[symbol] = 0.0, event
            active -= 1
    return cash, active


def sell_due(
    cash: float,
    active: int,
    held: MutableSequence[float],
    exit_bar: Sequence[int],
    last_exit: MutableSequence[int],
    fills: Table[float],
    event: int,
    fee_rate: float,
    slippage: float,
) -> tuple[float, int]:
    """Sell what ends at this bar's tick. Returns the cash and the number of open trades."""
    for symbol in range(len(held)):
        if held[symbol] > 0.0 and exit_bar[symbol] == event:
            cash += sale_proceeds(held[symbol], fills[symbol, event], fee_rate, slippage)
            held[symbol], last_exit[symbol] = 0.0, event
            active -= 1
    return cash, active


def sell_all(
    held: MutableSequence[float],
    fills: Table[float],
    trade: Sequence[int],
    exits: MutableSequence[int],
    endings: MutableSequence[int],
    event: int,
    fee_rate: float,
    slippage: float,
) -> float:
    """Sell all that is held, as the drawdown guard does. Returns the proceeds."""
    proceeds = 0.0
    for symbol in range(len(held)):
        if held[symbol] > 0.0:
            proceeds += sale_proceeds(held[symbol], fills[symbol, event], fee_rate, slippage)
            held[symbol] = 0.0
            exits[trade[symbol]], endings[trade[symbol]] = event, DRAWDOWN
    return proceeds
