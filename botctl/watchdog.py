"""Ends this process when a run takes far too long, whatever it is stuck in."""

import faulthandler
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from botctl.background import start_thread

LAST_WORDS_SECONDS = 25.0
"""How long the process may take to say that it is ended. A stuck log or terminal must not keep it alive."""
EXIT_CODE = 1


@contextmanager
def end_after(seconds: float, last_words: Callable[[], None]) -> Iterator[None]:
    """End this process when the block takes longer than `seconds`: a thread calls `last_words`, then exits with 1.

    Code that lets no other thread run, and last words that get stuck themselves, are ended by a thread of faulthandler
    that needs nothing of Python's. Where no thread can be started, the alarm of the kernel ends the process, without
    last words. Nothing ends a process that the kernel itself has suspended.
    """
    over = threading.Event()
    with open(os.devnull, "w") as nowhere:
        try:
            _start_threads(seconds, last_words, over, nowhere)
        except RuntimeError:  # can't start new thread
            with _alarm(seconds):
                yield
            return
        try:
            yield
        finally:
            over.set()
            faulthandler.cancel_dump_traceback_later()


def _start_threads(seconds: float, last_words: Callable[[], None], over: threading.Event, nowhere: IO[str]) -> None:
    def watch() -> None:
        if over.wait(seconds):
            return
        with suppress(Exception):
            last_words()
        os._exit(EXIT_CODE)

    faulthandler.dump_traceback_later(seconds + LAST_WORDS_SECONDS, exit=True, file=nowhere)
    try:
        start_thread(watch, "watchdog")
    except RuntimeError:
        faulthandler.cancel_dump_traceback_later()
        raise


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """SIGALRM as the kernel handles it: it ends the process. A time_limit within keeps what is left of it."""
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
