"""Runs commands and says what each cost: `python stopwatch.py` reads one JSON object a line and answers with one.

A small process of its own, because Linux counts the memory of whoever starts a command to the command's peak.
"""

import json
import resource
import subprocess
import sys
import time


def main() -> None:
    for line in sys.stdin:
        wanted = json.loads(line)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started_at, began = time.time(), time.perf_counter()
        ended = subprocess.run(
            wanted["command"], env=wanted["env"], cwd=wanted["cwd"], capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cost = {
            "code": ended.returncode,
            "out": ended.stdout,
            "err": ended.stderr,
            "started_at": started_at,
            "seconds": seconds,
            "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "peak_kib": after.ru_maxrss,
        }
        print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    main()
