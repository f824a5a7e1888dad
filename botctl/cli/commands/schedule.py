"""schedule: runs ticks from cron or systemd."""

import os
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import randint
from shutil import which
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, YesFlag, config_from, confirm, env_file_of
from botctl.cli.log import notice
from botctl.cli.output import show
from botctl.cli.views.schedule import draw_files, draw_schedule
from botctl.config import Config, open_store, read_sources
from botctl.domain.configuration.settings import SETTINGS, Mode
from botctl.domain.errors import BadValue, BotError, ConfigError, Refused
from botctl.domain.text import counted, describe_stop
from botctl.scheduling import crontab, installation, systemd
from botctl.scheduling.crontab import cron_block, find_block, parse_delay, with_block, without_block
from botctl.scheduling.runner import find_ticking
from botctl.scheduling.schedule import CRON, MIN_DELAY, SYSTEMD, Job, ScheduleView, max_delay
from botctl.store.journal import Journal
from botctl.store.resting_stops import load_resting_stops
from botctl.store.ticks import load_last_tick_at

CronFlag = Annotated[bool, typer.Option("--cron", help="Use your crontab, as happens by default where there is one.")]
SystemdFlag = Annotated[bool, typer.Option("--systemd", help="Use a systemd user timer.")]
BASE_PATH = "/usr/local/bin:/usr/bin:/bin"
SCHEDULE_SETS = ("BOTCTL_MODE", "BOTCTL_HOME")

app = typer.Typer(
    rich_markup_mode=None, help="Run ticks from cron or systemd.\n\n\b\nExample:\n  botctl schedule install"
)


@app.command("show")
def show_schedule(
    ctx: typer.Context, cron: CronFlag = False, timer: SystemdFlag = False, as_json: JsonFlag = False
) -> None:
    """Show the installed schedule, or the one to install.

    Changes nothing. Also reports when the installed schedule no longer matches the settings, and when no tick has
    run for too long.

    \b
    Examples:
      botctl schedule show
      botctl schedule show --systemd
    """
    config = config_from(ctx)
    view = installation.describe_schedule(_kind(config, cron, timer), _job_from(ctx, config))
    last = _last_tick(config)
    seconds, now = config.settings.timeframe.seconds, _now(config, last)
    overdue = find_ticking(config.folder, last, now, seconds).overdue
    show(ctx, replace(view, last_tick_at=last, overdue=overdue), draw_schedule)


