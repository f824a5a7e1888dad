"""Parameter grids: axes of values, all combinations, and the neighbours of each."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from math import prod

from botctl.domain.configuration.settings import SETTINGS
from botctl.domain.errors import BadValue
from botctl.domain.money import format_decimal, to_decimal

EXIT_PARAMETERS = (
    *("atr_period", "trade_amount_usd", "atr_multiple", "breakeven_atr", "breakeven_fees"),
    *("exchange_stop", "exchange_stop_atr"),
)
"""The settings that an exit depends on, from the most expensive change to the cheapest. In a grid they change last, so
that cached exits serve many sets. The amount is among them because lots have eight decimals, which moves the entry
price."""
LIMITS = ("risk_per_trade", "max_trade_amount", "max_exposure")
"""The settings that size an entry by what the account is worth, or cut it."""
SWEEPABLE = (
    *EXIT_PARAMETERS,
    "cooldown_minutes",
    "max_open_trades",
    "max_drawdown",
    "max_drawdown_peak",
    "min_stop_costs",
    *LIMITS,
)
"""The settings that a sweep may vary, in lower case."""
MAX_AXIS_VALUES = 10_000

Point = tuple[int, ...]
"""One set of parameters: the index of its value on each axis."""


@dataclass(frozen=True)
class Axis:
    """One setting and its values, in order, as texts for its own parser."""

    name: str
    values: tuple[str, ...]


def parse_axis(text: str) -> Axis:
    """`name=from:to:step` (both ends included) or `name=a,b,c`. Raises BadValue with what is wrong."""
    name, sign, values_text = text.partition("=")
    name = name.strip().lower()
    if not sign or name not in SWEEPABLE:
        raise BadValue(
            f"--grid {text!r} does not name a setting that can be swept", hint=f"one of {', '.join(SWEEPABLE)}"
        )
    try:
        values = _values(values_text)
    except ValueError as error:
        raise BadValue(f"--grid {text!r}: {error}", hint="write it like atr_multiple=1:4:0.25 or 1,2,3") from None
    axis = Axis(name, tuple(dict.fromkeys(values)))
    _check_values(axis, text)
    return axis


def _values(text: str) -> list[str]:
    words = [word.strip().lower() for word in text.split(",")]
    if {*words} <= {"yes", "no"} or {*words} <= {"on", "off"}:
        return words
    numbers = _range(text) if ":" in text else map(to_decimal, words)
    return [format_decimal(number) for number in numbers]


def _check_values(axis: Axis, text: str) -> None:
    """Each value must be valid for the setting itself: a period of 14.5 candles is not."""
    [parse] = [setting.parse for setting in SETTINGS if setting.name == axis.name.upper()]
    for value in axis.values:
        try:
            parse(value)
        except ValueError as error:
            raise BadValue(f"--grid {text!r}: {value} {error}", hint=f"leave it out of {axis.name}") from None


def _range(text: str) -> list[Decimal]:
    if not re.fullmatch(r"[^:]+:[^:]+:[^:]+", text):
        raise ValueError("a range has three numbers, from:to:step")
    first, last, step = (to_decimal(part) for part in text.split(":"))
    if step <= 0 or last < first:
        raise ValueError("a range must go up, in steps above zero")
    if (last - first) / step > MAX_AXIS_VALUES:
        raise ValueError(f"a range of more than {MAX_AXIS_VALUES} values")
    return [first + step * number for number in range(int((last - first) / step) + 1)]


def arrange(axes: Sequence[Axis]) -> list[Axis]:
    """The same axes, those of the exit first. Raises BadValue when a setting has two."""
    if len({axis.name for axis in axes}) < len(axes):
        raise BadValue("--grid names a setting twice", hint="give all of its values in one --grid")
    order = {name: number for number, name in enumerate(EXIT_PARAMETERS)}
    return sorted(axes, key=lambda axis: order.get(axis.name, len(order)))


def count_points(axes: Sequence[Axis]) -> int:
    return prod(len(axis.values) for axis in axes)


def points(axes: Sequence[Axis]) -> Iterator[Point]:
    return product(*(range(len(axis.values)) for axis in axes))


def values_at(axes: Sequence[Axis], point: Point) -> dict[str, str]:
    return {axis.name: axis.values[index] for axis, index in zip(axes, point, strict=True)}


def neighbours(axes: Sequence[Axis], point: Point) -> Iterator[Point]:
    """The points one step away on one axis."""
    for number, axis in enumerate(axes):
        for index in (point[number] - 1, point[number] + 1):
            if 0 <= index < len(axis.values):
                yield (*point[:number], index, *point[number + 1 :])
