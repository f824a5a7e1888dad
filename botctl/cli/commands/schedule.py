"""Who starts the ticks: cron or systemd, told by schedule show, install and remove."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from random import randint
from shutil import which
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, YesFlag, config_from, confirm, env_file_of
from botctl.cli.output import show
from botctl.cli.views.schedule import draw_schedule
from botctl.config import Config, read_sources
from botctl.domain.errors import BadValue, ConfigError, Refused
from botctl.domain.settings import SETTINGS, Mode
from botctl.scheduling import crontab, systemd
from botctl.scheduling.crontab import cron_block, find_block, parse_delay, with_block, without_block
from botctl.scheduling.installation import (
    describe_schedule,
    installation_notes,
    is_installed,
    read_crontab_if_available,
    render_files,
    replace_crontab,
)
from botctl.scheduling.schedule import CRON, MIN_DELAY, SYSTEMD, Job, ScheduleView, max_delay

CronFlag = Annotated[bool, typer.Option("--cron", help="The user's crontab; the default where there is one.")]
SystemdFlag = Annotated[bool, typer.Option("--systemd", help="A timer of the user's systemd.")]
PLAIN_PATH = "/usr/local/bin:/usr/bin:/bin"
CARRIED = ("BOTCTL_MODE", "BOTCTL_HOME")
"""Settings that the schedule itself says."""

app = typer.Typer(
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    help="Have cron or systemd run the ticks.\n\n\b\nExample:\n  botctl schedule install",
)


def show_schedule(
    ctx: typer.Context, cron: CronFlag = False, timer: SystemdFlag = False, as_json: JsonFlag = False
) -> None:
    """What runs the ticks of this home, or what would.

    Changes nothing. Says too when what is installed no longer fits the settings.

    \b
    Examples:
      botctl schedule show
      botctl schedule show --systemd
    """
    config = config_from(ctx)
    show(ctx, describe_schedule(_kind(config, cron, timer), _job_of(ctx, config)), draw_schedule)


def install(
    ctx: typer.Context,
    cron: CronFlag = False,
    timer: SystemdFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Have this home's ticks run once per TIMEFRAME.

    From then on ticks run unattended, in live mode with real money. It shows what it would write, and asks. Every
    other line of a crontab stays as it is, and a copy of it is kept in the home. Installing again changes nothing, or
    brings an old line up to date. Exit code 3 when something else runs this home already.

    \b
    Examples:
      botctl schedule install
      botctl schedule install --systemd --yes
    """
    config = config_from(ctx)
    kind, job = _kind(config, cron, timer), _job_of(ctx, config)
    _check_settings_reach_it(ctx)
    before = _describe_the_only_schedule(kind, job)
    if before.installed and before.current:
        show(ctx, before, draw_schedule)
        return
    sandbox = kind == CRON or systemd.sandbox_works(_program())
    if kind == CRON and not before.installed:
        job = replace(job, delay_seconds=randint(MIN_DELAY, max_delay(job.timeframe)))
    wanted = render_files(kind, job, sandbox=sandbox)
    if not yes and sys.stdin.isatty():
        print("\n\n".join(f"{place}:\n{text.rstrip()}" for place, text in wanted.items()), file=sys.stderr)
    confirm(f"{'Change' if before.installed else 'Install'} this?", yes=yes)
    backup = None
    if kind == CRON:
        backup = replace_crontab(config.folder, with_block(crontab.read_crontab() or "", job.home, cron_block(job)))
    else:
        systemd.install_timer({Path(path).name: text for path, text in wanted.items()})
    notes = installation_notes(kind, job, sandbox=sandbox)
    view = replace(describe_schedule(kind, job), changed=True, backup=backup, notes=notes)
    show(ctx, view, draw_schedule)


def _describe_the_only_schedule(kind: str, job: Job) -> ScheduleView:
    """What is installed. Raises Refused when something else runs this home, too: every tick would come twice."""
    other = SYSTEMD if kind == CRON else CRON
    if is_installed(job.home, other):
        raise Refused(f"{other} runs the ticks of {job.home} already", hint="`botctl schedule remove` comes first")
    view = describe_schedule(kind, job)
    if view.others:
        raise Refused(
            f"the crontab runs a tick in {job.home} already: {view.others[0].strip()}",
            hint="take that line out with `crontab -e` first",
        )
    return view


