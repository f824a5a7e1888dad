"""Which cases of a test run at every change, which with `-m long` alone, and which with `-m soak` alone."""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import pytest
from _pytest.mark import ParameterSet

Names = str | tuple[str, ...]


def parametrize(names: Names, cases: Iterable[Any], *, quick: int, **options: Any) -> pytest.MarkDecorator:
    """pytest's own, where all but the first `quick` cases are long: they prove the same of other values."""
    cases = list(cases)
    return pytest.mark.parametrize(names, [*cases[:quick], *map(_marker(names), cases[quick:])], **options)


def parametrize_pairs(
    names: Names,
    ones: Sequence[Any],
    others: Sequence[Any],
    *,
    without: Sequence[tuple[Any, Any]] = (),
    quick: int | None = None,
) -> pytest.MarkDecorator:
    """Every one with every other, but for those `without`. Quick are as few pairs as it takes for each value to be in
    one, or the first `quick` of these."""
    most = max(len(ones), len(others)) if quick is None else quick
    first = {(at % len(ones), at % len(others)) for at in range(most)}
    return pytest.mark.parametrize(
        names,
        [
            pytest.param(ones[i], others[j], marks=[] if (i, j) in first else [pytest.mark.long])
            for i, j in product(range(len(ones)), range(len(others)))
            if (ones[i], others[j]) not in without
        ],
    )


def campaign(names: Names, cases: Iterable[Any], *, long: int) -> pytest.MarkDecorator:
    """pytest's own, where `long` cases, spread over all, are long, and the others are soak: a campaign of minutes."""
    cases = list(cases)
    step = -(-len(cases) // long)
    marked = [
        _marker(names, pytest.mark.soak if number % step else pytest.mark.long)(case)
        for number, case in enumerate(cases)
    ]
    return pytest.mark.parametrize(names, marked)


def _marker(names: Names, kind: pytest.MarkDecorator = pytest.mark.long) -> Callable[[Any], Any]:
    """What marks one case `kind`, be it of one name or of several, and whatever marks it has already."""
    several = not isinstance(names, str) or "," in names

    def mark(case: Any) -> Any:
        if isinstance(case, ParameterSet):
            return case._replace(marks=[*case.marks, kind])
        return pytest.param(*(case if several else [case]), marks=kind)

    return mark
