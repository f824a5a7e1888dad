"""Runs that hang: the next tick raises the alarm, ends the run and goes on; and a tick that hangs ends itself."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from botctl.background import start_thread
from botctl.cli.after_run import title_of
from botctl.cli.log import notice
from botctl.config import Config
from botctl.domain.configuration.settings import MAX_TICK_SECONDS
from botctl.domain.errors import BotError
from botctl.monitoring.heartbeat import Heartbeat
from botctl.run_lock import LockHeld, LockHolder, NotEnded
from botctl.trading.bot import Bot
from botctl.watchdog import end_after
from botctl.wiring import open_bot

log = logging.getLogger(__name__)

TICK_GRACE = 60.0
"""How far beyond TICK_TIMEOUT a tick may last before it ends itself: it may be selling."""
RELEASE_SECONDS = 10.0
"""How long the lock of a run that was ended may take to become free."""
ALARM_SECONDS = 16.0
"""For the heartbeat's ping and the messages together."""
ATTEMPTS = 5
"""Runs that are ended one after the other: cron may start one in between."""
PACKAGE = Path(__file__).parents[1]


def is_stuck(holder: LockHolder, config: Config) -> bool:
    return holder.seconds is not None and holder.seconds > config.stuck_after


# The next tick


@contextmanager
def open_bot_of_tick(
    config: Config, heartbeat: Heartbeat, *, validate_only: bool
) -> Iterator[tuple[Bot, list[BotError]]]:
    """The bot of a tick, which waits for no other run; and the error of a run that hung and was ended for it.

    Raises LockHeld while another run is active, or can't be ended.
    """
    alarms: list[Callable[[], None]] = []
    try:
        with ExitStack() as stack:
            found: list[BotError] = []
            try:
                bot = stack.enter_context(open_bot(config, wait_seconds=0, validate_only=validate_only))
            except LockHeld as held:
                if validate_only or held.holder is None or not is_stuck(held.holder, config):
                    raise
                found.append(_end_stuck_run(config, held.holder, heartbeat, alarms))
                bot = stack.enter_context(open_bot(config, wait_seconds=RELEASE_SECONDS))
            yield bot, found
    finally:
        for finish in alarms:  # the lock is free by now
            finish()


def _end_stuck_run(
    config: Config, holder: LockHolder, heartbeat: Heartbeat, alarms: list[Callable[[], None]]
) -> BotError:
    """What is reported once it is ended. The alarm needs no lock, and no exit waits for it."""
    held = f"it held the lock for {_duration(holder.seconds)}, and a tick may for {config.stuck_after:g} s"
    problem = BotError(f"a run hung and was ended ({holder}): {held}", hint="this tick goes on in its place")
    try:
        config.database.end_lock_holder(holder)
    except BotError as error:
        failure = f"a run hangs, and no position is guarded: {error}"
        alarms.append(_begin(lambda: raise_alarm(config, heartbeat, failure)))
        raise
    log.error("%s", problem)
    alarms.append(_begin(lambda: raise_alarm(config, heartbeat, str(problem))))
    return problem


def raise_alarm(config: Config, heartbeat: Heartbeat, text: str) -> None:
    """Report a failure at once: to the heartbeat's service, and to every channel. Needs neither lock nor database."""
    try:
        heartbeat.fail_now(text)
        if config.settings.notify_urls is not None:
            _send_to_all(config, text)
    except Exception as error:  # noqa: BLE001 - its text may hold an address, and the tick goes on without the alarm
        log.warning("the alarm was not sent: %s", type(error).__name__)


def _send_to_all(config: Config, text: str) -> None:
    from botctl.monitoring.alerts import Level
    from botctl.monitoring.sender import OutgoingMessage, send_messages

    messages = [OutgoingMessage(url, title_of(config), text, Level.ALERT) for url in config.settings.channels]
    for why in filter(None, send_messages(messages)):
        log.warning("the alarm was not sent: %s", why)


def _begin(work: Callable[[], None]) -> Callable[[], None]:
    """Begin it in the background; the result waits for its end. Where no thread can be started, the result does it."""
    try:
        thread = start_thread(work)
    except RuntimeError:
        return work
    return lambda: thread.join(ALARM_SECONDS)


def _duration(seconds: float | None) -> str:
    from datetime import timedelta

    from botctl.domain.text import format_duration

    if seconds is None or seconds < 120:
        return f"{seconds or 0:.0f} s"
    return format_duration(timedelta(seconds=seconds))


# The tick itself


def watch_start() -> AbstractContextManager[None]:
    """For the time before the settings are known: a file that is read may be a pipe, or on a dead disk."""
    return end_after(float(MAX_TICK_SECONDS), lambda: log.error("the tick was ended: its settings could not be read"))


def watch_tick(config: Config, heartbeat: Heartbeat) -> AbstractContextManager[None]:
    """End this process when the tick hangs."""
    limit = float(config.settings.tick_timeout) + TICK_GRACE

    def last_words() -> None:
        text = f"this tick hung for {limit:g} s and was ended, in {_where_the_main_thread_is()}"
        log.error("%s", text)
        raise_alarm(config, heartbeat, text)

    return end_after(limit, last_words)


def _where_the_main_thread_is() -> str:
    """The innermost line of botctl's own, such as `adapters/kraken/transport.py:120`."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            return f"{path.relative_to(PACKAGE)}:{frame.f_lineno}"
        frame = frame.f_back
    return "an unknown place"


# By hand


@contextmanager
def open_bot_by_force(config: Config) -> Iterator[Bot]:
    """A bot whose run ends every other one at once. Raises LockHeld when that can't be done, after the usual wait."""
    with ExitStack() as stack:
        yield _take_over(config, stack)


def _take_over(config: Config, stack: ExitStack) -> Bot:
    for attempt in range(ATTEMPTS):
        try:
            return stack.enter_context(open_bot(config, wait_seconds=RELEASE_SECONDS if attempt else 0))
        except LockHeld as held:
            if held.holder is None:
                break
            try:
                config.database.end_lock_holder(held.holder)
            except NotEnded as error:
                log.warning("%s", error)
                break
            notice(f"ended the run that held the lock: {held.holder}")
    return stack.enter_context(open_bot(config))
