"""Runs commands and says what each cost: `python stopwatch.py` reads one JSON object a line and answers with one.

A small process of its own, because Linux counts the memory of whoever starts a command to the command's peak.
"""

import json
import os
import subprocess
import sys
import tempfile
import time


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(measure(json.loads(line))), flush=True)


def measure(wanted: dict) -> dict:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started_at, began = time.time(), time.perf_counter()
        run = subprocess.Popen(wanted["command"], env=wanted["env"], cwd=wanted["cwd"], stdout=out, stderr=err)
        _, status, used = os.wait4(run.pid, 0)
        seconds = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "out": out.read(),
            "err": err.read(),
            "started_at": started_at,
            "seconds": seconds,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "peak_kib": used.ru_maxrss,
        }


if __name__ == "__main__":
    main()
