"""The process that sends: letters come in on stdin, and for each a line goes out as soon as its fate is known."""

import json
import logging
import os
import re
import sys
import threading
import time
from typing import Any

from botctl.monitoring.alerts import Level

REFUSED = "refused it, or can't be reached"
LIFE_SECONDS = 15.0
"""Nobody is there to end this process when the run that began it was killed."""
UNKNOWN = "is an address that apprise does not understand"


def knows(url: str) -> bool:
    """Whether apprise understands an address."""
    return _service(url) is not None


def _service(url: str) -> Any:
    """apprise's own object for an address, or None. Its words about it may hold the address, and go nowhere."""
    from apprise import Apprise

    logger = logging.getLogger("apprise")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    try:
        service = Apprise.instantiate(url)
    except Exception:  # noqa: BLE001 - whatever a strange address brings about: it is none
        return None
    if service is not None and "overflow=" not in url:
        service.overflow_mode = "split"  # else a service with a low limit refuses the whole of it
    return service


def send(url: str, title: str, body: str, level: int) -> str:
    """Send one letter; why it has not arrived, or nothing."""
    from apprise import NotifyType

    service = _service(url)
    if service is None:
        return UNKNOWN
    kinds = {Level.INFO: NotifyType.INFO, Level.RESOLVED: NotifyType.SUCCESS, Level.ALERT: NotifyType.FAILURE}
    code = _LastCode()
    logging.getLogger("apprise").addHandler(code)
    try:
        arrived = service.notify(body=body, title=title, notify_type=kinds[Level(level)])
    except Exception as error:  # noqa: BLE001 - a service's plug-in can raise anything
        return f"failed ({type(error).__name__})"
    return "" if arrived else f"{REFUSED}{code.shown(threading.get_ident())}"


class _LastCode(logging.Handler):
    """Keeps the code that a service answered, and nothing else of apprise's words."""

    def __init__(self) -> None:
        super().__init__()
        self._codes: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"\berror=([0-9]{3})\b", record.getMessage()):
            self._codes[threading.get_ident()] = found[1]

    def shown(self, thread: int) -> str:
        return f" (HTTP {self._codes[thread]})" if thread in self._codes else ""


def main() -> None:
    """Send all letters at once: a dead service keeps no other waiting."""
    messages: list[dict[str, Any]] = json.load(sys.stdin)
    lock = threading.Lock()

    def deliver(place: int, message: dict[str, Any]) -> None:
        answer = send(**message)
        with lock:
            print(place, answer, flush=True)

    import apprise  # noqa: F401 - once, before the threads

    threads = [threading.Thread(target=deliver, args=each, daemon=True) for each in enumerate(messages)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + LIFE_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    sys.stdout.flush()
    os._exit(0)  # a plug-in may have left threads behind that Python would wait for


if __name__ == "__main__":
    main()
