"""Starts the process that writes the page or draws charts, and ends it when it takes too long."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from botctl.config import Config, open_store
from botctl.domain.errors import BotError
from botctl.domain.text import sanitize
from botctl.monitoring.page import claim_page
from botctl.monitoring.sender import PACKAGE_FOLDER

PAGE_SECONDS = 30.0
CHART_SECONDS = 10.0
"""For all charts of a run's messages, which wait for them."""
MAX_CHARTS = 5
"""Of one run's messages."""


def refresh_page(config: Config, *, hourly: bool) -> None:
    """Write the page of REPORT_FILE if it is due: after a trade, and if `hourly` once in REPORT_EVERY.

    Raises BotError when it can't be written.
    """
    settings = config.settings
    if settings.report_file is None:
        return
    path, every = config.folder / settings.report_file, timedelta(seconds=settings.report_every.seconds)
    with open_store(config, create=False):
        due = claim_page(path, every, datetime.now(UTC), hourly=hourly)
    if due:
        _run(config, (), PAGE_SECONDS)


@contextmanager
def drawn_charts(config: Config, trades: Sequence[int]) -> Iterator[dict[int, Path]]:
    """For the length of the block a picture of each of these trades, as far as there is one. Needs the extra `report`;
    without it, and in any other trouble, there is none."""
    if not trades or find_spec("matplotlib") is None:
        yield {}
        return
    with TemporaryDirectory(prefix="botctl-charts-") as folder:
        numbers = trades[-MAX_CHARTS:]
        with suppress(BotError, OSError):  # those that are drawn are sent
            _run(config, ("--folder", folder, "--charts", *map(str, numbers)), CHART_SECONDS)
        files = {number: Path(folder) / f"trade-{number}.png" for number in numbers}
        yield {number: file for number, file in files.items() if file.exists()}


def _run(config: Config, arguments: Sequence[str], seconds: float) -> None:
    """Raises BotError with what the process says, or when it does not end in time."""
    path = os.pathsep.join([str(PACKAGE_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])
    env_file = ("--env-file", str(config.env_file)) if config.env_file.exists() else ()
    # -P: a file in the current folder must not shadow a module of Python's.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "botctl.cli.page.process", *env_file, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )
    try:
        _, told = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise BotError(
            f"not ready within {seconds:g} seconds", hint="`botctl report` shows how long it takes"
        ) from None
    finally:  # also after Ctrl-C
        process.kill()
        process.wait()
    if process.returncode:
        lines = told.decode("utf-8", "replace").strip().splitlines()
        raise BotError(sanitize(lines[-1] if lines else f"exit code {process.returncode}"))
