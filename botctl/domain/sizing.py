"""How much may be bought or sold: lots and order minimums."""

from decimal import Decimal

from botctl.domain.markets import Market
from botctl.domain.money import floor_to, plain


def amount_for_cost(cost: Decimal, price: Decimal, market: Market) -> Decimal:
    """The amount of the asset that `cost` buys at `price`, rounded down to the market's lot."""
    return floor_to(cost / price, market.lot_decimals)


def below_minimum(amount: Decimal, price: Decimal, market: Market) -> str:
    """Why an order of `amount` at `price` is too small for this market, or the empty text when it is not."""
    if amount < market.min_amount:
        return f"{plain(amount)} {market.base} is below the order minimum of {plain(market.min_amount)} {market.base}"
    notional = amount * price
    if notional < market.min_cost:
        return (
            f"{plain(amount)} {market.base} is worth {notional:.2f} {market.quote}, "
            f"below the minimum of {plain(market.min_cost)} {market.quote}"
        )
    return ""
