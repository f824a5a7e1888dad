"""Whom there is no point in asking: an answer that could neither buy nor sell costs time, and often money."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from botctl.domain.decisions import Action, CouncilDecision
from botctl.domain.errors import Refused
from botctl.domain.orders import TradeStatus
from botctl.domain.symbols import base_of
from botctl.trading.pre_trade_checks import PreTradeChecks


@dataclass
class Relevance:
    """Which decisions of one tick could matter."""

    checks: PreTradeChecks
    held: frozenset[str]
    """The assets with an open trade, which can always be sold."""
    why_no_buys: str
    """Why this tick buys nothing at all; empty when it may."""
    _leaving: set[str] = field(default_factory=set, init=False)
    """The assets that this tick's decisions sell, which it does before it buys."""

    def order(self, symbols: Sequence[str]) -> list[str]:
        """Open trades first: their sale makes room for a buy."""
        return sorted(symbols, key=lambda symbol: base_of(symbol) not in self.held)

    def why_not_asked(self, symbol: str, now: datetime) -> str:
        """Why no decision on `symbol` could matter; empty when one could. Raises BrokenRow."""
        if base_of(symbol) in self.held:
            return ""
        if self.why_no_buys:
            return self.why_no_buys
        try:
            self.checks.check_switch()
            self.checks.check_room(symbol, now, leaving=len(self._leaving))
        except Refused as error:
            return error.message
        return ""

    def is_suspended(self, symbol: str) -> bool:
        """Whether what forbids a buy tells nothing of this signal, which does not lapse meanwhile: it concerns no
        symbol and passes, or an order of the asset has no known ending, and may not have bought. Raises BrokenRow."""
        trade = self.checks.journal.active_trade(base_of(symbol))
        if trade is not None and trade.status == TradeStatus.PENDING:
            return True
        try:
            self.checks.check_switch()
        except Refused:
            return True
        return bool(self.why_no_buys)

    def note(self, decision: CouncilDecision) -> None:
        """A decision that will be executed."""
        if decision.action is Action.SELL:
            self._leaving |= self.held & {base_of(decision.symbol)}
