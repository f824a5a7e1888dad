"""Lies about stops that rest: lists that lack, double or change them, and records that say another ending."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from tests.chaos.lie_families import TERMS, Family, play_amid
from tests.chaos.lie_stories import BTC, ETH, SITUATIONS, Situation, Story
from tests.chaos.scenes import Stage
from tests.chaos.world import World
from tests.fake_kraken.lies import (
    CanceledRecords,
    DoubledStops,
    EmptyList,
    FalseAnswer,
    LackingStops,
    OldAnswer,
    RestingRecords,
    WrongStops,
)


def with_stops(situation: Situation) -> Situation:
    """The same, with stops that rest at Kraken."""

    def prepare(world: World) -> None:
        world.settings["EXCHANGE_STOP"] = "on"
        situation.prepare(world)

    return replace(situation, prepare=prepare)


def fire(story: Story) -> None:
    """While nobody looks; the price is back."""
    story.move(BTC, 47500)
    story.move(BTC, 50200)


RESTING_SITUATIONS: Mapping[str, Situation] = MappingProxyType(
    {
        **{
            name: with_stops(SITUATIONS[name])
            for name in (
                "a quiet day", "a stop that is hit", "a crash by 40 %", "a sale by the owner", "a rise",
                "a tick that buys", "a sell by hand", "a sell of a part", "a liquidation",
            )
        },
        "a stop that has fired": with_stops(Situation(SITUATIONS["a quiet day"].prepare, ("tick",), fire)),
    }
)  # fmt: skip


def old_list(told: Story) -> FalseAnswer:
    """As it is before the run: what the run changes does not show."""
    return OldAnswer("OpenOrders", told.world.kraken.result_of("OpenOrders"))


def list_of_the_past(told: Story) -> FalseAnswer:
    """Every stop there ever was, as if none had ended."""
    orders = {order.txid: order for order in told.world.kraken.orders if order.trigger is not None}
    records = told.world.kraken.result_of("QueryOrders", txid=",".join(orders))
    return OldAnswer("OpenOrders", {"open": RestingRecords().change(records, told.world.kraken.lies.truth) or {}})


LISTS: Mapping[str, Callable[[Story], FalseAnswer]] = MappingProxyType(
    {
        "empty": lambda _: EmptyList("OpenOrders"),
        "lacking the newest": lambda _: LackingStops(),
        "lacking BTC": lambda _: LackingStops("XBTUSD"),
        "doubled": lambda _: DoubledStops(),
        "old": old_list,
        "of the past": list_of_the_past,
        **{
            f"{figure} {shown}": lambda _, figure=figure, factor=factor: WrongStops(figure, factor)
            for figure in ("vol", "trigger")
            for shown, factor in (("a tenth", "0.1"), ("half", "0.5"), ("double", "2"), ("tenfold", "10"))
            for factor in (Decimal(factor),)
        },
        "vol_exec half": lambda _: WrongStops("vol_exec", Decimal("0.5")),
        "vol_exec all": lambda _: WrongStops("vol_exec", Decimal(1)),
    }
)
RECORDS: Mapping[str, FalseAnswer] = MappingProxyType(
    {
        "resting still": RestingRecords(),
        "canceled": CanceledRecords(),
        "vol half": WrongStops("vol", Decimal("0.5"), "QueryOrders"),
        "vol double": WrongStops("vol", Decimal(2), "QueryOrders"),
        "vol_exec half": WrongStops("vol_exec", Decimal("0.5"), "QueryOrders"),
        "vol_exec all": WrongStops("vol_exec", Decimal(1), "QueryOrders"),
    }
)
HOLDS = ("coins held", "coins not held")


def holding(situation: Situation, holds: str) -> Situation:
    def begin(story: Story) -> None:
        story.world.kraken.account.stops_hold_coins = holds == HOLDS[0]
        situation.begin(story)

    return replace(situation, begin=begin)


def play_open_orders(stage: Stage, situation: str, shown: str, holds: str, term: str) -> None:
    """The list lies. What the rule sells is sold at once: an exit asks for no list."""
    play_amid(stage, holding(RESTING_SITUATIONS[situation], holds), term, lambda told: [LISTS[shown](told)])


def play_stop_records(stage: Stage, situation: str, shown: str, holds: str, term: str) -> None:
    """The records lie. An exit may have to wait for the truth."""
    chosen = holding(RESTING_SITUATIONS[situation], holds)
    play_amid(stage, chosen, term, lambda _: [RECORDS[shown]], about=[BTC, ETH])


RESTING: tuple[Family, ...] = (
    Family("open orders", (tuple(RESTING_SITUATIONS), tuple(LISTS), HOLDS, TERMS), play_open_orders),
    Family("records of stops", (tuple(RESTING_SITUATIONS), tuple(RECORDS), HOLDS, TERMS), play_stop_records),
)
