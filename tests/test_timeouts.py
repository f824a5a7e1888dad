"""The limit on a whole call: what drips in byte by byte never meets the time-out of a read."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from botctl.adapters.clock import SystemClock
from botctl.adapters.fear_greed import TIMEOUT_SECONDS, FearAndGreed
from botctl.timeouts import time_limit
from tests.bot_runner import BotRunner


@pytest.fixture
def dripping() -> Iterator[str]:
    """The address of a server that sends one byte every tenth of a second, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b" ")
                time.sleep(0.1)

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    listener.close()


def test_a_block_that_goes_on_and_on_is_ended() -> None:
    before = signal.getsignal(signal.SIGALRM)
    started = time.monotonic()

    with pytest.raises(TimeoutError), time_limit(0.2):
        time.sleep(10)

    assert time.monotonic() - started < 5
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_block_that_ends_in_time_is_left_alone() -> None:
    with time_limit(10):
        pass

    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_short_limit_inside_a_long_one_leaves_the_long_one_standing() -> None:
    started = time.monotonic()

    def work() -> None:
        with suppress(TimeoutError), time_limit(0.1):
            time.sleep(10)
        time.sleep(10)

    with pytest.raises(TimeoutError), time_limit(0.5):
        work()

    assert 0.4 < time.monotonic() - started < 5


def test_a_long_limit_inside_a_short_one_ends_with_the_short_one() -> None:
    started = time.monotonic()

    with pytest.raises(TimeoutError), time_limit(0.2), time_limit(60):
        time.sleep(10)

    assert time.monotonic() - started < 5


@pytest.mark.waits
def test_a_block_that_swallows_the_end_is_ended_again() -> None:
    started = time.monotonic()

    def work() -> None:
        for _ in range(2):
            with suppress(TimeoutError):
                time.sleep(10)
        time.sleep(10)

    with pytest.raises(TimeoutError), time_limit(0.2):
        work()

    assert time.monotonic() - started < 8


def test_a_block_that_swallows_two_ends_at_once_is_ended_by_the_outer_one_again() -> None:
    started = time.monotonic()

    def work() -> None:
        with suppress(TimeoutError), time_limit(60):
            time.sleep(10)
        with suppress(TimeoutError):
            time.sleep(10)
        time.sleep(10)

    with pytest.raises(TimeoutError), time_limit(0.2):
        work()

    assert time.monotonic() - started < 8


def test_a_limit_that_has_passed_already_ends_at_once() -> None:
    with pytest.raises(TimeoutError), time_limit(0):
        time.sleep(10)


def test_beside_the_main_thread_nothing_is_limited_and_nothing_breaks() -> None:
    done: list[bool] = []

    def work() -> None:
        with time_limit(0.01):
            time.sleep(0.05)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert done == [True]


@pytest.mark.waits
@pytest.mark.long
def test_a_mood_that_drips_in_is_given_up_in_time(bot: BotRunner, dripping: str) -> None:
    bot.run("status")
    bot.open_store()
    started = time.monotonic()

    reading = FearAndGreed(dripping, SystemClock()).read()

    assert reading.index is None
    assert time.monotonic() - started < TIMEOUT_SECONDS + 3
