"""A Hypothesis state machine plays with a world and with a simple model of it, and compares them after every step.

Commands, prices, time, the owner's own trades, moods of the exchange, faults and kills come in any order.
"""

import math
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from functools import wraps
from typing import Any, Concatenate

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.chaos.comparison import Comparison, Span
from tests.chaos.facts import read_facts
from tests.chaos.history import QUARTER, History
from tests.chaos.invariants import ALWAYS, SETTLED, a_tripped_drawdown_ends_flat, check
from tests.chaos.kills import COMMIT_BOUNDARIES, REQUEST_BOUNDARIES, run_until
from tests.chaos.processes import Run
from tests.chaos.scenes import MOST_TICKS, Stage, guard_is_awake
from tests.chaos.simple_model import LATE_AFTER, Quote, Rules, SimpleModel
from tests.chaos.world import OPENING_CASH, World
from tests.fake_kraken import Instant, PartialThenCanceled, Pieces, Slow
from tests.fake_kraken.faults import KINDS

PRICES = {"BTC/USD": Decimal(50000), "ETH/USD": Decimal(2500)}
TICKS = {"BTC/USD": Decimal("0.1"), "ETH/USD": Decimal("0.01")}
TRADE_AMOUNT = Decimal(3000)
LOWEST, HIGHEST = Decimal("0.3"), Decimal(3)
"""Prices stay between these multiples of where they began."""
GRID = 30.0
"""Runs begin on a grid of seconds: how long one really takes then plays no part in what the next one finds."""
SLOWEST = 15.0
"""Seconds that an undisturbed run may take, the guard's second look included."""
QUIET = tuple(invariant for invariant in SETTLED if invariant is not a_tripped_drawdown_ends_flat)
"""What holds whenever the journal is settled, also when a run was ended before it could sell everything."""
SPOILED_PATIENCE, CALM_PATIENCE = 0.25, 5.0
"""Real seconds until a run stops waiting for an answer: where nothing is spoiled each one comes, if late."""
LOCKOUT, LOCKED_SECONDS = "EGeneral:Temporary lockout", 900.0
"""After it no private call is made for so long."""
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


class Surprise(AssertionError):
    """botctl did what the model did not: the whole story, step by step."""


@dataclass
class Tally:
    """What was really played."""

    steps: int = 0
    runs: int = 0
    undisturbed: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    """How undisturbed runs and the trades that they closed ended."""
    played: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """The story of each failure that was met, also of those on the way to the shortest."""


def step[**P](play: Callable[Concatenate["Game", P], None]) -> Callable[Concatenate["Game", P], None]:
    """One step: told in the story, counted, and followed by the invariants."""

    @wraps(play)
    def played(game: "Game", *args: P.args, **kwargs: P.kwargs) -> None:
        words = ", ".join(f"{name}={value}" for name, value in kwargs.items())
        game.tally.played.append(f"{play.__name__}({words})")
        game.tell(f"{game.tally.steps + 1}. {game.tally.played[-1]}")
        try:
            play(game, *args, **kwargs)
            game.check_invariants_of_world()
        except Exception as error:
            raise game.surprise(error) from error
        game.tally.steps += 1

    return played


def prepare(world: World) -> None:
    """An account that only has money, and two markets."""
    world.settings["SYMBOLS"] = ",".join(PRICES)
    world.settings["TRADE_AMOUNT_USD"] = f"{TRADE_AMOUNT:f}"
    world.must("init")
    world.must("balance")


