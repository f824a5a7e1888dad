"""What Kraken may be like for a while, without any single answer being wrong: slow, thin, late, strict, out of step."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from tests.chaos.campaign import SEPARATOR
from tests.chaos.faults import run_in_trouble
from tests.chaos.scenes import SCENES, Stage, check_words, guard_is_awake, recover
from tests.chaos.world import World
from tests.fake_kraken import Instant, Never, PartialThenCanceled, Pieces, Slow
from tests.fake_kraken.api_key import CallLimit

Condition = Callable[[World], None]
MINUTE = 60.0


def fills(mode: Instant | Slow | Pieces | PartialThenCanceled | Never) -> Condition:
    """Orders are filled so."""

    def set_in(world: World) -> None:
        world.kraken.account.fill_mode = mode

    return set_in


def appears_after(seconds: float = 0, looks: int = 0) -> Condition:
    """A new order is in no list for so long, or for so many look-ups."""

    def set_in(world: World) -> None:
        world.kraken.account.closed_orders_lag, world.kraken.account.closed_orders_lag_looks = seconds, looks

    return set_in


def clock_off_by(seconds: float) -> Condition:
    """This machine's clock was set wrong a moment ago: Kraken's is so far ahead of it."""

    def set_in(world: World) -> None:
        world.kraken.clock.offset = seconds

    return set_in


def nonce_ahead_by(seconds: float) -> Condition:
    """Another client has used this key with nonces from the future."""

    def set_in(world: World) -> None:
        world.kraken.key.last_nonce = int((world.kraken.clock.now() + seconds) * 1000)

    return set_in


def counter(full: float) -> Condition:
    """Kraken counts calls at its lowest tier, and this many are on the account already."""

    def set_in(world: World) -> None:
        world.kraken.key.call_limit = CallLimit(15, 0.33, count=full, counted_at=world.kraken.clock.now())

    return set_in


def status(word: str) -> Condition:
    """Kraken as a whole is in this mode."""

    def set_in(world: World) -> None:
        world.kraken.markets.system_status = word

    return set_in


CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "open for five seconds": fills(Slow(seconds=5)),
        "open for three minutes": fills(Slow(seconds=3 * MINUTE)),
        "open for two looks": fills(Slow(looks=2)),
        "half at once, the rest a minute later": fills(Slow(seconds=MINUTE, at_once=Decimal("0.5"))),
        "half at once, the rest in half an hour": fills(Slow(seconds=30 * MINUTE, at_once=Decimal("0.5"))),
        "filled in three pieces": fills(Pieces(3)),
        "filled in seven pieces at ever worse prices": fills(Pieces(7, Decimal("3.7"))),
        "canceled half filled": fills(PartialThenCanceled(Decimal("0.5"))),
        "canceled all but filled": fills(PartialThenCanceled(Decimal("0.99"))),
        "canceled unfilled": fills(PartialThenCanceled(Decimal(0))),
        "open until somebody cancels": fills(Never()),
        "in no list for five seconds": appears_after(seconds=5),
        "in no list for a minute": appears_after(seconds=MINUTE),
        "in no list for two looks": appears_after(looks=2),
        "clock five minutes slow": clock_off_by(5 * MINUTE),
        "clock five minutes fast": clock_off_by(-5 * MINUTE),
        "clock half an hour slow": clock_off_by(30 * MINUTE),
        "clock half an hour fast": clock_off_by(-30 * MINUTE),
        "nonce three seconds ahead": nonce_ahead_by(3),
        "nonce a minute ahead": nonce_ahead_by(MINUTE),
        "nonce a day ahead": nonce_ahead_by(86400),
        "counted calls": counter(0),
        "counted calls, counter full": counter(15),
        "maintenance": status("maintenance"),
        "cancel_only": status("cancel_only"),
        "post_only": status("post_only"),
    }
)
WITH = ("reset before", "reset after", "time-out, processed late", "HTTP 502", "truncated JSON")
"""Faults that are also tried under every condition, from the first order of a run on."""


def end_condition(world: World) -> None:
    """End the condition, and cancel what it left open."""
    kraken = world.kraken
    kraken.account.fill_mode = Instant()
    kraken.account.closed_orders_lag = kraken.account.closed_orders_lag_looks = 0
    kraken.clock.offset = 0.0
    kraken.key.call_limit = None
    kraken.markets.system_status = "online"
    if kraken.key.last_nonce > kraken.clock.now() * 1000:
        kraken.key.last_nonce = int(kraken.clock.now() * 1000) - 1  # the owner has made a new key
    for order in kraken.orders:
        if order.is_open:
            kraken.account.cancel_order(order)


class ExchangeConditions:
    """A run and a tick under one condition, with and without a fault."""

    name = "conditions"
    about = "a run while Kraken is slow, thin, late, strict or out of step"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        for scene in SCENES:
            yield from self.trials_of(stage, scene)

    def trials_of(self, stage: Stage, scene: str) -> Iterator[str]:
        asked = stage.undisturbed(scene).endpoints
        first = asked.index("AddOrder") + 1 if "AddOrder" in asked else len(asked)
        for condition in CONDITIONS:
            yield SEPARATOR.join((self.name, condition, scene))
            for position in range(first, len(asked) + 1):
                for kind in WITH:
                    yield SEPARATOR.join((self.name, condition, f"{scene}; {kind} at {position}"))

    def play(self, stage: Stage, trial: str) -> int:
        _, condition, where = trial.split(SEPARATOR)
        scene, _, fault = where.partition("; ")
        kind, _, position = fault.rpartition(" at ")
        world = stage.set(scene)
        try:
            CONDITIONS[condition](world)
            run_in_trouble(world, scene, {int(position): kind} if fault else {})
            world.council_is_silent()
            check_words(world.run("tick"))
            end_condition(world)
            recover(world)
            guard_is_awake(world)
        finally:
            world.close()
        return 1
