"""Sets of parameters to be tried against each other: axes, their every combination, and who is whose neighbour."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from math import prod

from botctl.domain.errors import BadValue
from botctl.domain.money import format_decimal, to_decimal
from botctl.domain.settings import SETTINGS

SWEPT = (
    "atr_multiple",
    "breakeven_atr",
    "atr_period",
    "cooldown_minutes",
    "max_open_trades",
    "trade_amount_usd",
    "max_drawdown",
)
"""The settings that a sweep may vary, by their names in small letters."""
MOST_VALUES = 10_000


@dataclass(frozen=True)
class Axis:
    """One setting and the values it takes, in order, as texts that its own parser reads."""

    name: str
    values: tuple[str, ...]


OF_THE_EXIT = ("atr_period", "trade_amount_usd", "atr_multiple", "breakeven_atr")
"""The settings that an exit depends on, from the costliest change to the cheapest: the ATR is worked out anew for each
period. In a grid they change last, so that exits found once serve many sets. The amount is among them since lots are
cut to eight decimals, and the entry price with them."""

Point = tuple[int, ...]
"""One set of parameters: for each axis the place of its value."""


def parse_axis(text: str) -> Axis:
    """`name=from:to:step` (both ends included) or `name=a,b,c`. Raises BadValue with what is wrong."""
    name, sign, given = text.partition("=")
    name = name.strip().lower()
    if not sign or name not in SWEPT:
        raise BadValue(f"--grid {text!r} names no setting that can be swept", hint=f"one of {', '.join(SWEPT)}")
    try:
        values = _steps(given) if ":" in given else [to_decimal(part) for part in given.split(",")]
    except ValueError as error:
        raise BadValue(f"--grid {text!r}: {error}", hint="write it like atr_multiple=1:4:0.25 or 1,2,3") from None
    axis = Axis(name, tuple(dict.fromkeys(format_decimal(value) for value in values)))
    _must_be_read(axis, text)
    return axis


def _must_be_read(axis: Axis, text: str) -> None:
    """Each value must be one that the setting itself takes: a period of 14.5 candles is none."""
    [parse] = [setting.parse for setting in SETTINGS if setting.name == axis.name.upper()]
    for value in axis.values:
        try:
            parse(value)
        except ValueError as error:
            raise BadValue(f"--grid {text!r}: {value} {error}", hint=f"leave it out of {axis.name}") from None


def _steps(given: str) -> list[Decimal]:
    if not re.fullmatch(r"[^:]+:[^:]+:[^:]+", given):
        raise ValueError("a range has three numbers, from:to:step")
    first, last, step = (to_decimal(part) for part in given.split(":"))
    if step <= 0 or last < first:
        raise ValueError("a range goes up, in steps above zero")
    if (last - first) / step > MOST_VALUES:
        raise ValueError(f"a range of more than {MOST_VALUES} values")
    return [first + step * place for place in range(int((last - first) / step) + 1)]


def arrange(axes: Sequence[Axis]) -> list[Axis]:
    """The same axes, those of the exit first. Raises BadValue when one is named twice."""
    if len({axis.name for axis in axes}) < len(axes):
        raise BadValue("--grid names a setting twice", hint="give all of its values in one --grid")
    order = {name: place for place, name in enumerate(OF_THE_EXIT)}
    return sorted(axes, key=lambda axis: order.get(axis.name, len(order)))


def count_points(axes: Sequence[Axis]) -> int:
    """How many combinations there are."""
    return prod(len(axis.values) for axis in axes)


def points(axes: Sequence[Axis]) -> Iterator[Point]:
    """Every combination."""
    return product(*(range(len(axis.values)) for axis in axes))


def values_at(axes: Sequence[Axis], point: Point) -> dict[str, str]:
    """A point's settings, by their names."""
    return {axis.name: axis.values[place] for axis, place in zip(axes, point, strict=True)}


def neighbours(axes: Sequence[Axis], point: Point) -> Iterator[Point]:
    """The points one step away on one axis: what a small change of one setting leads to."""
    for number, axis in enumerate(axes):
        for place in (point[number] - 1, point[number] + 1):
            if 0 <= place < len(axis.values):
                yield (*point[:number], place, *point[number + 1 :])
