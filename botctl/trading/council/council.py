"""A sitting of the Council: decisions for every symbol, all of them recorded, then acted on, sells first."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from botctl.domain.decisions import Action, CouncilDecision
from botctl.domain.errors import BotError, ConfigError, Refused
from botctl.domain.money import format_decimal
from botctl.domain.orders import ExitReason
from botctl.domain.symbols import base_of
from botctl.ports import Clock
from botctl.store.decisions import record_decision, record_outcome
from botctl.store.journal import Journal
from botctl.store.rows import DecisionRow
from botctl.timeouts import time_limit
from botctl.trading.execution import ExecutionService
from botctl.trading.position_manager import PositionManager
from botctl.trading.results import OrderResult
from botctl.trading.snapshot import Snapshot
from botctl.trading.time_budget import TimeBudget

log = logging.getLogger(__name__)


class Decider(Protocol):
    """MasterNode, or the external command."""

    def decide(self, symbol: str) -> CouncilDecision:
        """BUY, SELL or HOLD for one symbol."""


@dataclass(frozen=True)
class Acted:
    """What came of one decision."""

    result: OrderResult | None
    errors: list[BotError]


@dataclass(frozen=True)
class Executed:
    """What came of all decisions of a sitting."""

    exits: list[OrderResult]
    entries: list[OrderResult]
    errors: list[BotError]


class Council:
    """Sits for each symbol, and has its decisions executed."""

    def __init__(
        self,
        decider: Decider,
        execution: ExecutionService,
        positions: PositionManager,
        journal: Journal,
        clock: Clock,
        time_budget: TimeBudget,
        *,
        symbols: Sequence[str],
        trade_amount: Decimal,
    ) -> None:
        self.decider = decider
        self.execution = execution
        self.positions = positions
        self.journal = journal
        self.clock = clock
        self.time_budget = time_budget
        self.symbols = symbols
        self.trade_amount = trade_amount

    def decide_all(self, snapshot: Snapshot) -> tuple[list[DecisionRow], list[BotError]]:
        """One decision for each symbol. What can't be decided is HOLD, with an error. Once the tick's time is over
        the rest is left to the next one."""
        rows: list[DecisionRow] = []
        errors: list[BotError] = []
        for number, symbol in enumerate(self.symbols):
            if self.time_budget.expired:
                errors.append(self.time_budget.error(f"the Council did not sit on {', '.join(self.symbols[number:])}"))
                break
            try:
                decision = self._decide(symbol)
                if decision.error:
                    errors.append(BotError(decision.error))
            except BotError as error:
                if not isinstance(error, ConfigError):
                    error = type(error)(f"{symbol}: {error.message}", hint=error.hint)
                if str(error) not in map(str, errors):  # a seat that nobody can take is the same for every symbol
                    errors.append(error)
                decision = CouncilDecision(symbol, Action.HOLD, f"could not decide: {error.message}")
            try:
                rows.append(self._record(decision, snapshot))
            except BotError as error:  # what is not written down is not acted on
                errors.append(error)
        return rows, errors

    def execute(self, rows: Sequence[DecisionRow], *, why_not: str = "") -> Executed:
        """Act on these decisions. SELL closes the trade whatever its stop; sells go first. With `why_not` nothing is
        bought, and that is the reason noted."""
        sold = [self._act(row, self._sell) for row in rows if row.decision == Action.SELL]
        bought = [self._act_on_buy(row, why_not) for row in rows if row.decision == Action.BUY]
        return Executed(
            exits=[done.result for done in sold if done.result is not None],
            entries=[done.result for done in bought if done.result is not None],
            errors=[error for done in (*sold, *bought) for error in done.errors],
        )

    def _act_on_buy(self, row: DecisionRow, why_not: str) -> Acted:
        if why_not:
            return Acted(None, _record_outcome(row, f"not bought: {why_not}"))
        if self.time_budget.expired:
            late = self.time_budget.error(f"{row.symbol} was not bought")
            return Acted(None, [late, *_record_outcome(row, "not bought: the tick's time was over")])
        return self._act(row, self._buy)

    def _act(self, row: DecisionRow, act: Callable[[DecisionRow], tuple[OrderResult | None, str, int | None]]) -> Acted:
        """Act on one decision, and note on it what came of that."""
        result: OrderResult | None = None
        errors: list[BotError] = []
        trade_id: int | None = None
        try:
            result, outcome, trade_id = act(row)
        except Refused as refusal:
            outcome = f"refused: {refusal}"
        except BotError as error:
            outcome = f"failed: {error}"
            errors.append(error)
        return Acted(result, [*errors, *_record_outcome(row, outcome, trade_id)])

    def _decide(self, symbol: str) -> CouncilDecision:
        """What the Council says within the tick's time: agents may be anybody's, and no order is under way here.

        Raises BotError.
        """
        left = self.time_budget.left()
        if left is None:
            return self.decider.decide(symbol)
        try:
            with time_limit(left):
                return self.decider.decide(symbol)
        except TimeoutError:
            raise self.time_budget.error("the Council had not decided yet") from None

    def _sell(self, row: DecisionRow) -> tuple[OrderResult | None, str, int | None]:
        trade = self.journal.active_trade(base_of(row.symbol))
        if trade is None or trade.entry_price is None:
            return None, "nothing to sell", None
        return self.positions.close_position(trade.id, ExitReason.COUNCIL), f"sold trade {trade.id}", trade.id

    def _buy(self, row: DecisionRow) -> tuple[OrderResult | None, str, int | None]:
        result = self.execution.execute_buy(row.symbol, self.trade_amount)
        outcome = f"bought: trade {result.trade_id}" if result.trade_id else result.note
        return result, outcome, result.trade_id

    def _record(self, decision: CouncilDecision, snapshot: Snapshot) -> DecisionRow:
        quote = snapshot.quotes.good.get(decision.symbol)
        log.info(
            "council: %s %s at %s (%s)",
            decision.symbol,
            decision.action,
            "no price" if quote is None else format_decimal(quote.last),
            decision.reason,
            extra={
                "symbol": decision.symbol,
                "decision": str(decision.action),
                "price": None if quote is None else quote.last,
            },
        )
        return record_decision(decision, at=self.clock.now(), price=None if quote is None else quote.last)


def _record_outcome(row: DecisionRow, outcome: str, trade_id: int | None = None) -> list[BotError]:
    """What came of a decision. Where it can't be written, what was done is done, and is told all the same: the error is
    returned."""
    log.info("council: %s %s: %s", row.symbol, row.decision, outcome, extra={"symbol": row.symbol, "outcome": outcome})
    try:
        record_outcome(row, outcome, trade_id)
    except BotError as error:
        return [error]
    return []
