"""The performance that drawdown is measured by, kept with what the newest look found, and its flows as events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from botctl.domain.account.performance import FLOW, Flow, Performance
from botctl.domain.errors import BotError
from botctl.domain.money import format_decimal, to_decimal
from botctl.store import key_value
from botctl.store.evidence.known_account import KnownAccount, exact_text, save_known_account
from botctl.store.models import Event, database

KEY = "drawdown.performance"
BIG = Decimal("0.05")
"""Of the equity: a flow that is told."""


@dataclass(frozen=True)
class SavedPerformance:
    initial_balance: Decimal
    """The INITIAL_BALANCE that it started from."""
    performance: Performance


def load_performance() -> SavedPerformance | None:
    """None before the first look that agreed with INITIAL_BALANCE, and when it can't be read."""
    saved = key_value.load_parsed(KEY, _parse)
    return None if saved is None else saved[0]


def save_look(
    known: KnownAccount | None, performance: SavedPerformance | None, flows: Sequence[Flow], quote: str, now: datetime
) -> None:
    """Keep all of a look or nothing: a flow that counts twice, or not at all, would be a gain or a loss.

    May fail: then the next look finds the same.
    """
    try:
        with database.atomic("IMMEDIATE"):
            if known is not None:
                save_known_account(known)
            if performance is not None:
                _save(performance, flows, quote, now)
    except BotError as error:
        key_value.log.warning("what the account holds can't be saved: %s", error)


def is_big(event: Event) -> bool:
    return bool(event.after.get("big"))


def _save(saved: SavedPerformance, flows: Sequence[Flow], quote: str, now: datetime) -> None:
    before = load_performance()
    for flow in flows:
        Event.create(**_event(flow, quote, saved.performance.base, now))
    if saved != before:
        figures = saved.performance
        document = {
            "initial_balance": exact_text(saved.initial_balance), "base": exact_text(figures.base),
            "unit": exact_text(figures.unit), "peak": exact_text(figures.peak),
        }  # fmt: skip
        key_value.save(KEY, json.dumps(document))


def _event(flow: Flow, quote: str, base: Decimal, now: datetime) -> dict[str, object]:
    worth = flow.after - flow.before
    what = f"{format_decimal(abs(flow.amount))} {flow.currency}"
    way = "came into the account" if flow.amount > 0 else "left the account"
    value = "" if flow.currency == quote else f", worth {abs(worth):.2f} {quote}"
    why = f"{what} {way}{value}: no gain and no loss; drawdown is now measured from {base:.2f} {quote}"
    after = {
        "currency": flow.currency, "amount": flow.amount, "value": worth, "base": base,
        "big": abs(worth) > BIG * max(abs(flow.before), abs(flow.after)),
    }  # fmt: skip
    return {"at": now, "kind": FLOW, "before": {}, "after": after, "why": why}


def _parse(text: str) -> SavedPerformance:
    figures = {name: to_decimal(value) for name, value in json.loads(text).items()}
    performance = Performance(figures["base"], figures["unit"], figures["peak"])
    if performance.base < 0 or performance.unit < 0 or performance.peak <= 0 or figures["initial_balance"] <= 0:
        raise ValueError("a figure is not positive")
    return SavedPerformance(figures["initial_balance"], performance)
