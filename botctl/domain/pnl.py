"""What a trade earned."""

from decimal import Decimal


def calculate_pnl(entry_cost: Decimal, entry_fee: Decimal, exit_proceeds: Decimal, exit_fee: Decimal) -> Decimal:
    """Profit and loss in quote: exit proceeds - exit fee - entry cost - entry fee. Exact."""
    return exit_proceeds - exit_fee - entry_cost - entry_fee
