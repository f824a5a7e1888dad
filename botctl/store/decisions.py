"""The Council's decisions: each is recorded before it is acted on, then what came of it."""

from datetime import datetime
from decimal import Decimal

from botctl.domain.decisions import CouncilDecision
from botctl.store.models import Decision

__all__ = ["Decision", "record_decision", "record_outcome"]


def record_decision(decision: CouncilDecision, *, at: datetime, price: Decimal | None) -> Decision:
    """Write down a decision with every verdict. `price` is the last one then, None where it is unknown."""
    row: Decision = Decision.create(
        symbol=decision.symbol,
        decided_at=at,
        decision=decision.action,
        reason=decision.reason,
        verdicts=[
            {"agent": verdict.agent, "stance": str(verdict.stance), "reason": verdict.reason}
            for verdict in decision.verdicts
        ],
        price=price,
    )
    return row


def record_outcome(row: Decision, outcome: str, trade_id: int | None = None) -> None:
    """Write down what came of a decision, and which trade it bought or sold. `row` says so even where that fails."""
    row.outcome, row.trade_id = outcome, trade_id
    Decision.update(outcome=outcome, trade_id=trade_id).where(Decision.id == row.id).execute()
