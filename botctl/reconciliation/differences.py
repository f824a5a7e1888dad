"""What differs between the journal and the exchange, in words; the empty text when nothing does."""

from dataclasses import dataclass
from decimal import Decimal

from botctl.domain.money import format_decimal
from botctl.domain.orders import UNSETTLED, OrderState

NOTHING_THERE = (OrderState.REJECTED, OrderState.ABSENT)
"""Endings of which the exchange shows nothing."""


@dataclass(frozen=True)
class OrderFigures:
    """An order as one side has it. Amount in the asset, cost and fee in quote; None where that side has none."""

    state: OrderState
    filled: Decimal
    cost: Decimal | None
    fee: Decimal | None


def order_difference(journal: OrderFigures | None, exchange: OrderFigures | None) -> str:
    """What differs in one order. One that still works is the same: its figures come with its end."""
    if journal is None:
        return "not in the journal"
    if exchange is None:
        # Nothing was traded: an exchange may forget an order that was canceled unfilled.
        if journal.state in NOTHING_THERE or (journal.state is OrderState.CANCELED and not journal.filled):
            return ""
        return "no ending yet" if journal.state in UNSETTLED else "not on the exchange"
    if journal.state in UNSETTLED:
        same = journal.state == exchange.state == OrderState.ACCEPTED
        return "" if same else "no ending yet: the next run settles it"
    names = [
        name
        for name, one, other in (
            ("state", journal.state, exchange.state),
            ("filled", journal.filled, exchange.filled),
            ("cost", journal.cost or 0, exchange.cost or 0),  # an order that came to nothing has none in the journal
            ("fee", journal.fee or 0, exchange.fee or 0),
        )
        if one != other
    ]
    return f"{', '.join(names)} differ{'s' if len(names) == 1 else ''}" if names else ""


def holding_difference(held: Decimal, left: Decimal | None, balance: Decimal, asset: str) -> str:
    """What differs between what a trade holds, what the exchange's orders leave of it, and what the balance holds.

    `left` is None when its entry was not looked at. More in the balance is no difference: the owner may hold some.
    """
    words = []
    if left is not None and left != held:
        words.append(f"its orders leave {format_decimal(left)} {asset}")
    if balance < held:
        words.append(f"the balance holds {format_decimal(balance)} {asset} only")
    return ", ".join(words)
