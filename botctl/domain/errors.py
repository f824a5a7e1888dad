"""The errors of botctl, named for what the caller should do next and not for the library that failed.

Each has the exit code that scripts rely on, a category for `--json` and, where possible, the fix as a hint.
Any exception outside this family is a bug.
"""

from collections.abc import Callable, Iterable, Sequence
from errno import EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR


class BotError(Exception):
    """The base class: the command failed after doing all it could."""

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
    """An invalid value on the command line."""

    exit_code = 2
    category = "usage"


class Refused(BotError):
    """A safety rule of botctl forbids it. Nothing was sent."""

    exit_code = 3
    category = "refused"


class AlreadyOpen(Refused):
    """The asset has an active trade: it is held, and no second one is opened."""


class ExchangeRefused(BotError):
    """The exchange refused for good: nothing was placed, and a retry won't help."""

    exit_code = 4
    category = "exchange_refused"


class MarketGone(ExchangeRefused):
    """The market of an open trade was renamed or delisted: it can't be sold there, and only the owner can end it."""

    category = "market_gone"


class BelowMinimum(ExchangeRefused):
    """The order is below the exchange's minimum."""


class InsufficientFunds(ExchangeRefused):
    """The balance is too small for the order: nothing was placed."""


class ExchangeBusy(ExchangeRefused):
    """The exchange refused for a temporary reason (rate limit, nonce, deadline): nothing was placed."""

    exit_code = 69
    category = "exchange_busy"
    retryable = True


class DeadlineElapsed(ExchangeBusy):
    """The exchange refused the deadline, so it disagrees about the time: nothing was placed."""


class ExchangeUnreachable(BotError):
    """No usable answer, or none after retries. The next run tries again."""

    exit_code = 69
    category = "unreachable"
    retryable = True


class NoAnswer(ExchangeUnreachable):
    """The exchange can't be reached at all: what a run says of it is one line, however many requests failed."""

    def __init__(self, why: str, *, where: str = "Kraken", effects: str = "", hint: str = "") -> None:
        super().__init__(f"can't reach {where}: {why}{effects}", hint=hint)
        self.why = why
        """The innermost cause."""
        self.where = where


class UnusableAnswer(ExchangeUnreachable):
    """One item of an answer is invalid; other requests may succeed."""

    category = "unusable_answer"


class CoinsMissing(ExchangeUnreachable):
    """A balance contradicts our own settled orders: perhaps it lags. Nothing is written off, and nothing is bought."""

    category = "coins_missing"


class Unprotected(BotError):
    """An open trade without the resting stop that it should have. The stop of the rule guards it at each check."""


class LockedOut(ExchangeUnreachable):
    """The exchange locked the key out for a while; further calls only prolong it."""

    category = "locked_out"


class OutcomeUnknown(BotError):
    """Money may have moved: the order is looked up, never sent again."""

    exit_code = 69
    category = "outcome_unknown"
    retryable = True


class Busy(BotError):
    """Another run holds the lock or the database."""

    exit_code = 75
    category = "busy"
    retryable = True


class DatabaseUnreachable(BotError):
    """The database server is unavailable, or the connection broke. The next run tries again."""

    retryable = True


class ConfigError(BotError):
    """Settings, files or the database need fixing."""

    exit_code = 78
    category = "config"


class WrongDatabase(ConfigError):
    """The wrong database: missing, of another mode, another program's, or from a newer botctl."""


class BrokenRow(ConfigError):
    """A row of the database that is left out, because it can't be read. Only a correction of it helps."""

    def __init__(self, row: str, what: str, *, assets: frozenset[str], hint: str) -> None:
        super().__init__(f"{row} can't be read: {what}", hint=hint)
        self.row = row
        self.assets = assets
        """What a trade that can't be read may hold."""


# Other exceptions

WRONG_PATHS = (ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG)


def explain_failure(error: BaseException) -> BotError | None:
    """What a failure of this machine is called; None for an exception that is none, but a bug."""
    if isinstance(error, OSError):
        return _explain_system(error)
    if isinstance(error, MemoryError):
        return BotError("this machine is out of memory", hint="end other programs; the next run goes on")
    if isinstance(error, RuntimeError) and "new thread" in str(error):  # Python's own text: it has no class for it
        return BotError(
            "this machine can't start a new thread", hint="raise its limit of processes; the next run goes on"
        )
    if isinstance(error, UnicodeError):
        return BotError(
            f"a text can't be read or written here: {error}", hint="use a UTF-8 locale, such as LANG=C.UTF-8"
        )
    if isinstance(error, ImportError | SyntaxError) or (isinstance(error, EOFError) and "marshal" in str(error)):
        return ConfigError(f"the installation of botctl is broken: {error}", hint="install it again")
    return None


def _explain_system(error: OSError) -> BotError:
    why = error.strerror or str(error)
    what = f"can't use {error.filename!s:.200}: {why}" if error.filename else f"the system reports an error: {why}"
    if error.filename and error.errno in WRONG_PATHS:
        return BotError(what, hint="check the path")
    cause = "its owner and permissions" if isinstance(error, PermissionError) else "its disk, memory and limits"
    return BotError(what, hint=f"check {cause}; the next run goes on")


def as_bot_error(error: Exception) -> BotError:
    """Any exception as an error of botctl: what one item raised stops no other, and is said."""
    if isinstance(error, BotError):
        return error
    return explain_failure(error) or bug(error, hint="please report it")


def bug(error: BaseException, *, hint: str) -> BotError:
    return BotError(f"bug: {type(error).__name__}: {error}", hint=hint)


# Many errors, one exit code

PRECEDENCE: tuple[tuple[type[BotError], ...], ...] = (
    (OutcomeUnknown,),  # 69: money may have moved
    (ExchangeUnreachable, ExchangeBusy),  # 69: the next run may succeed
    (ConfigError,),  # 78: no run succeeds until the user fixes something
    (Busy,),  # 75
    (ExchangeRefused,),  # 4
    (Refused,),  # 3
    (BadValue,),  # 2
    (BotError,),  # 1
)
"""Which of several errors sets the exit code, the most severe first; within a row the earlier error does."""


def most_severe(errors: Sequence[BotError]) -> BotError:
    """The error to report where only one can be."""
    return min(errors, key=lambda error: [isinstance(error, kinds) for kinds in PRECEDENCE].index(True))


def exit_code_of(errors: Sequence[BotError]) -> int:
    """The exit code of a command that did all it could and met these errors."""
    return most_severe(errors).exit_code if errors else 0


def attempt_each[Item, Result](
    action: Callable[[Item], Result], items: Iterable[Item]
) -> tuple[list[Result], list[BotError]]:
    """Call `action` with every item: what one item raises does not stop the others."""
    results: list[Result] = []
    errors: list[BotError] = []
    for item in items:
        try:
            results.append(action(item))
        except Exception as error:  # noqa: BLE001 - a value that nobody foresaw may raise anything
            errors.append(as_bot_error(error))
    return results, errors
