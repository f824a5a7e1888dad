"""The database as the source of a report."""

from collections.abc import Callable
from datetime import datetime

from botctl.domain import text
from botctl.domain.candles import CandleColumns, to_unix
from botctl.domain.configuration.settings import Settings
from botctl.queries import portfolio
from botctl.queries.flows import FlowRecord, list_flows
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage, load_slippages
from botctl.reporting.curve import Curve, Point, follow_performance
from botctl.reporting.model import Account, DecisionSpan, StopMove
from botctl.store.broken_rows import load_rows
from botctl.store.kill_switch import Switch
from botctl.store.models import Decision, Event, Tick
from botctl.store.rows import Rows


class DatabaseSource:
    def __init__(
        self, settings: Settings, switch: Switch, now: datetime, find_candles: Callable[[str], CandleColumns | None]
    ) -> None:
        self.settings = settings
        self.switch = switch
        self.now = now
        self.find_candles = find_candles
        self._candles: dict[str, CandleColumns | None] = {}

    def account(self) -> Account:
        settings, mode = self.settings, self.settings.botctl_mode
        initial = settings.initial_balance
        status = portfolio.status(mode, self.switch, initial, self.now, settings.timeframe.seconds)
        return Account(
            title=f"botctl, {mode} mode",
            about=f"the {mode} database of this home, {', '.join(settings.symbols)}",
            quote=settings.quote_currency,
            initial_balance=initial,
            max_drawdown=settings.max_drawdown,
            until=self.now,
            figures=[
                ("system", status.system_description),
                ("buys", status.buys_description),
                ("drawdown below the base", text.format_percent(status.drawdown)),
                ("drawdown from the peak of performance", text.format_percent(status.drawdown_peak)),
            ],
            candles_hint="`botctl fetch {symbol}` saves the newest 720 candles, all that Kraken returns.",
        )

    def curve(self) -> Curve:
        """From each tick that could value the account."""
        columns = Tick.select(Tick.id, Tick.at, Tick.equity, Tick.drawdown)
        rows = load_rows(columns.where(Tick.equity.is_null(False)).order_by(Tick.id))
        times, equity = [to_unix(row.at) for row in rows], [float(row.equity) for row in rows]
        flows = [flow.at.timestamp() for flow in self.flows()]
        if not flows:
            return Curve(times, equity, equity)
        points = [
            Point(row.at.timestamp(), float(row.equity), None if row.drawdown is None else float(row.drawdown))
            for row in rows
        ]
        initial = self.settings.initial_balance
        return Curve(times, equity, follow_performance(points, flows, None if initial is None else float(initial)))

    def flows(self) -> list[FlowRecord]:
        return list_flows()

    def trades(self) -> Rows[TradeRecord]:
        return portfolio.list_trades()

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
        rows = load_rows(Decision.select().order_by(Decision.id))
        return [
            DecisionSpan(at, at, 1, row.symbol, row.decision, row.reason, row.outcome, row.price)
            for row in rows
            if (at := row.decided_at)
        ]

    def slippages(self) -> list[Slippage]:
        return list(load_slippages().values())
