"""A backtest as the source of a report."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.backtesting.backtest import Run
from botctl.backtesting.exits import BUY, HOLD, SELL
from botctl.backtesting.results import BacktestTrade
from botctl.domain import text
from botctl.domain.candles import CandleColumns, from_unix, to_unix
from botctl.domain.configuration.settings import Settings
from botctl.domain.decisions import Action, Stance
from botctl.domain.money import price_of
from botctl.domain.orders import ExitReason, Side
from botctl.domain.symbols import quote_of
from botctl.queries.flows import FlowRecord
from botctl.queries.positions import TradeRecord
from botctl.queries.slippage import Slippage
from botctl.reporting.curve import Curve, Prices
from botctl.reporting.model import Account, DecisionSpan, StopMove, stop_path

ACTIONS = {BUY: Action.BUY, SELL: Action.SELL, HOLD: Action.HOLD}
REASONS = {
    BUY: f"technical {Stance.BULLISH}, sentiment {Stance.FEAR}",
    SELL: f"technical {Stance.BEARISH}, sentiment {Stance.GREED}",
    HOLD: "anything else",
}
"""BUY and SELL each have one possible reason."""
BASIS = "the next candle's open"


class BacktestSource:
    cockpit = None

    def __init__(self, run: Run, histories: Sequence[CandleColumns], settings: Settings) -> None:
        self.run = run
        self.view = run.view
        self.histories = {history.symbol: history for history in histories}
        self.settings = settings
        self._spans: list[DecisionSpan] | None = None

    def account(self) -> Account:
        view, settings = self.view, self.settings
        guard = f"tripped at {text.format_time(view.tripped_at)} UTC" if view.tripped_at else "not tripped"
        return Account(
            title="botctl backtest",
            about=f"{', '.join(view.symbols)} on {view.candles}, {view.bars:,} bars",
            quote=quote_of(view.symbols[0]),
            initial_balance=view.initial_balance,
            max_drawdown=settings.max_drawdown,
            until=view.until,
            figures=[
                ("buy and hold", text.format_percent(view.buy_and_hold)),
                ("exposure", text.format_percent(view.exposure)),
                ("sentiment", view.mood),
                ("drawdown guard", guard),
                (
                    "fee, slippage",
                    f"{text.format_percent(settings.fee_rate)}, {text.format_percent(settings.slippage)} at entry, "
                    f"{text.format_percent(settings.exit_slippage)} at exit",
                ),
                ("stop", f"{settings.atr_multiple:g} ATR({settings.atr_period})"),
                (
                    "breakeven",
                    f"from {settings.breakeven_atr:g} ATR on" + (", fees too" if settings.breakeven_fees else ""),
                ),
                ("missing candles", f"{view.absent_candles:,}"),
            ],
            candles_hint="",
        )

    def curve(self) -> Curve:
        timeline = self.run.timeline
        traded = slice(timeline.first, timeline.last + 1)
        times, equity = timeline.times[traded].tolist(), self.run.equity[traded].tolist()
        return Curve(times, equity, equity, float(self.view.initial_balance))

    def flows(self) -> list[FlowRecord]:
        """Nobody deposits or withdraws in one."""
        return []

    def trades(self) -> list[TradeRecord]:
        return list(self.view.trades)

    def stops(self, trade: TradeRecord) -> list[StopMove]:
        if trade.entry_time is None or trade.entry_price is None or trade.atr is None:
            return []
        import numpy as np

        times, settings, symbol = self.run.timeline.times, self.settings, self.view.symbols.index(trade.symbol)
        entered, last = self._bar(trade.entry_time), self._bar(trade.exit_time or self.view.until)
        closes = np.asarray(self.run.arrays.closes)[symbol, entered + 1 : last + 1]
        return stop_path(
            times[entered + 1 : last + 1].tolist(),
            closes.tolist(),
            float(times[entered]),
            float(trade.entry_price),
            trade.atr,
            settings.stop_rule,
            self._break_even(trade),
        )

    def _break_even(self, trade: TradeRecord) -> float:
        if trade.entry_cost is None or trade.entry_fee is None:
            return 0.0
        unit_cost = price_of(trade.entry_cost + trade.entry_fee, trade.amount)
        return self.settings.stop_rule.break_even(float(unit_cost), float(self.settings.fee_rate))

    def candles(self, symbol: str) -> CandleColumns | None:
        return self.histories[symbol]

    def decision_spans(self) -> list[DecisionSpan]:
        if self._spans is None:
            spans = [span for number in range(len(self.view.symbols)) for span in self._decision_spans_on(number)]
            self._spans = sorted(spans, key=lambda span: span.since)
        return self._spans

    def decision_counts(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for span in self.decision_spans():
            counts[span.decision] += span.count
        return dict(sorted(counts.items()))

    def prices(self) -> Prices:
        """The closes of the bars that were traded."""
        import numpy as np

        timeline = self.run.timeline
        traded = slice(timeline.first, timeline.last + 1)
        times, closes = timeline.times[traded].tolist(), np.asarray(self.run.arrays.closes)
        return {
            symbol: [
                (time, close) for time, close in zip(times, closes[number, traded].tolist(), strict=True) if close > 0
            ]
            for number, symbol in enumerate(self.view.symbols)
        }

    def slippages(self) -> list[Slippage]:
        rows = [row for number, trade in enumerate(self.view.trades, 1) for row in self._slippages_of(number, trade)]
        return sorted(rows, key=lambda row: row.at)

    def _slippages_of(self, number: int, trade: BacktestTrade) -> Iterator[Slippage]:
        yield self._slippage(number, trade, Side.BUY, trade.entry_time, trade.entry_price, "")
        if trade.exit_time and trade.exit_price is not None:
            yield self._slippage(number, trade, Side.SELL, trade.exit_time, trade.exit_price, trade.exit_reason or "")

    def _slippage(
        self, number: int, trade: BacktestTrade, side: Side, at: datetime, average: Decimal, reason: str
    ) -> Slippage:
        fill = self.run.arrays.fills[self.view.symbols.index(trade.symbol), self._bar(at)]
        expected = Decimal(repr(float(fill)))
        return Slippage(at, number, side, trade.symbol, reason, trade.amount, expected, BASIS, average)

    def _decision_spans_on(self, number: int) -> list[DecisionSpan]:
        import numpy as np

        timeline, symbol = self.run.timeline, self.view.symbols[number]
        decisions = np.asarray(self.run.arrays.decisions)[number, timeline.first : timeline.last + 1]
        starts = np.append(0, np.flatnonzero(np.diff(decisions)) + 1)
        ends = np.append(starts[1:], len(decisions)) - 1
        outcomes = self._outcomes(symbol, starts)
        closes = np.asarray(self.run.arrays.closes)[number]
        return [
            DecisionSpan(
                since=from_unix(timeline.times[timeline.first + start]),
                until=from_unix(timeline.times[timeline.first + end]),
                count=int(end - start) + 1,
                symbol=symbol,
                decision=ACTIONS[int(decisions[start])],
                reason=REASONS[int(decisions[start])],
                outcome=", ".join(outcomes.get(index, ())),
                price=Decimal(repr(float(closes[timeline.first + start]))),
            )
            for index, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True))
        ]

    def _outcomes(self, symbol: str, starts: Any) -> dict[int, list[str]]:
        """The orders from each span of equal decisions, by its index among `starts`."""
        import numpy as np

        outcomes: dict[int, list[str]] = {}
        for at, order in self._orders_of(symbol):
            index = int(np.searchsorted(starts, self._bar(at) - self.run.timeline.first, side="right")) - 1
            outcomes.setdefault(index, []).append(order)
        return outcomes

    def _orders_of(self, symbol: str) -> Iterator[tuple[datetime, str]]:
        """The time and description of each order from a decision of the Council."""
        for number, trade in enumerate(self.view.trades, 1):
            if trade.symbol == symbol:
                yield trade.entry_time, f"bought: trade {number}"
                if trade.exit_time and trade.exit_reason == ExitReason.COUNCIL:
                    yield trade.exit_time, f"sold trade {number}"

    def _bar(self, at: datetime) -> int:
        import numpy as np

        return int(np.searchsorted(self.run.timeline.times, to_unix(at)))
