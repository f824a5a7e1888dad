"""Time that the tests bend: the clock is moved on, and nobody sleeps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory, TickingDateTimeFactory

SHORT = 0.1
"""Seconds. Waiting for a process polls it in shorter sleeps. They are real, or its time-out would be over at once."""


QUARTER, BEFORE_A_QUARTER = 900, 30
"""Seconds. A second look within the last ones of a quarter of an hour would see one candle more."""


@contextmanager
def later(**span: float) -> Iterator[None]:
    """The same world, some time on: our clock and Kraken's alike. Who sleeps in it moves both on at once.

    The last seconds of a quarter of an hour are passed over: candles stay the same while a command looks twice.
    """
    moment = datetime.now(UTC) + timedelta(**span)
    left = QUARTER - moment.timestamp() % QUARTER
    if left < BEFORE_A_QUARTER:
        moment += timedelta(seconds=left)
    with freeze_time(moment, tick=True) as clock, sleeping_moves(clock):
        yield


@contextmanager
def sleeping_moves(clock: FrozenDateTimeFactory | TickingDateTimeFactory) -> Iterator[None]:
    """Who sleeps moves this clock on at once."""
    real_sleep = time.sleep

    def sleep(seconds: float) -> None:
        if seconds < SHORT:
            real_sleep(seconds)
        else:
            clock.move_to(clock() + timedelta(seconds=seconds))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", sleep)
        yield
