"""fetch: candles from Kraken into files, for studies."""

import logging
import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from botctl.cli.commands.backtest_options import moment_from
from botctl.cli.completion import complete_symbol
from botctl.cli.context import JsonFlag, config_from, exit_with, log_errors, symbol_from, wants_json
from botctl.cli.output import show_list, with_progress
from botctl.cli.views.files import draw_fetched
from botctl.domain.errors import BadValue, BotError, exit_code_of
from botctl.domain.symbols import Timeframe
from botctl.market_data.fetch import FetchView
from botctl.wiring import open_market_data

GAPS_SHOWN = 5
DOWNLOADS = "older ones: its downloadable OHLCVT files, https://support.kraken.com/articles/360047124832"

log = logging.getLogger(__name__)


def fetch(
    ctx: typer.Context,
    symbols: Annotated[
        list[str], typer.Argument(metavar="SYMBOL...", help="Such as BTC/USD.", autocompletion=complete_symbol)
    ],
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Keep those from here on; ISO 8601, UTC.")
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", metavar="TIMEFRAME", help="Default: the setting TIMEFRAME.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fetch candles from Kraken into data/candles.

    Needs no key. Kraken tells the newest 720 candles and no others; fetched ones are
    added to the file, and those in it never change. Run it weekly to keep a history.

    \b
    Examples:
      botctl fetch BTC/USD ETH/USD
      botctl fetch BTC/USD --timeframe 1h --since 2026-11-01
    """
    from botctl.market_data.fetch import fetch_history

    wanted = list(dict.fromkeys(symbol_from(text) for text in symbols))
    begin = moment_from("--since", since)
    if timeframe is not None and timeframe not in Timeframe:
        raise BadValue(f"--timeframe {timeframe!r} must be one of {', '.join(Timeframe)}", hint="give one of them")
    config = config_from(ctx)
    length = Timeframe(timeframe or config.settings.timeframe)
    views: list[FetchView] = []
    errors: list[BotError] = []
    with open_market_data(config.settings) as kraken:
        for symbol in with_progress(wanted, "fetching candles", quiet=wants_json(ctx)):
            try:
                views.append(fetch_history(kraken, symbol, length, config.candles, begin))
            except BotError as error:  # the other symbols' candles may be had all the same
                if len(wanted) == 1:
                    raise
                errors.append(type(error)(f"{symbol}: {error.message}", hint=error.hint))
    if begin and (late := [view for view in views if view.oldest_told and view.oldest_told > begin]):
        oldest = max(view.oldest_told for view in late if view.oldest_told)
        print(f"botctl: Kraken tells no candles before {oldest:%Y-%m-%d %H:%M}; {DOWNLOADS}", file=sys.stderr)
    errors += [error for view in views for error in _changes(view)]
    _warn_of_gaps(views)
    log_errors(errors)
    show_list(ctx, views, draw_fetched, "nothing was fetched", name_mode=False)
    exit_with(exit_code_of(errors))


def _changes(view: FetchView) -> Iterable[BotError]:
    for moment in view.changed:
        yield BotError(
            f"{view.symbol}: Kraken now tells another candle of {moment:%Y-%m-%d %H:%M} than {view.file} has",
            hint="the one in the file stays",
        )


def _warn_of_gaps(views: list[FetchView]) -> None:
    for view in views:
        for gap in view.gaps[-GAPS_SHOWN:]:
            span = f"{gap.since:%Y-%m-%d %H:%M} to {gap.until:%Y-%m-%d %H:%M}"
            log.warning("%s: %s candles are absent, %s", view.symbol, gap.candles, span)
        if (more := len(view.gaps) - GAPS_SHOWN) > 0:
            log.warning("%s: %s older gaps; --json names all", view.symbol, more)


def register(app: typer.Typer) -> None:
    app.command("fetch")(fetch)
