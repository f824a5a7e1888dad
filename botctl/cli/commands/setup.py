"""init and demo: the first steps."""

import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from botctl.backtesting.council.members import label_of
from botctl.backtesting.replay import run_ticks
from botctl.cli.context import JsonFlag, env_file_of, exit_with, start_log_for, wants_json
from botctl.cli.init_questions import ask_settings, may_ask
from botctl.cli.log import notice
from botctl.cli.output import show, with_progress
from botctl.cli.results import InitView
from botctl.cli.study_council import council_values, report_errors, seat_council
from botctl.cli.views.setup import draw_demo, draw_init
from botctl.config import Config, load_config, make_data_folder, open_store, raise_together
from botctl.domain.configuration.example import example_env
from botctl.domain.configuration.settings import Mode, missing_for_live, parse_settings
from botctl.domain.errors import BadValue, BotError, ConfigError
from botctl.env_file import write_env_file
from botctl.queries import portfolio
from botctl.queries.journal import count_decisions, count_stances
from botctl.queries.results import DemoView
from botctl.store.evidence.price_decimals import load_price_decimals
from botctl.trading.readiness import check_journal
from botctl.wiring import build_bot, open_account

NEXT_STEPS = {
    Mode.DEMO: ["botctl tick", "botctl demo --ticks 500"],
    Mode.PAPER: ["botctl doctor", "botctl tick", "botctl schedule install"],
    Mode.LIVE: [
        "botctl doctor",
        "set LIVE_TRADING=yes to trade real money",
        "botctl schedule install",
    ],
}


def init(
    ctx: typer.Context,
    mode: Annotated[
        Mode | None,
        typer.Option(metavar="demo|paper|live", show_default="BOTCTL_MODE, else demo", help="The mode to set up."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: write the defaults.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Create .env and the database of a mode.

    On a terminal it asks for what a new home needs: mode, symbols, the cost of an entry, in live mode the API key,
    which is not shown and is checked with Kraken at once. With --yes, --json or without a terminal nothing is asked.

    Keeps files that exist, and makes .env readable by you alone. No other command creates a live database, so that
    a wrong folder does not look like an account without positions.

    \b
    Examples:
      botctl init
      botctl init --mode paper --yes
    """
    config = _config_for_init(ctx, mode)
    answers: dict[str, str] = {}
    if may_ask() and not (yes or wants_json(ctx) or os.path.lexists(config.env_file)):
        answers = ask_settings(config, mode)
        config = _config_for_init(ctx, Mode(answers.get("BOTCTL_MODE", config.settings.botctl_mode)))
    raise_together(list(filter(None, [start_log_for(ctx, config)])))
    mode = config.settings.botctl_mode
    written = write_env_file(config.env_file, example_env(mode, answers))
    if answers:
        config = _config_for_init(ctx, mode)  # with the answers: the account may be searched at once
    make_data_folder(config)
    existed = config.database.exists()
    with open_store(config, create=True):
        pass
    steps = [*_recovery_steps(config), *_next_steps(config)]
    view = InitView(mode, str(config.env_file), written, str(config.database), not existed, steps)
    show(ctx, view, draw_init, name_mode=False)


def _next_steps(config: Config) -> list[str]:
    steps, missing = NEXT_STEPS[config.settings.botctl_mode], missing_for_live(config.settings)
    if not missing:
        return steps
    names = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
    return [f"put {names} into the settings", *steps]


def _recovery_steps(config: Config) -> list[str]:
    """`botctl recover`, and a warning, where the account has orders of botctl that the database lacks."""
    try:
        with open_account(config) as bot:
            checks = list(check_journal(bot, config.database_file)) if bot is not None else []
    except BotError as error:
        notice(f"the account was not searched for orders of an earlier database: {error}")
        return []
    notice(*(f"{check.name}: {check.detail}: {check.fix}" for check in checks if check.status != "ok"))
    return ["botctl recover"] if any(check.status == "fail" for check in checks) else []


def _config_for_init(ctx: typer.Context, mode: Mode | None) -> Config:
    """The settings with this mode, from a .env that need not exist yet."""
    env_file = env_file_of(ctx)
    overrides = {"BOTCTL_MODE": mode.value} if mode else {}
    if env_file is not None and not env_file.exists():
        config = replace(load_config(None, overrides, new_home=True), env_file=env_file)
    else:
        config = load_config(env_file, overrides, new_home=True)
    if config.settings.botctl_mode is Mode.REPLAY:
        raise BadValue("only `botctl replay --keep` creates a replay's database", hint="choose another --mode")
    if mode and config.env_file.exists() and load_config(env_file, new_home=True).settings.botctl_mode is not mode:
        raise ConfigError(f"{config.env_file} is for another mode", hint=f"set BOTCTL_MODE={mode} in it")
    return config


def demo(
    ctx: typer.Context,
    ticks: Annotated[
        int, typer.Option("--ticks", "-n", metavar="COUNT", min=1, max=100_000, help="How many ticks to run.")
    ] = 500,
    cache: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            show_default="ask each time",
            help="Keep the answers of COUNCIL_COMMAND in this file, and ask each question once.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run ticks on a simulated market, in a temporary database.

    The same tick, rules and journal as in live mode, on simulated prices. Of your
    settings only those of the Council count; your database is not touched. Exit code 1
    if a tick failed.

    \b
    Examples:
      botctl demo --ticks 500
      COUNCIL=gap,sentiment botctl demo
    """
    settings = parse_settings(council_values(ctx))
    council = seat_council(ctx, settings, {} if cache is None else {"cache": cache})
    with tempfile.TemporaryDirectory(prefix="botctl-demo-") as folder:
        config = Config(Path(folder), Path(folder) / ".env", settings)
        start_log_for(ctx, config, quiet=True)  # failed ticks are reported at the end
        with open_store(config, durable=False):
            bot = build_bot(config.settings, config.switch, council_variables=council.variables, home=council.home)
            council.seat_in(bot)
            outcome = run_ticks(bot, with_progress(ctx, range(ticks), "running ticks"))
            initial_balance = config.settings.initial_balance
            if initial_balance is None or not outcome.ticks:
                raise BotError("the demo ran no tick")
            view = DemoView(
                outcome.ticks, portfolio.list_trades(), outcome.equity, initial_balance, count_decisions(),
                label_of(settings), count_stances(), outcome.error_messages(),
            )  # fmt: skip
            draw = partial(draw_demo, decimals=load_price_decimals(), currency=settings.quote_currency)
    show(ctx, view, draw, name_mode=False)
    report_errors(view.errors)
    exit_with(1 if view.errors else 0)
