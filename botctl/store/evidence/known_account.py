"""Prices and balances that were believed, kept between runs: what the next ones are compared with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from botctl.domain.money import to_decimal, total
from botctl.domain.orders import Side
from botctl.domain.symbols import quote_of
from botctl.store import key_value
from botctl.store.broken_rows import load_rows
from botctl.store.fields import parse_moment
from botctl.store.models import Order

KNOWN_ACCOUNT_KEY = "account.known"


@dataclass(frozen=True)
class KnownBalance:
    """What the account held of a currency beside our open trades."""

    amount: Decimal
    at: datetime
    differs_since: datetime | None = None
    """Since when balances have shown another amount that no order of ours explains."""


@dataclass(frozen=True)
class KnownAccount:
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    """By symbol."""
    balances: Mapping[str, KnownBalance] = field(default_factory=dict)
    """By currency."""

    def of(self, currency: str) -> KnownBalance | None:
        """None before the first look. A currency that no look has seen since then is known to be none."""
        if currency in self.balances or not self.balances:
            return self.balances.get(currency)
        return KnownBalance(Decimal(0), max(each.at for each in self.balances.values()))


def load_known_account() -> KnownAccount:
    """Empty when it can't be read: that must not stop the guard."""
    saved = key_value.load_parsed(KNOWN_ACCOUNT_KEY, _parse_account)
    return KnownAccount() if saved is None else saved[0]


def save_known_account(known: KnownAccount) -> None:
    """May fail: the next run compares with what an earlier one has saved."""
    balances = {
        currency: [str(each.amount), each.at.isoformat(), each.differs_since and each.differs_since.isoformat()]
        for currency, each in known.balances.items()
    }
    prices = {symbol: str(price) for symbol, price in known.prices.items()}
    key_value.save_cached(KNOWN_ACCOUNT_KEY, json.dumps({"prices": prices, "balances": balances}))


def flows_since(at: datetime, currency: str) -> Decimal:
    """What our own orders that were settled since then brought of a quote currency, less what they cost."""
    orders = load_rows(Order.select().where(Order.settled_at > at, Order.symbol.endswith(f"/{currency}")))
    return total(
        (order.cost - order.fee if order.side == Side.SELL else -order.cost - order.fee)
        for order in orders
        if quote_of(order.symbol) == currency and order.cost is not None and order.fee is not None
    )


def _parse_account(text: str) -> KnownAccount:
    rows = json.loads(text)
    prices = {symbol: to_decimal(price) for symbol, price in rows["prices"].items()}
    if any(price <= 0 for price in prices.values()):
        raise ValueError("a price is not positive")
    return KnownAccount(prices, {currency: _parse(*row) for currency, row in rows["balances"].items()})


def _parse(amount: str, at: str, differs_since: str | None) -> KnownBalance:
    since = parse_moment(differs_since) if differs_since else None
    return KnownBalance(to_decimal(amount), parse_moment(at), since)
