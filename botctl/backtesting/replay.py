"""Runs ticks one after another on a simulated market, and summarizes them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal

from botctl.backtesting.council.members import label_of
from botctl.backtesting.performance import calculate_max_drawdown
from botctl.backtesting.results import BacktestTrade, BacktestView, ReplayView
from botctl.backtesting.summary import RunOutcome, summarize
from botctl.domain.candles import CandleColumns
from botctl.domain.configuration.settings import DEFAULT_BALANCE
from botctl.domain.errors import BotError, Refused
from botctl.domain.orders import TradeStatus
from botctl.domain.sentiment import SentimentSeries
from botctl.market_data.timeline import Timeline
from botctl.queries.portfolio import trade_record
from botctl.store.models import Order, Trade
from botctl.trading.bot import Bot
from botctl.trading.results import TickView
from botctl.trading.tick import tick


@dataclass
class ReplayOutcome:
    ticks: int = 0
    failed: int = 0
    """Ticks in which a step failed."""
    errors: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By message without its numbers: the first such error, and in how many ticks it occurred."""
    equity: Decimal | None = None
    """The last one known."""
    curve: list[float] = field(default_factory=list)
    """Each tick's equity after its trades; where it is unknown, the one before."""

    def add(self, view: TickView) -> None:
        self.ticks += 1
        self.failed += not view.ok
        counted: set[str] = set()
        for error in view.errors:
            kind = re.sub(r"\d[\d.,]*", "#", error)
            first, count = self.errors.get(kind, (error, 0))
            self.errors[kind] = first, count + (kind not in counted)
            counted.add(kind)
        self.equity = self.equity if view.equity is None else view.equity
        self.curve.append(float("nan") if self.equity is None else float(self.equity))

    def error_messages(self) -> list[str]:
        """Each kind of error once, the most frequent first."""
        kinds = sorted(self.errors.values(), key=lambda kind: -kind[1])
        return [f"{error} (in {count} ticks)" if count > 1 else error for error, count in kinds]


def run_ticks(bot: Bot, steps: Iterable[object]) -> ReplayOutcome:
    """One tick for each of `steps`, until the simulated market ends. As a backtest, it decides on signal candles that
    close in it, and not on the one before."""
    outcome = ReplayOutcome()
    for symbol in bot.settings.symbols:
        bot.council.sittings.skip_closed(symbol)
    for _ in steps:
        try:
            view, _code = tick(bot)
        except Refused:  # the simulated market has ended
            break
        outcome.add(view)
    return outcome


def summarize_replay(
    bot: Bot,
    timeline: Timeline,
    histories: Sequence[CandleColumns],
    sentiment: SentimentSeries,
    outcome: ReplayOutcome,
    council: str = "",
) -> ReplayView:
    """The result of a replay, from the database that its ticks wrote; `council` names who decided in place of the
    settings' Council. Raises BotError when no tick ran."""
    import numpy as np

    if not outcome.ticks:
        raise BotError("the replay could not run a single tick")
    trades = load_trades()
    begun = float(bot.settings.initial_balance or DEFAULT_BALANCE)
    drawdown, tripped_at = calculate_max_drawdown([begun, *outcome.curve]), bot.switch.read().tripped_at
    run = RunOutcome(np.array(outcome.curve), drawdown, trades, tripped_at)
    view = summarize(timeline, histories, bot.settings, sentiment, run)
    figures = {each.name: getattr(view, each.name) for each in fields(BacktestView)}
    figures |= {"council": council or label_of(bot.settings), "errors": outcome.error_messages()}
    return ReplayView(**figures, ticks=outcome.ticks, failed_ticks=outcome.failed)


def load_trades() -> list[BacktestTrade]:
    """The trades of the database that is open, the oldest first."""
    fired = {row.trade_id for row in Order.select(Order.trade).where(Order.trigger.is_null(False), Order.filled > 0)}
    rows = Trade.select().where(Trade.entry_cost.is_null(False)).order_by(Trade.id)
    return [_backtest_trade(row, fired) for row in rows]


def _backtest_trade(row: Trade, fired: set[int]) -> BacktestTrade:
    """A trade of the database as a backtest reports it: partial sales count only once all is sold."""
    closed = row.status == TradeStatus.CLOSED
    record = vars(trade_record(row)) | {
        "amount": row.entry_amount,
        "exit_time": row.exit_time if closed else None,
        "exit_proceeds": row.exit_proceeds if closed else None,
        "exit_fee": row.exit_fee if closed else None,
        "by_resting_stop": row.id in fired,
    }
    return BacktestTrade(**record)
