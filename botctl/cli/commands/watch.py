"""positions --watch: a table on the terminal that keeps up with prices and stops."""

from contextlib import suppress
from datetime import UTC, datetime

from botctl.cli.output import keep_showing
from botctl.cli.tables import Drawing
from botctl.cli.views.positions import draw_watched_positions
from botctl.config import Config, open_store
from botctl.domain.configuration.settings import Mode
from botctl.domain.errors import BotError
from botctl.ports import MarketData
from botctl.queries import portfolio
from botctl.store.evidence.gone_markets import load_gone_markets
from botctl.store.rows import Rows
from botctl.wiring import build_market


def watch_positions(config: Config, seconds: float) -> None:
    with suppress(KeyboardInterrupt):
        keep_showing(_LivePositions(config, seconds).draw, seconds)


class _LivePositions:
    """Reads the open positions again and again, over one connection to Kraken."""

    def __init__(self, config: Config, seconds: float) -> None:
        self.config = config
        self.seconds = seconds
        self._kraken: MarketData | None = None

    def draw(self) -> Drawing:
        """The database is reopened each time: a tick may have written to it, and `recover` may have replaced it."""
        with open_store(self.config):
            lines = [str(gone) for gone in load_gone_markets()]
            rates, distance = portfolio.fee_rates(self.config.settings), self.config.settings.resting_distance
            try:
                rows = portfolio.list_live_positions(self._market(), rates, distance)
            except BotError as error:
                lines.append(f"prices are unavailable: {error.message}; tried again in {self.seconds:g} s")
                trades = portfolio.list_positions(distance)
                rows = Rows([portfolio.with_price(trade, None, rates) for trade in trades], trades.broken)
        lines += map(str, rows.broken)
        mode = self.config.settings.botctl_mode
        return draw_watched_positions(rows, [*lines, f"{mode} mode, {datetime.now(UTC):%H:%M:%S} UTC; Ctrl-C ends it"])

    def _market(self) -> MarketData:
        """Every tick advances the demo market, so it is loaded each time."""
        if self.config.settings.botctl_mode is Mode.DEMO:
            return build_market(self.config.settings)
        self._kraken = self._kraken or build_market(self.config.settings)
        return self._kraken
