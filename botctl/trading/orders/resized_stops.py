"""Whether a resting stop was given another amount by somebody at the exchange, and has sold that."""

import logging
from datetime import timedelta
from decimal import Decimal

from botctl.domain.money import format_decimal
from botctl.ports import Clock, Exchange
from botctl.store.evidence.resized_stops import note_resized
from botctl.store.journal import Journal
from botctl.store.rows import OrderRow
from botctl.trading.orders.balance_evidence import FOUND_SHARE, change_by

log = logging.getLogger(__name__)

BELIEVED_AFTER = timedelta(minutes=10)
"""How long record and fills must show the same before they are believed against the balance: shorter than two ticks,
longer than one run."""


def has_sold_another_amount(
    order: OrderRow, filled: Decimal, exchange: Exchange, journal: Journal, clock: Clock
) -> bool:
    """Whether to believe that this stop has sold `filled`, as its record and its fills say. Both may be wrong by a
    factor, so the balance must agree; or, where its owner has moved other coins of the asset, both say the same at
    another run."""
    gone = change_by(order, exchange, journal)
    if gone is not None and abs(gone - filled) <= FOUND_SHARE * order.amount:
        return True
    now, (sold, amount) = clock.now(), map(format_decimal, (filled, order.amount))
    said = f"{order.client_order_id} has sold {sold} of {amount} by its record and its fills"
    since = note_resized(order.client_order_id, filled, now)
    if now >= since + BELIEVED_AFTER:
        log.warning("%s, at two runs: that is believed, though the balance differs", said)
        return True
    if since == now:
        until = f"{since + BELIEVED_AFTER:%H:%M} UTC"
        why = "but the balance differs, as when you have moved other coins"
        log.warning("%s, %s: it is believed after %s, if both say the same then", said, why, until)
    return False
