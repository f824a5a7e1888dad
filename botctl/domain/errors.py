"""One family of errors, named for the reader's next move and not for the library that failed.

Each carries the exit code that scripts rely on, a category for `--json`, and, where there is one, the fix as a hint.
Anything outside this family is a bug.
"""

from collections.abc import Callable, Iterable, Sequence


class BotError(Exception):
    """Something failed after what could be done was done."""

    exit_code = 1
    category = "failed"
    retryable = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class BadValue(BotError):
    """A value on the command line that can't be meant: another value mends it."""

    exit_code = 2
    category = "usage"


class Refused(BotError):
    """Our own safety rule said no. Nothing was sent."""

    exit_code = 3
    category = "refused"


class ExchangeRefused(BotError):
    """A definite no from the exchange: nothing was placed, and asking again won't help."""

    exit_code = 4
    category = "exchange_refused"


class BelowMinimum(ExchangeRefused):
    """The exchange takes no order as small as that."""


class InsufficientFunds(ExchangeRefused):
    """The exchange does not hold enough for the order: nothing was placed."""


class ExchangeBusy(ExchangeRefused):
    """A definite no for a passing reason (rate limit, nonce, deadline): nothing was placed, later it may be."""

    exit_code = 69
    category = "exchange_busy"
    retryable = True


class DeadlineElapsed(ExchangeBusy):
    """The order came too late by the exchange's clock: nothing was placed, a fresh order may go out."""


class ExchangeUnreachable(BotError):
    """No usable answer, or none after retries. The next run tries again."""

    exit_code = 69
    category = "unreachable"
    retryable = True


class UnusableAnswer(ExchangeUnreachable):
    """An answer came, and what it says of one thing can't be used; other things may be answered well."""

    category = "unusable_answer"


class LockedOut(ExchangeUnreachable):
    """The exchange locked the key out for a while; calling again only prolongs it."""

    category = "locked_out"


class OutcomeUnknown(BotError):
    """Money may have moved: the order is looked up, never sent again."""

    exit_code = 69
    category = "outcome_unknown"
    retryable = True


class Busy(BotError):
    """Another run holds the lock, or the database."""

    exit_code = 75
    category = "busy"
    retryable = True


class DatabaseUnreachable(BotError):
    """The database's server is away, or the connection to it broke. The next run tries again."""

    retryable = True


class ConfigError(BotError):
    """Settings, files or the database are not as they must be."""

    exit_code = 78
    category = "config"


class WrongDatabase(ConfigError):
    """Not the database that the settings mean: missing, of another mode, another program's, or from a newer botctl."""


# Many errors, one exit code

PRECEDENCE: tuple[tuple[type[BotError], ...], ...] = (
    (OutcomeUnknown,),  # 69: money may have moved
    (ExchangeUnreachable, ExchangeBusy),  # 69: the next run may well do better
    (ConfigError,),  # 78: no run does better until its owner changes something
    (Busy,),  # 75
    (ExchangeRefused,),  # 4
    (Refused,),  # 3
    (BadValue,),  # 2
    (BotError,),  # 1
)
"""Which errors stand for the others, first those that say the most. Of two in one row the earlier one does."""


def most_severe(errors: Sequence[BotError]) -> BotError:
    """The one that stands for all of them, where only one can be said."""
    return min(errors, key=_rank)


def exit_code_of(errors: Sequence[BotError]) -> int:
    """The exit code of a command that did what it could, and met these errors."""
    return most_severe(errors).exit_code if errors else 0


def _rank(error: BotError) -> int:
    return next(place for place, kinds in enumerate(PRECEDENCE) if isinstance(error, kinds))


def attempt_each[Item, Result](
    action: Callable[[Item], Result], items: Iterable[Item]
) -> tuple[list[Result], list[BotError]]:
    """Call `action` with every item: a BotError of one item does not stop the others."""
    results: list[Result] = []
    errors: list[BotError] = []
    for item in items:
        try:
            results.append(action(item))
        except BotError as error:
            errors.append(error)
    return results, errors
