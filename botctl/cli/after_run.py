"""What a run does for those who are not there, after its orders: messages, figures, the end of a heartbeat.

None of it may change what the run did, nor its exit code: whatever goes wrong here is a line in the log.
"""

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botctl.config import Config, open_store
from botctl.domain.errors import BotError

if TYPE_CHECKING:
    from botctl.monitoring.metrics import Metrics
    from botctl.trading.bot import Bot

log = logging.getLogger(__name__)


def queue_notifications(config: Config, bot: "Bot", *, ask_for_key: bool = False) -> None:
    """Write down what is to be told; the bot still holds the lock. With `ask_for_key` learn when the key expires."""
    if config.settings.notify_urls is None or bot.validate_only:
        return
    from botctl.monitoring import collect
    from botctl.wiring import key_expiry_of

    now = datetime.now(UTC)
    if ask_for_key and (fetch := key_expiry_of(bot)) is not None:
        with _aside("the key's end can't be learned"):
            collect.refresh_key_expiry(fetch, now)
    with _aside("what is to be told can't be written down"):
        collect.queue_notifications(bot, config.settings.channels, now)


def read_metrics(config: Config, bot: "Bot", exit_code: int, seconds: float) -> "Metrics | None":
    """The figures for METRICS_FILE, read while the database is open; None when nobody wants them."""
    if config.settings.metrics_file is None or bot.validate_only:
        return None
    from botctl.monitoring import metrics

    with _aside("the metrics can't be read"):
        return metrics.read_metrics(bot, exit_code=exit_code, seconds=seconds, now=datetime.now(UTC))
    return None


def publish_metrics(config: Config, figures: "Metrics | None") -> None:
    """Replace METRICS_FILE."""
    if figures is None or config.settings.metrics_file is None:
        return
    from botctl.monitoring.metrics import write_metrics

    with _aside("the metrics can't be written"):
        write_metrics(config.folder / config.settings.metrics_file, config.settings.botctl_mode, figures)


def deliver_notifications(config: Config) -> None:
    """Send what is written down. The lock is free again: nobody's exit waits for a service that hangs."""
    if config.settings.notify_urls is None:
        return
    from botctl.monitoring import collect

    with suppress(OSError, ValueError):  # whoever waits for the answer needn't wait for a service
        sys.stdout.flush()
    with _aside("messages can't be sent"), open_store(config, create=False):
        channels = config.settings.channels
        for why in collect.deliver_queued(channels, title_of(config), datetime.now(UTC)):
            log.warning("a message waits for the next run: %s", why)


def title_of(config: Config) -> str:
    """Which bot it is that speaks: its mode and its machine."""
    return f"botctl {config.settings.botctl_mode} on {socket.gethostname()}"


@contextmanager
def _aside(what: str) -> Iterator[None]:
    """Whatever happens in the block is said in the log, and keeps nothing from going on."""
    try:
        yield
    except BotError as error:
        log.warning("%s: %s", what, error)
    except Exception as error:  # its words may be anybody's
        log.warning("%s: bug: %s", what, type(error).__name__)
        log.debug("%s", what, exc_info=True)
