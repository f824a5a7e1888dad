"""Repeats calls that are safe to repeat: reads, and orders that the exchange refused before processing them."""

import random
import time
from collections.abc import Callable

from botctl.domain.errors import BotError, LockedOut

PAUSE, LONGEST_PAUSE, JITTER = 0.3, 4.0, 0.3
"""Seconds: the first pause, which doubles each time; where that ends; and what chance adds to each."""


class NotProcessed(Exception):
    """The exchange refused an order before processing it: the same order may be sent again."""

    def __init__(self, error: BotError) -> None:
        super().__init__(error.message)
        self.error = error
        """What the caller is to hear if the order is refused every time."""


def repeat_read[T](call: Callable[[], T]) -> T:
    """`call()`, again after errors that may pass. Raises the last error unchanged. Never for an order."""

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, BotError) and error.retryable and not isinstance(error, LockedOut)

    return _repeat(call, may_pass, attempts=4, seconds=15)


def repeat_unprocessed[T](send: Callable[[], T]) -> T:
    """`send()`, again only after NotProcessed: the one error that proves that the order was not processed.

    Raises the error that the last NotProcessed carries once the attempts are spent.
    """
    try:
        return _repeat(send, lambda error: isinstance(error, NotProcessed), attempts=3, seconds=8)
    except NotProcessed as refused:
        raise refused.error from refused


def _repeat[T](call: Callable[[], T], again: Callable[[BaseException], bool], *, attempts: int, seconds: float) -> T:
    """With growing pauses, for at most so many attempts and about so many seconds.

    The first attempt is made without tenacity: importing it takes 55 ms, and most runs never repeat a call.
    """
    started = time.monotonic()
    try:
        return call()
    except Exception as error:
        if not again(error) or time.monotonic() - started >= seconds:
            raise
    time.sleep(PAUSE + random.uniform(0, JITTER))

    from tenacity import (
        Retrying,
        retry_if_exception,
        stop_after_attempt,
        stop_after_delay,
        wait_exponential,
        wait_random,
    )

    retrying = Retrying(
        retry=retry_if_exception(again),
        wait=wait_exponential(multiplier=2 * PAUSE, max=LONGEST_PAUSE) + wait_random(0, JITTER),
        stop=stop_after_attempt(attempts - 1) | stop_after_delay(seconds - (time.monotonic() - started)),
        reraise=True,
    )
    return retrying(call)
