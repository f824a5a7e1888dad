"""The ids that botctl gives its orders: each says whose it is, of which trade, and what it was for.

An id has the form of a version 4 UUID in lower case, as Kraken takes them: `b07c71rr-ssss-4sss-8ssx-ttttttaaaaaa`.
b07c71 is the mark of botctl, rr the role, s the mark of the trade (36 random bits, so that trades of two databases
never mix, even where their numbers are the same), x and a 28 random bits of this attempt, t the trade's number for
people. So a lost database can be rebuilt from the orders that the exchange remembers.
"""

import re
from dataclasses import dataclass

from botctl.domain.orders import ExitReason

TAG_BITS, ATTEMPT_BITS = 36, 28
FORM = re.compile(
    r"b07c71(?P<role>[0-9a-f]{2})-(?P<mark1>[0-9a-f]{4})-4(?P<mark2>[0-9a-f]{3})-8(?P<mark3>[0-9a-f]{2})"
    r"(?P<attempt1>[0-9a-f])-(?P<trade>[0-9a-f]{6})(?P<attempt2>[0-9a-f]{6})"
)
TRADES = 16**6
"""Trade numbers beyond this begin anew: they only help people."""

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
"""The roles of sells. They are on the exchange for good: never give a number another meaning."""
PART = 0x80
"""Set in the role of a sell that was for a part of its trade: only one for the whole of it begins an exit."""


@dataclass(frozen=True)
class ClientId:
    """What a client order id says. `reason` is None for an entry, else why it sells."""

    mark: str
    """Which trade: nine hexadecimal digits."""
    trade_id: int
    """The trade's number in the database that sent it, up to `TRADES`."""
    reason: ExitReason | None
    whole: bool
    """Whether a sell was for all that was left of the trade; true for an entry."""
    attempt: int
    """Random bits: every attempt has an id of its own."""

    def __str__(self) -> str:
        role = ENTRY if self.reason is None else next(role for role, why in EXITS.items() if why is self.reason)
        role |= 0 if self.whole else PART
        mark, number, attempt = self.mark, self.trade_id % TRADES, f"{self.attempt:07x}"
        front = f"b07c71{role:02x}-{mark[:4]}-4{mark[4:7]}-8{mark[7:]}{attempt[0]}"
        return f"{front}-{number:06x}{attempt[1:]}"


def trade_tag(random_bits: int) -> str:
    """A trade's mark out of `MARK_BITS` random bits."""
    return f"{random_bits:09x}"


def parse_client_id(text: str | None) -> ClientId | None:
    """What `text` says if it is an id of botctl's making; None for any other, such as a UUID of chance."""
    match = FORM.fullmatch(text or "")
    if match is None:
        return None
    role = int(match["role"], 16)
    reason, whole = EXITS.get(role & ~PART), not role & PART
    if reason is None and role != ENTRY:
        return None
    return ClientId(
        mark=match["mark1"] + match["mark2"] + match["mark3"],
        trade_id=int(match["trade"], 16),
        reason=reason,
        whole=whole,
        attempt=int(match["attempt1"] + match["attempt2"], 16),
    )
