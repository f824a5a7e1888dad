"""The client order ids of botctl: which trade an order belongs to, what it was for and which database sent it.

An id has the form of a version 4 UUID in lower case, as Kraken requires: `b07c71rr-ssss-4sss-9saa-ttttttddddaa`.
b07c71 marks botctl, rr is the order role, s the trade tag (32 random bits, so that trades of two databases never
mix, even where their numbers are equal), d the database (16 bits), a are 16 random bits of this attempt, t is the
trade's number for people. A lost database can be rebuilt from the ids of the orders at the exchange.

Trades from before databases had an id keep a tag of 36 bits and the form `b07c71rr-ssss-4sss-8ssa-ttttttaaaaaa`.
"""

import re
from dataclasses import dataclass

from botctl.domain.orders import ExitReason

TAG_BITS, DATABASE_BITS, ATTEMPT_BITS = 32, 16, 16
TAG_DIGITS, OLD_TAG_DIGITS = 8, 9
PATTERN = re.compile(
    r"b07c71(?P<role>[0-9a-f]{2})-(?P<tag1>[0-9a-f]{4})-4(?P<tag2>[0-9a-f]{3})-9(?P<tag3>[0-9a-f])"
    r"(?P<attempt1>[0-9a-f]{2})-(?P<trade>[0-9a-f]{6})(?P<database>[0-9a-f]{4})(?P<attempt2>[0-9a-f]{2})"
)
OLD_PATTERN = re.compile(
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
RESTING = 0x10
"""The order role of a stop that rests at the exchange. Why it sells depends on where its trigger is by then."""
PART = 0x80
"""This bit is set in the order role of a sell of a part of its trade: only a sell of the whole begins an exit."""


@dataclass(frozen=True)
class ClientId:
    """A client order id taken apart. `reason` is None for an entry and for a resting stop, else why it sells."""

    trade_tag: str
    """Eight hexadecimal digits, nine without a database."""
    trade_id: int
    """The trade's number in the database that sent it, modulo `TRADES`."""
    reason: ExitReason | None
    whole: bool
    """Whether a sell was for all that was left of the trade; true for an entry."""
    attempt: int
    """Random bits: each attempt has its own id."""
    database: str | None = None
    """Four hexadecimal digits; None for a trade from before databases had an id."""
    resting: bool = False
    """Whether it is of a stop that rests at the exchange."""

    def __str__(self) -> str:
        kind = RESTING if self.resting else ROLES[self.reason] if self.reason else ENTRY
        order_role = kind | (0 if self.whole else PART)
        tag, number = self.trade_tag, self.trade_id % TRADES
        front = f"b07c71{order_role:02x}-{tag[:4]}-4{tag[4:7]}"
        if self.database is None:
            attempt = f"{self.attempt:07x}"
            return f"{front}-8{tag[7:]}{attempt[0]}-{number:06x}{attempt[1:]}"
        attempt = f"{self.attempt:04x}"
        return f"{front}-9{tag[7:]}{attempt[:2]}-{number:06x}{self.database}{attempt[2:]}"


def format_trade_tag(random_bits: int) -> str:
    """A trade tag from `TAG_BITS` random bits."""
    return f"{random_bits:0{TAG_DIGITS}x}"


def format_database_id(random_bits: int) -> str:
    """The id of a database from `DATABASE_BITS` random bits."""
    return f"{random_bits:0{DATABASE_BITS // 4}x}"


def names_database(trade_tag: str) -> bool:
    """Whether the orders of a trade with this tag name the database that sends them."""
    return len(trade_tag) < OLD_TAG_DIGITS


def parse_client_id(text: str | None) -> ClientId | None:
    """`text` taken apart if it is an id of botctl, else None."""
    match = PATTERN.fullmatch(text or "") or OLD_PATTERN.fullmatch(text or "")
    if match is None:
        return None
    order_role = int(match["role"], 16)
    reason, whole = EXITS.get(order_role & ~PART), not order_role & PART
    if reason is None and order_role not in (ENTRY, RESTING):
        return None
    return ClientId(
        trade_tag=match["tag1"] + match["tag2"] + match["tag3"],
        trade_id=int(match["trade"], 16),
        reason=reason,
        whole=whole,
        attempt=int(match["attempt1"] + match["attempt2"], 16),
        database=match.groupdict().get("database"),
        resting=order_role == RESTING,
    )
