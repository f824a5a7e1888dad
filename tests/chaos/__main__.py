"""Everything: `python -m tests.chaos --runs N --seed S`. One trial again: `--only 'kills: SIGKILL: ...'`."""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.chaos.campaign import Chapter, Figures, Outcome, attempt, default_workers, heading, play_all
from tests.chaos.chapters import CHAPTERS
from tests.chaos.processes import Processes
from tests.chaos.scenes import Stage
from tests.chaos.summary_table import table

MOST_SHOWN = 20
"""Failures that are told in full."""


def main() -> int:
    """Play what was asked for; 1 when anything failed."""
    wanted = read_arguments()
    console = Console(stderr=True)
    if wanted.only:
        return play_again(wanted.only)
    console.print(f"seed {wanted.seed}, {wanted.runs} drawn trials a chapter, {wanted.workers} workers")
    started = time.monotonic()
    figures = play(wanted, console)
    show(figures, time.monotonic() - started, console)
    if wanted.table:
        wanted.table.write_text(table(figures, CHAPTERS))
    if wanted.report:
        wanted.report.write_text(json.dumps(as_report(figures, wanted), indent=1) + "\n")
    return 1 if any(found.failures for found in figures.values()) else 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=200, help="how many trials are drawn where they can't all be played"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="draws the same again")
    parser.add_argument("--chapter", action="append", choices=[c.name for c in CHAPTERS], help="this one only")
    parser.add_argument("--only", action="append", help="play this one trial again; may be given several times")
    parser.add_argument("--match", default="", help="only trials whose text has this in it")
    parser.add_argument("--most", type=int, help="at most so many trials of a chapter, drawn; default: all")
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--table", type=Path, help="a file for the figures, as a table in Markdown")
    parser.add_argument("--report", type=Path, help="a file for the figures, as JSON")
    return parser.parse_args()


def play_again(trials: list[str]) -> int:
    """Single trials, one after the other."""
    with Processes() as processes:
        stage = Stage(processes)
        outcomes = [attempt(CHAPTERS, stage, trial) for trial in trials]
    for outcome in outcomes:
        print(outcome.failure or f"{outcome.cases} cases, all promises kept")
    return 1 if any(outcome.failure for outcome in outcomes) else 0


def play(wanted: argparse.Namespace, console: Console) -> dict[str, Figures]:
    """All trials, with a bar for who waits. A failure is told at once."""
    chapters = [chapter for chapter in CHAPTERS if not wanted.chapter or chapter.name in wanted.chapter]
    with Processes() as processes:
        stage = Stage(processes)
        trials = [trial for chapter in chapters for trial in some_of(chapter, stage, wanted)]
    figures: defaultdict[str, Figures] = defaultdict(Figures)
    told = 0
    with Progress(console=console, transient=True) as progress:
        for outcome in progress.track(play_all(chapters, trials, wanted.workers), total=len(trials)):
            figures[heading(outcome.trial)].count(outcome)
            if outcome.failure and (told := told + 1) <= MOST_SHOWN:
                console.print(f"[red]FAILED[/] {outcome.trial}\n  {outcome.failure[:2000]}", highlight=False)
    return dict(figures)


def some_of(chapter: Chapter, stage: Stage, wanted: argparse.Namespace) -> list[str]:
    """The chapter's trials that match, or so many of them, drawn by the seed."""
    trials = [trial for trial in chapter.trials(stage, wanted.runs, wanted.seed) if wanted.match in trial]
    if wanted.most is None or len(trials) <= wanted.most:
        return trials
    return random.Random(wanted.seed).sample(trials, wanted.most)


def show(figures: dict[str, Figures], seconds: float, console: Console) -> None:
    shown = Table("trials", "cases", "failed")
    for name in sorted(figures):
        shown.add_row(name, str(figures[name].cases), str(len(figures[name].failures)))
    console.print(shown)
    cases, failed = totals(figures)
    print(f"{cases} cases, {failed} failed, {seconds:.0f} s")


def totals(figures: dict[str, Figures]) -> tuple[int, int]:
    found = figures.values()
    return sum(row.cases for row in found), sum(len(row.failures) for row in found)


def as_report(figures: dict[str, Figures], wanted: argparse.Namespace) -> dict[str, object]:
    def failed(outcomes: list[Outcome]) -> list[dict[str, str]]:
        return [{"trial": outcome.trial, "failure": outcome.failure} for outcome in outcomes]

    rows = {name: {"cases": row.cases, "failed": failed(row.failures)} for name, row in sorted(figures.items())}
    return {"seed": wanted.seed, "runs": wanted.runs, "figures": rows}


if __name__ == "__main__":
    sys.exit(main())
