"""Guards what is open: a stop check at every tick."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.candles import Candle
from botctl.domain.errors import (
    BotError,
    Busy,
    ExchangeUnreachable,
    OutcomeUnknown,
    Refused,
    UnusableAnswer,
    weightiest,
)
from botctl.domain.order_states import ExitReason, stop_reason
from botctl.domain.stops import advance_stop
from botctl.domain.symbols import Timeframe
from botctl.ports import Clock, Exchange
from botctl.services.execution import FAR
from botctl.services.exits import ExitDesk, Exits
from botctl.services.lookout import Look, Lookout
from botctl.services.tick_limit import TickLimit
from botctl.store.journal import Journal, StopUpdate
from botctl.store.models import Trade
from botctl.trading.results import OrderResult

log = logging.getLogger(__name__)


ANY_SYMBOL = "*"


@dataclass(frozen=True)
class StopRule:
    """The settings of the stop rule. Multiples of the ATR; the timeframe is the time between two checks."""

    atr_multiple: float
    breakeven_atr: float
    timeframe: Timeframe


class PositionManager:
    """Checks stops against prices, moves them up, and sells."""

    def __init__(
        self,
        exchange: Exchange,
        journal: Journal,
        desk: ExitDesk,
        lookout: Lookout,
        clock: Clock,
        rule: StopRule,
        limit: TickLimit,
    ) -> None:
        self.exchange = exchange
        self.journal = journal
        self.desk = desk
        self.lookout = lookout
        self.clock = clock
        self.rule = rule
        self.limit = limit

    def check_open_positions(self, look: Look | None = None) -> Exits:
        """One look at every open trade: sell where the stop is hit, else move the stop up and save it at once.

        One symbol's trouble is an error of its own and stops no other's check. Once the tick's time is over nothing
        more is looked up, and the prices seen before decide alone.
        """
        trades = self.journal.open_trades()
        look = look or self.lookout.look([trade.symbol for trade in trades])
        exits = Exits()
        hits: list[tuple[Trade, ExitReason]] = []
        updates: list[StopUpdate] = []
        candles: dict[str, list[Candle] | BotError] = {}
        unsettled = self.journal.unsettled_trade_ids()
        for trade in trades:
            if trade.id in unsettled:
                continue  # recovery has said so already
            try:
                began = ExitReason(trade.exiting or ExitReason.MANUAL)
                if not self.limit.over and self.desk.sweep(trade, began, exits):
                    continue
                reason = self._judge(trade, look, updates, candles)
                if reason is not None:
                    hits.append((trade, reason))
            except BotError as error:
                exits.errors.append(error)
        self._save(updates, exits)
        self.desk.close(hits, look, exits)
        return exits

    def close_position(self, trade_id: int, reason: ExitReason, amount: Decimal | None = None) -> OrderResult | None:
        """Sell a trade, or `amount` of it; None when there was nothing left to sell, and it was closed so.

        Raises Refused without such a trade, BadValue for more than it holds, and what the order raises.
        """
        trade = self.journal.open_trade(trade_id)
        if trade is None:
            raise Refused(f"trade {trade_id} is not open", hint="see `botctl positions`")
        if trade.id in self.journal.unsettled_trade_ids():
            raise OutcomeUnknown(f"trade {trade_id} has an order whose ending is unknown", hint="see `botctl orders`")
        exits = Exits()
        self.desk.close([(trade, reason)], self.lookout.look([trade.symbol]), exits, amount)
        if exits.errors:
            raise weightiest(exits.errors)
        return exits.results[0] if exits.results else None

    def close_all(self, reason: ExitReason, look: Look | None = None) -> Exits:
        """Sell every open trade."""
        exits = Exits()
        unsettled = self.journal.unsettled_trade_ids()
        free = [trade for trade in self.journal.open_trades() if trade.id not in unsettled]
        if free:
            look = look or self.lookout.look([trade.symbol for trade in free])
            self.desk.close([(trade, reason) for trade in free], look, exits)
        return exits

    # The stop rule at work

    def _save(self, updates: list[StopUpdate], exits: Exits) -> None:
        """All at once; where that fails each alone, and what can't be saved keeps no hit stop from being sold."""
        if not updates:
            return
        try:
            self.journal.save_stops(updates)
        except Busy as error:  # would be as busy for each of them
            exits.errors.append(error)
        except BotError as error:
            exits.errors.append(error)
            for update in updates:
                with suppress(BotError):
                    self.journal.save_stops([update])

    def _judge(
        self,
        trade: Trade,
        look: Look,
        updates: list[StopUpdate],
        candles: dict[str, list[Candle] | BotError],
    ) -> ExitReason | None:
        """Why this trade must be sold now, or None; what moved is added to `updates`."""
        if trade.exiting:
            return ExitReason(trade.exiting)  # an exit has begun: it goes on at once, whatever the price
        now = self.clock.now()
        quote = look.quote(trade.symbol, now)
        last = float(quote.last)
        stop, high, entry, atr = _levels(trade)
        if last > stop and quote.ask is not None and last > FAR * float(quote.ask):
            # A stop that followed such a price would be above the market, and the next look would sell.
            raise ExchangeUnreachable(f"the last price of {trade.symbol}, {last:g}, is far above its ask")
        try:
            missed = self._missed_closes(trade, now, candles)
        except BotError:
            # The gap can't be filled now: the stop still guards, but nothing moves, so that the next tick
            # can replay the gap in its true order.
            if last <= stop:
                return stop_reason(stop, entry)
            raise
        for price in (*missed, last):
            stop, high, hit = advance_stop(
                price, stop, high, entry, atr, self.rule.atr_multiple, self.rule.breakeven_atr
            )
            if hit:
                break
        after = f" and {len(missed)} missed closes" if missed else ""
        reason = stop_reason(stop, entry) if hit else None
        _tell_verdict(trade, price, stop, high, reason, after)
        kept = None if self.desk.validate_only else reason
        updates.append(StopUpdate(trade, stop, high, now, price, f"price {price:g}{after}", kept))
        return reason

    def _missed_closes(self, trade: Trade, now: datetime, candles: dict[str, list[Candle] | BotError]) -> list[float]:
        """The closes between the last good check and now, when that is more than two intervals ago."""
        seconds = self.rule.timeframe.seconds
        since = trade.checked_at or trade.opened_at or now
        if now - since <= timedelta(seconds=2 * seconds):
            return []
        if self.limit.over:
            raise self.limit.error(f"the closes that trade {trade.id} ({trade.symbol}) missed were not looked up")
        if ANY_SYMBOL not in candles and trade.symbol not in candles:
            try:
                candles[trade.symbol] = self.exchange.fetch_candles(trade.symbol, self.rule.timeframe)
            except BotError as error:
                # Candles that can't be had for one symbol won't be had for the next: nobody's stop waits for retries.
                candles[trade.symbol if isinstance(error, UnusableAnswer) else ANY_SYMBOL] = error
        found = candles.get(trade.symbol) or candles[ANY_SYMBOL]
        if isinstance(found, BotError):
            raise found
        if found and found[0].closed_at(seconds) - timedelta(seconds=seconds) > since:
            log.warning("%s: candles reach back to %s only", trade.symbol, found[0].closed_at(seconds))
        return [candle.close for candle in found if since < candle.closed_at(seconds) <= now]


