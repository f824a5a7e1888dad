"""Runs botctl commands in forked children: everything heavy is loaded once, so that a thousand kills take minutes.

Reads one JSON object a line from stdin. `{"run": {...}}` starts a command (its fields are those of `Command`) and
answers with its pid; `{"wait": pid}` answers with its exit status when it has ended. The argument is a JSON object
of texts that take the place of files of botctl.

A child lives in the time of its world: its sleeps take no time but move the world's clock, and a time-out of the
network comes after a moment that counts as the whole of it. Only Python's own clock and sockets are
bent for this; botctl and the libraries that it stands on run as they are.
"""

import encodings.utf_8_sig  # noqa: F401 - for a run as another user, who may not read where Python lies
import gc
import importlib
import json
import os
import pkgutil
import resource
import signal
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dotenv.parser  # noqa: F401
import pandas_ta  # noqa: F401 - and pandas crashes if it is first loaded while the time is frozen
import requests  # noqa: F401
import rich.console
import rich.progress
import rich.table  # noqa: F401
import tenacity  # noqa: F401
import typer
from freezegun import freeze_time
from freezegun.api import TickingDateTimeFactory

import botctl
from botctl.domain.configuration.database_url import POSTGRESQL
from tests.chaos import killer
from tests.chaos.clock import WorldClock
from tests.chaos.mutated_import import import_mutated

LEAST_SLEEP = 0.002
"""Seconds that any sleep really lasts: who waits for another process by sleeping must let it come to its end."""
real_sleep = time.sleep


def serve() -> None:
    """Take orders until stdin ends."""
    mutated = import_mutated(json.loads(sys.argv[1]))
    from botctl._fast_imports import import_kraken_alone

    for package in (botctl, typer):  # whole: a run as another user may not read where they lie
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "_winconsole")):
                importlib.import_module(module.name)
    assert not mutated.waiting, f"nothing imports {mutated.waiting}"
    import_kraken_alone()  # before the fork, so that no child waits for it
    time_of_world = freeze_time(datetime.now(UTC), tick=True)
    factory = time_of_world.start()
    gc.freeze()  # or each child's garbage collection would copy all that it shares with us
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer({"status": os.waitstatus_to_exitcode(status)})
            continue
        if on_server(order["run"]):
            import psycopg  # noqa: F401 - only here: most fork servers never need it
        pid = os.fork()
        if pid == 0:
            become(order["run"], factory)
        answer({"pid": pid})


def on_server(command: dict[str, Any]) -> bool:
    """Whether this run keeps its data on a server."""
    return str(command["environment"].get("DATABASE_URL", "")).startswith(POSTGRESQL)


def become(command: dict[str, Any], factory: TickingDateTimeFactory) -> None:
    """Turn this child into one run of botctl; never returns."""
    from botctl.cli.app import main

    for target, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), target)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["environment"]["HOME"])
    sys.argv = ["botctl", *command["arguments"]]
    sys.path[:0] = [folder for folder in command["environment"].get("PYTHONPATH", "").split(":") if folder]
    live_in(WorldClock(Path(command["clock"])), factory, hasty=command["hasty"], real_patience=command["wait_seconds"])
    countdown = killer.arm(**command["end"], busy_seconds=command["busy_seconds"], on_server=on_server(command))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us in the background ignored it
    limit(command)
    code = 99
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if command["counts"]:
            counts = {
                "commits": countdown.commits,
                "statements": countdown.statements,
                "begins": countdown.begins,
            }
            Path(command["counts"]).write_text(json.dumps(counts))
        os._exit(code)


def limit(command: dict[str, Any]) -> None:
    """Take away what a full disk or a foreign owner takes away."""
    if command["most_bytes"] is not None:  # a file that would grow beyond it can't be written, as on a full disk
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (command["most_bytes"], hard))
    if command["uid"] is not None:
        os.setgroups([])
        os.setgid(command["uid"])
        os.setuid(command["uid"])


def live_in(clock: WorldClock, factory: TickingDateTimeFactory, *, hasty: bool, real_patience: float) -> None:
    """From here on it is that world's time, also after a stop. A hasty run does not really sleep, and waits for an
    answer for `real_patience` seconds only."""

    def look_at_the_clock(*_: object) -> None:
        factory.move_to(datetime.fromtimestamp(clock.now(), UTC))

    look_at_the_clock()
    signal.signal(signal.SIGCONT, look_at_the_clock)
    if not hasty:
        return

    def pass_by(seconds: float) -> None:
        real_sleep(min(seconds, LEAST_SLEEP))
        clock.skip(seconds)
        factory.tick(timedelta(seconds=seconds))

    class HastySocket(socket.socket):
        wait_seconds: float | None = None

        def settimeout(self, seconds: float | None) -> None:
            self.wait_seconds = seconds
            super().settimeout(None if seconds is None else min(seconds, real_patience))

        def recv_into(self, *args: Any) -> int:
            try:
                return super().recv_into(*args)
            except TimeoutError:
                pass_by(max(0.0, (self.wait_seconds or 0) - real_patience))
                raise

    time.sleep = pass_by
    socket.socket = HastySocket  # type: ignore[misc]


def answer(message: dict[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(message) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    serve()
