"""Retries calls that are safe to repeat: reads, and orders that the exchange refused before processing them."""

import random
import time
from collections.abc import Callable

from botctl.domain.errors import BotError, LockedOut

PAUSE, MAX_PAUSE, JITTER = 0.3, 4.0, 0.3
"""In seconds: the first pause, which doubles each time, its maximum, and the random part added to each."""


class NotProcessed(Exception):
    """The exchange refused an order before processing it: the same order may be sent again."""

    def __init__(self, error: BotError) -> None:
        super().__init__(error.message)
        self.error = error
        """Raised to the caller if the order is refused every time."""


def repeat_read[T](call: Callable[[], T]) -> T:
    """`call()`, repeated after temporary errors. Raises the last error unchanged. Never use it for an order."""

    def is_temporary(error: BaseException) -> bool:
        return isinstance(error, BotError) and error.retryable and not isinstance(error, LockedOut)

    return _repeat(call, is_temporary, attempts=4, seconds=15)


def repeat_unprocessed[T](send: Callable[[], T]) -> T:
    """`send()`, repeated only after NotProcessed. Raises the last one's error when the attempts are used up."""
    try:
        return _repeat(send, lambda error: isinstance(error, NotProcessed), attempts=3, seconds=8)
    except NotProcessed as refused:
        raise refused.error from refused


def _repeat[T](call: Callable[[], T], retry: Callable[[BaseException], bool], *, attempts: int, seconds: float) -> T:
    """`call()`, repeated with growing pauses, at most `attempts` times and for about `seconds`."""
    # The first attempt is made without tenacity: importing it takes 55 ms, and most runs never repeat a call.
    started = time.monotonic()
    try:
        return call()
    except Exception as error:
        if not retry(error) or time.monotonic() - started >= seconds:
            raise
    time.sleep(PAUSE + random.uniform(0, JITTER))

    import tenacity

    remaining = seconds - (time.monotonic() - started)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(retry),
        wait=tenacity.wait_exponential(multiplier=2 * PAUSE, max=MAX_PAUSE) + tenacity.wait_random(0, JITTER),
        stop=tenacity.stop_after_attempt(attempts - 1) | tenacity.stop_after_delay(remaining),
        reraise=True,
    )
    return retrying(call)
