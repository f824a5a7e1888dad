"""Notifications: new events and problems go into the outbox under the process lock, and are delivered without it."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from botctl.domain.account.performance import FLOW
from botctl.domain.configuration.settings import Secret
from botctl.domain.money import format_decimal
from botctl.domain.orders import ExitReason
from botctl.domain.symbols import quote_of
from botctl.domain.text import format_amount, format_money, format_price, format_signed, sanitize
from botctl.monitoring import outbox
from botctl.monitoring.alerts import Level, Message, update_alerts
from botctl.monitoring.problems import collect_problems, watched
from botctl.monitoring.sender import OutgoingMessage, send_messages
from botctl.store import key_value
from botctl.store.broken_rows import load_rows
from botctl.store.corrections import FORGOTTEN, OUTRANKED
from botctl.store.evidence.performance import is_big
from botctl.store.evidence.price_decimals import load_price_decimals
from botctl.store.models import Event, Outgoing, Trade, database
from botctl.store.trade_changes import FILLED_LATE, OVERSOLD, OVERSPENT
from botctl.trading.bot import Bot
from botctl.trading.exits import SMALL_REST

log = logging.getLogger(__name__)

LAST_EVENT_KEY = "news.cursor"
REPORTED_EVENTS = (
    "opened",
    "sold",
    "closed",
    "shrunk",
    "dust",
    OVERSPENT,
    OVERSOLD,
    FILLED_LATE,
    OUTRANKED,
    FORGOTTEN,
    FLOW,
)
type Draw = Callable[[Sequence[int]], AbstractContextManager[Mapping[int, Path]]]
"""Pictures of trades by their ids, which exist as long as the context; those that can't be drawn are left out."""

MAX_AGE_AT_FIRST = timedelta(hours=1)
"""Of an event when notifications are switched on. Older events are history."""
MAX_AGE = timedelta(days=7)
MAX_EVENTS = 50
"""Events of one run that get a message each."""
MAX_BODY_LENGTH = 3000
"""Most services refuse longer messages or split them."""


def queue_notifications(bot: Bot, channels: Sequence[Secret], now: datetime) -> None:
    """Put new events and due alerts into the outbox, in one transaction with the record that they were reported.

    Writes nothing when there is nothing to report. Raises BotError.
    """
    last_event, events = _load_new_events(bot)
    alerts = outbox.load_active_alerts()
    problems = collect_problems(watched(bot), now)
    if not (events or alerts or problems or last_event is not None):
        return
    updated, alert_messages = update_alerts(alerts, problems, now)
    messages = [*events, *alert_messages]
    with database.atomic("IMMEDIATE"):
        if last_event is not None:
            key_value.save(LAST_EVENT_KEY, str(last_event))
        if updated != alerts:
            outbox.save_active_alerts(updated)
        outbox.enqueue([outbox.channel_of(url) for url in channels], messages, now)
    for message in messages:
        log.info("notification: %s", message.text)


def deliver_queued(channels: Sequence[Secret], title: str, now: datetime, draw: Draw) -> list[str]:
    """Send what the outbox holds, as one message to each channel, with what `draw` draws of the trades that have
    closed just now. Returns the failures, without addresses."""
    urls = {outbox.channel_of(url): url for url in channels}
    claimed = outbox.claim(list(urls), now)
    if not claimed:
        return []
    # A service that refuses a picture gets the text alone from the next run.
    fresh = {row.text for rows in claimed.values() for row in rows if now - row.written_at < outbox.CLAIM_TIME}
    with draw(sorted(number for text in fresh if (number := closed_trade_in(text)) is not None)) as pictures:
        failures = send_messages(
            [_message_of(urls[channel], title, rows, pictures) for channel, rows in claimed.items()]
        )
    for rows, why in zip(claimed.values(), failures, strict=True):
        if why:
            outbox.release(rows)
        else:
            outbox.acknowledge(rows)
    return [why for why in failures if why]


def _message_of(url: Secret, title: str, rows: Sequence[Outgoing], pictures: Mapping[int, Path]) -> OutgoingMessage:
    closed = [number for row in rows if (number := closed_trade_in(row.text)) is not None]
    attached = tuple(pictures[number] for number in closed if number in pictures)
    body, level = _join_lines([row.text for row in rows]), Level(max(row.level for row in rows))
    return OutgoingMessage(url, title, body, level, attached)


def _join_lines(lines: Sequence[str]) -> str:
    """All lines, or the newest that fit."""
    fitting: list[str] = []
    room = MAX_BODY_LENGTH
    for line in reversed(lines):
        room -= len(line) + 1
        if room < 0 and fitting:
            fitting.append(f"({len(lines) - len(fitting)} older messages left out)")
            break
        fitting.append(line)
    return "\n".join(reversed(fitting))


