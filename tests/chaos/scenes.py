"""The situations that trials begin from, and the command that is disturbed in each; then the way back to order."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from botctl.store.evidence.initial_balance import save_proved_balance
from tests.chaos.invariants import ALWAYS, SETTLED, Invariant, a_bare_trade_is_said, check
from tests.chaos.processes import Processes, Run
from tests.chaos.world import CALM_WAIT_SECONDS, QUARTER, Snapshot, World
from tests.fake_kraken import PartialThenCanceled, Request
from tests.postgres import Server

ENTRY = Decimal(100)
OUTCOMES = frozenset({0, 1, 3, 4, 69, 75, 78})
"""The exit codes that a run may end with, whatever is done to the exchange. 2 would blame the user."""


@dataclass(frozen=True)
class Scene:
    """A situation, and what botctl is asked to do in it."""

    prepare: Callable[[World], None]
    arguments: tuple[str, ...]


def prepare_nothing(world: World) -> None:
    """An account that only has money."""
    world.kraken.set_price("BTC/USD", 50000)
    world.kraken.flat_candles("BTC/USD", 50000, 500, 150)
    world.must("init")
    world.know_the_key()
    world.must("check-positions")  # so that markets, the owner's coins and the newest orders are known


def prepare_a_position(world: World) -> None:
    prepare_nothing(world)
    world.must("buy", "BTC/USD", f"{ENTRY}", "--yes")


def prepare_a_hit_stop(world: World) -> None:
    prepare_a_position(world)
    world.kraken.set_price("BTC/USD", 48000)


def prepare_a_rise(world: World) -> None:
    prepare_a_position(world)
    world.kraken.set_price("BTC/USD", 52000)


def prepare_a_fall_back(world: World) -> None:
    """The stop has moved up after a rise, and half of that rise is gone again."""
    prepare_a_rise(world)
    world.must("check-positions")
    world.kraken.set_price("BTC/USD", 51500)


def prepare_two_hit_stops(world: World) -> None:
    prepare_a_hit_stop(world)
    world.settings["SYMBOLS"] = "BTC/USD,ETH/USD"
    world.must("buy", "ETH/USD", f"{ENTRY}", "--yes")
    world.kraken.set_price("ETH/USD", 2000)


def prepare_a_decision_to_buy(world: World) -> None:
    prepare_nothing(world)
    world.council_says("BUY")


def prepare_a_decision_to_sell(world: World) -> None:
    prepare_a_position(world)
    world.council_says("SELL")


def prepare_a_deep_fall(world: World) -> None:
    """The account has lost more than its limit: the owner's own coins fell. Once it was worth what the setting says."""
    prepare_a_position(world)
    world.settings["INITIAL_BALANCE"] = "20000"
    with world.models():
        save_proved_balance(Decimal(20000))


def prepare_a_late_tick(world: World) -> None:
    """Two hours without a run, in which the price rose and came back."""
    prepare_a_position(world)
    closes = [50000] * 142 + [50500, 51500, 52500, 52000, 51800, 51700, 51600, 51550]
    world.kraken.set_candles("BTC/USD", closes)
    world.kraken.set_price("BTC/USD", 51500)
    world.clock.skip(8 * QUARTER)


def prepare_a_resting_stop(world: World) -> None:
    """A position whose stop also rests at Kraken, beside as many coins of the owner's."""
    prepare_nothing(world)
    world.owner_holds("BTC", Decimal("0.002"))
    world.settings["EXCHANGE_STOP"] = "on"
    world.must("buy", "BTC/USD", f"{ENTRY}", "--yes")


def prepare_no_resting_stop(world: World) -> None:
    prepare_nothing(world)
    world.settings["EXCHANGE_STOP"] = "on"


def prepare_a_hit_stop_above_a_resting_one(world: World) -> None:
    prepare_a_resting_stop(world)
    world.kraken.set_price("BTC/USD", 48700)


