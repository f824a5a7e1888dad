"""Time that the tests bend: the clock is moved on, and nobody sleeps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time


@contextmanager
def later(**span: float) -> Iterator[None]:
    """The same world, some time on: our clock and Kraken's alike. Who sleeps in it moves both on at once."""
    with freeze_time(datetime.now(UTC) + timedelta(**span), tick=True) as clock, pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", lambda seconds: clock.move_to(clock() + timedelta(seconds=seconds)))
        yield
