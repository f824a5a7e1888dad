"""The Council: decides for every symbol, records the decisions, and executes them, sells first."""

import logging
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

from botctl.domain.decisions import Action, CouncilDecision
from botctl.domain.errors import (
    AlreadyOpen,
    BadValue,
    BelowMinimum,
    BotError,
    ConfigError,
    InsufficientFunds,
    NoAnswer,
    Refused,
    most_severe,
)
from botctl.domain.money import format_decimal
from botctl.domain.orders import ExitReason
from botctl.domain.symbols import base_of
from botctl.ports import Clock
from botctl.store.decisions import record_decision, record_outcome
from botctl.store.journal import Journal
from botctl.store.rows import DecisionRow
from botctl.timeouts import time_limit
from botctl.trading.council.master_node import MasterNode
from botctl.trading.council.relevance import Relevance
from botctl.trading.council.sittings import Sittings
from botctl.trading.drawdown_guard import GuardReport
from botctl.trading.execution import Bought, ExecutionService, StartedBuy
from botctl.trading.position_manager import PositionManager
from botctl.trading.results import OrderResult
from botctl.trading.sizing import EntrySizing
from botctl.trading.snapshot import Snapshot
from botctl.trading.time_budget import TimeBudget

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Executed:
    exits: list[OrderResult]
    entries: list[OrderResult]
    errors: list[BotError]


LAPSES = (Refused, InsufficientFunds, BelowMinimum)
"""Why a buy is not tried again: the next tick would be refused as well, or buy on an old signal what it now can."""


class Sitting(NamedTuple):
    """What the Council came to on one symbol."""

    decision: CouncilDecision | None
    """None between two signal candles."""
    error: BotError | None = None
    final: bool = False
    """Whether a HOLD is the answer to its signal candle. Else the next tick decides again."""


class Acted(NamedTuple):
    """What came of a decision."""

    row: DecisionRow
    result: OrderResult | None
    errors: list[BotError]
    final: bool = True
    """Whether it is done with. Else the next tick decides again."""