def remove(ctx: typer.Context, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Take out what runs the ticks of this home.

    It asks first. Open positions are UNGUARDED then: sell them before, or guard them by hand.

    \b
    Example:
      botctl schedule remove
    """
    config = config_from(ctx)
    job = _job_of(ctx, config)
    kinds = [kind for kind in (CRON, SYSTEMD) if is_installed(job.home, kind)]
    if kinds:
        confirm(f"Take the ticks of {job.home} out of {' and '.join(kinds)}? Nothing guards it then.", yes=yes)
    backup = None
    for kind in kinds:
        if kind == CRON:
            backup = replace_crontab(config.folder, without_block(crontab.read_crontab() or "", job.home))
        else:
            systemd.remove_timer(job.home)
    view = describe_schedule(kinds[0] if kinds else _kind(config, False, False), job)
    show(ctx, replace(view, changed=bool(kinds), backup=backup), draw_schedule)


def _job_of(ctx: typer.Context, config: Config) -> Job:
    """The tick of this home, as somebody must start it who has neither our folder nor our environment."""
    mode = config.settings.botctl_mode
    if mode is Mode.REPLAY:
        raise BadValue("a replay's database trades no more", hint="schedule the home of another mode")
    folder, program = str(config.folder), _program()
    options: tuple[str, ...] = ()
    if config.env_file.absolute() != config.folder / ".env" or env_file_of(ctx) is not None:
        options = ("--env-file", str(config.env_file.absolute()))
    own = str(Path(program[0]).parent)
    path = PLAIN_PATH if own in PLAIN_PATH.split(":") else f"{own}:{PLAIN_PATH}"
    timeframe = config.settings.timeframe
    named = [name for name in (config.settings.log_file, config.settings.metrics_file) if name]
    files = [config.database_file, *[config.folder / name for name in named]]
    elsewhere = {str(file.parent) for file in files if config.folder not in file.parents}
    block = find_block(read_crontab_if_available() or "", folder)
    return Job(
        folder,
        (*program, *options, "tick"),
        (("PATH", path), ("BOTCTL_MODE", mode.value), ("BOTCTL_HOME", folder)),
        timeframe,
        min((block and parse_delay(block)) or max_delay(timeframe), max_delay(timeframe)),
        float(config.settings.tick_timeout),
        (folder, *sorted(elsewhere)),
    )


def _program() -> tuple[str, ...]:
    """How this very program is started, wherever one stands."""
    name = Path(sys.argv[0])
    if name.name == "botctl" and os.access(name, os.X_OK):
        return (str(name.absolute()),)
    return (sys.executable, "-m", "botctl")


def _check_settings_reach_it(ctx: typer.Context) -> None:
    """Raises ConfigError for settings of this shell: a tick at night would go by others."""
    sources = read_sources(env_file_of(ctx))
    defaults = {setting.name: setting.default or "" for setting in SETTINGS}
    lost = [
        name
        for name, value in sources.from_environment.items()
        if name not in CARRIED and value != sources.from_file.get(name, defaults[name])
    ]
    if lost:
        raise ConfigError(
            f"{', '.join(sorted(lost))} would not reach the ticks: they don't know your shell's environment",
            hint=f"put it into {sources.env_file}, or unset it",
        )


def _kind(config: Config, cron: bool, timer: bool) -> str:
    """What was asked for, else what is installed, else cron where there is one."""
    if cron and timer:
        raise BadValue("--cron and --systemd exclude each other", hint="choose one of them")
    if cron or timer:
        return CRON if cron else SYSTEMD
    if is_installed(str(config.folder), SYSTEMD):
        return SYSTEMD
    return CRON if which("crontab") or not which("systemctl") else SYSTEMD


def register(root: typer.Typer) -> None:
    app.command("show")(show_schedule)
    app.command("install")(install)
    app.command("remove")(remove)
    root.add_typer(app, name="schedule")
