"""COUNCIL_EVERY: the last answer of a program is used again for a while, as long as its trade is the same."""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from botctl.domain.candles import to_unix
from botctl.domain.decisions import Stance, Verdict
from botctl.domain.serialization import to_json
from botctl.domain.symbols import Timeframe, base_of
from botctl.ports import Briefing
from botctl.store import key_value
from botctl.store.fields import parse_moment
from botctl.store.journal import Journal

KEY = "council.answer."


@dataclass(frozen=True)
class RecentAnswers:
    """Answers by symbol, kept in the database. Days are divided into spans of `every`: in each a program is asked once.

    It is asked anew when a trade was opened, sold or reduced since, and after another COUNCIL_COMMAND. An answer that
    could not be used is none.
    """

    journal: Journal
    every: Timeframe

    def find(self, command: str, briefing: Briefing) -> Verdict | None:
        """The answer of this span, with its time; None where the program must be asked."""
        kept = self._load(KEY + briefing.symbol)
        if kept is None:
            return None
        try:
            asked_at = parse_moment(kept["asked_at"])
            verdict = Verdict(kept["agent"], Stance(kept["stance"]), kept["reason"], float(kept["confidence"]))
        except key_value.UNREADABLE:
            return None
        same = kept.get("command") == command and kept.get("trade") == self._trade_state(briefing.symbol)
        if not same or self._span(asked_at) != self._span(briefing.now):
            return None
        return replace(verdict, reason=f"{verdict.reason} (asked at {asked_at:%Y-%m-%d %H:%M} UTC)")

    def keep(self, command: str, briefing: Briefing, verdict: Verdict) -> None:
        state = self._trade_state(briefing.symbol)
        kept = {"asked_at": briefing.now.isoformat(), "command": command, "trade": state, **to_json(verdict)}
        self._save(KEY + briefing.symbol, kept, briefing.now)

    def _load(self, key: str) -> dict[str, Any] | None:
        kept: dict[str, Any] | None = key_value.load_json(key, dict)
        return kept

    def _save(self, key: str, kept: dict[str, Any], now: datetime) -> None:
        key_value.save_cached(key, json.dumps(kept), now)

    def _span(self, moment: datetime) -> int:
        return to_unix(moment) // self.every.seconds

    def _trade_state(self, symbol: str) -> list[object]:
        """What changes when a trade is opened, reduced or closed, also in between."""
        asset = base_of(symbol)
        trade, last_exit = self.journal.active_trade(asset), self.journal.last_exit_time(asset)
        amount = None if trade is None else str(trade.amount)
        return [trade and trade.id, amount, last_exit and last_exit.isoformat()]
