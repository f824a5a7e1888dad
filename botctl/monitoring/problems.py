"""The problems to report after a run, as the database shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from botctl.domain.configuration.settings import Settings
from botctl.domain.errors import BotError
from botctl.domain.health.checks import KEY_EXPIRES_SOON
from botctl.domain.money import format_decimal
from botctl.domain.orders import TradeStatus
from botctl.domain.text import counted, sanitize
from botctl.monitoring.alerts import Problem
from botctl.queries.guarding import unguarded_reason
from botctl.queries.resting_stops import find_guarded_at_exchange, name_unprotected
from botctl.store.broken_rows import find_unknown_rows, load_rows
from botctl.store.evidence.gone_markets import gone_assets, load_gone_markets
from botctl.store.evidence.missing_coins import MissingRecord, load_missing
from botctl.store.evidence.unrecorded_orders import load_unrecorded
from botctl.store.kill_switch import Switch
from botctl.store.models import ACTIVE_TRADES, UNSETTLED_ORDERS, Event, Order, Tick, Trade
from botctl.store.ticks import missed_between
from botctl.store.upkeep.backups import load_backup_failure
from botctl.trading.evidence.unrecorded_orders import unrecorded_errors

if TYPE_CHECKING:
    from botctl.trading.bot import Bot

MAX_NAMED_TRADES = 10
FAILURES = 3
"""Failed ticks in a row that are a problem. A single failure is often the exchange's, and over by the next tick."""
MAX_LINE_LENGTH = 500


@dataclass(frozen=True)
class Watched:
    """The home whose problems are looked for, in its open database."""

    settings: Settings
    switch: Switch
    now: datetime
    """By the market's clock: in demo mode it is simulated."""
    key_expires_at: datetime | None = None


def watched(bot: "Bot") -> Watched:
    key = bot.key_check.load()
    return Watched(bot.settings, bot.switch, bot.clock.now(), None if key is None else key.expires_at)


def collect_problems(home: Watched, now: datetime) -> list[Problem]:
    """Everything that is wrong now. `now` is this machine's time."""
    ticks = load_rows(Tick.select().order_by(Tick.id.desc()).limit(FAILURES))
    problems = [
        _drawdown_problem(home),
        unguarded_problem(load_unguarded(home)),
        _unprotected_problem(load_unprotected(home)),
        *_order_problems(),
        missing_problem({asset: each for asset, each in load_missing().items() if asset not in gone_assets()}),
        unrecorded_problem(unrecorded_errors(load_unrecorded())),
        failing_problem([(tick.ok, _first_failure(tick)) for tick in ticks]),
        _missed_problem(ticks, home.settings.timeframe.seconds),
        backup_problem(load_backup_failure()),
        key_problem(home.key_expires_at, now),
    ]
    return [replace(each, text=sanitize(each.text, MAX_LINE_LENGTH)) for each in problems if each is not None]


def load_unguarded(home: Watched) -> list[str]:
    """The open trades whose stop is not checked now, each with the reason. In a freeze those are left out that
    a stop at the exchange guards."""
    frozen, now, gone = home.switch.read().frozen, home.now, {each.trade_id for each in load_gone_markets()}
    elsewhere = find_guarded_at_exchange() - gone if frozen else set[int]()
    trades = load_rows(Trade.select().where(ACTIVE_TRADES, Trade.status == TradeStatus.OPEN).order_by(Trade.id))
    unguarded = [
        f"{trade.symbol} (trade {trade.id}, {reason})"
        for trade in trades
        if trade.id not in elsewhere
        and (reason := unguarded_reason(trade, now, home.settings.timeframe.seconds, frozen=frozen, gone=gone))
    ]
    unknown = [each for each in find_unknown_rows() if each.assets]
    return unguarded + [each.message for each in (*trades.broken, *unknown)]


def unguarded_problem(trades: Sequence[str]) -> Problem | None:
    """One problem for all unguarded trades: it grows with their number."""
    if not trades:
        return None
    more = [f"and {len(trades) - MAX_NAMED_TRADES} more"] if len(trades) > MAX_NAMED_TRADES else []
    names = "; ".join([*trades[:MAX_NAMED_TRADES], *more])
    return Problem(
        "unguarded",
        f"{counted(len(trades), 'open position is', 'open positions are')} unguarded: {names}",
        size=len(trades),
    )


