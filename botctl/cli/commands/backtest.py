"""backtest: a history traded as the bot would have traded it."""

from functools import partial
from typing import Annotated

import typer

from botctl.cli.commands import backtest_options
from botctl.cli.context import JsonFlag, wants_json
from botctl.cli.output import show
from botctl.domain.errors import BadValue


@backtest_options.with_study_options
def backtest(
    ctx: typer.Context,
    files: backtest_options.Files,
    options: backtest_options.StudyOptions,
    trades: Annotated[
        int, typer.Option("--trades", "-n", metavar="COUNT", min=0, help="Show so many trades, the newest.")
    ] = 10,
    as_csv: Annotated[bool, typer.Option("--csv", help="The trades as CSV on stdout.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Trade a history as botctl would have traded it.

    The Council's entries, the stop rule's exits, fees and slippage, one account for
    all files. Options win over the settings of the environment and .env.

    \b
    Examples:
      botctl backtest XBTUSD_15.csv ETHUSD_15.csv
      botctl backtest XBTUSD_15.csv --from 2024-01-01 --atr-multiple 3
      botctl backtest candles.csv.gz:BTC/USD --sentiment fear_greed.csv --json
    """
    if as_csv and wants_json(ctx):
        raise BadValue("--csv and --json both want stdout", hint="give one of them")
    from botctl.backtesting.backtest import Backtest
    from botctl.cli.views.backtest import draw_backtest, show_csv

    given = backtest_options.load_study(ctx, files, options)
    view = Backtest(given.histories, given.settings, given.sentiment, since=given.since, until=given.until).run().view
    if as_csv:
        show_csv(view)
    else:
        show(ctx, view, partial(draw_backtest, most_trades=trades), name_mode=False)


def register(app: typer.Typer) -> None:
    app.command("backtest")(backtest)
