"""The Council's decisions: each is recorded before it is executed, then its outcome."""

from datetime import datetime
from decimal import Decimal
from typing import cast

from botctl.domain.decisions import Action, CouncilDecision
from botctl.domain.serialization import to_json
from botctl.store.broken_rows import load_row, load_rows
from botctl.store.models import Decision
from botctl.store.rows import DecisionRow, Rows


def record_decision(decision: CouncilDecision, *, at: datetime, price: Decimal | None) -> DecisionRow:
    """Insert a decision with every verdict. `price` is the last price at that moment, None where it is unknown."""
    row: DecisionRow = Decision.create(
        symbol=decision.symbol, decided_at=at, decision=decision.action, reason=decision.reason, price=price,
        verdicts=to_json(decision.verdicts),
    )  # fmt: skip
    return row


def record_outcome(row: DecisionRow, outcome: str, trade_id: int | None = None) -> None:
    """Record the outcome of a decision, and the trade it bought or sold. `row` is updated even if the write fails."""
    written = cast("Decision", row)
    written.outcome, written.trade_id = outcome, trade_id
    Decision.update(outcome=outcome, trade_id=trade_id).where(Decision.id == row.id).execute()


def newest_decisions(symbol: str, limit: int) -> Rows[DecisionRow]:
    """The Council's decisions on a symbol, newest first."""
    return load_rows(Decision.select().where(Decision.symbol == symbol).order_by(Decision.id.desc()).limit(limit))


def first_decided_at(symbol: str, action: Action, since: datetime, until: datetime) -> datetime | None:
    """When the Council first decided so on a symbol in that time; None if it did not. Raises BrokenRow."""
    between = Decision.decided_at.between(since, until)
    made = Decision.select().where((Decision.symbol == symbol) & (Decision.decision == action) & between)
    row: Decision | None = load_row(made.order_by(Decision.id))
    return None if row is None else row.decided_at