def load_unprotected(home: Watched) -> list[str]:
    """The open trades whose resting stop is missing, too small or too low, where each is to have one."""
    return [*name_unprotected(home.settings.resting_distance)]


def _unprotected_problem(trades: Sequence[str]) -> Problem | None:
    if not trades:
        return None
    names = "; ".join(trades[:MAX_NAMED_TRADES])
    return Problem(
        "unprotected",
        f"{counted(len(trades), 'open position has', 'open positions have')} no resting stop: {names}",
        size=len(trades),
    )


def missing_problem(records: Mapping[str, MissingRecord]) -> Problem | None:
    """Coins that open trades hold by our own orders and the balance does not show."""
    if not records:
        return None
    listed = "; ".join(f"{each.missing}, since {each.since:%Y-%m-%d %H:%M} UTC" for each in records.values())
    return Problem("missing", f"{listed}; stops go on, nothing is bought", size=len(records))


def unrecorded_problem(errors: Sequence[BotError]) -> Problem | None:
    """Orders of botctl at the exchange that the journal lacks, by asset."""
    return Problem("unrecorded", "; ".join(map(str, errors)), size=len(errors)) if errors else None


def failing_problem(newest: Sequence[tuple[bool, str]]) -> Problem | None:
    """From the newest ticks, newest first: whether each was ok, and its first failure."""
    if len(newest) < FAILURES or any(ok for ok, _ in newest[:FAILURES]):
        return None
    return Problem("failing", f"the tick has failed {FAILURES} times in a row or more: {newest[0][1]}")


def backup_problem(why: str) -> Problem | None:
    """A daily copy that failed. It is tried once a day."""
    return Problem("backup", f"there is no backup from today: {why}") if why else None


def key_problem(expires_at: datetime | None, now: datetime) -> Problem | None:
    """An API key that expires soon. Nothing can be sold without it, so there are two weeks of daily warnings."""
    if expires_at is None or expires_at - now > KEY_EXPIRES_SOON:
        return None
    when = f"{expires_at:%Y-%m-%d %H:%M} UTC"
    text = f"the API key expires at {when}" if expires_at > now else f"the API key expired at {when}"
    return Problem("key", f"{text}: renew it at Kraken", urgent=expires_at <= now)


def _drawdown_problem(home: Watched) -> Problem | None:
    tripped_at = home.switch.read().tripped_at
    if tripped_at is None:
        return None
    newest = load_rows(Event.select().where(Event.kind == "switch").order_by(Event.id.desc()).limit(1))
    last: Event | None = next(iter(newest), None)
    why = last.why if last is not None and "tripped_at" in last.after else "the drawdown guard is tripped"
    since = f"{tripped_at:%Y-%m-%d %H:%M} UTC"
    return Problem("drawdown", f"{why}; since {since} (`botctl resume --enable-buys` resets it)")


def _order_problems() -> list[Problem]:
    orders = load_rows(Order.select().where(UNSETTLED_ORDERS).order_by(Order.id))
    unknown = [each for each in find_unknown_rows() if not each.assets]
    broken = [
        Problem(f"order {each.row}", f"the outcome of an order is unknown: {each.message}")
        for each in (*orders.broken, *unknown)
    ]
    return broken + [
        Problem(
            f"order {order.client_order_id}",
            f"the outcome of an order is unknown: {order.side} {format_decimal(order.amount)} {order.symbol}, "
            f"state {order.state} (client order id {order.client_order_id})",
        )
        for order in orders
    ]


def _first_failure(tick: Tick) -> str:
    failed = next((step for step in tick.steps if not step.get("ok")), None)
    return f"{failed.get('name')}: {failed.get('detail')}" if failed else f"exit code {tick.exit_code}"


def _missed_problem(ticks: Sequence[Tick], seconds: int) -> Problem | None:
    """Runs that are missing between the last two ticks. A run that was killed is one of them."""
    if len(ticks) < 2 or not (missed := missed_between(ticks[1].at, ticks[0].at, seconds)):
        return None
    return Problem(
        "missed", f"{counted(missed, 'run was', 'runs were')} missed or killed since {ticks[1].at:%Y-%m-%d %H:%M} UTC"
    )
