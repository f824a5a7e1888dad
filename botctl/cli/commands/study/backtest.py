"""backtest: runs the strategy on candle files."""

import typer

from botctl.cli.commands.study import backtest_options
from botctl.cli.context import JsonFlag, exit_with
from botctl.cli.study_council import report_errors


@backtest_options.with_study_options
def backtest(
    ctx: typer.Context,
    files: backtest_options.Files,
    options: backtest_options.StudyOptions,
    trades: backtest_options.Trades = 10,
    as_csv: backtest_options.CsvFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Backtest the strategy on candle files.

    The entries of the Council, the exits of the stop rule, fees and slippage, with one
    account for all files. Options override the settings of the environment and
    .env. Exit code 1 if an agent or a program failed.

    \b
    Examples:
      botctl backtest XBTUSD_15.csv ETHUSD_15.csv
      botctl backtest XBTUSD_15.csv --from 2024-01-01 --atr-multiple 3
      botctl backtest candles.csv.gz:BTC/USD --sentiment fear_greed.csv --json
      COUNCIL_COMMAND=./decide.py botctl backtest XBTUSD_240.csv --cache a.db
    """
    backtest_options.check_output(ctx, as_csv)
    study = backtest_options.load_study(ctx, files, options)
    view = study.backtest(ctx).view
    backtest_options.show_backtest(ctx, view, trades, as_csv)
    report_errors(view.errors)
    exit_with(1 if view.errors else 0)
