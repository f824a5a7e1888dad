"""Prices and balances that were believed, kept between runs: what the next ones are compared with."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.account.performance import Holdings, Pending
from botctl.domain.money import to_decimal
from botctl.domain.symbols import base_of, quote_of
from botctl.store import key_value
from botctl.store.broken_rows import load_rows
from botctl.store.fields import parse_moment
from botctl.store.models import Event, Trade
from botctl.store.trade_changes import FILLED_LATE, RECOVERED

KNOWN_ACCOUNT_KEY = "account.holdings"
FILLS = ("opened", "sold", "corrected", FILLED_LATE)
"""The events of fills of our own. A trade that was written off or forgotten has moved nothing."""


@dataclass(frozen=True)
class KnownAccount:
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    """By symbol."""
    holdings: Holdings = field(default_factory=Holdings)
    """What the account held at the look that was kept last; empty before the first one."""
    at: datetime | None = None
    last_event: int = 0
    """The newest event of that look: fills since then come on top."""


def load_known_account() -> KnownAccount:
    """Empty when it can't be read: that must not stop the guard."""
    saved = key_value.load_parsed(KNOWN_ACCOUNT_KEY, _parse_account)
    return KnownAccount() if saved is None else saved[0]


def save_known_account(known: KnownAccount) -> None:
    document = {
        "prices": {symbol: str(price) for symbol, price in known.prices.items()},
        "amounts": {currency: str(amount) for currency, amount in known.holdings.amounts.items() if amount},
        "pending": {
            currency: [each.since.isoformat(), *map(exact_text, (each.shown, each.before, each.after))]
            for currency, each in known.holdings.pending.items()
        },
        "before": {currency: exact_text(amount) for currency, amount in known.holdings.before.items()},
        "at": known.at and known.at.isoformat(),
        "last_event": known.last_event,
    }
    key_value.save(KNOWN_ACCOUNT_KEY, json.dumps(document))


def exact_text(figure: Decimal) -> str:
    """A zero has no decimals: those of a long calculation can't be read again."""
    return str(figure) if figure else "0"


def newest_event() -> int:
    last: Event | None = Event.select(Event.id).order_by(Event.id.desc()).first()
    return 0 if last is None else last.id


def load_fills_since(event_id: int, until: int | None = None) -> Mapping[str, Decimal]:
    """By currency what our own fills have changed since that event (up to the event `until`), fees included."""
    changes: defaultdict[str, Decimal] = defaultdict(Decimal)
    kinds = Event.kind.in_(FILLS) | (Event.kind == RECOVERED)
    between = Event.id > event_id if until is None else Event.id.between(event_id + 1, until)
    events = load_rows(Event.select().where(between, Event.trade_id.is_null(False), kinds))
    symbols = _symbols_of({event.trade_id for event in events})
    for event in events:
        symbol = symbols.get(event.trade_id or 0)
        if symbol is None or (event.kind == RECOVERED and event.before):  # a correction: its figures are no fills
            continue
        changes[base_of(symbol)] += _rise(event, "entry_amount") - _rise(event, "sold_amount")
        changes[quote_of(symbol)] += _rise(event, "exit_proceeds") - _rise(event, "exit_fee")
        changes[quote_of(symbol)] -= _rise(event, "entry_cost") + _rise(event, "entry_fee")
    return changes


def _symbols_of(trade_ids: set[int | None]) -> dict[int, str]:
    rows = Trade.select(Trade.id, Trade.symbol).where(Trade.id.in_([each for each in trade_ids if each is not None]))
    return {row.id: row.symbol for row in rows} if trade_ids else {}


def _rise(event: Event, column: str) -> Decimal:
    return _figure(event.after.get(column)) - _figure(event.before.get(column)) if column in event.after else Decimal(0)


def _figure(value: Any) -> Decimal:
    try:
        return Decimal(0) if value is None else to_decimal(value)
    except ValueError:
        return Decimal(0)


def _parse_account(text: str) -> KnownAccount:
    rows = json.loads(text)
    prices = {symbol: to_decimal(price) for symbol, price in rows["prices"].items()}
    if any(price <= 0 for price in prices.values()):
        raise ValueError("a price is not positive")
    amounts = {currency: to_decimal(amount) for currency, amount in rows["amounts"].items()}
    pending = {currency: _parse_pending(*row) for currency, row in rows["pending"].items()}
    before = {currency: to_decimal(amount) for currency, amount in rows.get("before", {}).items()}
    at = rows["at"] and parse_moment(rows["at"])
    return KnownAccount(prices, Holdings(amounts, pending, before), at, int(rows["last_event"]))


def _parse_pending(since: str, *figures: str) -> Pending:
    return Pending(parse_moment(since), *map(to_decimal, figures))
