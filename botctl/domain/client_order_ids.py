"""The client order ids of botctl: which trade an order belongs to and what it was for.

An id has the form of a version 4 UUID in lower case, as Kraken requires: `b07c71rr-ssss-4sss-8ssx-ttttttaaaaaa`.
b07c71 marks botctl, rr is the order role, s the trade tag (36 random bits, so that trades of two databases never
mix, even where their numbers are equal), x and a are 28 random bits of this attempt, t is the trade's number for
people. A lost database can be rebuilt from the ids of the orders at the exchange.
"""

import re
from dataclasses import dataclass

from botctl.domain.orders import ExitReason

TAG_BITS, ATTEMPT_BITS = 36, 28
PATTERN = re.compile(
    r"b07c71(?P<role>[0-9a-f]{2})-(?P<tag1>[0-9a-f]{4})-4(?P<tag2>[0-9a-f]{3})-8(?P<tag3>[0-9a-f]{2})"
    r"(?P<attempt1>[0-9a-f])-(?P<trade>[0-9a-f]{6})(?P<attempt2>[0-9a-f]{6})"
)
TRADES = 16**6
"""Trade numbers wrap around here: they only help people."""

ENTRY = 0x00
EXITS = {
    0x01: ExitReason.STOP_LOSS,
    0x02: ExitReason.BREAKEVEN,
    0x03: ExitReason.TRAILING_STOP,
    0x04: ExitReason.COUNCIL,
    0x05: ExitReason.MANUAL,
    0x06: ExitReason.DRAWDOWN,
    0x07: ExitReason.LIQUIDATION,
    0x08: ExitReason.EXTERNAL,
}
"""The order roles of sells. They are stored at the exchange: never give a number another meaning."""
ROLES = {reason: order_role for order_role, reason in EXITS.items()}
PART = 0x80
"""This bit is set in the order role of a sell of a part of its trade: only a sell of the whole begins an exit."""


@dataclass(frozen=True)
class ClientId:
    """A client order id taken apart. `reason` is None for an entry, else why it sells."""

    trade_tag: str
    """Nine hexadecimal digits."""
    trade_id: int
    """The trade's number in the database that sent it, modulo `TRADES`."""
    reason: ExitReason | None
    whole: bool
    """Whether a sell was for all that was left of the trade; true for an entry."""
    attempt: int
    """Random bits: each attempt has its own id."""

    def __str__(self) -> str:
        order_role = (ROLES[self.reason] if self.reason else ENTRY) | (0 if self.whole else PART)
        tag, number, attempt = self.trade_tag, self.trade_id % TRADES, f"{self.attempt:07x}"
        front = f"b07c71{order_role:02x}-{tag[:4]}-4{tag[4:7]}-8{tag[7:]}{attempt[0]}"
        return f"{front}-{number:06x}{attempt[1:]}"


def format_trade_tag(random_bits: int) -> str:
    """A trade tag from `TAG_BITS` random bits."""
    return f"{random_bits:09x}"


def parse_client_id(text: str | None) -> ClientId | None:
    """`text` taken apart if it is an id of botctl, else None."""
    match = PATTERN.fullmatch(text or "")
    if match is None:
        return None
    order_role = int(match["role"], 16)
    reason, whole = EXITS.get(order_role & ~PART), not order_role & PART
    if reason is None and order_role != ENTRY:
        return None
    return ClientId(
        trade_tag=match["tag1"] + match["tag2"] + match["tag3"],
        trade_id=int(match["trade"], 16),
        reason=reason,
        whole=whole,
        attempt=int(match["attempt1"] + match["attempt2"], 16),
    )
