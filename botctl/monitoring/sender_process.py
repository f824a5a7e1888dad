"""The process that sends: reads messages on stdin, and prints a line for each as soon as its result is known."""

import json
import logging
import os
import re
import sys
import threading
import time
from typing import Any

from botctl.monitoring.alerts import Level

REFUSED = "refused the message or can't be reached"
UNKNOWN = "is an address that apprise does not understand"
MAX_LIFETIME_SECONDS = 15.0
"""When the run that started this process is killed, nothing else ends it."""


def create_service(url: str) -> Any:
    """apprise's object for an address, or None. apprise's log lines may contain the address, so they are discarded."""
    from apprise import Apprise

    logger = logging.getLogger("apprise")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    try:
        service = Apprise.instantiate(url)
    except Exception:  # noqa: BLE001 - plug-ins raise anything for an address that they can't parse
        return None
    if service is not None and "overflow=" not in url:
        service.overflow_mode = "split"  # else a service with a low limit refuses the whole message
    return service


def send(url: str, title: str, body: str, level: int, pictures: list[str]) -> str:
    """Send one message with its pictures. Returns why it was not delivered, or an empty string."""
    from apprise import NotifyType

    service = create_service(url)
    if service is None:
        return UNKNOWN
    types = {Level.INFO: NotifyType.INFO, Level.RESOLVED: NotifyType.SUCCESS, Level.ALERT: NotifyType.FAILURE}
    status = _StatusCapture()
    logging.getLogger("apprise").addHandler(status)
    try:
        attached = pictures if pictures and service.attachment_support else None
        delivered = service.notify(body=body, title=title, notify_type=types[Level(level)], attach=attached)
    except Exception as error:  # noqa: BLE001 - a plug-in can raise anything
        return f"failed ({type(error).__name__})"
    return "" if delivered else f"{REFUSED}{status.suffix(threading.get_ident())}"


class _StatusCapture(logging.Handler):
    """Keeps the HTTP status of each thread's last error from apprise's log, and nothing else of it."""

    def __init__(self) -> None:
        super().__init__()
        self._codes: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if match := re.search(r"\berror=([0-9]{3})\b", record.getMessage()):
            self._codes[threading.get_ident()] = match[1]

    def suffix(self, thread: int) -> str:
        return f" (HTTP {self._codes[thread]})" if thread in self._codes else ""


def _limit_answers() -> None:
    """Read the answers of all services up to a limit. apprise leaves no place for a hook of requests."""
    from requests.adapters import HTTPAdapter

    from botctl.http_answers import read_response

    send = HTTPAdapter.send

    def send_limited(*arguments: Any, **options: Any) -> Any:
        response = send(*arguments, **options)
        read_response(response)
        return response

    HTTPAdapter.send = send_limited  # type: ignore[method-assign]


def main() -> None:
    """Send all messages in parallel: a service that hangs delays no other."""
    import apprise  # noqa: F401 - once, before the threads

    _limit_answers()
    lock = threading.Lock()

    def deliver(index: int, message: dict[str, Any]) -> None:
        result = send(**message)
        with lock:
            print(index, result, flush=True)

    threads = [threading.Thread(target=deliver, args=each, daemon=True) for each in enumerate(json.load(sys.stdin))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + MAX_LIFETIME_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    os._exit(0)  # a plug-in may have left threads behind that Python would wait for


if __name__ == "__main__":
    main()
