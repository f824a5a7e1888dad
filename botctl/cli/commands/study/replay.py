"""replay: runs the real tick on candle files, with a database of its own."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from botctl.adapters.simulated import SimulatedMarket
from botctl.backtesting.replay import run_ticks, summarize_replay
from botctl.cli.commands.study import backtest_options
from botctl.cli.context import JsonFlag, exit_with, start_log_for
from botctl.cli.output import with_progress
from botctl.cli.study_council import report_errors
from botctl.config import Config, open_store
from botctl.domain.configuration.settings import Mode, Settings
from botctl.domain.errors import BadValue, ConfigError
from botctl.env_file import write_env_file
from botctl.market_data.timeline import align_histories
from botctl.wiring import build_bot

DATABASE = "sqlite:///data/replay.db"
KEPT_SETTINGS = ("SYMBOLS", "QUOTE_CURRENCY", "TIMEFRAME", *backtest_options.OVERRIDDEN)


@backtest_options.with_study_options
def replay(
    ctx: typer.Context,
    files: backtest_options.Files,
    options: backtest_options.StudyOptions,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default="not kept", help="A new folder to keep the database in.")
    ] = None,
    trades: backtest_options.Trades = 10,
    as_csv: backtest_options.CsvFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Replay candle files through the real tick.

    Journal, database and paper broker work as usual, on simulated time: several hundred
    times slower than backtest, with the same trades. Options override the settings of
    the environment and .env; your own database is not touched. Exit code 1 if a tick
    failed.

    \b
    Examples:
      botctl replay XBTUSD_15.csv --from 2024-01-01 --to 2024-01-31
      botctl replay XBTUSD_15.csv --keep all && BOTCTL_HOME=all botctl trades
    """
    backtest_options.check_output(ctx, as_csv)
    study = backtest_options.load_study(ctx, files, options)
    settings = study.settings
    timeline = align_histories(study.histories, settings.atr_period, study.since, study.until, settings.signal_seconds)
    with _open_folder(settings, keep) as config:
        start_log_for(ctx, config, quiet=True)  # failed ticks are reported at the end
        market = SimulatedMarket(study.histories, timeline, study.sentiment)
        with open_store(config, create=True, durable=False):  # after a power cut it is run again
            bot = build_bot(config.settings, config.switch, simulated=market, council_variables=study.council.variables)
            study.council.seat_in(bot, timeline)
            ticks = range(timeline.last - timeline.first + 1)
            outcome = run_ticks(bot, with_progress(ctx, ticks, "replaying"))
            view = summarize_replay(bot, timeline, study.histories, study.sentiment, outcome, study.council.label)
    backtest_options.show_backtest(ctx, view, trades, as_csv)
    if view.failed_ticks:
        print(f"botctl: {view.failed_ticks} of {view.ticks} ticks failed", file=sys.stderr)
    report_errors(view.errors)
    if keep is not None:
        print(f"botctl: kept in {keep}: see `BOTCTL_HOME={keep} botctl trades`", file=sys.stderr)
    exit_with(1 if view.failed_ticks else 0)


@contextmanager
def _open_folder(settings: Settings, keep: Path | None) -> Iterator[Config]:
    """A temporary folder for the replay, or `keep` with a .env that lets other commands read its database."""
    settings = replace(settings, botctl_mode=Mode.REPLAY, database_url=DATABASE)
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="botctl-replay-") as folder:
            yield Config(Path(folder), Path(folder) / ".env", settings)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        is_empty = not any(keep.iterdir())
    except OSError as error:
        raise ConfigError(f"can't write {keep}: {error.strerror}", hint="give --keep another folder") from error
    if not is_empty:
        raise BadValue(f"--keep {keep} is not empty", hint="give a new or empty folder")
    config = Config(keep.absolute(), keep.absolute() / ".env", settings)
    lines = [f"{name}={_setting_text(settings, name)}\n" for name in ("BOTCTL_MODE", *KEPT_SETTINGS)]
    write_env_file(config.env_file, "".join(lines))
    yield config


def _setting_text(settings: Settings, name: str) -> str:
    value = getattr(settings, name.lower())
    if isinstance(value, bool):
        return ("on" if value else "off") if name == "EXCHANGE_STOP" else "yes" if value else "no"
    if value is None:
        return ""
    return ",".join(value) if isinstance(value, tuple) else str(value)
