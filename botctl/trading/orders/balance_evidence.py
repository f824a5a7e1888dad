"""What the balance says of an order that has no fill by the records."""

import logging
from decimal import Decimal

from botctl.domain.errors import BotError
from botctl.domain.orders import Side
from botctl.domain.symbols import base_of
from botctl.ports import Exchange
from botctl.store.evidence.missing_coins import load_surplus
from botctl.store.journal import Journal
from botctl.store.rows import OrderRow

log = logging.getLogger(__name__)

FOUND_SHARE = Decimal("0.01")
"""More than this fraction of an order in the balance contradicts a record that shows otherwise."""


def change_by(order: OrderRow, exchange: Exchange, journal: Journal) -> Decimal | None:
    """How many coins of its asset more there are than before a buy, or fewer than before a sell; None without an answer
    of the exchange. Coins that are known to be the owner's don't count."""
    try:
        balances = exchange.fetch_balances()
    except BotError as error:
        log.warning("balances: %s", error)
        return None
    asset, owned = base_of(order.symbol), load_surplus()
    expected = journal.expected_holdings().get(asset, Decimal(0))
    own = owned[asset].amount if asset in owned else Decimal(0)
    if order.side == Side.SELL:
        expected += order.amount  # what is expected leaves out the coins of a sell without a known ending
    more = balances.total(asset) - own - expected
    return more if order.side == Side.BUY else -more
