"""The process that writes the page of REPORT_FILE, or draws the charts of trades. It opens the database to read it."""

import argparse
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path

from botctl.cli.core_dumps import forbid_core_dumps
from botctl.cli.page.build import open_source, render
from botctl.config import Config, load_config
from botctl.domain.errors import BotError, explain_failure
from botctl.files import write_private
from botctl.store.database import open_to_read

MAX_LIFETIME_SECONDS = 60
"""When the run that started this process is killed, nothing else ends it."""
LEFT_SECONDS = 10 * MAX_LIFETIME_SECONDS
"""How old a half-written file is that nobody writes any more."""


def write_page(config: Config) -> None:
    """Raises BotError."""
    from botctl.reporting.html import write_plotly

    assert config.settings.report_file is not None, "the run that starts this process asks for it"
    path = config.folder / config.settings.report_file
    _remove_leftovers(path.parent, f".{path.name}.*", ".plotly-*.min.js.*")
    with open_to_read(config.database, config.settings.botctl_mode):
        page = render(open_source(config), write_plotly(path.parent), on_disk=True)
    write_private(path, page)


def _remove_leftovers(folder: Path, *patterns: str) -> None:
    """What processes left that were ended while they wrote: one that still writes is younger."""
    for file in chain.from_iterable(map(folder.glob, patterns)):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > LEFT_SECONDS:
                file.unlink()


def draw_charts(config: Config, trades: list[int], folder: Path) -> None:
    """A PNG of each trade, named after it. Raises BotError."""
    from botctl.reporting.build import TRADE, draw_chart
    from botctl.reporting.png import draw_png

    with open_to_read(config.database, config.settings.botctl_mode):
        source = open_source(config, runner=(None, True))
        for trade in trades:
            write_private(folder / f"trade-{trade}.png", draw_png(draw_chart(source, f"{TRADE}{trade}")))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-file", type=Path)
    parser.add_argument("--charts", type=int, nargs="*", default=[])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    forbid_core_dumps()
    signal.alarm(MAX_LIFETIME_SECONDS)  # nobody handles it: it ends the process
    os.nice(10)  # ticks come first
    logging.getLogger("botctl").setLevel(logging.CRITICAL)  # what they warn of is said by the run itself
    try:
        config = load_config(options.env_file, strict=False)
        if options.folder is None:
            write_page(config)
        else:
            draw_charts(config, options.charts, options.folder)
    except BotError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - its text may hold a secret, and the run that started this goes on
        print(explain_failure(error) or f"bug: {type(error).__name__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
