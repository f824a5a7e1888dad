"""Many errors end a command with one exit code, by one table and whatever their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain import errors
from botctl.domain.errors import (
    PRECEDENCE,
    BadValue,
    BotError,
    Busy,
    ConfigError,
    DeadlineElapsed,
    ExchangeBusy,
    ExchangeRefused,
    ExchangeUnreachable,
    InsufficientFunds,
    LockedOut,
    OutcomeUnknown,
    Refused,
    UnusableAnswer,
    WrongDatabase,
    exit_code_of,
    explain_failure,
    most_severe,
)

IN_ORDER = (OutcomeUnknown, ExchangeUnreachable, ConfigError, Busy, ExchangeRefused, Refused, BadValue, BotError)
CODES = (69, 69, 78, 75, 4, 3, 2, 1)


FAMILY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BotError)]


def test_nothing_wrong_is_zero() -> None:
    assert exit_code_of([]) == 0


@pytest.mark.parametrize(("kind", "code"), list(zip(IN_ORDER, CODES, strict=True)))
def test_one_error_alone_ends_with_its_own_code(kind: type[BotError], code: int) -> None:
    assert exit_code_of([kind("it failed")]) == code


@given(st.lists(st.sampled_from(IN_ORDER), min_size=1))
def test_the_first_of_the_table_decides_whatever_the_order(kinds: list[type[BotError]]) -> None:
    first = min(kinds, key=IN_ORDER.index)

    assert exit_code_of([kind("it failed") for kind in kinds]) == CODES[IN_ORDER.index(first)]
    assert type(most_severe([kind("it failed") for kind in kinds])) is first


def test_of_two_in_one_row_the_earlier_one_is_said() -> None:
    met = [Refused("first"), ExchangeUnreachable("second"), ExchangeBusy("third"), ExchangeUnreachable("fourth")]

    assert most_severe(met).message == "second"


@pytest.mark.parametrize("kind", [UnusableAnswer, LockedOut, ExchangeBusy, DeadlineElapsed])
def test_what_may_do_better_next_time_stands_above_a_definite_no(kind: type[BotError]) -> None:
    assert exit_code_of([ConfigError("a"), InsufficientFunds("b"), kind("c")]) == 69


def test_a_kind_of_error_stands_where_its_family_does() -> None:
    assert exit_code_of([InsufficientFunds("a"), WrongDatabase("b"), Busy("c")]) == 78


def test_every_code_of_the_family_has_its_row() -> None:
    first_row = {kind: next(row for row in PRECEDENCE if issubclass(kind, row)) for kind in FAMILY}

    assert len(FAMILY) > len(IN_ORDER)
    assert all(kind.exit_code in {head.exit_code for head in row} for kind, row in first_row.items())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/home/x/.env"), "/home/x/.env: No space left on device"),
        (OSError(24, "Too many open files"), "Too many open files"),
        (MemoryError(), "out of memory"),
        (RuntimeError("can't start new thread"), "can't start a new thread"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"), "a text can't be read or written"),
        (ModuleNotFoundError("No module named 'ccxt'"), "installation of botctl is broken: No module named 'ccxt'"),
        (EOFError("marshal data too short"), "installation of botctl is broken"),
    ],
)
def test_what_the_machine_lacks_is_no_bug(error: Exception, words: str) -> None:
    explained = explain_failure(error)

    assert explained is not None
    assert words in explained.message


@pytest.mark.parametrize("error", [RuntimeError("dictionary changed size"), KeyError("x"), AssertionError()])
def test_a_bug_is_not_the_machines(error: Exception) -> None:
    assert explain_failure(error) is None
