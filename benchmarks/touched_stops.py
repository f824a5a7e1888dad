"""What a backtest's trades would have brought if their stops had been sold at their own price, within a candle.

`python -m benchmarks.touched_stops FILE... --sentiment FILE --day 2021-05-19` compares the trades of that day, and all
of them. The entries are those of the backtest; a stop is moved by closes, as botctl moves it, and touched by the low.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from botctl.backtesting.backtest import Backtest
from botctl.backtesting.results import BacktestTrade
from botctl.cli.commands.study.backtest_options import load_sentiment_option
from botctl.domain.candles import CandleColumns, to_unix
from botctl.domain.configuration.settings import Settings, parse_settings
from botctl.domain.costs import calculate_pnl, cost_and_fee, fill_price
from botctl.domain.orders import Side
from botctl.domain.symbols import quote_of
from botctl.market_data.history import load_candles


def sell_at_touched_stop(trade: BacktestTrade, history: CandleColumns, settings: Settings) -> BacktestTrade:
    """The trade as a stop at the exchange would have ended it; as it is where its stop was not touched before."""
    rule, entry = settings.stop_rule, float(trade.entry_price)
    stop, high = rule.initial_stop(entry, trade.atr), entry
    ends = [time + history.seconds for time in map(int, history.times)]
    first = ends.index(to_unix(trade.entry_time)) + 1
    for at in range(first, len(ends)):
        if trade.exit_time is not None and ends[at] > to_unix(trade.exit_time):
            return trade
        if history.lows[at] <= stop:
            bid = Decimal(repr(float(min(stop, history.opens[at]))))
            proceeds, fee = cost_and_fee(
                trade.amount, fill_price(Side.SELL, bid, settings.exit_slippage), settings.fee_rate
            )
            pnl = calculate_pnl(trade.entry_cost, trade.entry_fee, proceeds, fee)
            closed = datetime.fromtimestamp(ends[at], UTC)
            return replace(trade, exit_time=closed, exit_proceeds=proceeds, exit_fee=fee, pnl=pnl)
        step = next(rule.advance_over([float(history.closes[at])], stop, high, entry, trade.atr))
        stop, high = step.stop, step.high
    return trade


def day_of(trade: BacktestTrade) -> date | None:
    return (trade.exit_time - timedelta(seconds=1)).date() if trade.exit_time else None


def total(trades: Sequence[BacktestTrade]) -> Decimal:
    return sum((trade.pnl or Decimal(0) for trade in trades), Decimal(0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.touched_stops", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--sentiment", default="FEAR")
    parser.add_argument("--day", type=date.fromisoformat, required=True)
    parser.add_argument("--exit-slippage", default="")
    parser.add_argument("--to", type=datetime.fromisoformat, help="the last bar, UTC")
    arguments = parser.parse_args()
    histories = {history.symbol: history for history in map(load_candles, arguments.files)}
    quote = quote_of(next(iter(histories)))
    settings = parse_settings({"QUOTE_CURRENCY": quote, "EXIT_SLIPPAGE": arguments.exit_slippage})
    until = arguments.to and arguments.to.replace(tzinfo=UTC)
    sentiment = load_sentiment_option(arguments.sentiment)
    view = Backtest(list(histories.values()), settings, sentiment, until=until).run().view
    closed = [trade for trade in view.trades if trade.exit_time]
    pairs = [(trade, sell_at_touched_stop(trade, histories[trade.symbol], settings)) for trade in closed]
    for name, chosen in (
        (str(arguments.day), [pair for pair in pairs if day_of(pair[0]) == arguments.day]),
        ("all", pairs),
    ):
        by_close, by_touch = (total(trades) for trades in (zip(*chosen, strict=True) if chosen else ((), ())))
        print(f"{name}: {len(chosen):,} trades, closes {by_close:+.2f} {quote}, touched stops {by_touch:+.2f} {quote}")


if __name__ == "__main__":
    main()
