"""A world with the simple model beside it: whatever is done to prices, switch or account is done to both."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from tests.chaos.comparison import Comparison
from tests.chaos.facts import read_facts
from tests.chaos.history import QUARTER, History
from tests.chaos.simple_model import LATE_AFTER, Quote, Rules, SimpleModel
from tests.chaos.step_log import StepLog
from tests.chaos.world import OPENING_CASH, World

PRICES = {"BTC/USD": Decimal(50000), "ETH/USD": Decimal(2500)}
TICKS = {"BTC/USD": Decimal("0.1"), "ETH/USD": Decimal("0.01")}
TRADE_AMOUNT = Decimal(3000)
LOWEST, HIGHEST = Decimal("0.3"), Decimal(3)
"""Prices stay between these multiples of where they began."""
GRID = 30.0
"""Runs begin on a grid of seconds: how long one really takes then plays no part in what the next one finds."""
SLOWEST = 15.0
"""Seconds that an undisturbed run may take, the guard's second snapshot included."""


@dataclass(frozen=True)
class GameSettings:
    """What differs from game to game."""

    max_open_trades: int
    cooldown_minutes: int
    breakeven_atr: int
    spread: Decimal
    resting: bool = False
    """Whether stops rest at Kraken."""

    def environment(self) -> dict[str, str]:
        """As botctl reads them."""
        return {
            "MAX_OPEN_TRADES": str(self.max_open_trades),
            "COOLDOWN_MINUTES": str(self.cooldown_minutes),
            "BREAKEVEN_ATR": str(self.breakeven_atr),
        } | ({"EXCHANGE_STOP": "on"} if self.resting else {})

    def rules(self) -> Rules:
        """As the model reads them."""
        cooldown_seconds = self.cooldown_minutes * 60.0
        return Rules(OPENING_CASH, TRADE_AMOUNT, self.max_open_trades, cooldown_seconds, float(self.breakeven_atr))


def prepare(world: World) -> None:
    """An account that only has money, and two markets."""
    world.settings["SYMBOLS"] = ",".join(PRICES)
    world.settings["TRADE_AMOUNT_USD"] = f"{TRADE_AMOUNT:f}"
    world.must("init")
    world.must("balance")
    world.know_the_key()
    world.must("drawdown")  # INITIAL_BALANCE is what the account is worth


