"""Deposits, withdrawals and all else that changed a balance without a fill of botctl's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.account.performance import FLOW
from botctl.domain.money import to_decimal
from botctl.store.broken_rows import load_rows
from botctl.store.models import Event


@dataclass(frozen=True)
class FlowRecord:
    """Amounts are negative where something left the account; None where the event does not tell."""

    at: datetime
    currency: str
    amount: Decimal | None
    value: Decimal | None
    """In the quote currency, at the prices of the look that saw it first."""
    base: Decimal | None
    """What drawdown is measured from since."""


def list_flows() -> list[FlowRecord]:
    """Every flow, oldest first."""
    rows = load_rows(Event.select().where(Event.kind == FLOW).order_by(Event.id))
    return [
        FlowRecord(
            row.at,
            str(row.after.get("currency", "")),
            *(_figure(row.after, name) for name in ("amount", "value", "base")),
        )
        for row in rows
    ]


def _figure(after: Mapping[str, Any], name: str) -> Decimal | None:
    try:
        return to_decimal(after.get(name))
    except ValueError:
        return None