def prepare_a_hit_stop_without_a_hold(world: World) -> None:
    """Kraken keeps no coins back for a stop that waits."""
    prepare_a_resting_stop(world)
    world.kraken.account.stops_hold_coins = False
    world.kraken.set_price("BTC/USD", 48700)


def prepare_a_fired_stop(world: World) -> None:
    """It fired while nobody looked, and the price is back."""
    prepare_a_resting_stop(world)
    world.kraken.set_price("BTC/USD", 48000)
    world.kraken.set_price("BTC/USD", 50500)


def prepare_a_partly_fired_stop(world: World) -> None:
    prepare_a_resting_stop(world)
    world.kraken.account.orders[-1].mode = PartialThenCanceled(Decimal("0.25"))
    world.kraken.set_price("BTC/USD", 48000)


def prepare_a_rise_above_a_resting_stop(world: World) -> None:
    prepare_a_resting_stop(world)
    world.kraken.set_price("BTC/USD", 52000)


def prepare_a_decision_to_sell_above_a_resting_stop(world: World) -> None:
    prepare_a_resting_stop(world)
    world.council_says("SELL")


SCENES: dict[str, Scene] = {
    "a buy by hand": Scene(prepare_nothing, ("buy", "BTC/USD", f"{ENTRY}", "--yes")),
    "a sell by hand": Scene(prepare_a_position, ("sell", "BTC/USD", "--yes")),
    "a sell of a part": Scene(prepare_a_position, ("sell", "BTC/USD", "0.001", "--yes")),
    "a stop that is hit": Scene(prepare_a_hit_stop, ("check-positions",)),
    "a stop that moves": Scene(prepare_a_rise, ("check-positions",)),
    "a price that falls back": Scene(prepare_a_fall_back, ("check-positions",)),
    "a tick that buys": Scene(prepare_a_decision_to_buy, ("tick",)),
    "a tick that sells": Scene(prepare_a_decision_to_sell, ("tick",)),
    "a tick that stops out": Scene(prepare_a_hit_stop, ("tick",)),
    "a tick that stops out two": Scene(prepare_two_hit_stops, ("tick",)),
    "a tick that comes late": Scene(prepare_a_late_tick, ("tick",)),
    "a drawdown": Scene(prepare_a_deep_fall, ("tick",)),
    "a liquidation": Scene(prepare_a_position, ("liquidate", "--yes")),
    "a buy with a resting stop": Scene(prepare_no_resting_stop, ("buy", "BTC/USD", f"{ENTRY}", "--yes")),
    "a hit stop above a resting one": Scene(prepare_a_hit_stop_above_a_resting_one, ("check-positions",)),
    "a hit stop and coins that are not held": Scene(prepare_a_hit_stop_without_a_hold, ("tick",)),
    "a resting stop that has fired": Scene(prepare_a_fired_stop, ("tick",)),
    "a resting stop that has fired in part": Scene(prepare_a_partly_fired_stop, ("tick",)),
    "a resting stop that moves": Scene(prepare_a_rise_above_a_resting_stop, ("tick",)),
    "a sell of a part beside a resting stop": Scene(prepare_a_resting_stop, ("sell", "BTC/USD", "0.001", "--yes")),
    "a tick that sells beside a resting stop": Scene(prepare_a_decision_to_sell_above_a_resting_stop, ("tick",)),
    "a liquidation beside a resting stop": Scene(prepare_a_resting_stop, ("liquidate", "--yes")),
}

RESTING = tuple(name for name in SCENES if "resting" in name or "not held" in name)
"""Those with a stop at Kraken, or that place one."""


@dataclass(frozen=True)
class Undisturbed:
    """What a scene's command does when nothing disturbs it."""

    requests: tuple[Request, ...]
    commits: int
    statements: int
    begins: list[int]
    """The numbers of the statements that begin a transaction."""

    @property
    def endpoints(self) -> list[str]:
        return [request.endpoint for request in self.requests]


