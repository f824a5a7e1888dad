"""What happens to a resting stop beside botctl's own requests: the owner lays hands on it, or the price falls through
it. Before a run, and at each request of one: before it is processed, and after it was, before its answer."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from tests.chaos.campaign import SEPARATOR
from tests.chaos.invariants import ALWAYS, check
from tests.chaos.processes import Run
from tests.chaos.scenes import RESTING, Stage, act, check_words, guard_is_awake, recover
from tests.chaos.world import World
from tests.fake_kraken import Order, PartialThenCanceled, Pieces, Refusal, Request, Slow
from tests.fake_kraken.orders import FillMode

BTC = "BTC/USD"
Interfere = Callable[[World], None]


def stops_of_botctl(world: World) -> list[Order]:
    own = world.external_actions.owner_orders
    return [order for order in world.kraken.orders if order.is_waiting and order.txid not in own]


# The owner


def cancel(world: World) -> None:
    for order in stops_of_botctl(world):
        world.kraken.account.cancel_order(order)


def amend(part: Decimal = Decimal(1), higher: int = 0) -> Interfere:
    """Another amount or trigger, in Kraken's web interface. A raised trigger may set it off."""

    def interfere(world: World) -> None:
        for order in stops_of_botctl(world):
            assert order.trigger is not None
            figures = {"trigger_price": f"{order.trigger + higher:f}", "order_qty": f"{order.volume * part:f}"}
            world.external_actions.edited.add(str(order.cl_ord_id))
            world.kraken.result_of("AmendOrder", txid=order.txid, **figures)

    return interfere


def place_own_stop(world: World) -> None:
    """For as many coins as he has beside botctl's. What it sells is his."""
    market = world.kraken.markets[BTC]
    stop = {"ordertype": "stop-loss", "price": f"{market.last * Decimal('0.96'):.1f}", "volume": "0.002"}
    world.kraken.result_of("AddOrder", pair=market.id, type="sell", **stop)
    world.external_actions.owner_orders.add(world.kraken.orders[-1].txid)
    world.external_actions.touched.add("BTC")
    world.external_actions.coins.pop("BTC", None)


def replace(world: World) -> None:
    cancel(world)
    place_own_stop(world)


def cancel_his(world: World) -> None:
    for order in world.kraken.orders:
        if order.is_waiting and order.txid in world.external_actions.owner_orders:
            world.kraken.account.cancel_order(order)


def sell(part: Decimal) -> Interfere:
    """This part of all coins there are, as far as nothing holds them."""

    def interfere(world: World) -> None:
        held = world.kraken.account.holds.get("XXBT", Decimal(0))
        amount = (world.kraken.balances.get("XXBT", Decimal(0)) * part).quantize(Decimal("1e-8"))
        world.owner_trades("sell", BTC, min(amount, world.kraken.balances.get("XXBT", Decimal(0)) - held))

    return interfere


def cancel_and_sell(world: World) -> None:
    cancel(world)
    sell(Decimal(1))(world)


def buy(world: World) -> None:
    world.owner_trades("buy", BTC, Decimal("0.001"))


# The price


def fall(*prices: int) -> Interfere:
    """To each of these in turn, as from 50,000 with the resting stop at 48,500."""

    def interfere(world: World) -> None:
        for price in prices:
            world.kraken.set_price(BTC, price)

    return interfere


def filled(mode: FillMode, then: Interfere) -> Interfere:
    """What rests by now is filled so when it fires."""

    def interfere(world: World) -> None:
        for order in stops_of_botctl(world):
            order.mode = mode
        then(world)

    return interfere


