"""The database as the source of a report."""

from collections.abc import Callable
from datetime import datetime

from botctl.domain.candles import CandleColumns
from botctl.domain.configuration.settings import Settings
from botctl.domain.symbols import quote_of
from botctl.queries import journal, portfolio
from botctl.queries.cockpit import Cockpit
from botctl.queries.flows import FlowRecord, list_flows
from botctl.queries.history import load_decided_prices, load_equity, load_newest_decisions
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage, list_slippages
from botctl.reporting.curve import Curve, Point, Prices, follow_performance
from botctl.reporting.model import Account, DecisionSpan, StopMove
from botctl.store.broken_rows import load_rows
from botctl.store.evidence.price_decimals import load_price_decimals
from botctl.store.models import Event
from botctl.store.rows import Rows

MAX_DECISIONS = 5_000
"""Of the newest ones, which become a few hundred rows."""


class DatabaseSource:
    def __init__(
        self, settings: Settings, now: datetime, find_candles: Callable[[str], CandleColumns | None], cockpit: Cockpit
    ) -> None:
        self.settings = settings
        self.now = now
        self.cockpit = cockpit
        self.find_candles = find_candles
        self._trades: Rows[TradeRecord] | None = None
        self._candles: dict[str, CandleColumns | None] = {}

    def account(self) -> Account:
        settings, mode = self.settings, self.settings.botctl_mode
        initial = settings.initial_balance
        return Account(
            title=f"botctl, {mode} mode",
            about=f"the {mode} database of this home, {', '.join(settings.symbols)}",
            quote=settings.quote_currency,
            initial_balance=initial,
            max_drawdown=settings.max_drawdown,
            until=self.now,
            figures=[],
            candles_hint="`botctl fetch {symbol}` saves the newest 720 candles, all that Kraken returns.",
            price_decimals=load_price_decimals(),
        )

    def curve(self) -> Curve:
        """From each tick that could value the account."""
        rows = load_equity()
        points = [Point(at.timestamp(), equity, drawdown) for at, equity, drawdown in rows]
        times, equity = [int(point.time) for point in points], [point.equity for point in points]
        flows = [flow.at.timestamp() for flow in self.flows()]
        if not flows:
            return Curve(times, equity, equity)
        initial = self.settings.initial_balance
        return Curve(times, equity, follow_performance(points, flows, None if initial is None else float(initial)))

    def prices(self) -> Prices:
        """Those at the Council's decisions, of the symbols that the equity's currency buys."""
        wanted = [symbol for symbol in self.settings.symbols if quote_of(symbol) == self.settings.quote_currency]
        decided = load_decided_prices()
        return {symbol: decided[symbol] for symbol in wanted if symbol in decided}

    def flows(self) -> list[FlowRecord]:
        return list_flows()

    def trades(self) -> Rows[TradeRecord]:
        if self._trades is None:
            self._trades = portfolio.list_trades()
        return self._trades

    def stops(self, trade: TradeRecord) -> list[StopMove]:
        moves: list[StopMove] = []
        columns = Event.select(Event.id, Event.at, Event.after)
        for event in load_rows(columns.where(Event.trade_id == trade.id).order_by(Event.id)):
            stop = event.after.get("stop_loss_price")
            if stop is not None and (not moves or stop != moves[-1].stop):
                moves.append(StopMove(event.at.timestamp(), float(stop)))
        return moves

    def candles(self, symbol: str) -> CandleColumns | None:
        if symbol not in self._candles:
            self._candles[symbol] = self.find_candles(symbol)
        return self._candles[symbol]

    def decision_spans(self) -> list[DecisionSpan]:
        """Of the newest decisions: the page shows no more of them."""
        return [
            DecisionSpan(at, at, 1, row.symbol, row.decision, row.reason, row.outcome, row.price)
            for row in load_newest_decisions(MAX_DECISIONS)
            if (at := row.decided_at)
        ]

    def decision_counts(self) -> dict[str, int]:
        return dict(sorted(journal.count_decisions().items()))

    def slippages(self) -> list[Slippage]:
        return list_slippages()