@dataclass
class Stage:
    """Builds each scene once, and hands out fresh copies of it."""

    processes: Processes
    server: Server | None = None
    """Where databases are kept that are no files."""
    _kept: dict[Callable[[World], None], Snapshot] = field(default_factory=dict)
    _undisturbed: dict[str, Undisturbed] = field(default_factory=dict)

    def set(self, scene: str) -> World:
        """A world in which this scene is about to begin."""
        return self.after(SCENES[scene].prepare)

    def after(self, prepare: Callable[[World], None]) -> World:
        """A world that was prepared so."""
        if prepare not in self._kept:
            world = World(self.processes, server=self.server)
            try:
                prepare(world)
                self._kept[prepare] = world.snapshot()
            finally:
                world.close()
        return World(self.processes, self._kept[prepare], self.server)

    def undisturbed(self, scene: str) -> Undisturbed:
        """What trials of this scene are measured by; played once."""
        if scene not in self._undisturbed:
            world = self.set(scene)
            try:
                world.kraken.clear_requests()
                counts = world.count(*SCENES[scene].arguments)
                self._undisturbed[scene] = Undisturbed(tuple(world.kraken.requests), **counts)
            finally:
                world.close()
        return self._undisturbed[scene]

    def close(self) -> None:
        """Forget the scenes. Worlds that were set stay as they are."""
        for snapshot in self._kept.values():
            shutil.rmtree(snapshot.folder)
            if self.server:
                self.server.drop(snapshot.database)
        self._kept.clear()


def act(world: World, scene: str, **options: object) -> Run:
    """Let the scene's command run."""
    return world.run(*SCENES[scene].arguments, **options)  # type: ignore[arg-type]


def check_words(run: Run, outcomes: frozenset[int] = OUTCOMES) -> None:
    """A run ends with an exit code of the list and one clear line, whatever happened: never with a traceback."""
    assert run.exit_code in outcomes, run.words
    assert "Traceback" not in run.stderr, run.words
    assert "bug:" not in run.stdout + run.stderr, run.words


MOST_TICKS = 8


def recover(world: World, always: Iterable[Invariant] = ALWAYS, settled: Iterable[Invariant] = SETTLED) -> None:
    """The runs that cron brings, until the journal is settled and a tick had nothing to complain of."""
    world.council_is_silent()
    for _ in range(MOST_TICKS):
        run = world.run("tick", wait_seconds=CALM_WAIT_SECONDS)
        check_words(run)
        check(world, (*always, a_bare_trade_is_said))
        if run.exit_code in (0, 3) and not count_unsettled(world):
            break
        world.clock.skip(QUARTER)
    else:
        raise AssertionError(f"not settled after {MOST_TICKS} ticks: {run.words}")
    check(world, settled)


def count_unsettled(world: World) -> int:
    """How many orders have no known ending yet."""
    from botctl.domain.orders import UNSETTLED
    from botctl.store.models import Order

    with world.models():
        return int(Order.select().where(Order.state.in_(UNSETTLED)).count())


def guard_is_awake(world: World, settled: Iterable[Invariant] = SETTLED, *, ticks: int = 1) -> None:
    """The proof that nothing is left unguarded: the price falls by half, and so many ticks later nothing is held."""
    for market in world.kraken.markets:
        if not market.symbol.startswith("EUR"):
            world.kraken.set_price(market.symbol, market.last / 2)
    for _ in range(ticks):
        run = world.run("tick", wait_seconds=CALM_WAIT_SECONDS)
        check_words(run)
        if not (left := held_symbols(world)):
            break
        world.clock.skip(QUARTER)
    assert left == [], run.words
    check(world, settled)


def held_symbols(world: World) -> list[str]:
    """The symbols of the trades that are open, or being opened."""
    from botctl.store.models import Trade

    with world.models():
        return [trade.symbol for trade in Trade.select().where(Trade.status.in_(["OPEN", "PENDING"]))]