# Events


def _load_new_events(bot: Bot) -> tuple[int | None, list[Message]]:
    """The id of the newest event (None: it is reported already), and a message for each entry and exit until then."""
    stored = key_value.load(LAST_EVENT_KEY)
    cursor = None if stored is None else key_value.parsed(LAST_EVENT_KEY, stored, int)
    reported = None if cursor is None else cursor[0]
    last: Event | None = Event.select(Event.id).order_by(Event.id.desc()).first()
    newest = 0 if last is None else last.id
    if newest == reported:
        return None, []
    events = Event.select().where((Event.id > (reported or 0)) & Event.kind.in_(REPORTED_EVENTS))
    newest_first = load_rows(events.order_by(Event.id.desc()).limit(10 * MAX_EVENTS))
    now = bot.clock.now()  # in demo mode events carry the simulated time
    max_age = MAX_AGE_AT_FIRST if reported is None else MAX_AGE
    messages = [_describe_event(event) for event in reversed(newest_first) if now - event.at <= max_age]
    return newest, _limit_messages([message for message in messages if message is not None])


def _limit_messages(messages: list[Message]) -> list[Message]:
    left_out = len(messages) - MAX_EVENTS
    if left_out <= 0:
        return messages
    return [Message(Level.INFO, f"{left_out} earlier entries and exits: see `botctl trades`"), *messages[-MAX_EVENTS:]]


def _describe_event(event: Event) -> Message | None:
    """The message for an event; None for a sale whose trade closes, which is reported by its "closed" event."""
    if event.kind == FLOW:
        return Message(Level.ALERT, sanitize(event.why)) if is_big(event) else None
    trade: Trade | None = next(iter(load_rows(Trade.select().where(Trade.id == event.trade_id))), None)
    if trade is None:
        return None
    if event.kind in (OVERSPENT, OVERSOLD, FILLED_LATE, OUTRANKED):
        return Message(Level.ALERT, f"{sanitize(event.why)} (trade {trade.id})")
    if event.kind == "opened":
        return Message(Level.INFO, _describe_entry(trade, event))
    if event.kind == FORGOTTEN:
        return Message(Level.INFO, f"{_describe_exit(trade)}: {sanitize(event.why)}")
    if event.kind == "closed":
        level = Level.ALERT if trade.exit_reason == ExitReason.EXTERNAL else Level.INFO
        return Message(level, _describe_exit(trade))
    if event.kind in ("shrunk", "dust"):
        return _describe_loss(trade, event)
    left = Decimal(event.after.get("amount", "0"))
    if not left:
        return None
    return Message(Level.INFO, f"{sanitize(event.why)}; {format_decimal(left)} are left (trade {trade.id})")


def _describe_loss(trade: Trade, event: Event) -> Message | None:
    """Coins that left a trade without a sell of botctl. A small rest of a sale is no news."""
    if event.kind == "dust" and Decimal(event.before["amount"]) <= SMALL_REST * (trade.entry_amount or 0):
        return None
    return Message(Level.ALERT, f"{trade.symbol}: {sanitize(event.why)} (trade {trade.id})")


def _describe_entry(trade: Trade, event: Event) -> str:
    amount = format_amount(trade.entry_amount) if trade.entry_amount is not None else "some"
    cost = "" if trade.entry_cost is None else f" for {format_money(trade.entry_cost, quote_of(trade.symbol))}"
    prices = trade.entry_price, event.after.get("stop_loss_price")
    price, stop = (format_price(each, load_price_decimals().get(trade.symbol)) for each in prices)
    return f"bought {amount} {trade.symbol} at {price}{cost}, stop {stop} (trade {trade.id})"


def closed_trade_in(message: str) -> int | None:
    """The trade whose exit a message tells, as `_describe_exit` writes it; None for any other message."""
    found = re.match(r"\S+ closed .*?, P&L .*?\(trade ([0-9]+)\)", message)
    return int(found[1]) if found else None


def _describe_exit(trade: Trade) -> str:
    price = format_price(trade.exit_price, load_price_decimals().get(trade.symbol))
    at = f" at {price}" if trade.exit_price is not None else ""
    pnl = "P&L unknown" if trade.pnl is None else f"P&L {format_signed(trade.pnl, quote_of(trade.symbol))}"
    return f"{trade.symbol} closed{at} ({trade.exit_reason}), {pnl} (trade {trade.id})"
