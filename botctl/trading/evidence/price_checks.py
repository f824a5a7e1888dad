"""Decides which quotes of open trades are prices, and which are looked at a second time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from botctl.domain.errors import BotError, ExchangeUnreachable
from botctl.domain.markets import FAR, KnownPrice, Quote, contradiction_in, doubt_about, quotes_agree, scale_atr
from botctl.domain.money import format_decimal
from botctl.domain.symbols import Timeframe
from botctl.store.rows import TradeRow
from botctl.trading.evidence.gaps import last_checked_at


@dataclass(frozen=True)
class DoubtfulQuote:
    """A quote that a second one must confirm before anything is sold or a stop moves."""

    trade: TradeRow
    quote: Quote
    why: str

    @property
    def hits_stop(self) -> bool:
        return float(self.quote.stop_price) <= levels_of(self.trade)[0]


def levels_of(trade: TradeRow) -> tuple[float, float, float, float]:
    """Stop, high, entry price and ATR. Raises BotError for a trade that lacks one."""
    stop, high, atr = trade.stop_loss_price, trade.high_price, trade.atr
    if trade.entry_price is None or stop is None or high is None or atr is None:
        raise BotError(f"trade {trade.id} ({trade.symbol}) has no stop", hint=f"sell it: `botctl sell {trade.symbol}`")
    return stop, high, float(trade.entry_price), atr


def known_price(trade: TradeRow, at: datetime, interval: Timeframe, atr_of: Timeframe) -> KnownPrice:
    """Where the price was at the trade's last good check: above its stop, and not above its high.

    Checks come once in `interval`. The trade's ATR is that of longer candles, `atr_of`: what a price moves between two
    checks is less.
    """
    stop, high, _, atr = levels_of(trade)
    passed = max(timedelta(0), at - last_checked_at(trade, at))
    moved = scale_atr(atr, atr_of.seconds, interval.seconds)
    return KnownPrice(stop, high, moved, passed.total_seconds() / interval.seconds)


def find_doubt(trade: TradeRow, quote: Quote, known: KnownPrice) -> DoubtfulQuote | None:
    """Why the quote of a trade is looked at again; None when it is a price at once."""
    stop = levels_of(trade)[0]
    why = doubt_about(quote, known)
    if why is None and quote.stop_price < quote.last and float(quote.stop_price) <= stop < float(quote.last):
        last, ask = format_decimal(quote.last), format_decimal(quote.stop_price)
        why = f"its last price, {last}, is above its ask, {ask}, which hits the stop"
    return None if why is None else DoubtfulQuote(trade, quote, why)


def check_confirmed(doubtful: DoubtfulQuote, second: Quote, known: KnownPrice) -> None:
    """Raises ExchangeUnreachable unless the second quote is a price, or agrees with the first one."""
    stop = levels_of(doubtful.trade)[0]
    if (why := doubt_about(second, known)) is None or quotes_agree(doubtful.quote, second, stop, known.atr):
        return
    raise ExchangeUnreachable(
        f"the price of {second.symbol} is not believed: {doubtful.why}; a few seconds later {why}",
        hint="the next check looks again",
    )


def is_suspicious_rise(quote: Quote, stop: float, *, doubted: bool) -> bool:
    """Whether a new high is compared with the newest closed candle. A price that rose within a factor of the stop is
    not: the candle was above the stop as well."""
    return not quote.from_history and (doubted or float(quote.stop_price) > FAR * stop)


def check_rise(quote: Quote, newest_high: float) -> None:
    """Raises ExchangeUnreachable for a price that moves no stop: one that contradicts its quote, or far above the high
    of the newest closed candle."""
    price, why = float(quote.stop_price), contradiction_in(quote)
    if price > FAR * newest_high:
        why = f"it is more than {FAR:g} times {newest_high:.8g}, the high of the newest closed candle"
    if why is not None:
        hint = "the stop stays; the next check looks again"
        raise ExchangeUnreachable(f"the price of {quote.symbol}, {price:.8g}, moves no stop: {why}", hint=hint)


def bid_note(trade: TradeRow, quote: Quote, stop: float) -> str | None:
    """What to say of a bid below the stop when the price is above it and nothing is sold."""
    if quote.from_history or quote.bid is None or float(quote.bid) >= stop:
        return None
    bid, price = format_decimal(quote.bid), format_decimal(quote.stop_price)
    return f"the bid of {trade.symbol}, {bid}, is below the stop of trade {trade.id}, {stop:.8g}; its price is {price}"
