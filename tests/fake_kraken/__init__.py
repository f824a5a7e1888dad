"""A Kraken of our own: a local HTTP server with its protocol, one account, and faults on command.

In a test:

    with FakeKraken() as kraken:
        kraken.set_price("BTC/USD", 50000, bid=49995, ask=50005)
        kraken.fault("AddOrder", "drop_after")  # placed, but the answer is lost
        ...

By hand: `python -m tests.fake_kraken --port 8080` prints the settings that point the bot at it.
"""

from tests.fake_kraken.lies import Lies
from tests.fake_kraken.orders import Instant, Lie, Never, Order, PartialThenCanceled, Pieces, Slow, Trade
from tests.fake_kraken.server import FakeKraken
from tests.fake_kraken.wire import Refusal, Request

__all__ = [
    "FakeKraken",
    "Instant",
    "Lie",
    "Lies",
    "Never",
    "Order",
    "PartialThenCanceled",
    "Pieces",
    "Refusal",
    "Request",
    "Slow",
    "Trade",
]
