"""backtest: runs the strategy on candle files."""

import typer

from botctl.cli.commands import backtest_options
from botctl.cli.context import JsonFlag


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

    The Council's entries, the stop rule's exits, fees and slippage, with one account for
    all files. Options override the settings of the environment and .env.

    \b
    Examples:
      botctl backtest XBTUSD_15.csv ETHUSD_15.csv
      botctl backtest XBTUSD_15.csv --from 2024-01-01 --atr-multiple 3
      botctl backtest candles.csv.gz:BTC/USD --sentiment fear_greed.csv --json
    """
    backtest_options.check_output(ctx, as_csv)
    study = backtest_options.load_study(ctx, files, options)
    backtest_options.show_backtest(ctx, study.backtest().view, trades, as_csv)
