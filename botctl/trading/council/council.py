"""The Council: decides for every symbol, records the decisions, and executes them, sells first."""

import logging
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal

from botctl.domain.decisions import Action, CouncilDecision
from botctl.domain.errors import BadValue, BotError, ConfigError, NoAnswer, Refused, most_severe
from botctl.domain.money import format_decimal
from botctl.domain.orders import ExitReason
from botctl.domain.symbols import base_of
from botctl.ports import Clock
from botctl.store.decisions import record_decision, record_outcome
from botctl.store.journal import Journal
from botctl.store.rows import DecisionRow
from botctl.timeouts import time_limit
from botctl.trading.council.external_command import ExternalCommand
from botctl.trading.council.master_node import MasterNode
from botctl.trading.execution import Bought, ExecutionService, StartedBuy
from botctl.trading.position_manager import PositionManager
from botctl.trading.results import OrderResult
from botctl.trading.snapshot import Snapshot
from botctl.trading.time_budget import TimeBudget

log = logging.getLogger(__name__)


Decider = MasterNode | ExternalCommand


@dataclass(frozen=True)
class Executed:
    exits: list[OrderResult]
    entries: list[OrderResult]
    errors: list[BotError]


Acted = tuple[OrderResult | None, list[BotError]]
"""The result of an order, and the errors."""


@dataclass
class Council:
    decider: Decider
    execution: ExecutionService
    positions: PositionManager
    journal: Journal
    clock: Clock
    time_budget: TimeBudget
    _: KW_ONLY
    symbols: Sequence[str]
    trade_amount: Decimal

    def decide_all(self, snapshot: Snapshot) -> tuple[list[DecisionRow], list[BotError]]:
        """One recorded decision for each symbol. A failure means HOLD and an error. Symbols that are left when the
        tick's time is over have no decision."""
        rows: list[DecisionRow] = []
        errors: list[BotError] = []
        for number, symbol in enumerate(self.symbols):
            if self.time_budget.expired:
                left = ", ".join(self.symbols[number:])
                errors.append(self.time_budget.error(f"the Council did not decide on {left}"))
                break
            decision, error = self._decide_or_hold(symbol)
            if error is not None and str(error) not in map(str, errors):  # a missing agent is the same for each symbol
                errors.append(error)
            try:
                rows.append(self._record(decision, snapshot))
            except BotError as failure:  # a decision that is not recorded is not executed
                errors.append(failure)
        return rows, errors

    def execute(self, rows: Sequence[DecisionRow], *, why_not: str = "") -> Executed:
        """Execute these decisions, sells first. SELL closes the trade whatever its stop. With `why_not` nothing is
        bought, and that is recorded as the reason."""
        sold = [self._act_on_sell(row) for row in rows if row.decision == Action.SELL]
        bought = self._buy_all([row for row in rows if row.decision == Action.BUY], why_not)
        return Executed(
            exits=[result for result, _ in sold if result is not None],
            entries=[result for result, _ in bought if result is not None],
            errors=[error for _, errors in (*sold, *bought) for error in errors],
        )

    def _buy_all(self, rows: Sequence[DecisionRow], why_not: str) -> list[Acted]:
        """Send every buy, then confirm them together."""
        acted: list[Acted] = []
        started: list[tuple[DecisionRow, StartedBuy]] = []
        for row in rows:
            if why_not:
                acted.append((None, _record_outcome(row, f"not bought: {why_not}")))
            elif self.time_budget.expired:
                late = self.time_budget.error(f"{row.symbol} was not bought")
                acted.append((None, [late, *_record_outcome(row, "not bought: the tick's time was over")]))
            else:
                try:
                    started.append((row, self.execution.execute_buy(row.symbol, self.trade_amount)))
                except BotError as error:
                    acted.append(_failed(row, error))
        bought = self.execution.finish_buys([buy for _, buy in started])
        return acted + [_record_buy(row, each) for (row, _), each in zip(started, bought, strict=True)]

    def _act_on_sell(self, row: DecisionRow) -> Acted:
        """Execute one decision and record its outcome."""
        trade = self.journal.active_trade(base_of(row.symbol))
        if trade is None or trade.entry_price is None:
            return None, _record_outcome(row, "nothing to sell")
        try:
            sale = self.positions.close_position(trade.id, ExitReason.COUNCIL)
        except BotError as error:
            return _failed(row, error)
        outcome = f"sold trade {trade.id}" if not sale.errors else f"sold a part: {most_severe(sale.errors)}"
        return sale.result, [*sale.errors, *_record_outcome(row, outcome, trade.id)]

    def _decide_or_hold(self, symbol: str) -> tuple[CouncilDecision, BotError | None]:
        try:
            decision = self._decide(symbol)
        except BotError as error:
            held = CouncilDecision(symbol, Action.HOLD, f"could not decide: {error.message}")
            if isinstance(error, ConfigError | NoAnswer):
                return held, error
            if isinstance(error, BadValue):
                return held, ConfigError(
                    f"SYMBOLS: {error.message}", hint="correct it: it names no market that is listed"
                )
            return held, type(error)(f"{symbol}: {error.message}", hint=error.hint)
        return decision, BotError(decision.error) if decision.error else None

    def _decide(self, symbol: str) -> CouncilDecision:
        """The decision within the tick's time: it is safe to interrupt agents, as no order is being sent here."""
        left = self.time_budget.left()
        if left is None:
            return self.decider.decide(symbol)
        try:
            with time_limit(left):
                return self.decider.decide(symbol)
        except TimeoutError:
            raise self.time_budget.error("the Council had not decided yet") from None

    def _record(self, decision: CouncilDecision, snapshot: Snapshot) -> DecisionRow:
        price = snapshot.prices.get(decision.symbol)
        shown = "no price" if price is None else format_decimal(price)
        log.info(
            "council: %s %s at %s (%s)", decision.symbol, decision.action, shown, decision.reason,
            extra={"symbol": decision.symbol, "decision": str(decision.action), "price": price},
        )  # fmt: skip
        return record_decision(decision, at=self.clock.now(), price=price)


def _failed(row: DecisionRow, error: BotError) -> Acted:
    """A refusal by our own rules is no error of the tick."""
    if isinstance(error, Refused):
        return None, _record_outcome(row, f"refused: {error}")
    return None, [error, *_record_outcome(row, f"failed: {error}")]


def _record_buy(row: DecisionRow, bought: Bought) -> Acted:
    if (result := bought.result) is None:
        return _failed(row, most_severe(bought.errors))
    outcome = f"bought: trade {result.trade_id}" if result.trade_id else result.note
    return result, [*bought.errors, *_record_outcome(row, outcome, result.trade_id)]


def _record_outcome(row: DecisionRow, outcome: str, trade_id: int | None = None) -> list[BotError]:
    """Record a decision's outcome. Returns the error if that fails: the order's result is reported all the same."""
    log.info("council: %s %s: %s", row.symbol, row.decision, outcome, extra={"symbol": row.symbol, "outcome": outcome})
    try:
        record_outcome(row, outcome, trade_id)
    except BotError as error:
        return [error]
    return []
