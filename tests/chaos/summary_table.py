"""The figures of a campaign as a table for docs/RELIABILITY.md: kinds of trouble that are alike share a row."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tests.chaos.campaign import SEPARATOR, Chapter, Figures
from tests.chaos.fault_kinds import NOT_PROCESSED_TEXTS, PERHAPS_TEXTS, PLACED_TEXTS, REFUSED, REFUSED_FOR_A_MOMENT

TEXTS = tuple(text.replace(": ", ":") for text in (*NOT_PROCESSED_TEXTS, *PERHAPS_TEXTS, *PLACED_TEXTS))
CLASSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("connection refused", (REFUSED, REFUSED_FOR_A_MOMENT)),
    ("connection closed or reset, before and after processing", ("closed ", "reset ")),
    ("time-out, before and after processing; slow answers", ("time-out", "slow ")),
    ("HTTP status with HTML: 401 to 530", ("HTTP 4", "HTTP 5")),
    ("empty, HTML, cut or truncated 200", ("empty 200", "HTML 200", "cut ", "truncated ")),
    ("JSON of another shape, no result, empty result", ("shape,", "no result", "null result", "empty result")),
    ("a warning beside a result", ("warning ",)),
    ("error texts", TEXTS),
)
"""Kinds of faults by how their names begin."""


def table(figures: Mapping[str, Figures], chapters: Sequence[Chapter]) -> str:
    """One row for each chapter and class: how many cases were run, and how many failed."""
    about = {chapter.name: chapter.about for chapter in chapters}
    rows: defaultdict[tuple[str, str], Figures] = defaultdict(Figures)
    for name, found in figures.items():
        chapter, _, kind = name.partition(SEPARATOR)
        row = rows[chapter, class_of(kind) if "fault" in chapter else kind]
        row.cases += found.cases
        row.failures += found.failures
    lines = ["| chapter | what was done | cases | failed |", "| --- | --- | ---: | ---: |"]
    order = [chapter.name for chapter in chapters]
    for (chapter, kind), row in sorted(rows.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
        what = about[chapter] if not kind else f"{about[chapter]}: {kind}"
        lines.append(f"| {chapter} | {what} | {row.cases:,} | {len(row.failures)} |")
    lines.append(
        f"| **all** | | **{total(rows.values()):,}** | **{sum(len(row.failures) for row in rows.values())}** |"
    )
    return "\n".join(lines) + "\n"


def total(rows: Iterable[Figures]) -> int:
    return sum(row.cases for row in rows)


def class_of(kind: str) -> str:
    """The class that a kind of fault belongs to; one that stands for itself is its own."""
    return next((name for name, beginnings in CLASSES if kind.startswith(beginnings)), kind)
