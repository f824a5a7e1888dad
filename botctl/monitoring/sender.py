"""Sends messages to over a hundred services through apprise.

Sending is done by a process of its own (`courier.py`), which is ended when its time is over. A service that hangs,
however it does it, holds nobody up longer than that: not this run, and not the end of this process.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from botctl.domain.errors import ConfigError
from botctl.domain.settings import SETTINGS, Secret
from botctl.monitoring.delivery import OutgoingMessage

log = logging.getLogger(__name__)

SEND_SECONDS = 10.0
"""For all letters together."""
NO_ANSWER = "no answer in time"
MISSING = ConfigError("NOTIFY_URLS is set, and apprise is missing", hint="pip install 'botctl[notify]'")
SENDER = ("-P", "-m", "botctl.monitoring.sender_process")
"""What the process runs. -P: nothing in the current folder stands before Python's own modules."""
PACKAGE_FOLDER = Path(__file__).parents[2]
"""Where the process finds botctl: it may be a clone that was never installed."""


def is_missing() -> bool:
    """Whether apprise is not installed."""
    return find_spec("apprise") is None


def masked(url: Secret) -> str:
    """The service an address belongs to. All else of it may be a secret."""
    scheme = url.reveal().partition("://")[0]
    return f"{scheme if scheme.isalnum() and len(scheme) <= 20 else '?'}://***"


def problem_with_addresses(urls: Sequence[Secret]) -> ConfigError | None:
    """Why these addresses can't be written to; None when nothing is known against them. Sends nothing."""
    if is_missing():
        return MISSING
    from botctl.monitoring.sender_process import knows

    if not urls:
        return ConfigError("NOTIFY_URLS names no address", hint="write it like ntfys://my-topic (docs/settings.md)")
    if unknown := [str(place) for place, url in enumerate(urls, 1) if not knows(url.reveal())]:
        which = f"address {', '.join(unknown)} of NOTIFY_URLS"
        return ConfigError(f"apprise does not understand {which}", hint="see github.com/caronc/apprise/wiki")
    return None


class AppriseSender:
    """Sends through apprise, within `seconds` in all."""

    def __init__(self, seconds: float = SEND_SECONDS) -> None:
        self.seconds = seconds

    def deliver(self, messages: Sequence[OutgoingMessage]) -> list[str]:
        """For each letter why it has not arrived; empty when it has."""
        if is_missing():
            return [str(MISSING)] * len(messages)
        try:
            answers = self._send(messages)
        except (OSError, ValueError) as error:
            log.debug("the courier failed: %s", type(error).__name__)
            answers = {}
        return [self._why(message, answers.get(place, NO_ANSWER)) for place, message in enumerate(messages)]

    def _why(self, message: OutgoingMessage, answer: str) -> str:
        return f"{masked(message.url)} {answer}" if answer else ""

    def _send(self, messages: Sequence[OutgoingMessage]) -> dict[int, str]:
        """What became of each letter, by its place. One that nothing is known of is missing."""
        told = [
            {"url": each.url.reveal(), "title": each.title, "body": each.body, "level": int(each.level)}
            for each in messages
        ]
        # The addresses go through a pipe: a command line and an environment can be read by others.
        secrets = {setting.name for setting in SETTINGS if setting.secret}
        environment = {name: value for name, value in os.environ.items() if name not in secrets}
        path = os.pathsep.join([str(PACKAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, *SENDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # apprise's own words may hold an address
            env={**environment, "PYTHONPATH": path},
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(json.dumps(told).encode(), timeout=self.seconds)
        except subprocess.TimeoutExpired as expired:
            said = expired.output or b""
        finally:  # also after Ctrl-C
            process.kill()
            process.wait()
        return _read_answers(said.decode("utf-8", "replace"))


def _read_answers(said: str) -> dict[int, str]:
    """What became of each letter, by its place. A line that was cut off tells nothing."""
    answers: dict[int, str] = {}
    for line in said.splitlines(keepends=True):
        place, _, answer = line.partition(" ")
        if line.endswith("\n") and place.isdecimal():
            answers[int(place)] = answer.strip()
    return answers