@dataclass
class Council:
    master: MasterNode
    execution: ExecutionService
    positions: PositionManager
    journal: Journal
    clock: Clock
    time_budget: TimeBudget
    sittings: Sittings
    _: KW_ONLY
    symbols: Sequence[str]
    sizing: EntrySizing

    def decide_all(self, snapshot: Snapshot, *, why_no_buys: str = "") -> tuple[list[DecisionRow], list[BotError]]:
        """One recorded decision for each symbol whose signal candle has closed, in their order. A failure means HOLD
        and an error. Symbols that are left when the tick's time is over have no decision. With `why_no_buys` open
        trades alone are decided on."""
        rows: list[DecisionRow] = []
        errors: list[BotError] = []
        held = frozenset(map(base_of, self.journal.open_symbols()))
        relevance = Relevance(self.execution.pre_trade_checks, held, why_no_buys)
        symbols = relevance.order(self.symbols)
        for number, symbol in enumerate(symbols):
            if self.time_budget.expired:
                left = ", ".join(symbols[number:])
                errors.append(self.time_budget.error(f"the Council did not decide on {left}"))
                break
            decision, error, final = self._sit(symbol, snapshot, relevance)
            if decision is None:
                continue
            if error is not None and str(error) not in map(str, errors):  # a missing agent is the same for each symbol
                errors.append(error)
            try:
                rows.append(self._record(decision, snapshot))
            except BotError as failure:  # a decision that is not recorded is not executed
                errors.append(failure)
                continue
            relevance.note(decision)
            if decision.action is Action.HOLD and final:
                self.sittings.end(symbol)
        return sorted(rows, key=lambda row: self.symbols.index(row.symbol)), errors

    def execute(self, rows: Sequence[DecisionRow], report: GuardReport | None = None, *, why_not: str = "") -> Executed:
        """Execute these decisions, sells first. SELL closes the trade whatever its stop. Entries are sized by `report`,
        the run's look at the account. With `why_not` nothing is bought, and that is recorded as the reason."""
        sold = [self._act_on_sell(row) for row in rows if row.decision == Action.SELL]
        bought = self._buy_all([row for row in rows if row.decision == Action.BUY], report, why_not)
        for acted in (*sold, *bought):
            if acted.final:
                self.sittings.end(acted.row.symbol)
        return Executed(
            exits=[acted.result for acted in sold if acted.result is not None],
            entries=[acted.result for acted in bought if acted.result is not None],
            errors=[error for acted in (*sold, *bought) for error in acted.errors],
        )

    def _buy_all(self, rows: Sequence[DecisionRow], report: GuardReport | None, why_not: str) -> list[Acted]:
        """Send every buy, then confirm them together."""
        acted: list[Acted] = []
        sizer = self.sizing.for_run(report)
        started: list[tuple[DecisionRow, StartedBuy]] = []
        for row in rows:
            if why_not:
                acted.append(Acted(row, None, _record_outcome(row, f"not bought: {why_not}"), final=False))
            elif self.time_budget.expired:
                late = self.time_budget.error(f"{row.symbol} was not bought")
                recorded = _record_outcome(row, "not bought: the tick's time was over")
                acted.append(Acted(row, None, [late, *recorded], final=False))
            else:
                try:
                    started.append((row, self.execution.execute_buy(row.symbol, sizer)))
                except BotError as error:
                    acted.append(_failed(row, error))
        bought = self.execution.finish_buys([buy for _, buy in started])
        return acted + [_record_buy(row, each) for (row, _), each in zip(started, bought, strict=True)]

    def _act_on_sell(self, row: DecisionRow) -> Acted:
        """Execute one decision and record its outcome."""
        trade = self.journal.active_trade(base_of(row.symbol))
        if trade is None or trade.entry_price is None:
            return Acted(row, None, _record_outcome(row, "nothing to sell"))
        try:
            sale = self.positions.close_position(trade.id, ExitReason.COUNCIL)
        except BotError as error:
            return _failed(row, error)._replace(final=False)
        outcome = f"sold trade {trade.id}" if not sale.errors else f"sold a part: {most_severe(sale.errors)}"
        errors = [*sale.errors, *_record_outcome(row, outcome, trade.id)]
        return Acted(row, sale.result, errors, final=not sale.errors)

    def _sit(self, symbol: str, snapshot: Snapshot, relevance: Relevance) -> Sitting:
        """Decide on one symbol; not between two signal candles."""
        try:
            self.master.check_members()  # a wrong COUNCIL is told of whether or not anybody is asked
            if not self.sittings.is_due(symbol):
                return Sitting(None)
            if why := relevance.why_not_asked(symbol, self.clock.now()):
                held = CouncilDecision(symbol, Action.HOLD, f"not asked: {why}")
                return Sitting(held, final=not relevance.is_suspended(symbol))
            decision = self._decide(symbol, snapshot)
        except BotError as error:
            held = CouncilDecision(symbol, Action.HOLD, f"could not decide: {error.message}")
            if isinstance(error, ConfigError | NoAnswer):
                return Sitting(held, error)
            if isinstance(error, BadValue):
                hint = "correct it: it names no market that is listed"
                return Sitting(held, ConfigError(f"SYMBOLS: {error.message}", hint=hint))
            return Sitting(held, type(error)(f"{symbol}: {error.message}", hint=error.hint))
        failure = BotError(decision.error) if decision.error else None
        return Sitting(decision, failure, final=failure is None)

    def _decide(self, symbol: str, snapshot: Snapshot) -> CouncilDecision:
        """The decision within the tick's time: it is safe to interrupt agents, as no order is being sent here."""
        left = self.time_budget.left()
        if left is None:
            return self.master.decide(symbol, snapshot)
        try:
            with time_limit(left):
                return self.master.decide(symbol, snapshot)
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
    """A refusal by our own rules is no error of the tick. That a position is held is not even a refusal."""
    if isinstance(error, AlreadyOpen):
        return Acted(row, None, _record_outcome(row, f"kept: {error.message}"))
    if isinstance(error, Refused):
        return Acted(row, None, _record_outcome(row, f"refused: {error}"))
    return Acted(row, None, [error, *_record_outcome(row, f"failed: {error}")], final=isinstance(error, LAPSES))


def _record_buy(row: DecisionRow, bought: Bought) -> Acted:
    if (result := bought.result) is None:
        return _failed(row, most_severe(bought.errors))
    outcome = f"bought: trade {result.trade_id}" if result.trade_id else result.note
    return Acted(row, result, [*bought.errors, *_record_outcome(row, outcome, result.trade_id)])


def _record_outcome(row: DecisionRow, outcome: str, trade_id: int | None = None) -> list[BotError]:
    """Record a decision's outcome. Returns the error if that fails: the order's result is reported all the same."""
    log.info("council: %s %s: %s", row.symbol, row.decision, outcome, extra={"symbol": row.symbol, "outcome": outcome})
    try:
        record_outcome(row, outcome, trade_id)
    except BotError as error:
        return [error]
    return []
