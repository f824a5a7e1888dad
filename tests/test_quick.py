"""Every case of a test is run by something: at every change, with `-m long` or with `-m soak`."""

from collections.abc import Sequence

import pytest

from tests.quick import by_turns, parametrize, parametrize_pairs


def kinds_of(decorated: pytest.MarkDecorator) -> dict[tuple[object, ...], str]:
    """Of each case what runs it; "" for every change."""
    cases = decorated.args[1]
    sets = [case if hasattr(case, "marks") else pytest.param(case) for case in cases]
    return {each.values: " ".join(mark.name for mark in each.marks) for each in sets}


def of_kind(kinds: dict[tuple[object, ...], str], kind: str) -> Sequence[tuple[object, ...]]:
    return [values for values, found in kinds.items() if found == kind]


@pytest.mark.parametrize(
    ("count", "quick", "long"), [(36, 1, 11), (37, 0, 3), (9, 0, 4), (2, 1, 5), (1, 1, 1), (40, 0, 0)]
)
def test_so_many_cases_are_quick_and_long_and_all_others_soak(count: int, quick: int, long: int) -> None:
    kinds = kinds_of(parametrize("case", range(count), quick=quick, long=long))

    assert list(kinds) == [(case,) for case in range(count)]
    assert of_kind(kinds, "") == [(case,) for case in range(quick)]
    assert len(of_kind(kinds, "long")) == min(long, count - quick)
    assert len(of_kind(kinds, "soak")) == count - quick - len(of_kind(kinds, "long"))


def test_long_cases_meet_every_value_of_a_product() -> None:
    cases = [(asset, kind, term) for asset in range(3) for kind in range(4) for term in range(3)]

    long = of_kind(kinds_of(parametrize(("asset", "kind", "term"), cases, quick=1, long=11)), "long")

    assert [len(set(values)) for values in zip(*long, strict=True)] == [3, 4, 3]


def test_without_a_number_all_others_are_long() -> None:
    assert of_kind(kinds_of(parametrize("case", "abc", quick=1)), "long") == [("b",), ("c",)]
    assert len(of_kind(kinds_of(parametrize_pairs(("x", "y"), "abc", "de")), "long")) == 3


def test_as_few_pairs_as_it_takes_meet_every_value() -> None:
    kinds = kinds_of(parametrize_pairs(("x", "y"), "abcdefghij", range(5), quick=1, long=9))

    run = [*of_kind(kinds, ""), *of_kind(kinds, "long")]
    assert [len(set(values)) for values in zip(*run, strict=True)] == [10, 5]
    assert (len(run), len(of_kind(kinds, "soak"))) == (10, 40)


def test_by_turns_each_case_is_long_in_one_test_of_all() -> None:
    turns = [of_kind(kinds_of(by_turns("case", range(22), turn=turn, of=3)), "long") for turn in range(3)]

    assert sorted(case for turn in turns for case in turn) == [(case,) for case in range(22)]