THROUGH = fall(48400)
ACTS: Mapping[str, Interfere] = MappingProxyType(
    {
        "he cancels it": cancel,
        "he halves its amount": amend(Decimal("0.5")),
        "he doubles its amount": amend(Decimal(2)),
        "he lowers it": amend(higher=-2000),
        "he raises it above the stop": amend(higher=700),
        "he raises it above the price": amend(higher=5000),
        "he halves it, and it fires": lambda world: (amend(Decimal("0.5"))(world), THROUGH(world))[1],
        "he replaces it by his own": replace,
        "he places his own beside it": place_own_stop,
        "he sells what is free": sell(Decimal(1)),
        "he sells a little": sell(Decimal("0.1")),
        "he cancels it and sells all": cancel_and_sell,
        "he buys": buy,
        "the price touches it": fall(48500),
        "the price falls through it": THROUGH,
        "the price falls through it and is back": fall(48400, 50500),
        "the price halves": fall(25000),
        "it fires and fills a quarter": filled(PartialThenCanceled(Decimal("0.25")), THROUGH),
        "it fires and fills nothing": filled(PartialThenCanceled(Decimal(0)), THROUGH),
        "it fires and fills in pieces": filled(Pieces(3, Decimal("1.5")), THROUGH),
        "it fires and fills half, the rest a minute later": filled(Slow(seconds=60, at_once=Decimal("0.5")), THROUGH),
        "it fires and hangs for three looks": filled(Slow(looks=3), THROUGH),
    }
)
OF_HIS_COINS = ("he replaces it by his own", "he places his own beside it")
"""His own stop may sell the coins of a trade: then its sell has no fill, and they are gone. Two ticks must agree."""
MOST_TICKS = 3
SALES = ("he sells what is free", "he sells a little")
LEFT = "left the balance while its last sell is said to be canceled"
HELD_BY_HIS = "if your own orders hold its coins, cancel them"
HOLDS = ("coins held", "coins not held")
BEFORE_THE_RUN = "before the run"


class Interference:
    """One run, and one who interferes."""

    name = "interference"
    about = "a resting stop that the owner or the price lays hands on, before a run or at one request"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Every act at every moment of every scene with a resting stop, in both worlds of holds."""
        for scene in RESTING:
            yield from self.trials_of(stage, scene)

    def trials_of(self, stage: Stage, scene: str) -> Iterator[str]:
        requests = range(1, len(stage.undisturbed(scene).endpoints) + 1)
        moments = [BEFORE_THE_RUN, *(f"{when} request {number}" for number in requests for when in ("before", "after"))]
        for name in ACTS:
            for holds in HOLDS:
                for moment in moments:
                    yield SEPARATOR.join((self.name, name, f"{scene}; {moment}; {holds}"))

    def play(self, stage: Stage, trial: str) -> int:
        _, name, where = trial.split(SEPARATOR)
        scene, moment, holds, *thin = where.split("; ")
        world = stage.set(scene)
        try:
            world.kraken.account.stops_hold_coins = holds == HOLDS[0]
            if thin:
                world.kraken.account.fill_mode = PartialThenCanceled(Decimal("0.4"))
            check_words(act_amid(world, scene, moment, ACTS[name]))
            check(world, ALWAYS)
            if name in SALES and self._is_said(world, LEFT):
                return 1  # for as long as that sell is asked for, and none of his coins is sold in their place
            if name in OF_HIS_COINS and self._is_said(world, HELD_BY_HIS):
                cancel_his(world)
            recover(world)
            self._fall(world, name)
        finally:
            world.close()
        return 1

    def _fall(self, world: World, name: str) -> None:
        """Everything is sold. What his own stop sells of a trade's coins is missed, and said."""
        try:
            guard_is_awake(world, ticks=MOST_TICKS if name in OF_HIS_COINS else 1)
        except AssertionError as error:
            if name not in OF_HIS_COINS or LEFT not in str(error):
                raise

    def _is_said(self, world: World, what: str) -> bool:
        """Whether a tick ends with this, which no run can mend."""
        run = world.run("tick")
        check_words(run)
        check(world, ALWAYS)
        return run.exit_code != 0 and what in run.stderr


def act_amid(world: World, scene: str, moment: str, interfere: Interfere) -> Run:
    """The scene's command with this interference at its moment. What Kraken refuses the owner does not come about."""
    if moment == BEFORE_THE_RUN:
        attempt(world, interfere)
        return act(world, scene)
    when, _, number = moment.split()
    seen = 0

    def count(_request: Request) -> None:
        nonlocal seen
        seen += 1
        if seen == int(number):
            attempt(world, interfere)

    if when == "before":
        world.kraken.before = count
    else:
        world.kraken.after = count
    run = act(world, scene)
    world.kraken.before = world.kraken.after = None
    return run


def attempt(world: World, interfere: Interfere) -> None:
    """Whatever Kraken refuses does not come about."""
    with world.kraken.lock:
        try:
            interfere(world)
        except Refusal:
            return
