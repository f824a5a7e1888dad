"""Guards what is open: a stop check at every tick."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.candles import Candle
from botctl.domain.errors import BotError, Busy, ExchangeUnreachable, Refused, UnusableAnswer
from botctl.domain.orders import ExitReason, stop_reason
from botctl.domain.stops import StopRule, StopStep
from botctl.domain.symbols import Timeframe
from botctl.ports import Clock, MarketData
from botctl.store.journal import Journal, StopUpdate
from botctl.store.kill_switch import Switch
from botctl.store.rows import TradeRow
from botctl.trading.execution import MAX_ASK_TO_LAST_RATIO, ExecutionService
from botctl.trading.exits import ExitPlanner, Exits, WantedExit
from botctl.trading.results import OrderResult
from botctl.trading.snapshot import Snapshot, SnapshotService
from botctl.trading.time_budget import TimeBudget

log = logging.getLogger(__name__)


class PositionManager:
    """Checks stops against prices, moves them up, and has sold what must be sold."""

    def __init__(
        self,
        market: MarketData,
        journal: Journal,
        execution: ExecutionService,
        exit_planner: ExitPlanner,
        snapshots: SnapshotService,
        switch: Switch,
        clock: Clock,
        time_budget: TimeBudget,
        *,
        rule: StopRule,
        timeframe: Timeframe,
    ) -> None:
        self.market = market
        self.journal = journal
        self.execution = execution
        self.exit_planner = exit_planner
        self.snapshots = snapshots
        self.switch = switch
        self.clock = clock
        self.time_budget = time_budget
        self.rule = rule
        self.timeframe = timeframe
        """The time between two checks."""

    def check_open_positions(self, snapshot: Snapshot) -> Exits:
        """One look at every open trade: sell where the stop is hit, else move the stop up and save it at once.

        One symbol's trouble is an error of its own and stops no other's check. Once the tick's time is over nothing
        more is looked up, and the prices seen before decide alone.
        """
        notes: list[str] = []
        errors: list[BotError] = []
        hits: list[WantedExit] = []
        updates: list[StopUpdate] = []
        gaps = MissedCandles(self.market, self.timeframe)
        unsettled = self.journal.unsettled_trade_ids()
        for trade in self.journal.open_trades():
            if trade.id in unsettled:
                continue  # recovery has said so already
            try:
                if (swept := self._close_dust(trade)) is not None:
                    notes.append(swept)
                    continue
                if trade.exiting:  # an exit has begun: it goes on at once, whatever the price
                    hits.append(WantedExit(trade, ExitReason(trade.exiting)))
                    continue
                reason, update = self._judge(trade, snapshot, gaps)
            except BotError as error:
                errors.append(error)
                continue
            updates += [] if update is None else [update]
            hits += [] if reason is None else [WantedExit(trade, reason)]
        errors += self._save(updates)
        return Exits(errors=errors, notes=notes) + self.execution.execute_sells(hits, snapshot)

    def close_position(self, trade_id: int, reason: ExitReason, amount: Decimal | None = None) -> OrderResult | None:
        """Sell a trade, or `amount` of it; None when there was nothing left to sell, and it was closed so.

        Raises Refused without such a trade, BadValue for more than it holds, and what the order raises.
        """
        trade = self.journal.open_trade(trade_id)
        if trade is None:
            raise Refused(f"trade {trade_id} is not open", hint="see `botctl positions`")
        return self.execution.execute_sell(trade.symbol, amount, reason)

    def close_all(self, reason: ExitReason, snapshot: Snapshot | None = None) -> Exits:
        """Sell every open trade."""
        unsettled = self.journal.unsettled_trade_ids()
        wanted = [WantedExit(trade, reason) for trade in self.journal.open_trades() if trade.id not in unsettled]
        if not wanted:
            return Exits()
        snapshot = snapshot or self.snapshots.take_snapshot([each.trade.symbol for each in wanted])
        return self.execution.execute_sells(wanted, snapshot)

    def liquidate_all(self) -> Exits:
        """Buys off first, then sell every open trade: also when the switch can't be written."""
        errors: list[BotError] = []
        try:
            self.switch.disable_buys(self.clock.now(), ExitReason.LIQUIDATION)
        except BotError as error:
            errors.append(error)
        return self.close_all(ExitReason.LIQUIDATION) + Exits(errors=errors)

    # The stop rule at work

    def _save(self, updates: list[StopUpdate]) -> list[BotError]:
        """All at once; where that fails each alone, and what can't be saved keeps no hit stop from being sold."""
        if not updates:
            return []
        try:
            self.journal.save_stops(updates)
        except Busy as error:  # would be as busy for each of them
            return [error]
        except BotError as error:
            for update in updates:
                with suppress(BotError):
                    self.journal.save_stops([update])
            return [error]
        return []

    def _close_dust(self, trade: TradeRow) -> str | None:
        """What to say of a trade whose rest is too small to sell, and was closed now; None for every other one."""
        if self.time_budget.expired:
            return None
        return self.exit_planner.close_dust(trade, ExitReason(trade.exiting or ExitReason.MANUAL))

    def _judge(
        self, trade: TradeRow, snapshot: Snapshot, gaps: "MissedCandles"
    ) -> tuple[ExitReason | None, StopUpdate | None]:
        """Why this trade must be sold now, or None; and what has moved, to be saved."""
        now = self.clock.now()
        quote = snapshot.quote(trade.symbol, now)
        last = float(quote.last)
        stop, high, entry, atr = _levels(trade)
        if last > stop and quote.ask is not None and last > MAX_ASK_TO_LAST_RATIO * float(quote.ask):
            # A stop that followed such a price would be above the market, and the next look would sell.
            raise ExchangeUnreachable(f"the last price of {trade.symbol}, {last:g}, is far above its ask")
        try:
            missed = self._missed_closes(trade, now, gaps)
        except BotError:
            # The gap can't be filled now: the stop still guards, but nothing moves, so that the next tick
            # can replay the gap in its true order.
            if last <= stop:
                return stop_reason(stop, entry), None
            raise
        *_, step = self.rule.advance_over((*missed, last), stop, high, entry, atr)
        after = f" and {len(missed)} missed closes" if missed else ""
        reason = stop_reason(step.stop, entry) if step.hit else None
        _log_verdict(trade, step, reason, after)
        kept = None if self.execution.validate_only else reason
        return reason, StopUpdate(trade, step.stop, step.high, now, step.price, f"price {step.price:g}{after}", kept)

    def _missed_closes(self, trade: TradeRow, now: datetime, gaps: "MissedCandles") -> list[float]:
        """The closes between the last good check and now, when that is more than two intervals ago."""
        seconds = self.timeframe.seconds
        since = trade.checked_at or trade.opened_at or now
        if now - since <= timedelta(seconds=2 * seconds):
            return []
        if self.time_budget.expired:
            raise self.time_budget.error(f"the closes that trade {trade.id} ({trade.symbol}) missed were not looked up")
        found = gaps.fetch(trade.symbol)
        if found and found[0].closed_at(seconds) - timedelta(seconds=seconds) > since:
            log.warning("%s: candles reach back to %s only", trade.symbol, found[0].closed_at(seconds))
        return [candle.close for candle in found if since < candle.closed_at(seconds) <= now]


class MissedCandles:
    """The candles that one round of checks catches up with. Those that can't be had for one symbol won't be had for
    the next: nobody's stop waits for retries again."""

    def __init__(self, market: MarketData, timeframe: Timeframe) -> None:
        self.market = market
        self.timeframe = timeframe
        self._failed: BotError | None = None

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


def _log_verdict(trade: TradeRow, step: StopStep, reason: ExitReason | None, after: str) -> None:
    """One line for a stop that is hit or has moved; a check that changed nothing is for the debug log."""
    price, stop, high = step.price, step.stop, step.high
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


def _levels(trade: TradeRow) -> tuple[float, float, float, float]:
    """Stop, high, entry price and ATR. Raises BotError for a trade that lacks one: it must not pass unseen."""
    stop, high, atr = trade.stop_loss_price, trade.high_price, trade.atr
    if trade.entry_price is None or stop is None or high is None or atr is None:
        raise BotError(f"trade {trade.id} ({trade.symbol}) has no stop", hint=f"sell it: `botctl sell {trade.symbol}`")
    return stop, high, float(trade.entry_price), atr
