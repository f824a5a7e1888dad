"""Guards the open positions: a stop check at every tick."""

import logging
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.candles import Candle
from botctl.domain.errors import BotError, Busy, ExchangeUnreachable, Refused, UnusableAnswer, attempt_each
from botctl.domain.markets import KnownPrice, Quote, without_absurd_closes
from botctl.domain.orders import ExitReason, stop_reason
from botctl.domain.stops import StopRule, StopStep
from botctl.domain.symbols import Timeframe
from botctl.ports import Clock
from botctl.store.journal import Journal, StopUpdate
from botctl.store.kill_switch import Switch
from botctl.store.rows import TradeRow
from botctl.trading.candle_cache import CandleCache
from botctl.trading.execution import ExecutionService
from botctl.trading.exits import ExitPlanner, Exits, WantedExit
from botctl.trading.price_checks import (
    DoubtfulQuote,
    bid_note,
    check_confirmed,
    check_rise,
    find_doubt,
    is_suspicious_rise,
    known_price,
    last_checked_at,
    levels_of,
)
from botctl.trading.results import OrderResult
from botctl.trading.snapshot import SECOND_SNAPSHOT_AFTER, Snapshot, SnapshotService
from botctl.trading.time_budget import TimeBudget

log = logging.getLogger(__name__)


