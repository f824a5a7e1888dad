"""A Hypothesis state machine plays with a world and with a simple model of it, and compares them after every step.

Commands, prices, time, the owner's own trades, conditions of the exchange, faults and kills come in any order.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import wraps
from typing import Any, Concatenate

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.chaos.compared_runs import ComparedRuns
from tests.chaos.disturbances import LOCKOUT, Disturbances
from tests.chaos.history import QUARTER
from tests.chaos.interference import ACTS, attempt
from tests.chaos.kills import COMMIT_BOUNDARIES, REQUEST_BOUNDARIES
from tests.chaos.modelled_world import PRICES, TRADE_AMOUNT, GameSettings, ModelledWorld, prepare
from tests.chaos.scenes import Stage
from tests.chaos.step_log import StepLog, Tally
from tests.fake_kraken import PartialThenCanceled, Pieces, Slow
from tests.fake_kraken.faults import KINDS

ERRORS = (
    "EService:Unavailable",
    "EService:Busy",
    "EGeneral:Internal error",
    "EAPI:Rate limit exceeded",
    "EAPI:Invalid nonce",
    "EOrder:Insufficient funds",
    LOCKOUT,
)
ENDPOINTS = (
    "*",
    "AddOrder",
    "BalanceEx",
    "Ticker",
    "OHLC",
    "OpenOrders",
    "ClosedOrders",
    "QueryOrders",
    "QueryTrades",
)
BODIES = (None, [], {}, {"error": []}, {"error": [], "result": []}, {"error": [], "result": {"a": {}}}, "down")

AMOUNTS = (*["3000"] * 6, *["2500.55"] * 3, "0", "0.4", "2.4", "3", "12.5", "9999", "15000")
SWITCHES = ("resume", "resume --enable-buys", "pause", "pause --freeze", "HALT")

symbols = st.sampled_from(sorted(PRICES))


def step[**P](
    play: Callable[Concatenate["TradingStateMachine", P], None],
) -> Callable[Concatenate["TradingStateMachine", P], None]:
    """One step: logged, counted, and followed by the invariants."""

    @wraps(play)
    def played(machine: "TradingStateMachine", *args: P.args, **kwargs: P.kwargs) -> None:
        machine.log.add_step(play.__name__, kwargs)
        with machine.game.explaining_failures():
            play(machine, *args, **kwargs)
            machine.game.runs.check_invariants()
        machine.log.tally.steps += 1

    return played


class Game:
    """What one game is played with."""

    def __init__(self, stage: Stage, settings: GameSettings, log: StepLog) -> None:
        self.world = stage.after(prepare)
        self.modelled = ModelledWorld(self.world, settings, log)
        self.disturbances = Disturbances(self.world)
        self.runs = ComparedRuns(self.modelled, self.disturbances, log)
        self._log = log

    @contextmanager
    def explaining_failures(self) -> Iterator[None]:
        """A failure comes with the whole log."""
        try:
            yield
        except Exception as error:
            raise self._log.surprise(error, self.world.kraken.bugs) from error

    def end(self) -> None:
        """Unless it has failed already, it must end well. Its world is over then."""
        try:
            if not self._log.failed:
                self._log.add("the end")
                with self.explaining_failures():
                    self.runs.end_well()
        finally:
            self.world.close()


class TradingStateMachine(RuleBasedStateMachine):
    """The steps that Hypothesis draws, each of them a line or two about the game."""

    resting = False
    """Whether stops rest at Kraken."""

    def __init__(self, stage: Stage, tally: Tally) -> None:
        super().__init__()
        self.stage = stage
        self.log = StepLog(tally)
        self._game: Game | None = None

    @property
    def game(self) -> Game:
        assert self._game is not None, "a step before `begin`"
        return self._game

    @initialize(
        number=st.integers(0, 2**16),
        most=st.sampled_from((2, 2, 1)),
        cooldown=st.sampled_from((1, 1, 25)),
        breakeven=st.integers(1, 2),
        spread=st.sampled_from((Decimal(0), Decimal("0.0004"))),
        bought=st.sampled_from(((), *[(symbol,) for symbol in PRICES], tuple(PRICES))),
    )
    def begin(
        self, number: int, most: int, cooldown: int, breakeven: int, spread: Decimal, bought: tuple[str, ...]
    ) -> None:
        assume(number)  # Hypothesis begins with the simplest example, one rule again and again: it teaches nothing
        self.log.add(f"MAX_OPEN_TRADES={most} COOLDOWN_MINUTES={cooldown} BREAKEVEN_ATR={breakeven} spread={spread}")
        settings = GameSettings(most, cooldown, breakeven, spread, self.resting)
        self._game = game = Game(self.stage, settings, self.log)
        with game.explaining_failures():
            for symbol in bought:
                game.runs.run("buy", symbol, f"{TRADE_AMOUNT:f}", "--yes")

    def teardown(self) -> None:
        if self._game:
            self._game.end()

    # Commands

    @rule(says=st.sampled_from(("HOLD", "SELL")))
    @step
    def tick(self, says: str) -> None:
        self.game.modelled.council_says(says)
        self.game.runs.run("tick")

    @rule()
    @step
    def tick_that_may_buy(self) -> None:
        self.game.modelled.council_says("BUY")
        self.game.runs.run("tick")

    @rule(symbol=symbols, amount=st.sampled_from(AMOUNTS))
    @step
    def buy(self, symbol: str, amount: str) -> None:
        self.game.runs.run("buy", symbol, amount, "--yes")

    @rule(symbol=symbols, share=st.one_of(st.none(), st.integers(0, 120)))
    @step
    def sell(self, symbol: str, share: int | None) -> None:
        """All of it, or so many hundredths of what is held."""
        position = self.game.modelled.model.positions.get(symbol)
        held = position.held if position else Decimal(1)
        self.game.runs.run("sell", symbol, *([] if share is None else [f"{held * share / 100:f}"]), "--yes")

    @rule()
    @step
    def check_positions(self) -> None:
        self.game.runs.run("check-positions")

    @rule(command=st.sampled_from(("drawdown", "drawdown", "liquidate --yes")))
    @step
    def guard(self, command: str) -> None:
        self.game.runs.run(*command.split())

    @rule(command=st.sampled_from(SWITCHES))
    @step
    def turn_the_switch(self, command: str) -> None:
        if command == "HALT":
            self.game.modelled.halt()
        else:
            self.game.runs.run(*command.split())

    @rule()
    @step
    def set_going(self) -> None:
        """Remove all that keeps botctl from buying."""
        self.game.modelled.remove_halt()
        self.game.runs.run("resume", "--enable-buys")

    # Prices and time

    @rule(symbol=symbols, hundredths_of_a_percent=st.integers(-150, 150))
    @step
    def drift(self, symbol: str, hundredths_of_a_percent: int) -> None:
        self.game.modelled.multiply_price(symbol, hundredths_of_a_percent / Decimal(10000))

    @rule(level=st.sampled_from(("stop", "entry", "breakeven")), ticks=st.integers(-1, 1), looks=st.booleans())
    @step
    def go_close_to_a_level(self, level: str, ticks: int, looks: bool) -> None:
        """Where one tick of the price decides; often botctl looks at once."""
        self.game.modelled.set_prices_near(level, ticks)
        if looks:
            self.game.runs.run("check-positions")

    @rule(
        chosen=st.sampled_from((*[(symbol,) for symbol in PRICES], tuple(PRICES))),
        percent=st.sampled_from((3, 6, 25, -3, -6, -12, -35)),
    )
    @step
    def jump(self, chosen: tuple[str, ...], percent: int) -> None:
        for symbol in chosen:
            self.game.modelled.multiply_price(symbol, Decimal(percent) / 100)

    @rule(moves=st.lists(st.tuples(symbols, st.integers(-300, 400)), max_size=6), seconds=st.integers(0, 300))
    @step
    def let_time_pass(self, moves: list[tuple[str, int]], seconds: int) -> None:
        """Some seconds, or quarters of an hour in which the price moves, and nobody looks."""
        for symbol, hundredths_of_a_percent in moves:
            self.game.modelled.multiply_price(symbol, hundredths_of_a_percent / Decimal(10000))
            self.game.world.clock.skip(QUARTER)
        self.game.world.clock.skip(seconds)

    @rule(moves=st.lists(st.integers(-300, 400), min_size=3, max_size=8))
    @step
    def come_late(self, moves: list[int]) -> None:
        """Nobody looks while all prices move, then botctl does: it catches up each close that it missed."""
        for hundredths_of_a_percent in moves:
            for symbol in PRICES:
                self.game.modelled.multiply_price(symbol, hundredths_of_a_percent / Decimal(10000))
            self.game.world.clock.skip(QUARTER)
        self.game.runs.run("check-positions")

    # The owner

    @rule(side=st.sampled_from(("buy", "sell")), symbol=symbols, share=st.sampled_from((100, 50, 10)))
    @step
    def owner_trades(self, side: str, symbol: str, share: int) -> None:
        """By hand, in the web interface; what is sold may be the bot's."""
        self.game.modelled.owner_trades(side, symbol, Decimal(share) / 100)

    @rule(dollars=st.sampled_from((3000, 500, -50, -1000, -3000)))
    @step
    def owner_pays(self, dollars: int) -> None:
        """Into the account or out of it."""
        self.game.modelled.owner_pays(Decimal(dollars))

    # The exchange misbehaves, for the next run

    @rule(
        mode=st.one_of(
            st.builds(Slow, seconds=st.integers(1, 120), at_once=st.sampled_from((Decimal(0), Decimal("0.4")))),
            st.builds(Slow, looks=st.integers(1, 6), at_once=st.sampled_from((Decimal(0), Decimal("0.4")))),
            st.builds(Pieces, count=st.integers(2, 5), step=st.sampled_from((Decimal(0), Decimal("1.5")))),
            st.builds(PartialThenCanceled, fraction=st.sampled_from(tuple(map(Decimal, ("0", "0.3", "0.999"))))),
        )
    )
    @step
    def change_fill_mode(self, mode: Slow | Pieces | PartialThenCanceled) -> None:
        self.game.disturbances.fill(mode)

    @rule(seconds=st.integers(1, 60))
    @step
    def hide_new_orders(self, seconds: int) -> None:
        self.game.disturbances.hide_new_orders(seconds)

    @rule(
        kind=st.sampled_from(sorted(KINDS)),
        endpoint=st.sampled_from(ENDPOINTS),
        times=st.sampled_from((1, 1, 1, 2, 6)),
        skip=st.sampled_from((0, 0, 0, 1, 2, 3)),
        seconds=st.sampled_from((5, 15, 60)),
        error=st.sampled_from(ERRORS),
        body=st.sampled_from(BODIES),
    )
    @step
    def arm_a_fault(self, kind: str, endpoint: str, times: int, skip: int, seconds: int, error: str, body: Any) -> None:
        self.game.disturbances.arm_fault(kind, endpoint, times, skip, seconds, error, body)

    @rule(symbol=symbols, kind=st.sampled_from(sorted(KINDS)), seconds=st.sampled_from((5, 15, 60)))
    @step
    def spoil_an_order(self, symbol: str, kind: str, seconds: int) -> None:
        """The one request that must never be repeated."""
        self.game.disturbances.arm_fault(kind, "AddOrder", 1, 0, seconds, ERRORS[0], BODIES[0])
        held = symbol in self.game.modelled.model.positions
        self.game.runs.run(*(("sell", symbol) if held else ("buy", symbol, f"{TRADE_AMOUNT:f}")), "--yes")

    @rule(
        boundary=st.sampled_from((*REQUEST_BOUNDARIES, *COMMIT_BOUNDARIES)),
        number=st.integers(1, 9),
        signal_number=st.sampled_from((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
    )
    @step
    def doom_the_next_run(self, boundary: str, number: int, signal_number: signal.Signals) -> None:
        self.game.disturbances.ending = (boundary, number, signal_number)

    @rule(minutes=st.sampled_from((0, 0, 0, 1, 7, -2, -7)))
    @step
    def turn_the_exchanges_clock(self, minutes: int) -> None:
        self.game.world.kraken.clock.offset = minutes * 60.0

    @rule()
    @step
    def settle(self) -> None:
        self.game.runs.come_to_order()


class RestingStateMachine(TradingStateMachine):
    """Games in which stops rest at Kraken, and the owner lays hands on them."""

    resting = True

    @rule(act=st.sampled_from(("he cancels it", "he halves its amount", "he lowers it")))
    @step
    def owner_lays_hands_on_the_stops(self, act: str) -> None:
        attempt(self.game.world, ACTS[act])

    @rule(held=st.booleans())
    @step
    def hold_coins_for_stops(self, held: bool) -> None:
        self.game.world.kraken.account.stops_hold_coins = held

    @rule(
        kind=st.sampled_from(sorted(KINDS)),
        endpoint=st.sampled_from(("AmendOrder", "CancelOrder", "CancelOrderBatch", "OpenOrders", "AddOrder")),
        seconds=st.sampled_from((5, 15, 60)),
        error=st.sampled_from(ERRORS),
    )
    @step
    def spoil_a_stop(self, kind: str, endpoint: str, seconds: int, error: str) -> None:
        self.game.disturbances.arm_fault(kind, endpoint, 1, 0, seconds, error, None)
        self.game.runs.run("check-positions")

    @rule(symbol=symbols, depth=st.integers(10, 40), back=st.booleans())
    @step
    def fall_to_the_resting_stop(self, symbol: str, depth: int, back: bool) -> None:
        """Some tenths of an ATR below the stop; often the price is back before anybody looks."""
        position = self.game.modelled.model.positions.get(symbol)
        if position is None:
            return
        price = self.game.modelled.model.quotes[symbol].last
        self.game.modelled.set_price(symbol, Decimal(position.stop - position.atr * depth / 10))
        if back:
            self.game.modelled.set_price(symbol, price)
