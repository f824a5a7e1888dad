"""Which cases of a test run at every change, which with `-m long` alone, and which with `-m soak` alone."""

from collections.abc import Iterable, Sequence
from itertools import cycle, product
from math import gcd
from typing import Any

import pytest
from _pytest.mark import ParameterSet

Names = str | tuple[str, ...]


def parametrize(
    names: Names, cases: Iterable[Any], *, quick: int, long: int | None = None, **options: Any
) -> pytest.MarkDecorator:
    """pytest's own, where all but the first `quick` cases are long: they prove the same of other values. If `long` is
    given so many of them are, spread over all, and the others are soak."""
    cases = list(cases)
    rest = cases[quick:]
    kept = _spread(len(rest), len(rest) if long is None else long)
    kinds = [pytest.mark.long if place in kept else pytest.mark.soak for place in range(len(rest))]
    marked = [_marked(names, case, kind) for case, kind in zip(rest, kinds, strict=True)]
    return pytest.mark.parametrize(names, [*cases[:quick], *marked], **options)


def parametrize_pairs(
    names: Names,
    ones: Sequence[Any],
    others: Sequence[Any],
    *,
    without: Sequence[tuple[Any, Any]] = (),
    quick: int | None = None,
    long: int | None = None,
) -> pytest.MarkDecorator:
    """Every one with every other, but for those `without`. Quick are as few pairs as it takes for each value to be in
    one, or the first `quick` of these. The others are long; if `long` is given, the next so many, and the rest soak."""
    most = max(len(ones), len(others)) if quick is None else quick
    first = {(at % len(ones), at % len(others)) for at in range(most)}
    then = {(at % len(ones), at % len(others)) for at in range(most + (long or 0))}

    def kind_of(pair: tuple[int, int]) -> list[pytest.MarkDecorator]:
        if pair in first:
            return []
        return [pytest.mark.long if long is None or pair in then else pytest.mark.soak]

    return pytest.mark.parametrize(
        names,
        [
            pytest.param(ones[i], others[j], marks=kind_of((i, j)))
            for i, j in product(range(len(ones)), range(len(others)))
            if (ones[i], others[j]) not in without
        ],
    )


def by_turns(names: Names, cases: Iterable[Any], *, turn: int, of: int) -> pytest.MarkDecorator:
    """pytest's own, for one of `of` tests that try the same cases in other ways: each has its turn with some of them,
    which are long there, and the others soak."""
    kinds = [pytest.mark.long if place == turn else pytest.mark.soak for place in range(of)]
    return pytest.mark.parametrize(names, [_marked(names, case, kind) for case, kind in zip(cases, cycle(kinds))])


def _spread(count: int, wanted: int) -> set[int]:
    """So many places of `count`, far from each other. By the golden section, and not by even steps: of cases that
    repeat in a rhythm those would meet some kinds alone."""
    step = next((step for step in range(round(0.618 * count), count) if gcd(step, count) == 1), 1)
    return {place * step % count for place in range(min(wanted, count))}


def _marked(names: Names, case: Any, kind: pytest.MarkDecorator) -> ParameterSet:
    """A case marked `kind` too, be it of one name or of several, and whatever marks it has already."""
    if isinstance(case, ParameterSet):
        return case._replace(marks=[*case.marks, kind])
    several = not isinstance(names, str) or "," in names
    return pytest.param(*(case if several else [case]), marks=kind)
