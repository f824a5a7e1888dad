"""Measures commands: `python stopwatch.py` reads one JSON object per line and answers with one.

A small process of its own, because Linux counts the starting process's memory towards the command's peak.
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


def measure(request: dict) -> dict:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started_at, began = time.time(), time.perf_counter()
        run = subprocess.Popen(request["command"], env=request["env"], cwd=request["cwd"], stdout=out, stderr=err)
        _, status, usage = os.wait4(run.pid, 0)
        seconds = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "out": out.read(),
            "err": err.read(),
            "started_at": started_at,
            "seconds": seconds,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_kib": usage.ru_maxrss,
        }


if __name__ == "__main__":
    main()