class Game(RuleBasedStateMachine):
    """One world, and the model beside it."""

    def __init__(self, stage: Stage, tally: Tally) -> None:
        super().__init__()
        self.stage = stage
        self.tally = tally
        self.story: list[str] = []
        self.failed = False
        self.world: World | None = None

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
        self.tell(f"MAX_OPEN_TRADES={most} COOLDOWN_MINUTES={cooldown} BREAKEVEN_ATR={breakeven} spread={spread}")
        self.world = world = self.stage.after(prepare)
        world.settings["MAX_OPEN_TRADES"] = str(most)
        world.settings["COOLDOWN_MINUTES"] = str(cooldown)
        world.settings["BREAKEVEN_ATR"] = str(breakeven)
        self.base = math.ceil(world.clock.now())
        self.spread = spread
        self.history = History(self.base, PRICES)
        world.let_candles_follow(self.history)
        rules = Rules(OPENING_CASH, TRADE_AMOUNT, most, cooldown * 60.0, float(breakeven))
        self.model = SimpleModel(rules, self.history, OPENING_CASH, dict.fromkeys(PRICES, Decimal(0)))
        self.comparison = Comparison(world, self.model, read_facts(world))
        self.ending: tuple[str, int, int] | None = None
        self.spoiled = self.locks_out = False
        self.locked_until = 0.0
        for symbol, price in PRICES.items():
            self.set_price(symbol, price)
        self.hear_council("HOLD")
        try:
            for symbol in bought:
                self.run("buy", symbol, f"{TRADE_AMOUNT:f}", "--yes")
        except Exception as error:
            raise self.surprise(error) from error

    def tell(self, words: str) -> None:
        self.story.append(words)

    def surprise(self, error: Exception) -> Surprise:
        self.failed = True
        bugs = [f"the fake Kraken itself failed: {bug}" for bug in self.world.kraken.bugs]
        story = "\n".join([f"{type(error).__name__}: {error}", "how it came to that:", *self.story, *bugs])
        self.tally.failures.append(story)
        return Surprise(story)

    def check_invariants_of_world(self) -> None:
        check(self.world, QUIET if self.comparison.facts.unsettled == 0 else ALWAYS)

    def teardown(self) -> None:
        if self.world is None:
            return
        try:
            if not self.failed:
                self.end()
        finally:
            self.world.close()

    # Commands

    @rule(says=st.sampled_from(("HOLD", "SELL")))
    @step
    def tick(self, says: str) -> None:
        self.hear_council(says)
        self.run("tick")

    @rule()
    @step
    def tick_that_may_buy(self) -> None:
        self.hear_council("BUY")
        self.run("tick")

    def hear_council(self, says: str) -> None:
        self.model.council = says
        self.world.council_says(says)

    @rule(symbol=symbols, amount=st.sampled_from(AMOUNTS))
    @step
    def buy(self, symbol: str, amount: str) -> None:
        self.run("buy", symbol, amount, "--yes")

    @rule(symbol=symbols, share=st.one_of(st.none(), st.integers(0, 120)))
    @step
    def sell(self, symbol: str, share: int | None) -> None:
        """All of it, or so many hundredths of what is held."""
        position = self.model.positions.get(symbol)
        held = position.held if position else Decimal(1)
        self.run("sell", symbol, *([] if share is None else [f"{held * share / 100:f}"]), "--yes")

    @rule()
    @step
    def check_positions(self) -> None:
        self.run("check-positions")

    @rule(command=st.sampled_from(("drawdown", "drawdown", "liquidate --yes")))
    @step
    def guard(self, command: str) -> None:
        self.run(*command.split())

    @rule(command=st.sampled_from(SWITCHES))
    @step
    def turn_the_switch(self, command: str) -> None:
        if command == "HALT":
            self.world.database.with_name("HALT").touch()
            self.model.halted = True
        else:
            self.run(*command.split())

    @rule()
    @step
    def set_going(self) -> None:
        """Remove all that keeps botctl from buying."""
        self.world.database.with_name("HALT").unlink(missing_ok=True)
        self.model.halted = False
        self.run("resume", "--enable-buys")

    # Prices and time

    @rule(symbol=symbols, hundredths_of_a_percent=st.integers(-150, 150))
    @step
    def drift(self, symbol: str, hundredths_of_a_percent: int) -> None:
        self.multiply_price(symbol, hundredths_of_a_percent / Decimal(10000))

    @rule(level=st.sampled_from(("stop", "entry", "breakeven")), ticks=st.integers(-1, 1), looks=st.booleans())
    @step
    def go_close_to_a_level(self, level: str, ticks: int, looks: bool) -> None:
        """Where one tick of the price decides; often botctl looks at once."""
        for symbol, position in self.model.positions.items():
            breakeven = position.entry + self.model.rules.breakeven_atr * position.atr
            price = {"stop": position.stop, "entry": position.entry, "breakeven": breakeven}[level]
            at = (Decimal(price) / TICKS[symbol]).to_integral_value(ROUND_FLOOR) * TICKS[symbol]
            self.set_price(symbol, at + ticks * TICKS[symbol])
        if looks:
            self.run("check-positions")

    @rule(
        chosen=st.sampled_from((*[(symbol,) for symbol in PRICES], tuple(PRICES))),
        percent=st.sampled_from((3, 6, 25, -3, -6, -12, -35)),
    )
    @step
    def jump(self, chosen: tuple[str, ...], percent: int) -> None:
        for symbol in chosen:
            self.multiply_price(symbol, Decimal(percent) / 100)

    @rule(moves=st.lists(st.tuples(symbols, st.integers(-300, 400)), max_size=6), seconds=st.integers(0, 300))
    @step
    def let_time_pass(self, moves: list[tuple[str, int]], seconds: int) -> None:
        """Some seconds, or quarters of an hour in which the price moves, and nobody looks."""
        for symbol, hundredths_of_a_percent in moves:
            self.multiply_price(symbol, hundredths_of_a_percent / Decimal(10000))
            self.world.clock.skip(QUARTER)
        self.world.clock.skip(seconds)

    @rule(moves=st.lists(st.integers(-300, 400), min_size=3, max_size=8))
    @step
    def come_late(self, moves: list[int]) -> None:
        """Nobody looks while all prices move, then botctl does: it catches up each close that it missed."""
        for hundredths_of_a_percent in moves:
            for symbol in PRICES:
                self.multiply_price(symbol, hundredths_of_a_percent / Decimal(10000))
            self.world.clock.skip(QUARTER)
        self.run("check-positions")

    def multiply_price(self, symbol: str, change: Decimal) -> None:
        price = self.model.quotes[symbol].last * (1 + change)
        self.set_price(symbol, min(max(price, PRICES[symbol] * LOWEST), PRICES[symbol] * HIGHEST))

    def set_price(self, symbol: str, price: Decimal) -> None:
        last = price.quantize(TICKS[symbol])
        half = (last * self.spread / 2).quantize(TICKS[symbol])
        self.model.quotes[symbol] = quote = Quote(last, last - half, last + half)
        self.history.move(symbol, last, self.world.clock.now())
        self.world.kraken.set_price(symbol, last, quote.bid, quote.ask)
        self.tell(f"   {symbol} {last}")

    # The owner

    @rule(side=st.sampled_from(("buy", "sell")), symbol=symbols, share=st.sampled_from((100, 50, 10)))
    @step
    def owner_trades(self, side: str, symbol: str, share: int) -> None:
        """By hand, in the web interface; what is sold may be the bot's."""
        part = Decimal(share) / 100
        most = self.model.coins[symbol] if side == "sell" else self.model.cash / 5 / self.model.quotes[symbol].last
        self.world.owner_trades(side, symbol, (most * part).quantize(Decimal("1e-8"), ROUND_FLOOR))
        self.comparison.take_funds()

    @rule(dollars=st.sampled_from((3000, 500, -50, -1000, -3000)))
    @step
    def owner_pays(self, dollars: int) -> None:
        """Into the account or out of it."""
        amount = max(Decimal(dollars), -self.model.cash)
        self.world.external_actions.cash += amount
        self.world.kraken.balances["ZUSD"] += amount
        self.comparison.take_funds()

    # The exchange misbehaves, for the next run

    @rule(
        mood=st.one_of(
            st.builds(Slow, seconds=st.integers(1, 120), at_once=st.sampled_from((Decimal(0), Decimal("0.4")))),
            st.builds(Slow, looks=st.integers(1, 6), at_once=st.sampled_from((Decimal(0), Decimal("0.4")))),
            st.builds(Pieces, count=st.integers(2, 5), step=st.sampled_from((Decimal(0), Decimal("1.5")))),
            st.builds(PartialThenCanceled, fraction=st.sampled_from(tuple(map(Decimal, ("0", "0.3", "0.999"))))),
        )
    )
    @step
    def change_the_engines_mood(self, mood: Slow | Pieces | PartialThenCanceled) -> None:
        self.world.kraken.account.fill_mode = mood
        self.spoiled = True

    @rule(seconds=st.integers(1, 60))
    @step
    def hide_new_orders(self, seconds: int) -> None:
        self.world.kraken.account.closed_orders_lag = seconds
        self.spoiled = True

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
        self.arm(kind, endpoint, times, skip, seconds, error, body)

    @rule(symbol=symbols, kind=st.sampled_from(sorted(KINDS)), seconds=st.sampled_from((5, 15, 60)))
    @step
    def spoil_an_order(self, symbol: str, kind: str, seconds: int) -> None:
        """The one request that must never be repeated."""
        self.arm(kind, "AddOrder", 1, 0, seconds, ERRORS[0], BODIES[0])
        held = symbol in self.model.positions
        self.run(*(("sell", symbol) if held else ("buy", symbol, f"{TRADE_AMOUNT:f}")), "--yes")

    def arm(self, kind: str, endpoint: str, times: int, skip: int, seconds: int, error: str, body: Any) -> None:
        text = {"error": error, "warning": "WGeneral:Odd"}.get(kind)
        self.locks_out |= text == LOCKOUT
        if kind == "empty_result":
            times = 1  # fills that don't show twice cost their exact figures, long after an order's end: by design
        self.world.kraken.fault(endpoint, kind, times, skip, seconds=seconds, error=text, body=body)
        self.spoiled = True

    @rule(
        boundary=st.sampled_from((*REQUEST_BOUNDARIES, *COMMIT_BOUNDARIES)),
        number=st.integers(1, 9),
        signal_number=st.sampled_from((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
    )
    @step
    def doom_the_next_run(self, boundary: str, number: int, signal_number: signal.Signals) -> None:
        self.ending = (boundary, number, signal_number)

    @rule(minutes=st.sampled_from((0, 0, 0, 1, 7, -2, -7)))
    @step
    def turn_the_exchanges_clock(self, minutes: int) -> None:
        self.world.kraken.clock.offset = minutes * 60.0

    @rule()
    @step
    def settle(self) -> None:
        self.come_to_order()

    def come_to_order(self) -> None:
        """The exchange behaves, and cron goes on, until a tick has nothing to complain of."""
        self.calm_down()
        self.world.kraken.clock.offset = 0.0
        self.hear_council("HOLD")
        for _ in range(MOST_TICKS):
            code, facts = self.run("tick").exit_code, self.comparison.facts
            is_done = code == 0 or (code == 3 and not facts.open)  # a tripped guard goes on until all is sold
            if is_done and not facts.unsettled:
                break
            self.world.clock.skip(QUARTER)
        else:
            raise AssertionError(f"not settled after {MOST_TICKS} ticks")
        if not self.model.frozen:
            check(self.world, SETTLED)

    def end(self) -> None:
        """Whatever was played: the journal settles, and no position is left without its stop."""
        self.tell("the end")
        try:
            self.come_to_order()
            self.run("resume")
            for symbol, position in self.model.positions.items():
                self.set_price(symbol, min(self.model.quotes[symbol].last, Decimal(position.stop)))
            guard_is_awake(self.world)
            assert self.world.kraken.bugs == [], "the fake Kraken itself failed"
        except Exception as error:
            raise self.surprise(error) from error

    # A run, and what it is compared with

    def run(self, *arguments: str) -> Run:
        """Let botctl run, and hold what it did against the model."""
        world, spoiled, ending = self.world, self.is_spoiled, self.ending
        calm = self.comparison.facts.unsettled == 0 and not self.is_skewed
        self.wait_until_seconds_play_no_part()
        start = world.clock.now()
        before = self.model.twin()
        expected = self.model.run(arguments, start)
        patience = SPOILED_PATIENCE if spoiled else CALM_PATIENCE
        run = run_until(world, arguments, *ending) if ending else world.run(*arguments, patience=patience)
        self.calm_down()
        self.tell(f"   botctl {' '.join(arguments)}: {'disturbed, ' if spoiled else ''}{told(run)}")
        span = Span(arguments, start, world.clock.now(), run)
        self.note_a_wrong_clock()
        assert "Traceback" not in run.stderr, run.words
        assert "bug:" not in run.stdout + run.stderr, run.words
        if spoiled:
            self.comparison.take_over(before, expected, span, calm=calm)
        else:
            self.comparison.check_exactly(expected, span)
        self.model = self.comparison.model
        self.tally.runs += 1
        if not spoiled:
            self.tally.undisturbed += 1
            self.tally.seen.update([f"exit code {run.exit_code}", *(reason for _, reason in expected.closed)])
        return run

    @property
    def is_spoiled(self) -> bool:
        """Whether the next run is disturbed by anything."""
        unsettled = self.comparison.facts.unsettled > 0
        is_locked_out = self.world.clock.now() < self.locked_until
        return self.spoiled or self.ending is not None or unsettled or self.is_skewed or is_locked_out

    @property
    def is_skewed(self) -> bool:
        """Whether the exchange's clock is wrong, or was while one of the open trades was last looked at."""
        since = min([position.checked_at for position in self.model.positions.values()], default=math.inf)
        return self.world.kraken.clock.offset != 0 or self.comparison.skewed_at > since - 4 * QUARTER

    def note_a_wrong_clock(self) -> None:
        if self.world.kraken.clock.offset:
            self.comparison.skewed_at = self.world.clock.now()

    def calm_down(self) -> None:
        """What was armed for one run is over; what hangs comes to its end."""
        kraken = self.world.kraken
        self.world.come_to_rest()
        kraken.clear_faults()
        kraken.account.fill_mode, kraken.account.closed_orders_lag = Instant(), 0.0
        if self.locks_out:
            self.locked_until = self.world.clock.now() + LOCKED_SECONDS
        self.spoiled, self.locks_out, self.ending = False, False, None

    def wait_until_seconds_play_no_part(self) -> None:
        """On to the next moment of the grid at which no quarter ends, nothing becomes late and nothing cools down
        while a run takes its seconds."""
        moment = self.base + math.ceil((self.world.clock.now() - self.base) / GRID) * GRID
        while any(moment - 1 <= turn <= moment + SLOWEST for turn in self.turns(moment)):
            moment += GRID
        self.world.clock.set(moment)

    def turns(self, moment: float) -> Iterator[float]:
        yield math.ceil(moment / QUARTER) * QUARTER
        yield from (position.checked_at + LATE_AFTER for position in self.model.positions.values())
        yield from (at + self.model.rules.cooldown_seconds for at in self.model.closed_at.values())


def told(run: Run) -> str:
    """A run in one line."""
    return f"exit code {run.exit_code} " + " | ".join(run.stderr.splitlines())
