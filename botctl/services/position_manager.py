"""Guards what is open: stop checks every tick, and the one way out of a trade."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.candles import TIMEFRAMES, Candle
from botctl.domain.errors import BadValue, BotError, ExchangeRefused, ExchangeUnreachable, OutcomeUnknown, Refused
from botctl.domain.markets import Balances, Market
from botctl.domain.money import floor_to, plain
from botctl.domain.orders import ExitReason, stop_reason
from botctl.domain.results import OrderResult
from botctl.domain.sizing import below_minimum
from botctl.domain.stops import advance_stop
from botctl.ports import Clock, Exchange
from botctl.services.execution import ExecutionService, Sell
from botctl.services.lookout import Look, Lookout
from botctl.store.journal import Journal, StopUpdate
from botctl.store.models import Trade

log = logging.getLogger(__name__)

MATERIAL = Decimal("0.001")
"""A balance short by more than this fraction of the trade was touched by somebody else, and is said."""


@dataclass
class Exits:
    """What a round of exits came to."""

    results: list[OrderResult] = field(default_factory=list)
    errors: list[BotError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StopRule:
    """The settings of the stop rule. Multiples of the ATR; the timeframe is the time between two checks."""

    atr_multiple: float
    breakeven_atr: float
    timeframe: str


class PositionManager:
    """Checks stops against prices, moves them up, and sells."""

    def __init__(
        self,
        exchange: Exchange,
        journal: Journal,
        execution: ExecutionService,
        lookout: Lookout,
        clock: Clock,
        rule: StopRule,
    ) -> None:
        self.exchange = exchange
        self.journal = journal
        self.execution = execution
        self.lookout = lookout
        self.clock = clock
        self.rule = rule

    def check_open_positions(self, look: Look | None = None) -> Exits:
        """One look at every open trade: sell where the stop is hit, else move the stop up and save it at once.

        One symbol's trouble is an error of its own and stops no other's check.
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
                reason = self._judge(trade, look, updates, candles)
                if reason is not None:
                    hits.append((trade, reason))
            except BotError as error:
                exits.errors.append(error)
        if updates:
            self.journal.save_stops(updates)
        self._close(hits, look, exits)
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
        self._close([(trade, reason)], self.lookout.look([trade.symbol]), exits, amount)
        if exits.errors:
            raise exits.errors[0]
        return exits.results[0] if exits.results else None

    def close_all(self, reason: ExitReason, look: Look | None = None) -> Exits:
        """Sell every open trade."""
        exits = Exits()
        unsettled = self.journal.unsettled_trade_ids()
        free = [trade for trade in self.journal.open_trades() if trade.id not in unsettled]
        if free:
            look = look or self.lookout.look([trade.symbol for trade in free])
            self._close([(trade, reason) for trade in free], look, exits)
        return exits

    # The stop rule at work

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
        last = float(look.quote(trade.symbol, now).last)
        stop, high, entry, atr = _levels(trade)
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
        updates.append(StopUpdate(trade, stop, high, now, f"price {price:g}{after}"))
        return stop_reason(stop, entry) if hit else None

    def _missed_closes(self, trade: Trade, now: datetime, candles: dict[str, list[Candle] | BotError]) -> list[float]:
        """The closes between the last good check and now, when that is more than two intervals ago."""
        seconds = TIMEFRAMES[self.rule.timeframe]
        since = trade.checked_at or trade.opened_at or now
        if now - since <= timedelta(seconds=2 * seconds):
            return []
        if trade.symbol not in candles:
            try:
                candles[trade.symbol] = self.exchange.fetch_candles(trade.symbol, self.rule.timeframe)
            except BotError as error:
                candles[trade.symbol] = error
        found = candles[trade.symbol]
        if isinstance(found, BotError):
            raise found
        if found and found[0].closed_at(seconds) - timedelta(seconds=seconds) > since:
            log.warning("%s: candles reach back to %s only", trade.symbol, found[0].closed_at(seconds))
        return [candle.close for candle in found if since < candle.closed_at(seconds) <= now]

    # The way out

    def _close(
        self, wanted: Sequence[tuple[Trade, ExitReason]], look: Look, exits: Exits, amount: Decimal | None = None
    ) -> None:
        """Plan each sell, send them all, learn their endings together, and sweep up what is too small to sell."""
        sells: list[Sell] = []
        for trade, reason in wanted:
            try:
                sell = self._plan(trade, reason, look, exits, amount)
                if sell is not None:
                    sells.append(sell)
            except BotError as error:
                exits.errors.append(error)
        if not sells:
            return
        results, errors = self.execution.execute_sells(sells)
        exits.results += results
        exits.errors += errors
        unsettled = self.journal.unsettled_trade_ids()
        for sell in sells:
            if sell.trade.id not in unsettled:
                self._sweep(sell, look, exits)

    def _plan(self, trade: Trade, reason: ExitReason, look: Look, exits: Exits, wanted: Decimal | None) -> Sell | None:
        """How much can be sold: the trade's amount, bounded by what is there, in whole lots. None: it was closed."""
        market = self.execution.market(trade.symbol)
        if wanted is not None and wanted > trade.amount:
            raise BadValue(
                f"{plain(wanted)} {trade.asset} is more than the {plain(trade.amount)} that trade {trade.id} holds",
                hint="botctl sells only what it bought",
            )
        price = _price(look, trade.symbol)
        if _too_small(trade.amount, price, market):
            self._close_as_dust(trade, reason, market, exits)
            return None
        amount = trade.amount if wanted is None else wanted
        if look.balances is not None:
            self._bound_by_balance(trade, market, look.balances, price, exits)
            if trade.closed_at is not None:
                return None
            amount = min(amount, trade.amount, look.balances.spendable(trade.asset))
        amount = floor_to(amount, market.lot_decimals)
        if why := _too_small(amount, price, market):
            raise ExchangeRefused(f"{plain(amount)} {trade.asset} can't be sold: {why}", hint="sell more, or all of it")
        return Sell(trade, amount, reason, whole=wanted is None or amount >= trade.amount)

    def _bound_by_balance(
        self, trade: Trade, market: Market, balances: Balances, price: Decimal | None, exits: Exits
    ) -> None:
        """Bring the trade down to what is there. Nothing there: a second look, then it closes as EXTERNAL."""
        there, free = balances.total(trade.asset), balances.spendable(trade.asset)
        if there < trade.amount and _too_small(there, price, market):
            again = self.exchange.fetch_balances().total(trade.asset)
            if not _too_small(again, price, market):
                raise ExchangeUnreachable(f"two looks at the {trade.asset} balance disagree: {there}, then {again}")
            why = f"{plain(there)} {trade.asset} is left on the exchange: sold or moved by somebody else"
            self.journal.close_without_order(trade, ExitReason.EXTERNAL, why, self.clock.now())
            exits.notes.append(f"trade {trade.id} ({trade.symbol}) closed as EXTERNAL: {why}")
            log.warning("%s", exits.notes[-1])
            return
        if _too_small(free, price, market):
            raise BotError(
                f"the {plain(there)} {trade.asset} of trade {trade.id} is on hold or earning, and can't be sold",
                hint="cancel your own orders for it, or move it back to the spot balance",
            )
        if there < trade.amount:
            why = f"{plain(there)} {trade.asset} is there, the trade says {plain(trade.amount)}"
            if trade.amount - there > MATERIAL * trade.amount:
                exits.notes.append(f"trade {trade.id} ({trade.symbol}): {why}; selling what is there")
                log.warning("%s", exits.notes[-1])
            self.journal.shrink(trade, floor_to(there, market.lot_decimals), why, self.clock.now())

    def _sweep(self, sell: Sell, look: Look, exits: Exits) -> None:
        """After a sell: a rest that is below the order minimum closes as dust."""
        trade = self.journal.open_trade(sell.trade.id)
        if trade is None or trade.sold_amount == 0:
            return
        market = self.execution.market(trade.symbol)
        if _too_small(trade.amount, _price(look, trade.symbol), market):
            self._close_as_dust(trade, sell.reason, market, exits)

    def _close_as_dust(self, trade: Trade, reason: ExitReason, market: Market, exits: Exits) -> None:
        why = f"{plain(trade.amount)} {trade.asset} is below the order minimum of {market.symbol}: left as dust"
        self.journal.close_without_order(trade, reason, why, self.clock.now())
        exits.notes.append(f"trade {trade.id} ({trade.symbol}) closed, {why}")
        log.warning("%s", exits.notes[-1])


def _levels(trade: Trade) -> tuple[float, float, float, float]:
    """Stop, high, entry price and ATR. Raises BotError for a trade that lacks one: it must not pass unseen."""
    stop, high, atr = trade.stop_loss_price, trade.high_price, trade.atr
    if trade.entry_price is None or stop is None or high is None or atr is None:
        raise BotError(f"trade {trade.id} ({trade.symbol}) has no stop", hint=f"sell it: `botctl sell {trade.symbol}`")
    return stop, high, float(trade.entry_price), atr


def _price(look: Look, symbol: str) -> Decimal | None:
    quote = look.quotes.good.get(symbol)
    return None if quote is None else quote.last


def _too_small(amount: Decimal, price: Decimal | None, market: Market) -> str:
    """Why so little can't be sold, or the empty text. Without a price the minimum in the asset alone decides."""
    if amount <= 0:
        return f"there is no {market.base}"
    return below_minimum(amount, price or market.min_cost / amount, market)