@dataclass
class PositionManager:
    """Checks prices against stops, moves stops up, and has positions sold."""

    market: CandleCache
    journal: Journal
    execution: ExecutionService
    exit_planner: ExitPlanner
    snapshots: SnapshotService
    switch: Switch
    clock: Clock
    time_budget: TimeBudget
    _: KW_ONLY
    rule: StopRule
    timeframe: Timeframe
    """The time between two checks."""

    def check_open_positions(self, snapshot: Snapshot) -> Exits:
        """Check every open trade once: sell where the stop is hit, else move the stop up.

        An error of one symbol does not stop the checks of the others. Doubtful prices are looked at again once the
        others have sold. When the tick's time is over nothing more is fetched, except for a doubtful price that hits
        its stop.
        """
        candles = MissedCandles(self.market, self.timeframe, self.clock)
        unsettled = self.journal.unguarded_trade_ids()  # settlement has reported these already
        trades = [trade for trade in self.journal.open_trades() if trade.id not in unsettled]
        checks, errors = attempt_each(lambda trade: self._check(trade, snapshot, candles), trades)
        exits = Exits(errors=errors) + self._act_on(checks, snapshot)
        doubtful = [check.doubtful for check in checks if check.doubtful is not None]
        return exits + self._check_again(doubtful, snapshot, candles) if doubtful else exits

    def close_position(self, trade_id: int, reason: ExitReason, amount: Decimal | None = None) -> OrderResult | None:
        """As `execute_sell`, for an open trade by its id."""
        trade = self.journal.open_trade(trade_id)
        if trade is None:
            raise Refused(f"trade {trade_id} is not open", hint="see `botctl positions`")
        return self.execution.execute_sell(trade.symbol, amount, reason)

    def close_all(self, reason: ExitReason, snapshot: Snapshot | None = None) -> Exits:
        unsettled = self.journal.unguarded_trade_ids()
        wanted = [WantedExit(trade, reason) for trade in self.journal.open_trades() if trade.id not in unsettled]
        if not wanted:
            return Exits()
        snapshot = snapshot or self.snapshots.take_snapshot([each.trade.symbol for each in wanted])
        return self.execution.execute_sells(wanted, snapshot)

    def liquidate_all(self) -> Exits:
        """Disable buys, then sell every open trade, also when the switch can't be written."""
        errors: list[BotError] = []
        try:
            self.switch.disable_buys(self.clock.now(), ExitReason.LIQUIDATION)
        except BotError as error:
            errors.append(error)
        return self.close_all(ExitReason.LIQUIDATION) + Exits(errors=errors)

    def _check(self, trade: TradeRow, snapshot: Snapshot, candles: "MissedCandles") -> "Check":
        dust_reason = ExitReason(trade.exiting or ExitReason.MANUAL)
        if trade.sold_amount > 0 and (note := self.exit_planner.close_below_one_lot(trade, dust_reason)) is not None:
            return Check(note=note)
        if trade.exiting:  # an exit that has begun goes on whatever the price
            return Check(WantedExit(trade, ExitReason(trade.exiting)))
        return self._check_stop(trade, snapshot, candles)

    def _check_stop(self, trade: TradeRow, snapshot: Snapshot, candles: "MissedCandles") -> "Check":
        now = self.clock.now()
        quote = snapshot.quote(trade.symbol, now)
        doubtful = find_doubt(trade, quote, known_price(trade, now, self.timeframe.seconds))
        return self._judge(trade, quote, candles) if doubtful is None else Check(doubtful=doubtful)

    def _check_again(self, doubtful: list[DoubtfulQuote], snapshot: Snapshot, candles: "MissedCandles") -> Exits:
        """A second look at doubtful prices, some seconds later: two that agree are believed."""
        late: list[BotError] = []
        if self.time_budget.expired:
            left = [each.trade.symbol for each in doubtful if not each.hits_stop]
            doubtful = [each for each in doubtful if each.hits_stop]
            late = [self.time_budget.error(f"the price of {symbol} was not looked at again") for symbol in left]
        if not doubtful:
            return Exits(errors=late)
        for each in doubtful:
            log.warning("%s: %s; looking again", each.trade.symbol, each.why)
        try:
            second = self.snapshots.fetch_second_quotes([each.trade.symbol for each in doubtful])
        except BotError as error:
            return Exits(errors=[*late, error])
        checks, errors = attempt_each(lambda each: self._judge_again(each, second, candles), doubtful)
        return Exits(errors=[*late, *errors]) + self._act_on(checks, snapshot)

    def _judge_again(self, doubtful: DoubtfulQuote, second: Snapshot, candles: "MissedCandles") -> "Check":
        trade, now = doubtful.trade, self.clock.now()
        quote = second.quote(trade.symbol, now)
        check_confirmed(doubtful, quote, known_price(trade, now, self.timeframe.seconds))
        return self._judge(trade, quote, candles, doubted=True)

    def _judge(self, trade: TradeRow, quote: Quote, candles: "MissedCandles", *, doubted: bool = False) -> "Check":
        """Apply the stop rule to a price that is believed, and to the closes that were missed before it."""
        now, price = self.clock.now(), float(quote.stop_price)
        stop, high, entry, atr = levels_of(trade)
        try:
            missed = self._missed_closes(trade, price, now, candles)
            if missed and not quote.from_history:
                self._confirm_closes(trade, missed, price, candles)
            if price > high and is_suspicious_rise(quote, stop, doubted=doubted):
                check_rise(quote, max((candle.high for candle in candles.fetch(trade.symbol)[-1:]), default=0.0))
        except BotError:
            # The stop still guards but does not move, so that the next tick can replay the missed closes in order.
            if price <= stop:
                return Check(WantedExit(trade, stop_reason(stop, entry)))
            raise
        *_, step = self.rule.advance_over((*missed, price), stop, high, entry, atr)
        after = f" and {len(missed)} missed closes" if missed else ""
        reason = stop_reason(step.stop, entry) if step.hit else None
        _log_check(trade, step, reason, after)
        why, exiting = f"price {step.price:g}{after}", None if self.execution.validate_only else reason
        update = StopUpdate(trade, step.stop, step.high, now, step.price, why, exiting)
        if reason is None:
            return Check(update=update, note=bid_note(trade, quote, step.stop))
        return Check(WantedExit(trade, reason), update)

    def _act_on(self, checks: list["Check"], snapshot: Snapshot) -> Exits:
        errors = self._save([check.update for check in checks if check.update is not None])
        notes = [check.note for check in checks if check.note is not None]
        wanted = [check.exit for check in checks if check.exit is not None]
        return Exits(errors=errors, notes=notes) + self.execution.execute_sells(wanted, snapshot)

    def _save(self, updates: list[StopUpdate]) -> list[BotError]:
        """Save all together, or each alone if that fails. An error here stops no sell."""
        if not updates:
            return []
        try:
            self.journal.save_stops(updates)
        except Busy as error:  # the database stays locked for each of them
            return [error]
        except BotError as error:
            for update in updates:
                with suppress(BotError):
                    self.journal.save_stops([update])
            return [error]
        return []

    def _missed_closes(self, trade: TradeRow, price: float, now: datetime, candles: "MissedCandles") -> list[float]:
        """The closes between the last good check and now, when that is more than two intervals ago, without absurd
        ones. Raises ExchangeUnreachable if they do not lead to `price`."""
        seconds = self.timeframe.seconds
        since = last_checked_at(trade, now)
        if now - since <= timedelta(seconds=2 * seconds):
            return []
        if self.time_budget.expired:
            raise self.time_budget.error(f"the closes that trade {trade.id} ({trade.symbol}) missed were not fetched")
        closed = candles.fetch(trade.symbol)
        if closed and closed[0].closed_at(seconds) - timedelta(seconds=seconds) > since:
            log.warning("%s: candles reach back to %s only", trade.symbol, closed[0].closed_at(seconds))
        closes = [candle.close for candle in closed if since < candle.closed_at(seconds) <= now]
        known = known_price(trade, now, seconds)
        kept = without_absurd_closes(closes, known, price)
        if len(kept) < len(closes):
            log.warning("%s: ignoring %d closes far from their neighbours", trade.symbol, len(closes) - len(kept))
        if kept and not KnownPrice(price, price, known.atr).fits(kept[-1]):
            raise ExchangeUnreachable(
                f"the closes of {trade.symbol} that were missed end at {kept[-1]:.8g}, far from its price, {price:.8g}",
                hint="the stop stays; the next check looks again",
            )
        return kept

    def _confirm_closes(self, trade: TradeRow, closes: list[float], price: float, candles: "MissedCandles") -> None:
        """Missed closes that sell, or that raise the stop above where the price of now would, are fetched twice.

        Raises ExchangeUnreachable unless both answers agree.
        """
        stop, high, entry, atr = levels_of(trade)
        *_, step = self.rule.advance_over(closes, stop, high, entry, atr)
        if not step.hit and step.high <= max(high, price):
            return
        if self.time_budget.expired:
            raise self.time_budget.error(f"the closes of {trade.symbol} that were missed were not looked at again")
        candles.check_again(trade.symbol)


