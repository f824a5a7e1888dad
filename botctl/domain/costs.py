"""What a simulated order costs: at the paper broker, in a replay and in a backtest alike."""

from decimal import Decimal

from botctl.domain.money import floor_to
from botctl.domain.orders import Side

MAX_COST_RATIO = Decimal("1.05")
"""A buy may cost this many times what was asked for; more means that its size came from a wrong price."""
COST_DECIMALS = 8
"""Decimal places of a cost and a fee in the quote currency."""
R_DIGITS = Decimal("0.0001")
"""The last digit of an R multiple."""


def fill_price(side: Side, price: Decimal, slippage: Decimal) -> Decimal:
    """The ask plus slippage for a buy, the bid less slippage for a sell; `slippage` is a fraction of the price."""
    return price * (1 + slippage if side is Side.BUY else 1 - slippage)


def cost_and_fee(amount: Decimal, price: Decimal, fee_rate: Decimal) -> tuple[Decimal, Decimal]:
    """The cost of `amount` at `price` and the fee on it, in quote, both truncated to COST_DECIMALS."""
    cost = floor_to(amount * price, COST_DECIMALS)
    return cost, floor_to(cost * fee_rate, COST_DECIMALS)


def share_of(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """The share of `part` in the cost (or fee) of `whole`, truncated to COST_DECIMALS; all of it for the whole."""
    return cost if part >= whole else floor_to(cost * part / whole, COST_DECIMALS)


def net_pnl(paid: Decimal, received: Decimal, worth: Decimal, fee_rate: Decimal) -> Decimal:
    """The P&L that selling what is left for `worth` would bring: `paid` is the entry's cost with its fee, `received`
    what earlier sales of a part brought after theirs."""
    return received + worth * (1 - fee_rate) - paid


def break_even_price(paid: Decimal, received: Decimal, amount: Decimal, fee_rate: Decimal) -> Decimal:
    """The price at which `net_pnl` is zero; zero where earlier sales have brought more than everything cost."""
    return max(Decimal(0), paid - received) / (amount * (1 - fee_rate))


def calculate_pnl(entry_cost: Decimal, entry_fee: Decimal, exit_proceeds: Decimal, exit_fee: Decimal) -> Decimal:
    """Profit and loss in quote: exit proceeds - exit fee - entry cost - entry fee. Exact."""
    return exit_proceeds - exit_fee - entry_cost - entry_fee


def r_multiple(
    pnl: Decimal | None, entry_cost: Decimal | None, entry_price: Decimal | None, initial_stop: float | None
) -> Decimal | None:
    """The P&L, fees included, in units of what the entry put at risk: its cost down to the initial stop, without fees.

    To four decimals. None while the trade is open, and where the entry or its initial stop is not known.
    """
    if pnl is None or not entry_cost or not entry_price or initial_stop is None:
        return None
    risk = entry_cost * (1 - Decimal(repr(initial_stop)) / entry_price)
    return (pnl / risk).quantize(R_DIGITS) if risk > 0 else None
