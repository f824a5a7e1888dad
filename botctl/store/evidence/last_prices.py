"""The newest price that a run has seen of each symbol, and when: what `status` shows without asking anybody."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botctl.domain.markets import Quote
from botctl.domain.money import to_amount
from botctl.store import key_value
from botctl.store.fields import parse_moment

KEY = "prices.last"


@dataclass(frozen=True)
class LastPrice:
    price: Decimal
    """In quote per asset."""
    at: datetime


def load_last_prices() -> dict[str, LastPrice]:
    """By symbol; empty before the first, and when they can't be read."""
    saved = key_value.load_parsed(KEY, _parse)
    return {} if saved is None else saved[0]


def save_last_prices(quotes: Mapping[str, Quote], held: Collection[str]) -> None:
    """Keep these prices, and the earlier ones of symbols that are `held` and have none now. May fail: the next run has
    newer ones."""
    if not quotes:
        return
    earlier = {symbol: each for symbol, each in load_last_prices().items() if symbol in held}
    prices = earlier | {symbol: LastPrice(quote.last, quote.at) for symbol, quote in quotes.items()}
    document = {symbol: [f"{each.price:f}", each.at.isoformat()] for symbol, each in prices.items()}
    key_value.save_cached(KEY, json.dumps(document))


def _parse(text: str) -> dict[str, LastPrice]:
    return {symbol: LastPrice(to_amount(price), parse_moment(at)) for symbol, (price, at) in json.loads(text).items()}
