"""Help yourself: init, demo, doctor."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, env_file_of, exit_with, log_flags, wants_json
from botctl.cli.log import start_log
from botctl.cli.output import show, show_list, with_progress
from botctl.cli.results import InitView
from botctl.cli.views.setup import draw_checks, draw_demo, draw_init
from botctl.config import Config, is_there, load_config, make_data_folder, open_store, write_env_file
from botctl.domain.errors import BadValue, BotError, ConfigError
from botctl.domain.settings import Mode, example_env, parse_settings
from botctl.queries.results import DemoView
from botctl.wiring import build_bot

NEXT_STEPS = {
    Mode.DEMO: ["botctl tick", "botctl demo --ticks 500"],
    Mode.PAPER: ["botctl doctor", "botctl tick", "botctl schedule install"],
    Mode.LIVE: [
        "put KRAKEN_API_KEY, KRAKEN_PRIVATE_KEY and INITIAL_BALANCE into the settings",
        "botctl doctor",
        "set LIVE_TRADING=yes once you mean real money",
        "botctl schedule install",
    ],
}


def init(
    ctx: typer.Context,
    mode: Annotated[
        Mode | None, typer.Option("--mode", metavar="MODE", help="demo, paper or live; default: BOTCTL_MODE.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write .env (owner-only) and make the mode's database. What is there already is kept.

    The only command that makes a live database: a wrong folder must not look like an account without positions.

    \b
    Example:
      botctl init --mode paper
    """
    chosen = {"BOTCTL_MODE": mode.value} if mode else {}
    given = env_file_of(ctx)
    missing_file = given is not None and not given.exists()
    config = load_config(None if missing_file else given, chosen)
    if missing_file and given is not None:
        config = replace(config, env_file=given)
    start_log(config, **log_flags(ctx))
    wanted = config.settings.botctl_mode
    if wanted is Mode.REPLAY:
        raise BadValue("a replay's database is made by `botctl replay --keep` alone", hint="give --mode another mode")
    if mode and config.env_file.exists() and load_config(given).settings.botctl_mode is not mode:
        raise ConfigError(f"{config.env_file} is there, for another mode", hint=f"set BOTCTL_MODE={mode} in it")
    written = write_env_file(config.env_file, example_env(wanted))
    make_data_folder(config)
    existed = is_there(config)
    with open_store(config, create=True):
        pass
    view = InitView(wanted, str(config.env_file), written, str(config.database), not existed, NEXT_STEPS[wanted])
    show(ctx, view, draw_init, name_mode=False)


def demo(
    ctx: typer.Context,
    ticks: Annotated[
        int, typer.Option("--ticks", "-n", metavar="COUNT", min=1, max=100_000, help="How many ticks to play.")
    ] = 500,
    as_json: JsonFlag = False,
) -> None:
    """Play the synthetic tape in a throw-away database.

    Then show what happened. The same tick, rules and journal as live, on invented
    prices; your own settings and database are not touched.

    \b
    Example:
      botctl demo --ticks 500
    """
    with tempfile.TemporaryDirectory(prefix="botctl-demo-") as folder:
        config = Config(Path(folder), Path(folder) / ".env", parse_settings({}))
        start_log(config, **log_flags(ctx))
        with open_store(config, durable=False):  # nobody needs it after a power cut
            view = _play(config, ticks, quiet=wants_json(ctx))
    show(ctx, view, draw_demo, name_mode=False)


def _play(config: Config, ticks: int, *, quiet: bool) -> DemoView:
    from botctl.backtesting.replay import run_ticks
    from botctl.queries import portfolio
    from botctl.queries.journal import count_decisions

    bot = build_bot(config.settings, config.switch)
    played = run_ticks(bot, with_progress(range(ticks), "playing the tape", quiet=quiet))
    initial = config.settings.initial_balance
    if initial is None or not played.ticks:
        raise BotError("the demo could not play")
    return DemoView(played.ticks, portfolio.list_trades(), played.equity, initial, count_decisions())


def doctor(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Check all that a first live run needs, with the fixes.

    Settings, file modes, database, clock, key rights, funds, minimums, Council, schedule. Sends no order and changes
    nothing. A `warn` can wait; a `fail` can't, and makes the exit code 1.

    \b
    Examples:
      botctl doctor
      BOTCTL_MODE=live botctl doctor
    """
    from botctl.cli.commands.doctor import examine

    lines = examine(env_file_of(ctx), log_flags(ctx))
    show_list(ctx, lines, draw_checks, "nothing to check", name_mode=False)
    exit_with(1 if any(line.status == "fail" for line in lines) else 0)


def register(app: typer.Typer) -> None:
    app.command("init")(init)
    app.command("demo")(demo)
    app.command("doctor")(doctor)
