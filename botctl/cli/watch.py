"""positions --watch: a table that stays on the terminal and keeps up with prices and stops."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from botctl.cli.render import watch_table
from botctl.domain.errors import BotError

if TYPE_CHECKING:
    from botctl.ports import MarketData


def watch_positions(ctx: typer.Context, market: "MarketData", seconds: float) -> None:
    """Look every so many seconds until Ctrl-C. A look that fails is said below the table, and the next one is made."""
    from rich.console import Console
    from rich.live import Live

    mode = ctx.meta["mode"]
    console = Console(highlight=False)
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:  # Ctrl-C is the way to end it
        while True:
            live.update(_look(market, mode), refresh=True)
            time.sleep(seconds)


def _look(market: "MarketData", mode: str) -> Any:
    """What is open now. The database is read anew, for a tick may have bought, sold or moved a stop."""
    from rich.console import Group
    from rich.text import Text

    from botctl.services import books

    trouble = ""
    try:
        rows = books.list_live_positions(market)
    except BotError as error:
        trouble = f"prices can't be had: {error.message}"
        rows = [books.with_price(trade, None) for trade in books.list_positions()]
    shown = watch_table(rows) if rows else Text("no open positions")
    foot = Text(f"{mode} mode, {datetime.now(UTC):%H:%M:%S} UTC; Ctrl-C ends it", "dim")
    return Group(shown, *([Text(trouble, "yellow")] if trouble else []), foot)
