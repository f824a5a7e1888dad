"""What a day without the machine costs in a crash: the resting stop's exit against the soft stop's late one.

`python -m benchmarks.machine_off FILE... --off 2021-05-19 --hours 24` replays the candles by real ticks with the paper
broker. While the machine is off no tick runs; the first one after it finds what has happened. The trades that were open
when it went off are compared: with a machine that stays on, and with one that goes off, with no resting stop and with
one at each of `--distances`.
"""

import argparse
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from botctl.adapters.simulated import SimulatedMarket
from botctl.backtesting.replay import load_trades, run_ticks
from botctl.backtesting.results import BacktestTrade
from botctl.cli.commands.study.backtest_options import load_sentiment_option
from botctl.domain.candles import CandleColumns
from botctl.domain.configuration.settings import Mode, parse_settings
from botctl.domain.sentiment import SentimentSeries
from botctl.domain.symbols import Timeframe, quote_of
from botctl.market_data.history import load_candles
from botctl.market_data.timeline import align_histories
from botctl.store.database import close_database, open_database
from botctl.store.kill_switch import Switch
from botctl.store.location import SqliteFile
from botctl.wiring import build_bot


class Outage:
    """When the machine is off; None where it stays on."""

    def __init__(self, market: SimulatedMarket, begin: datetime | None, end: datetime | None) -> None:
        self.market, self.begin, self.end = market, begin, end

    def steps(self) -> Iterator[None]:
        """One for each tick that runs. Before the first one after an outage the market plays on alone."""
        while True:
            following = self.market.now() + timedelta(seconds=1)
            while self.begin is not None and self.end is not None and self.begin <= following < self.end:
                if not self.market.start_tick():
                    return
                following = self.market.now() + timedelta(seconds=1)
            yield None


def replay(
    histories: Sequence[CandleColumns],
    sentiment: SentimentSeries,
    values: Mapping[str, str],
    span: tuple[datetime, datetime],
    outage: tuple[datetime, datetime] | tuple[None, None],
) -> list[BacktestTrade]:
    """The trades of real ticks over `span`, none of them within `outage`."""
    settings = parse_settings({**values, "BOTCTL_MODE": "replay"})
    timeline = align_histories(histories, settings.atr_period, *span, settings.signal_seconds)
    with tempfile.TemporaryDirectory() as folder:
        open_database(SqliteFile(Path(folder) / "replay.db"), Mode.REPLAY, create=True, durable=False)
        try:
            market = SimulatedMarket(histories, timeline, sentiment)
            bot = build_bot(settings, Switch((Path(folder) / "HALT",)), simulated=market)
            run_ticks(bot, Outage(market, *outage).steps())
            return load_trades()
        finally:
            close_database()


def open_at(trades: Sequence[BacktestTrade], moment: datetime) -> dict[tuple[str, datetime], BacktestTrade]:
    return {
        (trade.symbol, trade.entry_time): trade
        for trade in trades
        if trade.entry_time <= moment and (trade.exit_time is None or trade.exit_time > moment)
    }


def describe(name: str, trades: Sequence[BacktestTrade], quote: str) -> Iterator[str]:
    """One line for all, and one for each trade."""
    total = sum((trade.pnl or Decimal(0) for trade in trades), Decimal(0))
    yield f"{name}: {total:+.2f} {quote}"
    for trade in trades:
        if trade.exit_time is None or trade.exit_price is None:
            yield f"  {trade.symbol} is still open"
            continue
        change = 100 * (trade.exit_price / trade.entry_price - 1)
        who = "resting stop" if trade.by_resting_stop else "tick"
        yield (
            f"  {trade.symbol} entered {trade.entry_time:%d %H:%M} at {trade.entry_price:.2f}, sold by the {who} "
            f"{trade.exit_time:%d %H:%M} at {trade.exit_price:.2f} ({change:+.2f} %), P&L {trade.pnl:+.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machine_off", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--sentiment", default="FEAR")
    parser.add_argument("--off", type=datetime.fromisoformat, required=True, help="when the machine goes off, UTC")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--days-before", type=float, default=2, help="of replay, to have trades open by then")
    parser.add_argument("--signal-timeframe", default="")
    parser.add_argument("--distances", default="1,0.5,0,2", help="EXCHANGE_STOP_ATR")
    arguments = parser.parse_args()
    logging.disable()
    histories = [load_candles(file) for file in arguments.files]
    sentiment = load_sentiment_option(arguments.sentiment)
    off = arguments.off.replace(tzinfo=UTC)
    outage = off, off + timedelta(hours=arguments.hours)
    span = off - timedelta(days=arguments.days_before), outage[1] + timedelta(days=1)
    quote = quote_of(histories[0].symbol)
    values = {
        "SYMBOLS": ",".join(history.symbol for history in histories),
        "QUOTE_CURRENCY": quote,
        "TIMEFRAME": Timeframe.from_seconds(histories[0].seconds),
        "SIGNAL_TIMEFRAME": arguments.signal_timeframe,
    }
    runs = {"machine on, no resting stop": (values, (None, None)), "machine off, no resting stop": (values, outage)}
    for distance in arguments.distances.split(","):
        resting = {**values, "EXCHANGE_STOP": "on", "EXCHANGE_STOP_ATR": distance}
        runs[f"machine off, resting stop {distance} ATR below"] = (resting, outage)
    for name, (settings, when) in runs.items():
        trades = open_at(replay(histories, sentiment, settings, span, when), off)
        print("\n".join(describe(name, list(trades.values()), quote)))


if __name__ == "__main__":
    main()
