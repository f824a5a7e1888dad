"""What runs the ticks of a home."""

from botctl.cli.tables import pairs
from botctl.scheduling.schedule import CRON, MIN_DELAY, ScheduleView


def draw_schedule(view: ScheduleView) -> str:
    if view.installed:
        state = "runs the ticks" if view.current else "runs the ticks, not as it would be told now"
        hint = "" if view.current else ": `botctl schedule install` brings it up to date"
    else:
        state, hint = "does not run the ticks", ": `botctl schedule install` has it run them"
    done = "removed from" if view.changed and not view.installed else "changed in" if view.changed else ""
    delay = f"{MIN_DELAY} to {view.delay_seconds} s, always the same"
    if view.kind == CRON and view.installed:
        delay = f"{view.delay_seconds} s"
    rows = [
        ("home", view.home),
        ("schedule", f"{done} {view.kind}" if done else f"{view.kind} {state}{hint}"),
        ("every", f"{view.every}, with a delay of {delay}"),
    ]
    rows += [("copy", f"the crontab from before is {view.backup}")] if view.backup else []
    rows += [("beware", f"the crontab has another line for this home: {line.strip()}") for line in view.others]
    rows += [("note", note) for note in view.notes]
    if view.changed and not view.installed:
        return pairs(rows)
    return "\n\n".join([pairs(rows), *[f"{place}:\n{text.rstrip()}" for place, text in view.files.items()]])
