"""When the Council sits: once for each signal candle of a symbol that has closed."""

from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime

from botctl.domain.candles import from_unix, is_new_signal, newest_boundary
from botctl.domain.configuration.settings import Settings
from botctl.domain.decisions import Action
from botctl.domain.orders import ExitReason, TradeStatus
from botctl.domain.symbols import base_of
from botctl.ports import CandleSource, Clock
from botctl.store.decisions import first_decided_at
from botctl.store.evidence.decided_signals import load_decided, save_decided
from botctl.store.journal import Journal


@dataclass
class Sittings:
    """A sitting that came to no end (no candles, no answer, a failed order) is repeated at the next tick.

    Candles are only asked for once a signal candle should have closed. Which one is the newest they tell, not the
    clock: the answer may lack it, and a tick may come late. Of several that were missed the newest counts.
    """

    market: CandleSource
    clock: Clock
    settings: Settings
    journal: Journal
    _: KW_ONLY
    validate_only: bool = False
    """Nothing is traded, so that every sitting is repeated."""
    _open: dict[str, int] = field(default_factory=dict, init=False)
    """By symbol: when the candle closed that this run decides for."""

    def is_due(self, symbol: str) -> bool:
        """Whether the Council decides on the symbol now. Raises ExchangeUnreachable when the candles are unavailable,
        BrokenRow when a decision or a trade can't be read.

        At every tick where each candle is a signal candle.
        """
        if self.settings.signal_seconds is None:
            return True
        now, decided = self.clock.now(), load_decided(symbol)
        if decided == newest_boundary(now, self.settings.signal_seconds):
            return False
        closed = self._newest_close(symbol)
        if closed is None or not is_new_signal(closed, decided, now):
            return False
        self._open[symbol] = closed
        if self._was_executed(symbol, from_unix(closed), now):
            self.end(symbol)
            return False
        return True

    def end(self, symbol: str) -> None:
        """The decision on the symbol is recorded, and what it asks for is done or refused for good."""
        closed = self._open.pop(symbol, None)
        if closed is not None and not self.validate_only:
            save_decided(symbol, closed)

    def skip_closed(self, symbol: str) -> None:
        """Decide for candles that close from now on."""
        if self.settings.signal_seconds is not None and (closed := self._newest_close(symbol)) is not None:
            save_decided(symbol, closed)

    def _was_executed(self, symbol: str, closed: datetime, now: datetime) -> bool:
        """Whether a decision on this candle has been carried out. A run that was killed, or whose order had no answer,
        did not end its sitting."""
        return self._has_bought(symbol, closed, now) or self._has_sold(symbol, closed, now)

    def _has_bought(self, symbol: str, closed: datetime, now: datetime) -> bool:
        decided = first_decided_at(symbol, Action.BUY, closed, now)
        if decided is None:
            return False
        asset = base_of(symbol)
        return any(
            trade.symbol == symbol and trade.status != TradeStatus.PENDING and decided <= trade.created_at <= now
            for trade in (self.journal.active_trade(asset), self.journal.last_closed_trade(asset))
            if trade is not None
        )

    def _has_sold(self, symbol: str, closed: datetime, now: datetime) -> bool:
        if first_decided_at(symbol, Action.SELL, closed, now) is None:
            return False
        last = self.journal.last_closed_trade(base_of(symbol))
        if last is None or last.exit_time is None:
            return False
        return last.symbol == symbol and last.exit_reason == ExitReason.COUNCIL and closed <= last.exit_time <= now

    def _newest_close(self, symbol: str) -> int | None:
        candles = self.market.fetch_candles(symbol, self.settings.signal_timeframe)
        return candles[-1].time + self.settings.signal_timeframe.seconds if candles else None
