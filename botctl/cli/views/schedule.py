"""The schedule that runs the ticks."""

from collections.abc import Mapping

from botctl.cli.tables import pairs
from botctl.domain.text import format_time
from botctl.scheduling.schedule import CRON, MIN_DELAY, ScheduleView


def draw_schedule(view: ScheduleView) -> str:
    removed = view.changed and not view.installed
    delay = f"{MIN_DELAY} to {view.delay_seconds} s, always the same"
    if view.kind == CRON and view.installed:
        delay = f"{view.delay_seconds} s"
    rows = [
        ("folder", view.home),
        ("schedule", f"removed from {view.kind}" if removed else _describe(view)),
        ("every", f"{view.every}, with a delay of {delay}"),
    ]
    if view.last_tick_at is not None:
        rows.append(("last tick", f"{format_time(view.last_tick_at)} UTC"))
    rows += [("warning", view.overdue)] if view.overdue else []
    rows += [("backup", f"the previous crontab is {view.backup}")] if view.backup else []
    rows += [("warning", f"the crontab has another line for this folder: {line.strip()}") for line in view.others]
    rows += [("note", note) for note in view.notes]
    return pairs(rows) if removed else f"{pairs(rows)}\n\n{draw_files(view.files)}"


def _describe(view: ScheduleView) -> str:
    if view.changed:
        return f"changed in {view.kind}"
    if not view.installed:
        return f"{view.kind} does not run ticks: `botctl schedule install` sets it up"
    outdated = "" if view.current else ", but is outdated: `botctl schedule install` updates it"
    return f"{view.kind} runs ticks{outdated}"


def draw_files(files: Mapping[str, str]) -> str:
    return "\n\n".join(f"{path}:\n{text.rstrip()}" for path, text in files.items())
