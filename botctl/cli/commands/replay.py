"""replay: a history played through the real tick, order by order, in a database of its own."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from botctl.backtesting.results import ReplayView
from botctl.cli.commands import backtest_options
from botctl.cli.context import JsonFlag, exit_with, log_flags, wants_json
from botctl.cli.log import start_log
from botctl.cli.output import show, with_progress
from botctl.config import Config, open_store, write_env_file
from botctl.domain.errors import BadValue, ConfigError
from botctl.domain.settings import Mode, Settings
from botctl.wiring import build_bot

if TYPE_CHECKING:
    from botctl.market_data.timeline import Timeline, align_histories

DATABASE = "sqlite:///data/replay.db"
TOLD = ("SYMBOLS", "QUOTE_CURRENCY", "TIMEFRAME", *backtest_options.OVERRIDES.values())
"""The settings that a kept home remembers."""


@backtest_options.with_study_options
def replay(
    ctx: typer.Context,
    files: backtest_options.Files,
    options: backtest_options.StudyOptions,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep the database in this new or empty folder.")
    ] = None,
    trades: Annotated[
        int, typer.Option("--trades", "-n", metavar="COUNT", min=0, help="Show so many trades, the newest.")
    ] = 10,
    as_csv: Annotated[bool, typer.Option("--csv", help="The trades as CSV on stdout.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Play a history through the real tick.

    Journal, database and paper broker as ever, with time moved forward: some hundred
    times slower than backtest, and the same trades. Options win over the settings of
    the environment and .env; your own database is not touched. Exit code 1 if a tick
    failed.

    \b
    Examples:
      botctl replay XBTUSD_15.csv --from 2024-01-01 --to 2024-01-31
      botctl replay XBTUSD_15.csv --keep all && BOTCTL_HOME=all botctl trades
    """
    if as_csv and wants_json(ctx):
        raise BadValue("--csv and --json both want stdout", hint="give one of them")
    from botctl.cli.views.backtest import draw_backtest, show_csv

    given = backtest_options.load_study(ctx, files, options)
    timeline = align_histories(given.histories, given.settings.atr_period, given.since, given.until)
    settings = replace(given.settings, botctl_mode=Mode.REPLAY, database_url=DATABASE)
    with _place(settings, keep) as config:
        start_log(config, **log_flags(ctx), quiet=True)  # failed ticks are told once, at the end
        view = _play(config, given, timeline, quiet=wants_json(ctx))
    if as_csv:
        show_csv(view)
    else:
        show(ctx, view, partial(draw_backtest, most_trades=trades), name_mode=False)
    if view.failed_ticks:
        print(f"botctl: {view.failed_ticks} of {view.ticks} ticks failed", file=sys.stderr)
    for error in view.errors:
        print(f"botctl: error: {error}", file=sys.stderr)
    if keep is not None:
        print(f"botctl: kept in {keep}; look with `BOTCTL_HOME={keep} botctl trades`", file=sys.stderr)
    exit_with(1 if view.failed_ticks else 0)


@contextmanager
def _place(settings: Settings, keep: Path | None) -> Iterator[Config]:
    """A home for one replay: thrown away behind it, or kept, with the settings that tell other commands about it."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="botctl-replay-") as folder:
            yield Config(Path(folder), Path(folder) / ".env", settings)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        taken = any(keep.iterdir())
    except OSError as error:
        raise ConfigError(f"can't write {keep}: {error.strerror}", hint="give --keep another folder") from error
    if taken:
        raise BadValue(f"--keep {keep} holds something already", hint="name a new or an empty folder")
    config = Config(keep.absolute(), keep.absolute() / ".env", settings)
    told = {"BOTCTL_MODE": settings.botctl_mode.value, **{name: _text(settings, name) for name in TOLD}}
    write_env_file(config.env_file, "".join(f"{name}={text}\n" for name, text in told.items()))
    yield config


def _text(settings: Settings, name: str) -> str:
    value = getattr(settings, name.lower())
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _play(config: Config, given: backtest_options.Study, timeline: "Timeline", *, quiet: bool) -> ReplayView:
    from botctl.adapters.simulated import SimulatedMarket
    from botctl.backtesting.replay import run_ticks, summarize_replay

    with open_store(config, create=True, durable=False):  # after a power cut it is played again
        bot = build_bot(
            config.settings, config.switch, simulated=SimulatedMarket(given.histories, timeline, given.sentiment)
        )
        outcome = run_ticks(
            bot, with_progress(range(timeline.last - timeline.first + 1), "playing the history", quiet=quiet)
        )
        return summarize_replay(bot, timeline, given.histories, given.sentiment, outcome)


def register(app: typer.Typer) -> None:
    app.command("replay")(replay)
