"""What somebody who is not there must know: read from the database after the orders, written into the outbox, and sent
from there without the process lock."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.money import format_decimal
from botctl.domain.orders import TradeStatus
from botctl.domain.settings import Secret
from botctl.domain.symbols import quote_of
from botctl.domain.text import format_price, format_signed, sanitize
from botctl.monitoring import outbox
from botctl.monitoring.alerts import (
    Guarded,
    Level,
    Message,
    Problem,
    failing_problem,
    find_unguarded,
    judge_alerts,
    key_problem,
    unguarded_problem,
)
from botctl.monitoring.delivery import MessageSender, OutgoingMessage
from botctl.monitoring.results import TickMetrics
from botctl.queries import portfolio
from botctl.store import key_value
from botctl.store.models import ACTIVE_TRADES, UNSETTLED_ORDERS, Event, Order, Tick, Trade, database
from botctl.store.ticks import missed_between
from botctl.trading.bot import Bot

log = logging.getLogger(__name__)

CURSOR = "news.cursor"
"""The last event that was told."""
KEY_EXPIRY = "key.expiry"
FIRST_NEWS = timedelta(hours=1)
"""How far back news go when they begin. What is older is history."""
OLD_NEWS = timedelta(days=7)
MOST_NEWS = 50
"""Events of one round that are told one by one."""
MOST_READ_AGAIN = 1000
"""Events that are no news and are passed over at each run."""
KINDS = ("opened", "sold", "closed")
MOST_OF_A_LINE = 500
MOST_OF_A_LETTER = 3000
"""Characters. Most services take no more, or cut it into many pieces."""


def enqueue_news(bot: Bot, channels: Sequence[Secret], now: datetime) -> None:
    """Put what has happened since the last time, and every trouble that is due, into the outbox.

    Nothing is written when there is nothing to say. Whatever is written is written in one transaction: an event is told
    and counted as told, or neither. Raises BotError.
    """
    cursor, news = _events_to_tell(bot)
    known = outbox.load_active_alerts()
    conditions = collect_problems(bot, now)
    if not (news or known or conditions or cursor is not None):
        return
    active_alerts, alarms = judge_alerts(known, conditions, now)
    messages = [*news, *alarms]
    with database.atomic("IMMEDIATE"):
        if cursor is not None:
            key_value.save(CURSOR, str(cursor))
        if active_alerts != known:
            outbox.save_active_alerts(active_alerts)
        outbox.enqueue([outbox.channel_of(url) for url in channels], messages, now)
    for message in messages:
        log.info("to be told: %s", message.text)


def learn_key_expiry(fetch: Callable[[], datetime | None], now: datetime) -> None:
    """Ask once a day when the key expires, and remember it. Belongs under the process lock. Raises BotError."""
    kept = key_value.load(KEY_EXPIRY)
    if kept is not None and timedelta(0) <= now - kept[1] < timedelta(days=1):
        return
    key_value.save(
        KEY_EXPIRY, kept[0] if kept else "", now
    )  # before the question: it is asked once a day, also in vain
    expires_at = fetch()
    key_value.save(KEY_EXPIRY, "" if expires_at is None else expires_at.isoformat(), now)


def deliver_queued(channels: Sequence[Secret], sender: MessageSender, title: str, now: datetime) -> list[str]:
    """Send what the outbox holds, as one letter to each channel. What can't be sent stays for the next run.

    Returns why a channel was not reached, without its address. Needs the database and not the process lock.
    """
    urls = {outbox.channel_of(url): url for url in channels}
    claimed = outbox.claim(list(urls), now)
    messages = [
        OutgoingMessage(urls[channel], title, _body([row.text for row in rows]), outbox.worst(rows))
        for channel, rows in claimed.items()
    ]
    if not messages:
        return []
    failures = sender.deliver(messages)
    for rows, why in zip(claimed.values(), failures, strict=True):
        if why:
            outbox.release(rows)
        else:
            outbox.acknowledge(rows)
    return [why for why in failures if why]


def _body(lines: Sequence[str]) -> str:
    """All lines, or the newest of them that fit."""
    kept: list[str] = []
    left = MOST_OF_A_LETTER
    for line in reversed(lines):
        left -= len(line) + 1
        if left < 0 and kept:
            kept.append(f"({len(lines) - len(kept)} older messages left out)")
            break
        kept.append(line)
    return "\n".join(reversed(kept))


# What has happened


def _events_to_tell(bot: Bot) -> tuple[int | None, list[Message]]:
    """Entries and exits since the last time, and where the next time begins (None: where it did)."""
    kept = key_value.load(CURSOR)
    told_up_to = None if kept is None else int(kept[0])
    rows = list(
        Event.select()
        .where((Event.id > (told_up_to or 0)) & Event.kind.in_(KINDS))
        .order_by(Event.id.desc())
        .limit(10 * MOST_NEWS)
    )
    if not rows:
        return _cursor_without_news(told_up_to), []
    now = bot.clock.now()  # events of the demo carry the tape's time
    span = FIRST_NEWS if told_up_to is None else OLD_NEWS
    told = [_tell(row) for row in reversed(rows) if now - row.at <= span]
    return rows[0].id, _newest_of([message for message in told if message is not None])


def _cursor_without_news(told_up_to: int | None) -> int | None:
    """Where the next time begins when nothing that happened is news.

    Mostly stops have moved: when they are many they are passed over, so that they are not read again at each run.
    """
    newest: Event | None = Event.select().order_by(Event.id.desc()).first()
    if newest is not None and (told_up_to is None or newest.id > told_up_to + MOST_READ_AGAIN):
        return newest.id
    return 0 if told_up_to is None else None


def _newest_of(news: list[Message]) -> list[Message]:
    """All of them, or the newest, and a line that says how many there are besides."""
    if len(news) <= MOST_NEWS:
        return news
    left_out = len(news) - MOST_NEWS
    return [Message(Level.INFO, f"{left_out} earlier entries and exits: see `botctl trades`"), *news[-MOST_NEWS:]]


def _tell(event: Event) -> Message | None:
    """An event in words; None for the sale that is told as the end of its trade."""
    trade: Trade | None = Trade.get_or_none(Trade.id == event.trade_id)
    if trade is None:
        return None
    if event.kind == "opened":
        return Message(Level.INFO, _entry_in_words(trade, event))
    if event.kind == "closed":
        return Message(Level.INFO, _exit_in_words(trade))
    left = Decimal(event.after.get("amount", "0"))
    return (
        Message(Level.INFO, f"{sanitize(event.why)}; {format_decimal(left)} are left (trade {trade.id})")
        if left
        else None
    )


def _entry_in_words(trade: Trade, event: Event) -> str:
    amount = format_decimal(trade.entry_amount) if trade.entry_amount is not None else "some"
    cost = "" if trade.entry_cost is None else f" for {trade.entry_cost:,.2f} {quote_of(trade.symbol)}"
    stop = format_price(event.after.get("stop_loss_price"))
    at = format_price(trade.entry_price)
    return f"bought {amount} {trade.symbol} at {at}{cost}, stop {stop} (trade {trade.id})"


def _exit_in_words(trade: Trade) -> str:
    at = f" at {format_price(trade.exit_price)}" if trade.exit_price is not None else ""
    pnl = "P&L unknown" if trade.pnl is None else f"P&L {format_signed(trade.pnl)} {quote_of(trade.symbol)}"
    return f"{trade.symbol} closed{at} ({trade.exit_reason}), {pnl} (trade {trade.id})"


# What is wrong


def collect_problems(bot: Bot, now: datetime) -> list[Problem]:
    """Everything that is wrong by the database. `now` is this machine's time."""
    ticks = list(Tick.select().order_by(Tick.id.desc()).limit(3))
    expiry = key_value.load(KEY_EXPIRY)
    conditions = [
        *_drawdown(bot),
        *unguarded_problem(count_unguarded(bot)),
        *_unsettled_orders(),
        *failing_problem([(tick.ok, _failure(tick)) for tick in ticks]),
        *_missed(ticks, bot.settings.timeframe_seconds),
        *key_problem(datetime.fromisoformat(expiry[0]) if expiry and expiry[0] else None, now),
    ]
    return [Problem(each.key, sanitize(each.text, MOST_OF_A_LINE), each.size, each.urgent) for each in conditions]