class ModelledWorld:
    """One world and one model of it. Nothing here lets botctl run: see `ComparedRuns`."""

    def __init__(self, world: World, settings: GameSettings, log: StepLog) -> None:
        world.settings |= settings.environment()
        self.world = world
        self.base = math.ceil(world.clock.now())
        """The moment at which the game begins."""
        self.history = History(self.base, PRICES)
        world.let_candles_follow(self.history)
        model = SimpleModel(settings.rules(), self.history, OPENING_CASH, dict.fromkeys(PRICES, Decimal(0)))
        self.comparison = Comparison(world, model, read_facts(world))
        self._spread = settings.spread
        self.resting = settings.resting
        self._wrong_times = False
        """Whether the exchange's clock was wrong at a run, or at a trade of the owner."""
        self._log = log
        for symbol, price in PRICES.items():
            self.set_price(symbol, price)
        self.council_says("HOLD")

    @property
    def model(self) -> SimpleModel:
        """The model as it is now: after a disturbed run the comparison goes on with another one."""
        return self.comparison.model

    def council_says(self, decision: str) -> None:
        self.model.council = decision
        self.world.council_says(decision)

    def halt(self) -> None:
        """Put the file HALT beside the database."""
        self.world.halt_file.touch()
        self.model.halted = True

    def remove_halt(self) -> None:
        self.world.halt_file.unlink(missing_ok=True)
        self.model.halted = False

    # Prices

    def set_price(self, symbol: str, price: Decimal) -> None:
        last = price.quantize(TICKS[symbol])
        half = (last * self._spread / 2).quantize(TICKS[symbol])
        self.model.quotes[symbol] = quote = Quote(last, last - half, last + half)
        self.history.move(symbol, last, self.world.clock.now())
        self.world.kraken.set_price(symbol, last, quote.bid, quote.ask)
        self._log.add(f"   {symbol} {last}")

    def multiply_price(self, symbol: str, change: Decimal) -> None:
        price = self.model.quotes[symbol].last * (1 + change)
        self.set_price(symbol, min(max(price, PRICES[symbol] * LOWEST), PRICES[symbol] * HIGHEST))

    def set_prices_near(self, level: str, ticks: int) -> None:
        """Each open trade's price so many ticks from its "stop", "entry" or "breakeven"."""
        for symbol, position in self.model.positions.items():
            breakeven = position.entry + self.model.rules.breakeven_atr * position.atr
            price = {"stop": position.stop, "entry": position.entry, "breakeven": breakeven}[level]
            at = (Decimal(price) / TICKS[symbol]).to_integral_value(ROUND_FLOOR) * TICKS[symbol]
            self.set_price(symbol, at + ticks * TICKS[symbol])

    def reach_all_stops(self) -> None:
        for symbol, position in self.model.positions.items():
            self.set_price(symbol, min(self.model.quotes[symbol].last, Decimal(position.stop)))

    # The owner

    def owner_trades(self, side: str, symbol: str, part: Decimal) -> None:
        """Sells this part of the coins, or buys for this part of a fifth of the cash.

        Once the exchange's clock was wrong only the owner's own coins are sold: by a wrong time the sale of a trade's
        coins, or one of his own before it, may seem to be older than what botctl knows, and is no evidence then. So
        may one while an entry is still being filled.
        """
        if side == "sell" and self.resting and self.comparison.facts.unsettled:
            return
        self._wrong_times = self._wrong_times or self.world.kraken.clock.offset != 0 or self.comparison.skewed_at > 0
        most = self.model.coins[symbol] if side == "sell" else self.model.cash / 5 / self.model.quotes[symbol].last
        if side == "sell" and symbol in self.model.positions and self._wrong_times:
            most = max(Decimal(0), most - self.model.positions[symbol].held)
        (self.model.owners_own if side == "buy" else self.model.owners_sales).add(symbol)
        self.world.owner_trades(side, symbol, (most * part).quantize(Decimal("1e-8"), ROUND_FLOOR))
        self.comparison.take_funds()

    def owner_pays(self, dollars: Decimal) -> None:
        """Into the account, or out of it what is there at most."""
        amount = max(dollars, -self.model.cash)
        self.world.external_actions.cash += amount
        self.world.kraken.balances["ZUSD"] += amount
        self.comparison.take_funds()

    # Time

    def wait_until_seconds_play_no_part(self) -> None:
        """On to the next moment of the grid at which no quarter ends, nothing becomes late and nothing cools down
        while a run takes its seconds."""
        moment = self.base + math.ceil((self.world.clock.now() - self.base) / GRID) * GRID
        while any(moment - 1 <= turn <= moment + SLOWEST for turn in self._turns(moment)):
            moment += GRID
        self.world.clock.set(moment)

    def _turns(self, moment: float) -> Iterator[float]:
        yield math.ceil(moment / QUARTER) * QUARTER
        yield from (position.checked_at + LATE_AFTER for position in self.model.positions.values())
        yield from (at + self.model.rules.cooldown_seconds for at in self.model.closed_at.values())

    @property
    def is_skewed(self) -> bool:
        """Whether the exchange's clock is wrong, or was while one of the open trades was last looked at."""
        since = min([position.checked_at for position in self.model.positions.values()], default=math.inf)
        return self.world.kraken.clock.offset != 0 or self.comparison.skewed_at > since - 4 * QUARTER

    def note_a_wrong_clock(self) -> None:
        if self.world.kraken.clock.offset:
            self.comparison.skewed_at = self.world.clock.now()
