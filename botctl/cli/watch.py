"""positions --watch: a table that stays on the terminal and keeps up with prices and stops."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from botctl.cli.render import keep_showing, watch_view
from botctl.domain.errors import BotError

if TYPE_CHECKING:
    from botctl.ports import MarketData


def watch_positions(ctx: typer.Context, market: "MarketData", seconds: float) -> None:
    """Look every so many seconds until Ctrl-C, which is the way to end it."""
    mode = ctx.meta["mode"]
    with suppress(KeyboardInterrupt):
        keep_showing(lambda: _look(market, mode), seconds)


def _look(market: "MarketData", mode: str) -> Any:
    """What is open now. The database is read anew, for a tick may have bought, sold or moved a stop; a look that fails
    is said below the table."""
    from botctl.services import books

    lines = []
    try:
        rows = books.list_live_positions(market)
    except BotError as error:
        lines.append(f"prices can't be had: {error.message}")
        rows = [books.with_price(trade, None) for trade in books.list_positions()]
    return watch_view(rows, [*lines, f"{mode} mode, {datetime.now(UTC):%H:%M:%S} UTC; Ctrl-C ends it"])
