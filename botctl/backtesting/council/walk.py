"""Plays a history bar by bar, and asks the Council as the ticks would: in their order, where its answer can matter,
with the trade that is open at that moment.

It finds the decisions. The engine then trades them like any others, by the functions that are used here as well.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from botctl.backtesting.council.account import Account, PlayedTrade, Position, exact_units
from botctl.backtesting.council.error_kinds import ErrorKinds
from botctl.backtesting.council.scene import NUMBERS, Scene, no_decisions
from botctl.backtesting.engine import (
    BacktestParameters,
    MarketArrays,
    break_even_of,
    can_be_stopped,
    has_limits,
    resting_distance,
    size_by_equity,
    size_order,
)
from botctl.backtesting.equity_curve import worth_at
from botctl.backtesting.exits import (
    COUNCIL,
    DRAWDOWN,
    LOTS_PER_UNIT,
    RESTING,
    STOPPED,
    cut_price,
    truncate_to_lot,
)
from botctl.backtesting.sales import sale_proceeds
from botctl.domain.candles import from_unix
from botctl.domain.decisions import Action, CouncilDecision
from botctl.domain.money import price_of
from botctl.domain.stops import advance_stop, exit_at_resting, initial_stop, resting_trigger
from botctl.domain.symbols import base_of
from botctl.ports import PastDecision, Progress

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]

NOTHING_TO_SELL, NOT_BOUGHT = "nothing to sell", "not bought"


class MovingClock(Protocol):
    """What moves on by one bar at each call."""

    def start_tick(self) -> bool: ...

    def now(self) -> datetime: ...


type Ask = Callable[[str], CouncilDecision]
"""The Council's decision on a symbol at the bar that is played. Raises BotError where a tick would have failed."""