def _unsettled_orders() -> list[Problem]:
    return [
        Problem(
            f"order {order.client_order_id}",
            f"nobody knows what became of the {order.side} of {format_decimal(order.amount)} {order.symbol}: "
            f"it is {order.state} (client order id {order.client_order_id})",
        )
        for order in Order.select().where(UNSETTLED_ORDERS).order_by(Order.id)
    ]


def count_unguarded(bot: Bot) -> Mapping[Guarded, str]:
    """The open trades that nobody guards now, each with the reason."""
    asked = Trade.select(Trade.id, Trade.symbol, Trade.checked_at, Trade.stop_loss_price)
    trades = [
        Guarded(trade.id, trade.symbol, trade.checked_at, trade.stop_loss_price is not None)
        for trade in asked.where(ACTIVE_TRADES, Trade.status == TradeStatus.OPEN).order_by(Trade.id)
    ]
    seconds = bot.settings.timeframe_seconds
    return find_unguarded(trades, bot.clock.now(), seconds, frozen=bot.switch.read().frozen)


def read_metrics(bot: Bot, *, exit_code: int, seconds: float, now: datetime) -> TickMetrics:
    """What a monitor wants to know of the tick that ends `now`."""
    settings = bot.settings
    view = portfolio.status(
        settings.botctl_mode, bot.switch, settings.initial_balance, bot.clock.now(), settings.timeframe_seconds
    )
    well: Tick | None = Tick.select().where(Tick.exit_code == 0).order_by(Tick.id.desc()).first()
    before = None if well is None else well.at.timestamp() + well.seconds
    return TickMetrics(
        mode=settings.botctl_mode,
        last_success_at=now.timestamp() if exit_code == 0 else before,
        last_tick_at=now.timestamp(),
        seconds=seconds,
        exit_code=exit_code,
        requests=bot.exchange.count_requests(),
        equity=view.equity,
        drawdown=view.drawdown,
        open_trades=view.open_trades,
        unguarded=len(count_unguarded(bot)),
        unsettled_orders=view.unsettled_orders,
        missed_runs=view.missed_ticks,
    )


def _drawdown(bot: Bot) -> list[Problem]:
    tripped_at = bot.switch.read().tripped_at
    if tripped_at is None:
        return []
    last: Event | None = Event.select().where(Event.kind == "switch").order_by(Event.id.desc()).first()
    why = last.why if last is not None and "tripped_at" in last.after else "the drawdown guard is tripped"
    return [
        Problem("drawdown", f"{why}; since {tripped_at:%Y-%m-%d %H:%M} UTC (`botctl resume --enable-buys` ends it)")
    ]


def _failure(tick: Tick) -> str:
    """The first step that failed, in words."""
    failed = next((step for step in tick.steps if not step["ok"]), None)
    return f"{failed['name']}: {failed['detail']}" if failed else f"exit code {tick.exit_code}"


def _missed(ticks: Sequence[Tick], seconds: int) -> list[Problem]:
    """Runs that should have been between the last two ticks. A run that was killed is one of them."""
    if len(ticks) < 2:
        return []
    newest, before = ticks[0], ticks[1]
    missed = missed_between(before.at, newest.at, seconds)
    if not missed:
        return []
    return [Problem("missed", f"{missed} runs were missed, or died, since {before.at:%Y-%m-%d %H:%M} UTC")]
