"""Time that the tests bend: the clock is moved on, and nobody sleeps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

SHORT = 0.1
"""Seconds. Waiting for a process polls it in shorter sleeps. They are real, or its time-out would be over at once."""


@contextmanager
def later(**span: float) -> Iterator[None]:
    """The same world, some time on: our clock and Kraken's alike. Who sleeps in it moves both on at once."""
    real_sleep = time.sleep
    with freeze_time(datetime.now(UTC) + timedelta(**span), tick=True) as clock, pytest.MonkeyPatch.context() as patch:

        def sleep(seconds: float) -> None:
            if seconds < SHORT:
                real_sleep(seconds)
            else:
                clock.move_to(clock() + timedelta(seconds=seconds))

        patch.setattr(time, "sleep", sleep)
        yield
