"""What is wrong with settings: which of them every command needs, which the guard, and which only entries wait for."""

import difflib
import re
from collections.abc import Iterable, Iterator

from botctl.domain.configuration.settings import NAMES
from botctl.domain.errors import ConfigError

NEEDED_BY_ALL = (
    "BOTCTL_MODE", "BOTCTL_HOME", "DATABASE_URL", "KRAKEN_API_KEY", "KRAKEN_PRIVATE_KEY", "KRAKEN_API_URL"
)  # fmt: skip
"""Settings that say whose money and which database it is: no command may take a misspelled one for a missing one."""
PLACES = NEEDED_BY_ALL[:3]
"""Settings whose value every command needs."""
GUARDING = (
    "TIMEFRAME", "SIGNAL_TIMEFRAME", "TICK_TIMEOUT", "ATR_PERIOD", "ATR_MULTIPLE", "BREAKEVEN_ATR", "BREAKEVEN_FEES",
    "QUOTE_CURRENCY", "INITIAL_BALANCE", "MAX_DRAWDOWN", "MAX_DRAWDOWN_PEAK",
)  # fmt: skip
"""Settings that the stops and the drawdown guard use. Their last good values are kept in the database."""

MAX_WORDS = 1000
"""Of a text that is searched for names."""


class BadSetting(ConfigError):
    """Something is wrong with the settings `names`, or with the place they come from."""

    def __init__(self, message: str, *, hint: str, names: Iterable[str] = (), needed_by_all: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.names = frozenset(names)
        self.needed_by_all = needed_by_all
        """Whether no command can go on without it. Others guard and sell, and buy nothing."""


def bad_value(name: str, sentence: str) -> BadSetting:
    """The problem with the value of a setting."""
    hint = "fix the settings in the environment or in .env"
    return BadSetting(sentence, hint=hint, names=[name], needed_by_all=name in PLACES)


def about(name: str | None, message: str, *, hint: str) -> BadSetting:
    """The problem with a line or a name that was meant to be the setting `name`, or none."""
    return BadSetting(message, hint=hint, names=[name] if name else [], needed_by_all=name in NEEDED_BY_ALL)


def nearest_setting(name: str) -> str | None:
    """The setting that a misspelled or lower-case name is meant for, if any."""
    near = difflib.get_close_matches(name.upper(), NAMES, n=1, cutoff=0.8)
    return near[0] if near else None


def needed_names_in(text: str) -> frozenset[str]:
    """The settings that every command needs, as far as a text names them, perhaps misspelled."""
    words = dict.fromkeys(re.findall(r"[A-Za-z][\w.-]+", text)[:MAX_WORDS])
    return frozenset(near for word in words if (near := nearest_setting(word)) in NEEDED_BY_ALL)


def unknown_settings(names: Iterable[str], *, strict: bool) -> Iterator[BadSetting]:
    """A problem for each unknown name that looks like a setting, with `strict` also for near misses of one."""
    # `strict` is for names from our own .env: a misspelled MAX_DRAWDOWN must not silently mean its default.
    for name in names:
        ours = name.upper().startswith(("BOTCTL_", "KRAKEN_"))
        if name in NAMES or not (ours or strict):
            continue
        near = nearest_setting(name)
        if ours or near:
            message = f"unknown setting {name}" + (f", did you mean {near}?" if near else "")
            yield about(near, message, hint="correct or remove it")
