"""Somebody to tell: today a line in the log at error level."""

import logging

log = logging.getLogger(__name__)


class LogNotifier:
    """Notifies through the log."""

    def notify(self, message: str) -> None:
        log.error("%s", message)
