"""Where a stop that rests at the exchange lies, and when it is moved: the same for live, paper and backtest.

It lies some average true ranges below the stop of the rule, so that the rule decides at each check, and the resting
stop is there for what happens between two checks and while this machine is off. All prices are in quote per asset.
`resting_trigger` and `exit_at_resting` use only their arguments, so that numba can compile them unchanged.
"""

from decimal import Decimal

from botctl.domain.money import floor_to


def resting_trigger(stop: float, atr: float, distance: float) -> float:
    """The trigger for a stop of the rule: `distance` average true ranges below it; at most zero when there is none."""
    return stop - distance * atr


def exit_at_resting(trigger: float, opened: float, low: float) -> float:
    """The price, before slippage, at which a stop with this trigger sells inside a candle; zero when it does not.

    A candle that opens below the trigger sells at its open: in a gap there is no price in between.
    """
    if trigger <= 0.0 or low > trigger:
        return 0.0
    return min(opened, trigger)


def trigger_in_ticks(trigger: float, price_decimals: int) -> Decimal | None:
    """The trigger as an order takes it: cut to the market's price decimals; None when that leaves no price."""
    cut = floor_to(Decimal(repr(trigger)), price_decimals)
    return cut if cut > 0 else None


def is_too_low(trigger: Decimal, wanted: Decimal, price_decimals: int) -> bool:
    """Whether a resting stop is to be moved up: by at least one tick of the price. It is never moved down."""
    return wanted - trigger >= Decimal(1).scaleb(-price_decimals)
