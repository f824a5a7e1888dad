"""Runs botctl commands in forked children: everything heavy is loaded once, so that a thousand kills take minutes.

Reads one JSON object a line: `arguments`, `environment`, and perhaps `kill` with `when` and `number`. Answers with
the child's pid at once, and with its exit status and what it printed when it has ended.
"""

import json
import os
import sys
import tempfile
from typing import Any

import ccxt  # noqa: F401 - loaded before the fork, so that no child waits for it
import pandas_ta  # noqa: F401
import requests  # noqa: F401

from botctl.cli.app import main
from tests.chaos import killer


def serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            pid = os.fork()
            if pid == 0:
                become(order, out.fileno(), err.fileno())
            answer({"pid": pid})
            _, status = os.waitpid(pid, 0)
            for file in (out, err):
                file.seek(0)
            answer(
                {"status": os.waitstatus_to_exitcode(status), "out": out.read().decode(), "err": err.read().decode()}
            )


def become(order: dict[str, Any], out: int, err: int) -> None:
    """Turn this child into one run of botctl; never returns."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["botctl", *order["arguments"]]
    if order.get("kill"):
        killer.arm(**order["kill"])
    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    finally:
        os._exit(99)


def answer(message: dict[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(message) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    serve()