def _tell_verdict(trade: Trade, price: float, stop: float, high: float, reason: ExitReason | None, after: str) -> None:
    """One line for a stop that is hit or has moved; a check that changed nothing is for the debug log."""
    moved = stop != trade.stop_loss_price
    verdict = f"sell ({reason})" if reason else f"stop moved from {trade.stop_loss_price:.8g}" if moved else "hold"
    log.log(
        logging.INFO if reason or moved else logging.DEBUG,
        "%s trade %d: price %.8g%s, stop %.8g, high %.8g: %s",
        trade.symbol,
        trade.id,
        price,
        after,
        stop,
        high,
        verdict,
        extra={
            "symbol": trade.symbol,
            "trade_id": trade.id,
            "price": price,
            "stop": stop,
            "high": high,
            "reason": reason,
        },
    )


def _levels(trade: Trade) -> tuple[float, float, float, float]:
    """Stop, high, entry price and ATR. Raises BotError for a trade that lacks one: it must not pass unseen."""
    stop, high, atr = trade.stop_loss_price, trade.high_price, trade.atr
    if trade.entry_price is None or stop is None or high is None or atr is None:
        raise BotError(f"trade {trade.id} ({trade.symbol}) has no stop", hint=f"sell it: `botctl sell {trade.symbol}`")
    return stop, high, float(trade.entry_price), atr
