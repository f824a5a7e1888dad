"""Repeats what is safe to repeat: reads, and orders that were refused before anybody looked at them."""

import time
from collections.abc import Callable

from botctl.domain.errors import BotError, LockedOut


class NotProcessed(BotError):
    """The exchange refused an order before looking at it: the same order may leave again."""


def repeat_read[T](call: Callable[[], T]) -> T:
    """`call()`, again after errors that may pass. Raises the last error unchanged. Never for an order."""

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, BotError) and error.retryable and not isinstance(error, LockedOut)

    return _repeat(call, may_pass, attempts=4, seconds=15)


def repeat_unprocessed[T](send: Callable[[], T]) -> T:
    """`send()`, again only after NotProcessed: the one error that proves nobody looked at the order."""
    return _repeat(send, lambda error: isinstance(error, NotProcessed), attempts=3, seconds=8)


def _repeat[T](call: Callable[[], T], again: Callable[[BaseException], bool], *, attempts: int, seconds: float) -> T:
    """With growing pauses, for at most so many attempts and about so many seconds."""
    started = time.monotonic()
    try:
        return call()
    except BotError as error:
        if not again(error):
            raise
        failed = [error]

    def attempt() -> T:
        """The first one has failed already: only now is it worth loading what paces the others."""
        if failed:
            raise failed.pop()
        return call()

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
        wait=wait_exponential(multiplier=0.3, max=4) + wait_random(0, 0.3),
        stop=stop_after_attempt(attempts) | stop_after_delay(seconds - (time.monotonic() - started)),
        reraise=True,
    )
    return retrying(attempt)
