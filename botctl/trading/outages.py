"""What an outage means for the open positions, said once in each run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from botctl.domain.errors import BotError, NoAnswer
from botctl.domain.health.outage import NEXT_RUN, as_one_outage, next_tick
from botctl.domain.text import describe_stop
from botctl.store.rows import TradeRow
from botctl.store.ticks import load_last_tick_at
from botctl.trading.bot import Bot

MAX_NAMED = 10
"""Positions that one line names."""


def tell_outage(
    bot: Bot, errors: Sequence[BotError], began: datetime, *, ticks: bool = False, selling: bool = False
) -> list[BotError]:
    """The same errors with one for all requests without an answer: with the positions that were not checked or sold
    since the run `began`, and when that is tried again. `ticks` for a tick, else it is a command by hand;
    `selling` for one that sells all."""
    if not any(isinstance(error, NoAnswer) for error in errors):
        return list(errors)
    try:
        effects, again = _effects(bot, began, selling=selling), _again(bot, ticks=ticks)
    except BotError:  # the database has a problem of its own, and the line is said without it
        effects, again = "", NEXT_RUN
    return as_one_outage(errors, effects, again)


@contextmanager
def saying(hint: str) -> Iterator[None]:
    """Add what it means for a command that does one thing to an outage."""
    try:
        yield
    except NoAnswer as error:
        raise NoAnswer(error.why, where=error.where, hint=hint) from error


def without_outages(errors: Sequence[BotError]) -> list[BotError]:
    """What is said before a command does its work, which meets the same outage and says so."""
    return [error for error in errors if not isinstance(error, NoAnswer)]


def _effects(bot: Bot, began: datetime, *, selling: bool) -> str:
    trades = bot.journal.open_trades()
    if not trades or (bot.switch.read().frozen and not selling):
        return ""
    unsold = [trade for trade in trades if selling or trade.exiting]
    others = [trade for trade in trades if trade not in unsold]
    unchecked = [trade for trade in others if trade.checked_at is None or trade.checked_at < began]
    found = [f"not {done}: {_names(some)}" for done, some in (("sold", unsold), ("checked", unchecked)) if some]
    return "; " + ("; ".join(found) or "all stops were checked")


def _names(trades: Sequence[TradeRow]) -> str:
    names = [
        f"{trade.symbol} (trade {trade.id}, {describe_stop(trade.stop_loss_price)})" for trade in trades[:MAX_NAMED]
    ]
    more = [f"and {len(trades) - MAX_NAMED} more"] if len(trades) > MAX_NAMED else []
    return ", ".join([*names, *more])


def _again(bot: Bot, *, ticks: bool) -> str:
    last, now, seconds = load_last_tick_at(), bot.clock.now(), bot.settings.timeframe.seconds
    if ticks and last is not None and last < now and now - last < timedelta(seconds=2 * seconds):
        last = now  # this run is the newest of them
    return next_tick(last, now, seconds)
