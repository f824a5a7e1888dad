"""fetch: downloads candles from Kraken into files."""

import logging
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, config_from, exit_with, symbol_from, time_from
from botctl.cli.help.completion import complete_symbol
from botctl.cli.log import log_errors, notice
from botctl.cli.output import show_list, with_progress
from botctl.cli.views.files import draw_fetched
from botctl.domain.errors import BadValue, BotError, NoAnswer, exit_code_of
from botctl.domain.symbols import Timeframe
from botctl.market_data.fetch import FetchView, fetch_history
from botctl.wiring import open_market_data

GAPS_SHOWN = 5
DOWNLOADS = "https://support.kraken.com/articles/360047124832"

log = logging.getLogger(__name__)


def fetch(
    ctx: typer.Context,
    symbols: Annotated[
        list[str],
        typer.Argument(metavar="SYMBOL...", help="The markets, such as BTC/USD.", autocompletion=complete_symbol),
    ],
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", show_default="all that Kraken returns", help="The oldest candle to fetch; UTC."),
    ] = None,
    timeframe: Annotated[
        str | None,
        typer.Option(
            metavar="TIMEFRAME", show_default="the setting TIMEFRAME", help="Length of a candle, such as 15m or 1h."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Download candles from Kraken into data/candles.

    Needs no key. Kraken returns only the newest 720 candles. New ones are added to the
    file, and those in it never change. Run it weekly to keep a complete history.

    \b
    Examples:
      botctl fetch BTC/USD ETH/USD
      botctl fetch BTC/USD --timeframe 1h --since 2026-11-01
    """
    unique_symbols = list(dict.fromkeys(symbol_from(ctx, text) for text in symbols))
    start = time_from("--since", since)
    if timeframe is not None and timeframe not in Timeframe:
        raise BadValue(f"--timeframe must be one of {', '.join(Timeframe)}, not {timeframe!r}", hint="choose one")
    config = config_from(ctx)
    interval = Timeframe(timeframe or config.settings.timeframe)
    views: list[FetchView] = []
    errors: list[BotError] = []
    with open_market_data(config.settings) as kraken:
        for symbol in with_progress(ctx, unique_symbols, "fetching candles"):
            try:
                views.append(fetch_history(kraken, symbol, interval, config.candles, start))
            except BotError as error:  # the other symbols may succeed
                if len(unique_symbols) == 1:
                    raise
                if isinstance(error, NoAnswer):  # nor would the others get an answer
                    errors.append(error)
                    break
                errors.append(type(error)(f"{symbol}: {error.message}", hint=error.hint))
    oldest = max((view.oldest_told for view in views if view.oldest_told), default=None)
    if start and oldest and oldest > start:
        notice(f"Kraken returns no candles before {oldest:%Y-%m-%d %H:%M}; download older ones from {DOWNLOADS}")
    errors += _differing_candles(views)
    _warn_of_gaps(views)
    log_errors(errors)
    show_list(ctx, views, draw_fetched, "nothing was fetched", name_mode=False)
    exit_with(exit_code_of(errors))


def _differing_candles(views: Iterable[FetchView]) -> Iterator[BotError]:
    for view in views:
        for time in view.changed:
            yield BotError(
                f"{view.symbol}: Kraken's candle of {time:%Y-%m-%d %H:%M} differs from the one in {view.file}",
                hint="the one in the file is kept",
            )


def _warn_of_gaps(views: Iterable[FetchView]) -> None:
    for view in views:
        for gap in view.gaps[-GAPS_SHOWN:]:
            span = f"{gap.since:%Y-%m-%d %H:%M} to {gap.until:%Y-%m-%d %H:%M}"
            log.warning("%s: %s candles are missing, %s", view.symbol, gap.candles, span)
        if (more := len(view.gaps) - GAPS_SHOWN) > 0:
            log.warning("%s: %s older gaps; --json lists all", view.symbol, more)
