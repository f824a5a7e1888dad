"""What is repeated, how often, and what the caller hears when it was in vain."""

import time
from collections.abc import Callable

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from botctl.adapters.retry import NotProcessed, repeat_read, repeat_unprocessed
from botctl.domain.errors import ExchangeBusy, ExchangeRefused, ExchangeUnreachable


def failing(error: Exception, calls: list[float], times: int = 99) -> Callable[[], str]:
    def call() -> str:
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise error
        return "an answer"

    return call


@pytest.mark.usefixtures("bent_time")
def test_a_read_is_repeated_until_it_is_answered_with_a_pause_before_each() -> None:
    calls: list[float] = []

    answer = repeat_read(failing(ExchangeUnreachable("no answer"), calls, times=2))

    assert answer == "an answer"
    first, second = calls[1] - calls[0], calls[2] - calls[1]
    assert 0.3 <= first < second + 0.3
    assert second >= 0.6


@pytest.mark.usefixtures("bent_time")
def test_an_order_that_is_refused_unprocessed_is_sent_three_times_and_then_refused_for_its_reason() -> None:
    calls: list[float] = []
    busy = ExchangeBusy("Kraken is busy")

    with pytest.raises(ExchangeBusy) as refused:
        repeat_unprocessed(failing(NotProcessed(busy), calls))

    assert refused.value is busy
    assert len(calls) == 3


@pytest.mark.parametrize("error", [ExchangeRefused("no"), ValueError("a bug")])
def test_what_will_not_pass_is_raised_at_once(error: Exception) -> None:
    calls: list[float] = []

    with pytest.raises(type(error)):
        repeat_read(failing(error, calls))

    assert len(calls) == 1


def test_a_first_call_that_took_all_the_time_is_not_repeated() -> None:
    calls: list[float] = []

    with freeze_time("2026-01-01") as clock, pytest.raises(ExchangeUnreachable):
        repeat_read(slow_failure(clock, calls))

    assert len(calls) == 1


def slow_failure(clock: FrozenDateTimeFactory, calls: list[float]) -> Callable[[], str]:
    def call() -> str:
        calls.append(time.monotonic())
        clock.tick(16)
        raise ExchangeUnreachable("no answer within 16 seconds")

    return call