@dataclass(frozen=True)
class Check:
    exit: WantedExit | None = None
    update: StopUpdate | None = None
    note: str | None = None
    doubtful: DoubtfulQuote | None = None


@dataclass
class MissedCandles:
    """Candles since the last check, for one round of checks. After one failure no further symbol is tried: the stops
    of the other symbols don't wait for retries again."""

    market: CandleCache
    timeframe: Timeframe
    clock: Clock
    _failed: BotError | None = field(default=None, init=False)
    _waited: bool = field(default=False, init=False)

    def fetch(self, symbol: str) -> list[Candle]:
        """The newest closed candles of the symbol. Raises ExchangeUnreachable."""
        if self._failed is not None:
            raise self._failed
        try:
            return self.market.fetch_candles(symbol, self.timeframe)
        except UnusableAnswer:  # of this symbol alone
            raise
        except BotError as error:
            self._failed = error
            raise

    def check_again(self, symbol: str) -> None:
        """Raises ExchangeUnreachable when the exchange, some seconds later, shows other closes."""
        first = {candle.time: candle.close for candle in self.fetch(symbol)}
        if not self._waited:  # once for all symbols
            self.clock.sleep(SECOND_SNAPSHOT_AFTER)
            self._waited = True
        second = {candle.time: candle.close for candle in self.market.fetch_again(symbol, self.timeframe)}
        if any(first[time] != second[time] for time in first.keys() & second.keys()):
            raise ExchangeUnreachable(
                f"two answers, some seconds apart, show different candles of {symbol}",
                hint="the stop stays; the next check looks again",
            )


def _log_check(trade: TradeRow, step: StopStep, reason: ExitReason | None, after: str) -> None:
    """One line for a stop that is hit or has moved; a check without a change goes to the debug log."""
    price, stop, high = step.price, step.stop, step.high
    moved = stop != trade.stop_loss_price
    verdict = f"sell ({reason})" if reason else f"stop moved from {trade.stop_loss_price:.8g}" if moved else "hold"
    log.log(
        logging.INFO if reason or moved else logging.DEBUG,
        "%s trade %d: price %.8g%s, stop %.8g, high %.8g: %s",
        trade.symbol, trade.id, price, after, stop, high, verdict,
        extra=dict(symbol=trade.symbol, trade_id=trade.id, price=price, stop=stop, high=high, reason=reason),
    )  # fmt: skip
