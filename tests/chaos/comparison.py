"""Compares a run with the model: to the last digit when nothing was disturbed, else within what may have happened.

After a disturbed run the model goes on from the exchange's own ledger, and from those stops that it found possible.
"""

import math
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.chaos.facts import Closed, Facts, newest_holding, orders_of_botctl, read_facts
from tests.chaos.history import QUARTER
from tests.chaos.processes import Run
from tests.chaos.scenes import OUTCOMES
from tests.chaos.simple_model import (
    ATR_MULTIPLE,
    CASH,
    Expected,
    Position,
    Sent,
    SimpleModel,
)
from tests.chaos.world import World
from tests.fake_kraken import Order as KrakenOrder

KILLED = frozenset({-signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT})
STOPS = ("STOP_LOSS", "BREAKEVEN", "TRAILING_STOP")
BAD_VALUE = 2
UNPROTECTED = "has no resting stop"
VALUING = ("tick", "drawdown")
"""The commands that value the account."""
BASE, EXIT_CODE = "base", "exit code"
"""So begins the failure where the model measures drawdown from something else, or ends otherwise."""
SLIGHTLY = Decimal("0.003")
"""Of the base: flows that are too small for a doubt may make as much of a difference."""
CLOSE = 1e-9
"""Two ways of averaging the same ranges agree to so much."""


def agree(left: object, right: object, what: str) -> None:
    """They are the same, or the comparison ends here and says which is which."""
    assert left == right, f"{what}: botctl {left}, model {right}"


def is_close(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=CLOSE)


@dataclass(frozen=True)
class Span:
    """From when to when a run lasted, and its words."""

    arguments: tuple[str, ...]
    start: float
    end: float
    run: Run


