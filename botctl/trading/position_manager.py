"""Guards the open positions: a stop check at every tick."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.domain.candles import Candle
from botctl.domain.errors import (
    BotError,
    Busy,
    ExchangeUnreachable,
    Refused,
    UnusableAnswer,
    as_bot_error,
    attempt_each,
)
from botctl.domain.markets import KnownPrice, Quote, without_absurd_closes
from botctl.domain.orders import ExitReason, stop_reason
from botctl.domain.stops import StopRule, StopStep
from botctl.domain.symbols import Timeframe, base_of
from botctl.ports import Clock
from botctl.store.evidence.unrecorded_orders import load_exit_block
from botctl.store.journal import Journal, StopUpdate
from botctl.store.journal_reads import StopLevel
from botctl.store.kill_switch import Switch
from botctl.store.rows import TradeRow
from botctl.trading.account_fees import AccountFees, break_even_of
from botctl.trading.candle_cache import CandleCache
from botctl.trading.evidence.gaps import Gap, find_gap, is_late, time_of
from botctl.trading.evidence.gone_markets import TradeMarkets
from botctl.trading.evidence.price_checks import (
    DoubtfulQuote,
    bid_note,
    check_confirmed,
    check_rise,
    find_doubt,
    is_suspicious_rise,
    known_price,
    levels_of,
)
from botctl.trading.execution import ExecutionService
from botctl.trading.exits import ExitPlanner, Exits, ManualSale, WantedExit
from botctl.trading.results import StopView
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
    markets: TradeMarkets
    snapshots: SnapshotService
    switch: Switch
    clock: Clock
    time_budget: TimeBudget
    fees: AccountFees
    _: KW_ONLY
    rule: StopRule
    timeframe: Timeframe
    """The time between two checks."""
    atr_timeframe: Timeframe
    """The candles that the trades' ATR is of."""
    _checked: set[int] = field(default_factory=set, init=False)
    """The trades that this run has checked."""
    _tried: set[int] = field(default_factory=set, init=False)
    """Those of them that it has tried to sell."""

    def check_open_positions(self, snapshot: Snapshot) -> Exits:
        """Check every open trade once: sell where the stop is hit, else move the stop up.

        A trade with an order for all that it holds is left to `check_settled_positions`. An error of one symbol does
        not stop the checks of the others. When the tick's time is over nothing more is fetched, except for a doubtful
        price that hits its stop.
        """
        self._checked, self._tried = set(), set()
        return self.check_settled_positions(snapshot)

    def check_settled_positions(self, snapshot: Snapshot) -> Exits:
        """Check the open trades that this run has not checked yet: their orders have been settled meanwhile."""
        levels = self._unchecked_levels()
        self._checked |= {level.trade_id for level in levels}
        self._tried |= {level.trade_id for level in levels if level.exiting}
        exits = self._check_levels([level for level in levels if level.symbol not in snapshot.unlisted], snapshot)
        unlisted = [level for level in levels if not self.markets.is_listed(level.symbol)]
        return exits + self._check_unlisted(unlisted, snapshot) if unlisted else exits

    def has_begun_exits(self) -> bool:
        """Whether a trade that this run has checked is being sold since: its resting stop has sold a part of it."""
        return any(level.trade_id in self._checked for level in self._unchecked_levels())

    def _unchecked_levels(self) -> list[StopLevel]:
        """The stops that are left to check, with those of exits that have begun since their trade was checked."""
        unsettled = self.journal.unguarded_trade_ids()  # settlement reports them
        block = load_exit_block()  # the comparison of the journal has reported these
        return [
            level
            for level in self.journal.stop_levels()
            if level.trade_id not in unsettled
            and level.trade_id not in (self._tried if level.exiting else self._checked)
            and not block.covers(base_of(level.symbol))
        ]

    def _check_levels(self, levels: Sequence[StopLevel], snapshot: Snapshot) -> Exits:
        found = Findings()
        exits = self.execution.execute_in_turn(self._find_exits(levels, snapshot, found), snapshot)
        return Exits(errors=found.errors, notes=found.notes) + exits

    def view_stops(self, before: Mapping[int, float | None], snapshot: Snapshot) -> list[StopView]:
        """The stops of the trades that were open `before` the check, with their stops then, and still are."""
        try:
            trades = [trade for trade in self.journal.open_trades() if trade.id in before]
        except BotError:  # what the checks have done is told all the same
            return []
        prices = snapshot.prices
        return [
            StopView(
                trade.id,
                trade.symbol,
                prices.get(trade.symbol),
                trade.entry_price,
                before[trade.id],
                trade.stop_loss_price,
            )
            for trade in trades
        ]

    def find_gone_markets(self, snapshot: Snapshot) -> list[BotError]:
        """An error for each open trade whose market is gone."""
        unlisted = [trade for trade in self.journal.open_trades() if not self.markets.is_listed(trade.symbol)]
        return attempt_each(lambda trade: self._confirm(trade, snapshot), unlisted)[1]

    def close_position(self, trade_id: int, reason: ExitReason, amount: Decimal | None = None) -> ManualSale:
        """Sell an open trade, or `amount` of it, as `ExecutionService.execute_sell`. Raises Refused without it."""
        trade = self.journal.open_trade(trade_id)
        if trade is None:
            raise Refused(f"trade {trade_id} is not open", hint="see `botctl positions`")
        return self.execution.execute_sell(trade.symbol, amount, reason)

    def liquidate_all(self, reason: ExitReason, snapshot: Snapshot | None = None) -> Exits:
        """Sell every open trade, but for those that wait for an order."""
        unsettled = self.journal.unguarded_trade_ids()
        block = load_exit_block()
        wanted = [
            WantedExit(trade, reason)
            for trade in self.journal.open_trades()
            if trade.id not in unsettled and not block.covers(trade.asset)
        ]
        if not wanted:
            return Exits()
        snapshot = snapshot or self.snapshots.take_snapshot([each.trade.symbol for each in wanted])
        return self.execution.execute_sells(wanted, snapshot)

    def disable_buys_and_liquidate(self) -> Exits:
        """Sell every open trade with buys disabled, also when the switch can't be written."""
        errors: list[BotError] = []
        try:
            self.switch.disable_buys(self.clock.now(), ExitReason.LIQUIDATION)
        except BotError as error:
            errors.append(error)
        return self.liquidate_all(ExitReason.LIQUIDATION) + Exits(errors=errors)

    def _find_exits(
        self, levels: Sequence[StopLevel], snapshot: Snapshot, found: "Findings"
    ) -> Iterator[list[WantedExit]]:
        """The exits, in batches: each has left before the next one is looked for. What failed is in `found`."""
        candles = MissedCandles(self.market, self.timeframe, self.clock)
        due = [level.trade_id for level in levels if _is_due(level, snapshot)]
        others = sorted({level.trade_id for level in levels}.difference(due))
        doubtful: list[DoubtfulQuote] = []
        try:
            for trades in self._in_order(due, others, snapshot):
                checks, errors = attempt_each(lambda trade: self._check(trade, snapshot, candles), trades)
                yield from self._save_around(checks, errors, found)
                doubtful += [check.doubtful for check in checks if check.doubtful is not None]
            if doubtful:
                yield from self._save_around(*self._check_again(doubtful, candles), found)
        except Exception as error:  # noqa: BLE001 - what has left is settled all the same
            found.errors.append(as_bot_error(error))

    def _in_order(self, due: Sequence[int], others: Sequence[int], snapshot: Snapshot) -> Iterator[list[TradeRow]]:
        """First the trades whose price hits their stop, those that need candles one by one; then all others."""
        now, interval = self.clock.now(), timedelta(seconds=self.timeframe.seconds)
        urgent = self.journal.trades(due)
        late = {
            trade.id
            for trade in urgent
            if not trade.exiting and is_late(trade, time_of(snapshot.quotes.good.get(trade.symbol), now), interval)
        }
        yield [trade for trade in urgent if trade.id not in late]
        yield from ([trade] for trade in urgent if trade.id in late)
        yield self.journal.trades(others)

    def _save_around(
        self, checks: Sequence["Check"], errors: Sequence[BotError], found: "Findings"
    ) -> Iterator[list[WantedExit]]:
        """Save the verdicts, have their sells leave, and only then save the stops that have moved.

        A run that ends in between loses the price of one check, as if it had not run.
        """
        hit = [check.update for check in checks if check.exit is not None and check.update is not None]
        moved = [check.update for check in checks if check.exit is None and check.update is not None]
        found.errors += [*errors, *self._save(hit)]
        found.notes += [check.note for check in checks if check.note is not None]
        exits = [check.exit for check in checks if check.exit is not None]
        self._tried |= {each.trade.id for each in exits}
        yield exits
        for update in moved:
            _log_check(update)
        found.errors += self._save(moved)

    def _check(self, trade: TradeRow, snapshot: Snapshot, candles: "MissedCandles") -> "Check":
        dust_reason = ExitReason(trade.exiting or ExitReason.MANUAL)
        if trade.sold_amount > 0 and (note := self.exit_planner.close_below_one_lot(trade, dust_reason)) is not None:
            return Check(note=note)
        if trade.exiting:  # an exit that has begun goes on whatever the price
            return Check(WantedExit(trade, ExitReason(trade.exiting)))
        return self._check_stop(trade, snapshot, candles)

    def _check_unlisted(self, levels: Sequence[StopLevel], snapshot: Snapshot) -> Exits:
        """Ask again for markets that the list lacks, once the others have sold. A trade whose market is there after all
        is checked like them."""
        trades = self.journal.trades([each.trade_id for each in levels])
        found, errors = attempt_each(lambda trade: self._confirm(trade, snapshot), trades)
        unchecked = {trade.id: trade.symbol for trade in found if trade.symbol in snapshot.unlisted}
        if not unchecked:
            return Exits(errors=errors)
        try:
            quotes = self.snapshots.fetch_quotes(list(unchecked.values()))
        except BotError as error:
            return Exits(errors=[*errors, error])
        listed = [each for each in levels if each.trade_id in unchecked]
        return Exits(errors=errors) + self._check_levels(listed, replace(snapshot, quotes=quotes))

    def _confirm(self, trade: TradeRow, snapshot: Snapshot) -> TradeRow:
        """The trade, whose market is there. Raises BotError."""
        self.markets.confirm(trade, snapshot.balances)
        return trade

    def _check_stop(self, trade: TradeRow, snapshot: Snapshot, candles: "MissedCandles") -> "Check":
        now = self.clock.now()
        quote = snapshot.quote(trade.symbol, now)
        doubtful = find_doubt(trade, quote, self._known_price(trade, time_of(quote, now)))
        return self._judge(trade, quote, candles) if doubtful is None else Check(doubtful=doubtful)

    def _known_price(self, trade: TradeRow, at: datetime) -> KnownPrice:
        return known_price(trade, at, self.timeframe, self.atr_timeframe)

    def _check_again(
        self, doubtful: list[DoubtfulQuote], candles: "MissedCandles"
    ) -> tuple[list["Check"], list[BotError]]:
        """A second look at doubtful prices, some seconds later: two that agree are believed."""
        late: list[BotError] = []
        if self.time_budget.expired:
            left = [each.trade.symbol for each in doubtful if not each.hits_stop]
            doubtful = [each for each in doubtful if each.hits_stop]
            late = [self.time_budget.error(f"the price of {symbol} was not checked again") for symbol in left]
        if not doubtful:
            return [], late
        for each in doubtful:
            log.warning("%s: %s; looking again", each.trade.symbol, each.why)
        try:
            second = self.snapshots.fetch_second_quotes([each.trade.symbol for each in doubtful])
        except BotError as error:
            return [], [*late, error]
        checks, errors = attempt_each(lambda each: self._judge_again(each, second, candles), doubtful)
        return checks, [*late, *errors]

    def _judge_again(self, doubtful: DoubtfulQuote, second: Snapshot, candles: "MissedCandles") -> "Check":
        trade, now = doubtful.trade, self.clock.now()
        quote = second.quote(trade.symbol, now)
        check_confirmed(doubtful, quote, self._known_price(trade, time_of(quote, now)))
        return self._judge(trade, quote, candles, doubted=True)

    def _judge(self, trade: TradeRow, quote: Quote, candles: "MissedCandles", *, doubted: bool = False) -> "Check":
        """Apply the stop rule to a price that is believed, and to the closes that were missed before it."""
        now, price = self.clock.now(), float(quote.stop_price)
        stop, high, entry, _ = levels_of(trade)
        interval, missed, gap = timedelta(seconds=self.timeframe.seconds), list[float](), None
        try:
            if (gap := find_gap(trade, time_of(quote, now), interval, stop, high)) is not None:
                missed = self._missed_closes(trade, quote, now, gap, candles)
            if missed and gap is not None and not quote.from_history:
                self._confirm_closes(trade, missed, price, gap, candles)
            if price > high and is_suspicious_rise(quote, stop, doubted=doubted):
                check_rise(quote, max((candle.high for candle in candles.fetch(trade.symbol)[-1:]), default=0.0))
        except BotError:
            # The stop still guards but does not move, so that the next tick can replay the missed closes in order.
            if price <= stop:
                return Check(WantedExit(trade, stop_reason(stop, entry, self._break_even(trade))))
            raise
        step = self._advance(trade, price, gap, missed)
        after = f" and {len(missed)} missed closes" if missed else ""
        reason = stop_reason(step.stop, entry, self._break_even(trade)) if step.hit else None
        why, exiting = f"price {step.price:g}{after}", None if self.execution.validate_only else reason
        update = StopUpdate(trade, step.stop, step.high, now, step.price, why, quote.seen_at, exiting)
        if reason is None:
            return Check(update=update, note=bid_note(trade, quote, step.stop))
        _log_check(update, reason)
        return Check(WantedExit(trade, reason), update)

    def _save(self, updates: list[StopUpdate]) -> list[BotError]:
        """Save all together, or each alone if that fails. An error here stops no sell."""
        if not updates:
            return []
        try:
            self.journal.save_stops(updates)
        except Busy as error:  # the database stays locked for each of them
            return [error]
        except Exception as error:  # noqa: BLE001 - that of one trade keeps no other stop from being saved
            for update in updates:
                with suppress(Exception):
                    self.journal.save_stops([update])
            return [as_bot_error(error)]
        return []

    def _advance(self, trade: TradeRow, price: float, gap: Gap | None, missed: Sequence[float]) -> StopStep:
        """The rule over the missed closes, from where stop and high stood then, and over the price."""
        stop, high, entry, atr = levels_of(trade)
        if missed and gap is not None:
            *_, step = self.rule.advance_over(missed, gap.stop, gap.high, entry, atr, self._break_even(trade))
            stop, high = max(stop, step.stop), max(high, step.high)
            if step.hit:
                return StopStep(step.price, stop, high, hit=True)
        *_, step = self.rule.advance_over([price], stop, high, entry, atr, self._break_even(trade))
        return step

    def _break_even(self, trade: TradeRow) -> float:
        return break_even_of(trade, self.rule, self.fees)

    def _missed_closes(
        self, trade: TradeRow, quote: Quote, now: datetime, gap: Gap, candles: "MissedCandles"
    ) -> list[float]:
        """The closes of the gap, without absurd ones. Raises ExchangeUnreachable if they do not lead to the price."""
        seconds, since, price = self.timeframe.seconds, gap.since, float(quote.stop_price)
        if self.time_budget.expired:
            raise self.time_budget.error(f"the closes that trade {trade.id} ({trade.symbol}) missed were not fetched")
        closed = candles.fetch(trade.symbol)
        if closed and closed[0].closed_at(seconds) - timedelta(seconds=seconds) > since:
            log.warning("%s: candles reach back to %s only", trade.symbol, closed[0].closed_at(seconds))
        at = time_of(quote, now)
        closes = [candle.close for candle in closed if since < candle.closed_at(seconds) <= at]
        known = self._known_price(trade, at)
        kept = without_absurd_closes(closes, known, price)
        if len(kept) < len(closes):
            log.warning("%s: ignoring %d closes far from their neighbours", trade.symbol, len(closes) - len(kept))
        if kept and not KnownPrice(price, price, known.atr).fits(kept[-1]):
            raise ExchangeUnreachable(
                f"the closes of {trade.symbol} that were missed end at {kept[-1]:.8g}, far from its price, {price:.8g}",
                hint="the stop stays; the next check looks again",
            )
        return kept

    def _confirm_closes(
        self, trade: TradeRow, closes: list[float], price: float, gap: Gap, candles: "MissedCandles"
    ) -> None:
        """Missed closes that sell, or that raise the stop above where the price of now would, are fetched twice.

        Raises ExchangeUnreachable unless both answers agree.
        """
        _, high, entry, atr = levels_of(trade)
        *_, step = self.rule.advance_over(closes, gap.stop, gap.high, entry, atr, self._break_even(trade))
        if not step.hit and step.high <= max(high, price):
            return
        if self.time_budget.expired:
            raise self.time_budget.error(f"the closes of {trade.symbol} that were missed were not fetched again")
        candles.check_again(trade.symbol)


