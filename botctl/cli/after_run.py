"""Notifications, metrics, the page and delivery after a run. A failure is only logged: it changes no exit code."""

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial

from botctl.config import Config, open_store
from botctl.domain.errors import BotError, explain_failure
from botctl.monitoring.metrics import Metrics
from botctl.trading.bot import Bot

log = logging.getLogger(__name__)


def queue_notifications(config: Config, bot: Bot, *, check_key: bool = False) -> None:
    """Queue new messages while the bot still holds the lock. `check_key` asks when the API key expires."""
    if config.settings.notify_urls is None or bot.validate_only:
        return
    from botctl.monitoring import collect

    now = datetime.now(UTC)
    if check_key:
        with _log_failure("can't learn when the API key expires"):
            bot.key_check.refresh()
    with _log_failure("can't queue notifications"):
        collect.queue_notifications(bot, config.settings.channels, now)


def read_metrics(config: Config, bot: Bot, exit_code: int, seconds: float) -> Metrics | None:
    """The values for METRICS_FILE, read while the database is open; None without that setting."""
    if config.settings.metrics_file is None or bot.validate_only:
        return None
    from botctl.monitoring import metrics

    with _log_failure("can't read the metrics"):
        return metrics.read_metrics(bot, exit_code=exit_code, seconds=seconds, now=datetime.now(UTC))
    return None


def write_metrics(config: Config, metrics: Metrics | None) -> None:
    if metrics is None or config.settings.metrics_file is None:
        return
    from botctl.monitoring import metrics as metrics_file

    with _log_failure("can't write the metrics"):
        metrics_file.write_metrics(config.folder / config.settings.metrics_file, config.settings.botctl_mode, metrics)


def claim_backup() -> tuple[bool, BotError | None]:
    """Whether this run makes today's copy, and why that can't be said: the tick's result is shown all the same.

    Called while the bot still holds the lock, so that one run alone makes it.
    """
    from botctl.store.upkeep.backups import is_backup_due

    try:
        return is_backup_due(datetime.now(UTC)), None
    except BotError as error:
        log.error("backup: %s", error)
        return False, error


def back_up(config: Config) -> BotError | None:
    """Make today's copy of the database. The lock is free by now: neither a stop nor `liquidate` waits for it.

    Returns why it failed, which is a standing problem until a later copy works.
    """
    from botctl.store.upkeep.backups import back_up_daily, save_backup_failure

    failure: BotError | None = None
    try:
        with open_store(config, create=False):
            try:
                back_up_daily(config.database, config.database_file, datetime.now(UTC))
            except BotError as error:
                failure = error
            save_backup_failure("" if failure is None else str(failure))
    except BotError as error:
        failure = failure or error
    if failure is not None:
        log.error("backup: %s", failure)
    return failure


def publish(config: Config, *, hourly: bool = False) -> None:
    """Send queued messages, then write the page of REPORT_FILE after a trade, and if `hourly` once in REPORT_EVERY.

    The lock is free by now, so no other run waits for a slow service.
    """
    if config.settings.notify_urls is None and config.settings.report_file is None:
        return
    with suppress(OSError, ValueError):  # the result must not wait for a service; main() reports a failing stdout
        sys.stdout.flush()
    if config.settings.notify_urls is not None:
        _deliver_notifications(config)
    if config.settings.report_file is not None:
        from botctl.cli.page.refresh import refresh_page

        with _log_failure("there is no new page"):
            refresh_page(config, hourly=hourly)


def _deliver_notifications(config: Config) -> None:
    from botctl.cli.page.refresh import drawn_charts
    from botctl.monitoring import collect

    with _log_failure("can't send notifications"), open_store(config, create=False):
        channels = config.settings.channels
        draw = partial(drawn_charts, config)
        for why in collect.deliver_queued(channels, title_of(config), datetime.now(UTC), draw):
            log.warning("a notification waits for the next run: %s", why)


def title_of(config: Config) -> str:
    return f"botctl {config.settings.botctl_mode} on {socket.gethostname()}"


@contextmanager
def _log_failure(what: str) -> Iterator[None]:
    """Log an error of the block, and go on after it."""
    try:
        yield
    except BotError as error:
        log.warning("%s: %s", what, error)
    except Exception as error:  # its text may hold a secret
        known = explain_failure(error)
        log.warning("%s: %s", what, known or f"bug: {type(error).__name__}")
        log.debug("%s", what, exc_info=True)
