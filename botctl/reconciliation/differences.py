"""Describes differences between the journal and the exchange; an empty text when there are none."""

from dataclasses import dataclass
from decimal import Decimal

from botctl.domain.account.holdings import unit_of
from botctl.domain.money import format_decimal
from botctl.domain.orders import UNSETTLED, OrderState

NOT_PLACED = (OrderState.REJECTED, OrderState.ABSENT)
"""Endings without an order at the exchange."""


@dataclass(frozen=True)
class OrderFigures:
    """An order on one side. Amount in the asset, cost and fee in quote; None where that side has none."""

    state: OrderState
    filled: Decimal
    cost: Decimal | None
    fee: Decimal | None


def order_difference(journal: OrderFigures | None, exchange: OrderFigures | None) -> str:
    """What differs in one order. Figures of a working order are not compared: they come with its end."""
    if journal is None:
        return "not in the journal"
    if exchange is None:
        # An exchange may forget an order that was canceled unfilled.
        if journal.state in NOT_PLACED or (journal.state is OrderState.CANCELED and not journal.filled):
            return ""
        return "no ending yet" if journal.state in UNSETTLED else "not on the exchange"
    if journal.state is OrderState.RESTING != exchange.state:
        return "it no longer rests: the next run settles it"
    if journal.state in UNSETTLED:
        same = journal.state == exchange.state == OrderState.ACCEPTED
        return "" if same else "no ending yet: the next run settles it"
    names = [
        name
        for name, one, other in (
            ("state", journal.state, exchange.state),
            ("filled", journal.filled, exchange.filled),
            ("cost", journal.cost or 0, exchange.cost or 0),  # an unfilled order has none in the journal
            ("fee", journal.fee or 0, exchange.fee or 0),
        )
        if one != other
    ]
    return f"{', '.join(names)} differ{'s' if len(names) == 1 else ''}" if names else ""


def holding_difference(held: Decimal, left: Decimal | None, balance: Decimal, asset: str) -> str:
    """How a trade's amount differs from what its orders leave (None if unknown) and from a smaller balance.

    Less than one unit of the balance's decimals is no difference.
    """
    differences = []
    if left is not None and left != held:
        differences.append(f"its orders leave {format_decimal(left)} {asset}")
    if held - balance >= unit_of(balance):
        differences.append(f"the balance is only {format_decimal(balance)} {asset}")
    return ", ".join(differences)