@app.command()
def install(
    ctx: typer.Context,
    cron: CronFlag = False,
    timer: SystemdFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Run a tick every TIMEFRAME from now on.

    Ticks then run unattended, in live mode with real money. Shows what it will write, and asks. The other lines of
    your crontab stay as they are, and a backup of it is kept in BOTCTL_HOME. Run it again to update an outdated
    schedule. Exit code 3 when something else already runs ticks in this folder.

    \b
    Examples:
      botctl schedule install
      botctl schedule install --systemd --yes
    """
    config = config_from(ctx, acts=True)
    kind, job = _kind(config, cron, timer), _job_from(ctx, config)
    _check_environment(ctx)
    before = _describe_only_schedule(kind, job)
    if before.installed and before.current:
        show(ctx, before, draw_schedule)
        return
    sandbox = kind == CRON or systemd.sandbox_works(_program())
    if kind == CRON and not before.installed:
        job = replace(job, delay_seconds=randint(MIN_DELAY, max_delay(job.timeframe)))
    files = installation.render_files(kind, job, sandbox=sandbox)
    if not yes and sys.stdin is not None and sys.stdin.isatty():
        print(draw_files(files), file=sys.stderr)
    confirm(f"{'Change' if before.installed else 'Install'} this?", yes=yes)
    backup = None
    if kind == CRON:
        backup = installation.replace_crontab(
            config.folder, with_block(crontab.read_crontab() or "", job.home, cron_block(job))
        )
    else:
        systemd.install_timer({Path(path).name: text for path, text in files.items()})
    notes = installation.installation_notes(kind, job, sandbox=sandbox)
    view = replace(installation.describe_schedule(kind, job), changed=True, backup=backup, notes=notes)
    show(ctx, view, draw_schedule)


def _describe_only_schedule(kind: str, job: Job) -> ScheduleView:
    """What is installed. Raises Refused when something else runs ticks in this folder: each would run twice."""
    other = SYSTEMD if kind == CRON else CRON
    if installation.is_installed(job.home, other):
        raise Refused(f"{other} already runs ticks in {job.home}", hint="run `botctl schedule remove` first")
    view = installation.describe_schedule(kind, job)
    if view.others:
        line = view.others[0].strip()
        raise Refused(
            f"the crontab already runs a tick in {job.home}: {line}", hint="remove it with `crontab -e` first"
        )
    return view


@app.command()
def remove(ctx: typer.Context, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Remove the schedule.

    Asks first. Open positions are UNGUARDED afterwards, and are named: sell them first, or guard them by hand. Stops
    that rest at Kraken stay there, and no longer move: `botctl resting-stops --cancel` cancels them.

    \b
    Example:
      botctl schedule remove
    """
    config = config_from(ctx)
    job = _job_from(ctx, config)
    kinds = [kind for kind in (CRON, SYSTEMD) if installation.is_installed(job.home, kind)]
    guarded, resting = _open_positions(config), _resting_stops(config)
    if kinds:
        then = f"Then nothing guards {', '.join(guarded)}." if guarded else "Then open positions are UNGUARDED."
        then = f"{then} {_of_resting(resting)}" if resting else then
        confirm(f"Remove the ticks of {job.home} from {' and '.join(kinds)}? {then}", yes=yes)
    backup = None
    for kind in kinds:
        if kind == CRON:
            backup = installation.replace_crontab(config.folder, without_block(crontab.read_crontab() or "", job.home))
        else:
            systemd.remove_timer(job.home)
    view = installation.describe_schedule(kinds[0] if kinds else _kind(config, False, False), job)
    unguarded = guarded if kinds and not view.others else []
    if unguarded:
        notice(f"no longer guarded: {', '.join(unguarded)}")
    if kinds and resting:
        notice(_of_resting(resting))
    show(ctx, replace(view, changed=bool(kinds), backup=backup, unguarded=unguarded), draw_schedule)


def _last_tick(config: Config) -> datetime | None:
    """None also without a database."""
    with suppress(BotError), open_store(config, create=False):
        return load_last_tick_at()
    return None


def _now(config: Config, last: datetime | None) -> datetime:
    """A demo's ticks have the time of its candles."""
    return last if last is not None and config.settings.botctl_mode is Mode.DEMO else datetime.now(UTC)


def _open_positions(config: Config) -> list[str]:
    """The open positions with their stops; a database that can't be read is one of the sentences."""
    if config.database.lacks_file():
        return []
    try:
        with open_store(config, create=False):
            levels = Journal(config.settings.botctl_mode).stop_levels()
    except BotError as error:
        return [f"positions that can't be read ({error.message})"]
    return [f"{each.symbol} (trade {each.trade_id}, {describe_stop(each.stop)})" for each in levels]


def _resting_stops(config: Config) -> int:
    """How many there are by the journal; none where it can't be read, which has been said."""
    with suppress(BotError), open_store(config, create=False):
        return len(load_resting_stops())
    return 0


def _of_resting(resting: int) -> str:
    rest = counted(resting, "stop still rests", "stops still rest")
    follow = "follows" if resting == 1 else "follow"
    return f"{rest} at Kraken and no longer {follow} the price: `botctl resting-stops --cancel` cancels what rests."


def _job_from(ctx: typer.Context, config: Config) -> Job:
    """The tick of this configuration, started without this shell's folder and environment."""
    mode, timeframe, folder = config.settings.botctl_mode, config.settings.timeframe, str(config.folder)
    if mode is Mode.REPLAY:
        raise BadValue("a replay can't be scheduled", hint="set BOTCTL_MODE to another mode")
    program = _program()
    options: tuple[str, ...] = ()
    if config.env_file.absolute() != config.folder / ".env" or env_file_of(ctx) is not None:
        options = ("--env-file", str(config.env_file.absolute()))
    program_folder = str(Path(program[0]).parent)
    path = BASE_PATH if program_folder in BASE_PATH.split(":") else f"{program_folder}:{BASE_PATH}"
    block = find_block(installation.read_crontab_if_available() or "", folder)
    return Job(
        folder,
        (*program, *options, "tick"),
        (("PATH", path), ("BOTCTL_MODE", mode.value), ("BOTCTL_HOME", folder)),
        timeframe,
        min((block and parse_delay(block)) or max_delay(timeframe), max_delay(timeframe)),
        float(config.settings.tick_timeout),
        (folder, *_folders_elsewhere(config)),
    )


def _folders_elsewhere(config: Config) -> list[str]:
    """Folders outside BOTCTL_HOME that a tick writes to."""
    settings = config.settings
    names = filter(None, (settings.log_file, settings.metrics_file, settings.report_file))
    files = [config.database_file, *(config.folder / name for name in names)]
    return sorted({str(file.parent) for file in files if config.folder not in file.parents})


def _program() -> tuple[str, ...]:
    """The command that starts this program from any folder."""
    name = Path(sys.argv[0])
    if name.name == "botctl" and os.access(name, os.X_OK):
        return (str(name.absolute()),)
    return (sys.executable, "-m", "botctl")


def _check_environment(ctx: typer.Context) -> None:
    """Raises ConfigError for settings of this shell, which scheduled ticks would not have."""
    sources = read_sources(env_file_of(ctx))
    defaults = {setting.name: setting.default or "" for setting in SETTINGS}
    lost = [
        name
        for name, value in sources.from_environment.items()
        if name not in SCHEDULE_SETS and value != sources.from_file.get(name, defaults[name])
    ]
    if lost:
        raise ConfigError(
            f"scheduled ticks would not have {', '.join(sorted(lost))}, set only in this shell's environment",
            hint=f"put it into {sources.env_file}, or unset it",
        )


def _kind(config: Config, cron: bool, timer: bool) -> str:
    """The chosen kind, else the installed one, else cron where there is one."""
    if cron and timer:
        raise BadValue("--cron and --systemd can't be used together", hint="choose one of them")
    if cron or timer:
        return CRON if cron else SYSTEMD
    if installation.is_installed(str(config.folder), SYSTEMD):
        return SYSTEMD
    return CRON if which("crontab") or not which("systemctl") else SYSTEMD