@dataclass(frozen=True)
class Check:
    exit: WantedExit | None = None
    update: StopUpdate | None = None
    note: str | None = None
    doubtful: DoubtfulQuote | None = None


@dataclass
class Findings:
    """What one round of checks has to say beside its exits."""

    errors: list[BotError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
                f"two answers, a few seconds apart, show different candles of {symbol}",
                hint="the stop stays; the next check looks again",
            )


def _is_due(level: StopLevel, snapshot: Snapshot) -> bool:
    """Whether the trade is checked before the others: its exit has begun, or the price is at its stop."""
    quote = snapshot.quotes.good.get(level.symbol)
    at_stop = quote is not None and level.stop is not None and float(quote.stop_price) <= level.stop
    return level.exiting is not None or at_stop


def _log_check(update: StopUpdate, reason: ExitReason | None = None) -> None:
    """One line for a stop that is hit or has moved; a check without a change goes to the debug log."""
    trade, price, stop, high = update.trade, update.price, update.stop, update.high
    moved = stop != trade.stop_loss_price
    verdict = f"sell ({reason})" if reason else f"stop moved from {trade.stop_loss_price:.8g}" if moved else "hold"
    log.log(
        logging.INFO if reason or moved else logging.DEBUG,
        "%s trade %d: price %.8g%s, stop %.8g, high %.8g: %s",
        trade.symbol, trade.id, price, update.why.removeprefix(f"price {price:g}"), stop, high, verdict,
        extra=dict(symbol=trade.symbol, trade_id=trade.id, price=price, stop=stop, high=high, reason=reason),
    )  # fmt: skip
