"""Plays ticks one after another on a tape, and tells what they brought."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal

from botctl.backtesting.performance import deepest_fall
from botctl.backtesting.results import BacktestTrade, BacktestView, ReplayView
from botctl.backtesting.summary import RunOutcome, summarize
from botctl.domain.candles import CandleColumns
from botctl.domain.errors import BotError, Refused
from botctl.domain.orders import TradeStatus
from botctl.domain.sentiment import SentimentSeries
from botctl.market_data.timeline import Timeline
from botctl.queries.portfolio import trade_record
from botctl.store.models import Trade
from botctl.trading.bot import Bot
from botctl.trading.results import TickView
from botctl.trading.tick import tick


@dataclass
class ReplayOutcome:
    """What a stretch of ticks brought."""

    ticks: int = 0
    failed: int = 0
    """Ticks in which a step failed."""
    errors: dict[str, tuple[str, int]] = field(default_factory=dict)
    """What went wrong: by its words without their figures the first such error, and in how many ticks it came."""
    equity: Decimal | None = None
    """The last one known."""
    curve: list[float] = field(default_factory=list)
    """The equity that each tick saw; where it could not be known, the one before."""

    def add(self, view: TickView) -> None:
        """One more tick."""
        self.ticks += 1
        self.failed += not view.ok
        for error in view.errors:
            kind = re.sub(r"\d[\d.,]*", "#", error)
            first, count = self.errors.get(kind, (error, 0))
            self.errors[kind] = first, count + 1
        self.equity = self.equity if view.equity is None else view.equity
        self.curve.append(float("nan") if self.equity is None else float(self.equity))

    def tell_errors(self) -> list[str]:
        """Each kind of error once, the most frequent first."""
        kinds = sorted(self.errors.values(), key=lambda kind: -kind[1])
        return [f"{error} (in {count} ticks)" if count > 1 else error for error, count in kinds]


def run_ticks(bot: Bot, steps: Iterable[object]) -> ReplayOutcome:
    """One tick for each of `steps`, as long as the tape lasts."""
    played = ReplayOutcome()
    for _ in steps:
        try:
            view, _code = tick(bot)
        except Refused:  # the end of the tape
            break
        played.add(view)
    return played


def summarize_replay(
    bot: Bot, grid: Timeline, histories: Sequence[CandleColumns], sentiment: SentimentSeries, played: ReplayOutcome
) -> ReplayView:
    """What a played history came to, by the books that the ticks have written. Raises BotError when none played."""
    import numpy as np

    if not played.ticks:
        raise BotError("the replay could not play a single tick")
    curve = np.array(played.curve)
    trades = [_backtest_trade(row) for row in Trade.select().where(Trade.entry_cost.is_null(False)).order_by(Trade.id)]
    course = RunOutcome(curve, deepest_fall(played.curve), trades, bot.switch.read().tripped_at)
    view = summarize(grid, histories, bot.settings, sentiment, course)
    figures = {each.name: getattr(view, each.name) for each in fields(BacktestView)}
    return ReplayView(**figures, ticks=played.ticks, failed_ticks=played.failed, errors=played.tell_errors())


def _backtest_trade(row: Trade) -> BacktestTrade:
    """A trade of the database as a backtest has its own: what a part of it was sold for counts once all is sold."""
    closed = row.status == TradeStatus.CLOSED
    record = vars(trade_record(row)) | {
        "amount": row.entry_amount,
        "exit_at": row.closed_at if closed else None,
        "exit_proceeds": row.exit_proceeds if closed else None,
        "exit_fee": row.exit_fee if closed else None,
    }
    return BacktestTrade(**record)
