"""Sends messages through apprise, in a process of its own that is killed when a service hangs."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from botctl.domain.configuration.child_environment import NETWORK, child_environment
from botctl.domain.configuration.settings import Secret
from botctl.domain.errors import ConfigError
from botctl.monitoring.alerts import Level

log = logging.getLogger(__name__)

SEND_SECONDS = 10.0
"""For all messages together."""
NO_ANSWER = "no answer in time"
MISSING = ConfigError("NOTIFY_URLS is set but apprise is not installed", hint="pip install 'botctl[notify]'")
SENDER = ("-P", "-m", "botctl.monitoring.sender_process")
"""What the process runs. -P: a file in the current folder must not shadow a module of Python's."""
PACKAGE_FOLDER = Path(__file__).parents[2]
"""Where the process finds botctl: it may be a clone that was never installed."""


@dataclass(frozen=True)
class OutgoingMessage:
    """One message for one address."""

    url: Secret
    title: str
    body: str
    level: Level
    pictures: tuple[Path, ...] = ()
    """Files to attach. A service that takes none gets the text alone."""


def apprise_is_missing() -> bool:
    return find_spec("apprise") is None


def masked(url: Secret) -> str:
    """The service of an address. The rest of the address may be a secret."""
    scheme = url.reveal().partition("://")[0]
    return f"{scheme if scheme.isalnum() and len(scheme) <= 20 else '?'}://***"


def problem_with_addresses(urls: Sequence[Secret]) -> ConfigError | None:
    """What is wrong with these addresses, if anything. Sends nothing."""
    if apprise_is_missing():
        return MISSING
    from botctl.monitoring.sender_process import create_service

    if not urls:
        return ConfigError("NOTIFY_URLS has no address", hint="write it like ntfys://my-topic (docs/settings.md)")
    if unknown := [str(number) for number, url in enumerate(urls, 1) if create_service(url.reveal()) is None]:
        which = f"address {', '.join(unknown)} of NOTIFY_URLS"
        return ConfigError(f"apprise does not understand {which}", hint="see github.com/caronc/apprise/wiki")
    return None


def send_messages(messages: Sequence[OutgoingMessage], seconds: float = SEND_SECONDS) -> list[str]:
    """Send all messages within `seconds`. Returns for each why it was not delivered, or an empty string."""
    if apprise_is_missing():
        return [str(MISSING)] * len(messages)
    try:
        results = _run_sender(messages, seconds)
    except (OSError, ValueError) as error:
        log.debug("the sender process failed: %s", type(error).__name__)
        results = {}
    failures = [results.get(index, NO_ANSWER) for index in range(len(messages))]
    return [why and f"{masked(message.url)} {why}" for message, why in zip(messages, failures, strict=True)]


def _run_sender(messages: Sequence[OutgoingMessage], seconds: float) -> dict[int, str]:
    """The result of each message by its index. A message without a result is missing."""
    fields = [
        {
            "url": each.url.reveal(),
            "title": each.title,
            "body": each.body,
            "level": int(each.level),
            "pictures": [str(picture) for picture in each.pictures],
        }
        for each in messages
    ]
    # The addresses go through a pipe: other users can read a command line, and an environment is inherited.
    environment = child_environment(os.environ, *NETWORK)
    path = os.pathsep.join([str(PACKAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, *SENDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # apprise's errors may contain an address
        env={**environment, "PYTHONPATH": path},
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(json.dumps(fields).encode(), timeout=seconds)
    except subprocess.TimeoutExpired as expired:
        output = expired.output or b""
    finally:  # also after Ctrl-C
        process.kill()
        process.wait()
    return _parse_results(output.decode("utf-8", "replace"))


def _parse_results(output: str) -> dict[int, str]:
    """The result by index. A line that was cut off is left out."""
    results: dict[int, str] = {}
    for line in output.splitlines(keepends=True):
        index, _, result = line.partition(" ")
        if line.endswith("\n") and index.isdecimal():
            results[int(index)] = result.strip()
    return results
