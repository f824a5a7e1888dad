"""Threads beside the main thread, which take no signal: Ctrl-C and alarms must interrupt the main thread."""

import signal
import threading
from collections.abc import Callable


def start_thread(work: Callable[[], None], name: str | None = None) -> threading.Thread:
    """A daemon thread at work. Raises RuntimeError where the machine starts no new thread."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread
