"""What the chapter `lies` plays in: an owner with coins beside botctl's, a situation, and the way back to the truth."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from tests.chaos.facts import read_facts
from tests.chaos.history import History
from tests.chaos.invariants import AFTER_LIES, AMID_LIES, Broken, check
from tests.chaos.processes import Run
from tests.chaos.scenes import ENTRY, OUTCOMES, Stage, check_words, guard_is_awake, recover
from tests.chaos.world import CALM_WAIT_SECONDS, EPOCH, QUARTER, World
from tests.fake_kraken import Instant
from tests.fake_kraken.lies import FalseAnswer

BTC, ETH = "BTC/USD", "ETH/USD"
PRICES = {BTC: Decimal(50000), ETH: Decimal(2500)}
OWN = {"BTC": Decimal("0.0015"), "ETH": Decimal("0.03")}
"""Less than a trade holds, so that half of a balance is too little for it."""
DAY = 86400.0


def prepare_money(world: World) -> None:
    """An account with money and coins of the owner's; botctl holds nothing yet."""
    for asset, amount in OWN.items():
        world.owner_holds(asset, amount)
    for symbol, price in PRICES.items():
        world.kraken.set_price(symbol, price)
        world.kraken.flat_candles(symbol, price, price / 100)
    world.external_actions.amount = ENTRY
    world.settings |= {"SYMBOLS": f"{BTC},{ETH}", "INITIAL_BALANCE": "10150"}
    world.must("init")
    world.must("balance")


def prepare_eth(world: World) -> None:
    prepare_money(world)
    world.must("buy", ETH, f"{ENTRY}", "--yes")


def prepare_both(world: World) -> None:
    prepare_eth(world)
    world.must("buy", BTC, f"{ENTRY}", "--yes")


def prepare_a_decision(world: World) -> None:
    prepare_eth(world)
    world.council_says("BUY")


@dataclass
class Story:
    """One trial: a world whose candles follow its prices, what is run in it, and what is checked after each run."""

    world: World
    outcomes: frozenset[int] = OUTCOMES
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(EPOCH, PRICES)
        self.world.let_candles_follow(self.history)

    def move(self, symbol: str, price: Decimal | int, ago: float = 0) -> None:
        """It costs so much from now on, or did so for a while some seconds ago."""
        self.history.move(symbol, Decimal(price), self.world.clock.now() - ago)
        self.world.kraken.set_price(symbol, price)

    def run(self, *arguments: str) -> Run:
        """A run that ends with clear words and breaks nothing."""
        run = self.world.run(*arguments, wait_seconds=CALM_WAIT_SECONDS)
        check_words(run, self.outcomes)
        check(self.world, AMID_LIES)
        return run

    def check(self) -> None:
        check(self.world, AMID_LIES)

    def pass_time(self, seconds: float) -> None:
        self.world.clock.skip(seconds)

    def tell(self, *lies: FalseAnswer, answers: int | None = None) -> None:
        for lie in lies:
            self.world.kraken.lies.tell(lie, answers=answers)

    def expire_markets(self) -> None:
        """The next run reads the list of markets again."""
        with self.world.connect() as connection:
            connection.execute("DELETE FROM memory WHERE key = 'kraken.markets'")

    def open_stops(self) -> dict[str, float | None]:
        """The stop of each open trade, by symbol."""
        return {symbol: trade.stop_loss_price for symbol, trade in read_facts(self.world).open.items()}

    def tell_the_truth(self) -> None:
        """Whatever lied, hung or was hidden does so no more; what is open stays so."""
        kraken = self.world.kraken
        kraken.lies.end()
        kraken.clear_faults()
        kraken.before = kraken.after = None
        kraken.account.lie = None
        kraken.account.fill_mode = Instant()
        kraken.account.closed_orders_lag = kraken.account.closed_orders_lag_looks = 0
        for market in kraken.markets:
            market.status = "online"

    def end(self) -> None:
        """The truth returns, some calm ticks run, and a true crash finds everything guarded."""
        self.tell_the_truth()
        self.pass_time(QUARTER)
        try:
            recover(self.world, AMID_LIES, AFTER_LIES)
        except Broken:
            raise
        except AssertionError as error:
            raise Broken(f"everything_settles_once_the_truth_is_told: {error}") from error
        for symbol in PRICES:
            self.history.move(symbol, self.world.kraken.markets[symbol].last / 2, self.world.clock.now())
        guard_is_awake(self.world, AFTER_LIES)


@contextmanager
def story(stage: Stage, prepare: Callable[[World], None]) -> Iterator[Story]:
    """A story that begins so; its world is gone at the end."""
    world = stage.after(prepare)
    try:
        yield Story(world)
    finally:
        world.close()


@dataclass(frozen=True)
class Situation:
    """What is so before the lie, what botctl is asked to do amid it, and which symbols the truth sells at once."""

    prepare: Callable[[World], None]
    arguments: tuple[str, ...]
    begin: Callable[[Story], None] = lambda _story: None
    sold: tuple[str, ...] = ()


def hit_the_stop(story: Story) -> None:
    story.move(BTC, 48500)


def crash(story: Story) -> None:
    """By 40 % within a minute."""
    story.move(BTC, 30000)


def rise(story: Story) -> None:
    story.move(BTC, 52000)


def fall_back(story: Story) -> None:
    rise(story)
    story.run("check-positions")
    story.pass_time(60)
    story.move(BTC, 51500)


def sell_outside(story: Story) -> None:
    """The owner sells all coins, botctl's too."""
    story.world.owner_trades("sell", BTC, story.world.kraken.balances["XXBT"])


def miss_ticks(story: Story) -> None:
    """Two hours without a run, in which the price rose and came back."""
    story.pass_time(8 * QUARTER)
    story.move(BTC, 52500, ago=5 * QUARTER)
    story.move(BTC, 51800, ago=QUARTER / 2)


BUY = ("buy", BTC, f"{ENTRY}", "--yes")
SITUATIONS: Mapping[str, Situation] = MappingProxyType(
    {
        "a quiet day": Situation(prepare_both, ("tick",)),
        "a stop that is hit": Situation(prepare_both, ("tick",), hit_the_stop, (BTC,)),
        "a crash by 40 %": Situation(prepare_both, ("tick",), crash, (BTC,)),
        "a sale by the owner": Situation(prepare_both, ("tick",), sell_outside),
        "a rise": Situation(prepare_both, ("check-positions",), rise),
        "a price that falls back": Situation(prepare_both, ("check-positions",), fall_back),
        "two hours without a run": Situation(prepare_both, ("tick",), miss_ticks),
        "a buy by hand": Situation(prepare_eth, BUY),
        "a tick that buys": Situation(prepare_a_decision, ("tick",)),
        "a sell by hand": Situation(prepare_both, ("sell", BTC, "--yes")),
        "a sell of a part": Situation(prepare_both, ("sell", BTC, "0.001", "--yes")),
        "a liquidation": Situation(prepare_both, ("liquidate", "--yes")),
    }
)
GUARDING = (
    "a quiet day", "a sale by the owner", "a stop that is hit", "a crash by 40 %", "a rise", "a price that falls back",
    "two hours without a run",
)  # fmt: skip
BUYING = ("a buy by hand", "a tick that buys")
SELLING = ("a stop that is hit", "a crash by 40 %", "a sell by hand", "a sell of a part", "a liquidation")
ORDERING = (*BUYING, *SELLING)

ONE_ANSWER, A_MINUTE, AN_HOUR = "for one answer", "for a minute", "for an hour"
TERMS = (ONE_ANSWER, A_MINUTE, AN_HOUR)


def act_amid(story: Story, situation: Situation, term: str) -> Iterator[Run]:
    """The command of the situation, and the further runs of a lie that lasts: each as it ends."""
    yield story.run(*situation.arguments)
    story.world.council_is_silent()
    if term == A_MINUTE:
        story.pass_time(20)
        yield story.run("check-positions")
    elif term == AN_HOUR:
        for _ in range(4):
            story.pass_time(QUARTER)
            yield story.run("tick")