class CouncilWalk:
    def __init__(
        self, scene: Scene, arrays: MarketArrays, parameters: BacktestParameters, account: Account, clock: MovingClock
    ) -> None:
        """`clock` is that of the market that the agents see; it stands before the first bar."""
        self.scene = scene
        self.symbols = scene.timeline.symbols
        self.arrays = arrays
        self.parameters = parameters
        self.account = account
        self.clock = clock
        self.errors = ErrorKinds()
        self._unanswered = set[int]()
        self._held = [0.0] * len(self.symbols)
        self._equity = self._exposure = 0.0
        self._kept = 1.0 - parameters.max_drawdown_peak
        self._floor = parameters.cash * max(self._kept, 1.0 - parameters.max_drawdown)

    def decide(self, ask: Ask, progress: Progress) -> "Array":
        """The decision on each symbol (row) at each bar; HOLD where it was not asked.

        Raises ConfigError for a Council that can't be seated.
        """
        arrays, total = self.arrays, self.arrays.last - self.arrays.first + 1
        decisions = no_decisions(len(self.symbols), len(arrays.times))
        for bar in range(arrays.first, arrays.last + 1):
            self.clock.start_tick()
            self._fire_resting_stops(bar)
            self.account.look()
            if self._guard_trips(bar):
                break
            self._check_stops(bar)
            actions = dict(self._ask(ask, bar))
            for symbol, action in actions.items():
                decisions[symbol, bar] = NUMBERS[action]
            self._act(actions, bar)
            progress(bar - arrays.first + 1, total)
        return decisions

    # One bar, in the order of a tick

    def _fire_resting_stops(self, bar: int) -> None:
        """Book what the stops at the exchange have sold inside the candles that close at this bar."""
        arrays, distance = self.arrays, resting_distance(self.parameters)
        for symbol, position in [*self.account.positions.items()] if distance >= 0.0 else []:
            trigger = cut_price(resting_trigger(position.stop, position.atr, distance))
            bid = exit_at_resting(trigger, arrays.fills[symbol, bar - 1], arrays.lows[symbol, bar])
            if bid > 0.0:
                self._close(symbol, bar, RESTING, bid)

    def _guard_trips(self, bar: int) -> bool:
        """Whether the drawdown guard trips, before the orders of this bar: it sells all, and nobody is asked again."""
        worth = self._equity = worth_at(self.arrays.closes, self._held, self.account.cash / LOTS_PER_UNIT, bar)
        if worth < self._floor:
            for symbol in [*self.account.positions]:
                self._close(symbol, bar, DRAWDOWN)
            return True
        self._floor = max(self._floor, worth * self._kept)
        return False

    def _check_stops(self, bar: int) -> None:
        parameters = self.parameters
        for symbol, position in [*self.account.positions.items()]:
            position.stop, position.high, hit = advance_stop(
                self.arrays.closes[symbol, bar], position.stop, position.high, position.entry, position.atr,
                parameters.atr_multiple, parameters.breakeven_atr, position.break_even,
            )  # fmt: skip
            if hit:
                self._close(symbol, bar, STOPPED)

    def _ask(self, ask: Ask, bar: int) -> Iterator[tuple[int, Action]]:
        """The decisions, those on open trades first: one that is sold makes room."""
        now, leaving = self.clock.now(), 0
        for symbol in sorted(range(len(self.symbols)), key=lambda symbol: symbol not in self.account.positions):
            if self.scene.silent[symbol][bar] and symbol not in self._unanswered:
                continue
            self._unanswered.discard(symbol)
            name = self.symbols[symbol]
            if why := self._why_not_asked(symbol, now, leaving):
                self.account.record(name, PastDecision(now, Action.HOLD, f"not asked: {why}", ""))
                continue
            decision = ask(name)
            if decision.error:  # the next tick asks again, whether or not another signal candle closes
                self.errors.add(bar, decision.error)
                self._unanswered.add(symbol)
            self.account.record(name, PastDecision(now, decision.action, decision.reason, ""))
            leaving += decision.action is Action.SELL and symbol in self.account.positions
            yield symbol, decision.action

    def _why_not_asked(self, symbol: int, now: datetime, leaving: int) -> str:
        """The rule of a tick: why no answer could matter, empty when one could."""
        account = self.account
        if symbol in account.positions:
            return ""
        if (until := account.cooldown_until(symbol, now)) is not None:
            return f"{base_of(self.symbols[symbol])} cools down until {until:%Y-%m-%d %H:%M} UTC after its last exit"
        return self._why_no_room(leaving)

    def _why_no_room(self, leaving: int = 0) -> str:
        active, limit = len(self.account.positions), self.parameters.max_open_trades
        return f"{active} trades are active, MAX_OPEN_TRADES is {limit}" if active - leaving >= limit else ""

    def _act(self, actions: dict[int, Action], bar: int) -> None:
        account = self.account
        for symbol in [symbol for symbol, action in actions.items() if action is Action.SELL]:
            position = account.positions.get(symbol)
            if position is not None:
                self._close(symbol, bar, COUNCIL)
            outcome = NOTHING_TO_SELL if position is None else f"sold trade {position.id}"
            account.record_outcome(self.symbols[symbol], outcome)
        self._exposure = worth_at(self.arrays.closes, self._held, 0.0, bar)
        for symbol in sorted(symbol for symbol, action in actions.items() if action is Action.BUY):
            account.record_outcome(self.symbols[symbol], self._buy(symbol, bar))

    def _buy(self, symbol: int, bar: int) -> str:
        """Open a trade as the engine does, if room, size and cash allow it. Returns what came of it."""
        arrays, parameters, account = self.arrays, self.parameters, self.account
        if symbol in account.positions:
            return f"kept: {account.already_open(symbol)}"
        if why := self._why_no_room():
            return f"refused: {why}"
        atr = arrays.atrs[symbol, bar]
        ask = arrays.fills[symbol, bar]
        if not can_be_stopped(ask, arrays.closes[symbol, bar], atr, parameters):
            return NOT_BOUGHT
        amount, cost = size_order(ask, self._budget(symbol, ask, atr), parameters.slippage)
        paid = cost + truncate_to_lot(cost * parameters.fee_rate)
        account.last_id += amount > 0.0
        if amount <= 0.0 or paid > account.cash:
            return NOT_BOUGHT
        entry, break_even = cost / amount, break_even_of(paid / amount, parameters)
        stop = initial_stop(entry, atr, parameters.atr_multiple)
        exact, played = exact_units(amount), PlayedTrade(symbol, bar, arrays.last + 1)
        account.trades.append(played)
        account.positions[symbol] = Position(
            played, account.last_id, exact, price_of(exact_units(cost), exact), from_unix(arrays.times[bar]),
            entry, atr, break_even, stop, entry,
        )  # fmt: skip
        account.cash -= paid
        self._exposure += cost / LOTS_PER_UNIT
        self._held[symbol] = amount / LOTS_PER_UNIT
        return f"bought: trade {account.last_id}"

    def _budget(self, symbol: int, ask: float, atr: float) -> float:
        """What a buy is to cost at the ask: by the equity before the orders of the bar, and what is in open trades."""
        parameters, share = self.parameters, self.arrays.shares[symbol]
        if not has_limits(self.arrays.shares, parameters):
            return parameters.trade_amount
        cash = self.account.cash / LOTS_PER_UNIT
        return size_by_equity(ask, atr, self._equity, self._exposure, cash, share, parameters)

    def _close(self, symbol: int, bar: int, ending: int, bid: float | None = None) -> None:
        """Sell at the next price, or at `bid`."""
        account, parameters = self.account, self.parameters
        price = self.arrays.fills[symbol, bar] if bid is None else bid
        account.cash += sale_proceeds(self._held[symbol], price, parameters.fee_rate, parameters.exit_slippage)
        played = account.positions.pop(symbol).played
        played.exited, played.ending = bar, ending
        account.last_exits[symbol] = self.arrays.times[bar]
        self._held[symbol] = 0.0