@dataclass
class Comparison:
    """Holds one world against one model, run after run."""

    world: World
    model: SimpleModel
    facts: Facts
    known_orders: int = 0
    placed: dict[str, Span] = field(default_factory=dict)
    """During which run each order came to the exchange."""
    skewed_at: float = 0.0
    """When the exchange's clock was last found wrong."""
    under_way: dict[str, set[str]] = field(default_factory=dict)
    """Why orders that have not ended yet may have been sent, by symbol."""

    def new_orders(self, span: Span) -> list[KrakenOrder]:
        """What came to the exchange since the last comparison."""
        orders = orders_of_botctl(self.world)
        new = orders[self.known_orders :]
        self.known_orders = len(orders)
        self.placed |= {order.txid: span for order in new}
        return [order for order in new if order.trigger is None]  # the model knows no resting stops

    def fired_stops(self, facts: Facts | None = None) -> list[KrakenOrder]:
        """Resting stops that have fired, and that the books don't know of yet."""
        unended = (facts or self.facts).unended
        return [order for order in orders_of_botctl(self.world) if order.fired_at and order.cl_ord_id in unended]

    def take_fired_stops(self) -> bool:
        """Whether there are any. What they have sold is no longer held."""
        fired = self.fired_stops()
        for order in fired:
            if position := self.model.positions.get(order.symbol):
                sold = min(order.vol_exec, position.held)
                position.held, position.sold = position.held - sold, position.sold + sold
        if fired:
            self.take_funds()
        return bool(fired)

    def newly_closed(self, facts: Facts) -> list[Closed]:
        known = {closed.trade_id for closed in self.facts.closed}
        return [closed for closed in facts.closed if closed.trade_id not in known]

    # Nothing was disturbed

    def check_exactly(self, expected: Expected, span: Span) -> None:
        """botctl did what the model did."""
        facts = read_facts(self.world)
        if UNPROTECTED not in span.run.stderr:  # of that the model knows nothing
            agree(span.run.exit_code, expected.exit_code, EXIT_CODE)
        sent = [Sent(order.side, order.symbol, order.volume) for order in self.new_orders(span)]
        agree(sorted(map(str, sent)), sorted(map(str, expected.sent)), "orders sent")
        closed = sorted((closed.symbol, closed.reason) for closed in self.newly_closed(facts))
        agree(closed, sorted(expected.closed), "trades closed")
        agree(facts.switch, dict(self.model.switch), "switch")
        agree((facts.unsettled, facts.pending), (0, frozenset()), "unsettled orders")
        agree(set(facts.open), set(self.model.positions), "open trades")
        self.check_funds()
        for symbol, position in self.model.positions.items():
            self._check_position(symbol, position, facts.open[symbol], span)
        if span.arguments[0] in VALUING and not (self.model.tripped or self.model.frozen):
            self._check_base(facts.base)
        self.facts = facts

    def _check_base(self, base: Decimal) -> None:
        """What drawdown is measured from. From here on only those funds are possible that agree."""
        units = sorted(fund.units for fund in self.model.funds)
        agreeing = [f for f in self.model.funds if f.was_emptied or abs(f.units - base) <= SLIGHTLY * base]
        assert agreeing, f"{BASE}: botctl {base}, model {', '.join(f'{each:.2f}' for each in units)}"
        self.model.keep(agreeing)

    def check_funds(self) -> None:
        balances = self.world.kraken.balances
        agree(balances["ZUSD"], self.model.cash, "cash")
        for symbol, coins in self.model.coins.items():
            agree(self._coins(symbol), coins, f"coins of {symbol}")

    def _check_position(self, symbol: str, position: Position, row: Any, span: Span) -> None:
        agree(row.amount, position.held, f"{symbol} held")
        agree(float(row.entry_price), position.entry, f"{symbol} entry price")
        agree(row.exiting or "", position.exiting, f"{symbol} exiting")
        for name, actual, wanted in (
            ("ATR", row.atr, position.atr),
            ("stop", row.stop_loss_price, position.stop),
            ("high", row.high_price, position.high),
        ):
            assert is_close(actual, wanted), f"{symbol} {name}: botctl {actual}, model {wanted}"
        checked_at = row.checked_at.timestamp()
        assert position.checked_at <= checked_at <= span.end, f"{symbol} checked at {row.checked_at}"
        # The same figure averaged in another order differs in its last bits: from here on both have the same ones.
        position.atr, position.stop, position.checked_at = row.atr, row.stop_loss_price, checked_at

    # Something was

    def take_over(
        self, before: SimpleModel, expected: Expected, span: Span, *, calm: bool, valued: bool = False
    ) -> None:
        """botctl did nothing that it must not do; the model goes on from what happened.

        With `calm` the journal was settled before, and the exchange's clock was right. With `valued` nothing kept it
        from valuing the account.
        """
        facts = read_facts(self.world)
        would_be = self.model
        self.model = before
        funds = [*before.funds_after(span.start, span.end)] if span.arguments[0] in VALUING else []
        new = self.new_orders(span)
        self._check_exit_code(expected, span, calm=calm)
        reasons = self._reasons(span)
        self._check_permission(new, facts, reasons, span)
        self._check_switch(facts, would_be, span)
        for closed in self.newly_closed(facts):
            allowed = reasons.get(closed.symbol, set())
            assert closed.reason in allowed, f"{closed.symbol} closed as {closed.reason}, allowed are {allowed}"
            self.model.closed_at[closed.symbol] = closed.at
        if span.run.exit_code == 0 and calm:
            agree(_names(new), _names(expected.sent), "exit code 0, and orders sent")
            agree(0, expected.exit_code, "exit code 0")
        self.model.positions = {
            symbol: self._adopt(symbol, row, facts, reasons.get(symbol, set()), span)
            for symbol, row in facts.open.items()
        }
        self.model.paused, self.model.frozen = facts.switch["paused"], facts.switch["frozen"]
        self.model.buys, self.model.tripped = facts.switch["buys"], facts.switch["tripped"]
        self.facts = facts
        self.under_way = reasons if facts.unsettled else {}
        self.model.keep(funds if valued and funds and not self.model.tripped else [*before.funds, *funds])
        self.take_funds()

    def take_funds(self) -> None:
        """Cash and coins as the exchange has them."""
        self.model.cash = self.world.kraken.balances["ZUSD"]
        self.model.coins = {symbol: self._coins(symbol) for symbol in self.model.coins}
        self.model.filled = dict.fromkeys(self.model.filled, Decimal(0))
        for order in orders_of_botctl(self.world):
            sign = 1 if order.side == "buy" else -1
            self.model.filled[order.symbol] += sign * order.vol_exec
            self.model.filled[CASH] -= sign * order.cost + order.fee

    def _coins(self, symbol: str) -> Decimal:
        return self.world.kraken.balances.get(self.world.kraken.markets[symbol].base.id, Decimal(0))

    def _check_exit_code(self, expected: Expected, span: Span, *, calm: bool) -> None:
        allowed = OUTCOMES | KILLED | {expected.exit_code}
        if not calm and span.arguments[0] == "sell":
            allowed |= {BAD_VALUE}  # an earlier sell may have left less than was thought
        assert span.run.exit_code in allowed, span.run.words

    def _check_permission(
        self, new: Iterable[KrakenOrder], facts: Facts, reasons: dict[str, set[str]], span: Span
    ) -> None:
        """Every order was asked for, and no safety rule stood against it."""
        for order in new:
            if order.side == "sell":
                assert reasons.get(order.symbol), f"nothing allowed to sell {order.symbol}"
            else:
                self._check_entry(order.symbol, span)
        active = len(facts.open) + len(facts.pending)
        limit = self.model.rules.max_open_trades
        assert active <= limit, f"{active} active trades, {limit} are allowed"

    def _check_entry(self, symbol: str, span: Span) -> None:
        by_hand = span.arguments[:2] == ("buy", symbol)
        by_council = span.arguments[0] == "tick" and self.model.council == "BUY"
        assert by_hand or by_council, f"nobody asked to buy {symbol}"
        assert self.model.switch_allows_entries, f"the switch allowed no buy of {symbol}"
        cool_at = self.model.closed_at.get(symbol, 0.0) + self.model.rules.cooldown_seconds
        assert cool_at <= span.end or self._is_skewed(cool_at), f"{symbol} was still cooling down"

    def _check_switch(self, facts: Facts, would_be: SimpleModel, span: Span) -> None:
        """Nothing but the commands that may do so moved the switch, and only the way they move it."""
        before = dict(self.model.switch)
        allowed = [before, dict(would_be.switch)]
        if self._may_trip(span):
            allowed.append({**before, "buys": False, "tripped": True})
        assert facts.switch in allowed, f"switch: botctl {facts.switch}, allowed are {allowed}"

    def _may_trip(self, span: Span) -> bool:
        guards = span.arguments[0] in ("tick", "drawdown") and not self.model.frozen
        return guards and (self.model.tripped or self.model.may_be_too_deep(span.start, span.end))

    # Why a trade may be left

    def _reasons(self, span: Span) -> dict[str, set[str]]:
        """For each symbol every reason for which this run may sell it or close it."""
        reasons: dict[str, set[str]] = {}
        for symbol in self.model.quotes:
            position = self.model.positions.get(symbol) or self._entered(symbol)
            if position:
                reasons[symbol] = self._reasons_of(symbol, position, span)
        return reasons

    def _reasons_of(self, symbol: str, position: Position, span: Span) -> set[str]:
        command, model = span.arguments[0], self.model
        found = {*filter(None, [position.exiting]), *self.under_way.get(symbol, ())}
        if command == "sell" and span.arguments[1] == symbol and not model.frozen:
            found.add("MANUAL")
        if command in ("tick", "check-positions") and not model.frozen:
            found |= self._stops_hit(symbol, position, span)
        if command == "tick" and model.council == "SELL" and not (model.paused or model.halted):
            found.add("COUNCIL")
        if self._may_trip(span):
            found.add("DRAWDOWN")
        if command == "liquidate":
            found.add("LIQUIDATION")
        if symbol.split("/")[0] in self.world.external_actions.touched:
            found.add("EXTERNAL")
        if any(order.symbol == symbol for order in self.fired_stops()):
            found |= {*STOPS}
        return found

    def _stops_hit(self, symbol: str, position: Position, span: Span) -> set[str]:
        """By the last price alone, and with the closes that a late look catches up."""
        last = float(self.model.quotes[symbol].last)
        missed = [float(price) for price in self._closes(symbol, position.checked_at, span.end)]
        if self._is_skewed(position.checked_at):  # by a wrong clock it may have caught up any of these prices
            most = self._highest(position, [*missed, last])
            return set(STOPS) if min(*missed, last) <= most.stop else set()
        paths = ([last], [*missed, last])
        twins = [(self._twin(position), path) for path in paths]
        return {reason for twin, path in twins if (reason := self.model.check_prices(twin, path, span.end))}

    def _highest(self, position: Position, prices: list[float]) -> Position:
        """The position as a look at all of these prices would leave it, were none of them a hit."""
        most = self._twin(position)
        most.high = max(most.high, *prices)
        most.stop = self.model.stop_after(most)
        return most

    @staticmethod
    def _twin(position: Position) -> Position:
        return Position(**vars(position))

    def _entered(self, symbol: str) -> Position | None:
        """A trade that the exchange knows of and the model does not yet."""
        holding = newest_holding(self.world, symbol)
        if holding is None or holding.entry.txid not in self.placed:
            return None
        placed = self.placed[holding.entry.txid]
        entry, atr = holding.price, self.model.atr(symbol, placed.start)
        stop = entry - ATR_MULTIPLE * atr
        return Position(holding.left, entry, atr, stop, entry, placed.start)

    def _held(self, symbol: str) -> Decimal:
        holding = newest_holding(self.world, symbol)
        return Decimal(0) if holding is None else holding.left

    # Where a stop may lie

    def _adopt(self, symbol: str, row: Any, facts: Facts, reasons: set[str], span: Span) -> Position:
        """The open trade as the books have it, once all of it was found possible."""
        before = self.facts.open.get(symbol)
        is_known = before is not None and before.id == row.id
        position = self._twin(self.model.positions[symbol]) if is_known else self._enter(symbol, row)
        if not facts.unsettled and symbol not in {order.symbol for order in self.fired_stops(facts)}:
            self._check_amount(symbol, row)
        self._check_stop(symbol, position, row, span)
        exiting = set(filter(None, [row.exiting]))
        assert exiting <= reasons | {position.exiting}, f"{symbol} is exiting for {exiting}, allowed are {reasons}"
        return Position(
            held=row.amount,
            entry=float(row.entry_price),
            atr=row.atr,
            stop=row.stop_loss_price,
            high=row.high_price,
            checked_at=row.checked_at.timestamp(),
            sold=row.sold_amount,
            exiting=row.exiting or "",
        )

    def _enter(self, symbol: str, row: Any) -> Position:
        """A new trade: its stop hangs from the price of its fills, by the ATR of the candles at its order."""
        holding = newest_holding(self.world, symbol)
        assert holding is not None, f"{symbol} is open, and the exchange bought nothing"
        placed = self.placed[holding.entry.txid]
        assert is_close(float(row.entry_price), holding.price), f"{symbol} entry: {row.entry_price}, {holding.price}"
        moments = (placed.start, placed.end)
        candidates = [self.model.atr(symbol, moment, self.world.kraken.clock.offset) for moment in moments]
        possible = any(is_close(row.atr, atr) for atr in candidates) or self._is_skewed(placed.start)
        assert possible, f"{symbol} ATR: botctl {row.atr}, model {candidates}"
        entry = float(row.entry_price)
        return Position(row.amount, entry, row.atr, entry - ATR_MULTIPLE * row.atr, entry, placed.start)

    def _check_amount(self, symbol: str, row: Any) -> None:
        """The ledger's figure; less is there only where the owner took some."""
        left = self._held(symbol)
        touched = symbol.split("/")[0] in self.world.external_actions.touched
        fits = row.amount <= left if touched else row.amount == left
        assert fits, f"{symbol} held: botctl {row.amount}, exchange {left}"

    def _check_stop(self, symbol: str, position: Position, row: Any, span: Span) -> None:
        """Never below what it was, and never above what a look at every price would have made of it."""
        seen = [*self._closes(symbol, position.checked_at, span.end), self.model.quotes[symbol].last]
        most = self._highest(position, [float(price) for price in seen])
        for name, low, actual, high in (
            ("stop", position.stop, row.stop_loss_price, most.stop),
            ("high", position.high, row.high_price, most.high),
        ):
            fits = low <= actual <= high or is_close(low, actual) or is_close(actual, high)
            assert fits, f"{symbol} {name}: botctl {actual}, possible are {low} to {high}"

    def _closes(self, symbol: str, since: float, until: float) -> list[Decimal]:
        """What a late look may catch up. A wrong clock may ask for others than the true quarters' closes."""
        if self._is_skewed(since):
            return self.model.history.prices_between(symbol, since - 4 * QUARTER, until)
        return self.model.history.closes(symbol, since, until)

    def _is_skewed(self, since: float) -> bool:
        """Whether the exchange's clock was wrong at or after `since`, or shortly before it."""
        return self.skewed_at > since - 4 * QUARTER


def _names(orders: Iterable[KrakenOrder | Sent]) -> list[tuple[str, str]]:
    return sorted({(order.side, order.symbol) for order in orders})
