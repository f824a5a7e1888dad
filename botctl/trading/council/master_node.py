"""MasterNode asks the agents and combines their verdicts."""

import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import KW_ONLY, dataclass, field
from functools import cache, cached_property
from importlib.metadata import EntryPoint, EntryPoints, entry_points

from botctl.domain.decisions import CouncilDecision, Stance, Verdict, combine
from botctl.domain.errors import ConfigError
from botctl.domain.money import format_decimal
from botctl.domain.symbols import Timeframe, base_of
from botctl.domain.text import sanitize
from botctl.frames import cache_for_numba
from botctl.ports import Agent, Briefing, CandleSource, Clock, OpenTrade, Sentiment
from botctl.store.journal import Journal

log = logging.getLogger(__name__)

AGENTS = "botctl.agents"
TERMINATED = 128 + signal.SIGTERM


@dataclass
class MasterNode:
    market: CandleSource
    sentiment: Sentiment
    journal: Journal
    clock: Clock
    _: KW_ONLY
    timeframe: Timeframe
    names: Sequence[str]
    _agents: dict[str, Agent] = field(default_factory=dict, init=False)

    def decide(self, symbol: str) -> CouncilDecision:
        """BUY, SELL or HOLD, with every verdict. An agent that fails counts as UNKNOWN, which means HOLD.

        Raises ExchangeUnreachable when the candles are unavailable.
        """
        briefing = self.brief(symbol)
        verdicts, errors = [], []
        for name, point in self.members.items():
            try:
                verdicts.append(self._ask(name, point, briefing))
            except BaseException as error:  # whatever a third-party agent raises, the tick goes on
                if _ends_the_run(error) or isinstance(error, ConfigError):
                    raise
                log.exception("agent %s failed on %s", name, symbol)
                why = _message_of(error)
                verdicts.append(Verdict(name, Stance.UNKNOWN, f"failed: {why}"))
                errors.append(f"agent {name} failed on {symbol}: {why}")
        return combine(symbol, verdicts, "; ".join(errors))

    def brief(self, symbol: str) -> Briefing:
        candles = self.market.fetch_candles(symbol, self.timeframe)
        trade = self.journal.active_trade(base_of(symbol))
        open_trade = None
        if trade is not None and trade.entry_price is not None:
            open_trade = OpenTrade(
                entry_price=float(trade.entry_price), amount=format_decimal(trade.amount),
                stop_loss_price=float(trade.stop_loss_price or 0), high_price=float(trade.high_price or 0),
                entry_time=trade.entry_time or trade.created_at,
            )  # fmt: skip
        return Briefing(symbol, candles, self.sentiment, open_trade, self.clock.now())

    def _ask(self, name: str, point: EntryPoint, briefing: Briefing) -> Verdict:
        with redirect_stdout(sys.stderr):  # stdout is for the result: an agent that prints must not break its JSON
            if name not in self._agents:
                self._agents[name] = _load(name, point)
            verdict = self._agents[name].judge(briefing)
        if not isinstance(verdict, Verdict):
            raise TypeError(f"its answer is not a Verdict: {verdict!r:.80}")
        if not isinstance(verdict.stance, str) or verdict.stance not in list(Stance):
            raise TypeError(f"its answer has no stance: {verdict.stance!r:.80}")
        return Verdict(sanitize(str(verdict.agent), 40), Stance(verdict.stance), sanitize(str(verdict.reason), 500))

    @cached_property
    def members(self) -> dict[str, EntryPoint]:
        return find_agents(self.names)


def _load(name: str, point: EntryPoint) -> Agent:
    """An agent, made once in a run. Raises ConfigError: only another installation or COUNCIL helps."""
    try:
        with cache_for_numba():  # it may import pandas-ta
            agent: Agent = point.load()()
    except BaseException as error:  # whatever a third party's module raises, the tick goes on
        if _ends_the_run(error) or isinstance(error, TimeoutError):
            raise
        log.debug("agent %s", name, exc_info=True)
        message = f"COUNCIL names {name}, and that agent can't be loaded: {_message_of(error)}"
        raise ConfigError(message, hint="correct or uninstall it, or take it out of COUNCIL") from error
    return agent


def _ends_the_run(error: BaseException) -> bool:
    """Whether it is Ctrl-C or SIGTERM, and no error of an agent."""
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code == TERMINATED)


def find_agents(names: Sequence[str]) -> dict[str, EntryPoint]:
    """The installed agents of these names, in that order. Raises ConfigError for one that is not installed, and for two
    of one name."""
    points = _installed_agents(tuple(sys.path))
    installed = {point.name: point for point in points}
    missing = [name for name in names if name not in installed]
    if missing:
        raise ConfigError(
            f"COUNCIL names {', '.join(missing)}, and there is no such agent",
            hint=f"installed are: {', '.join(sorted(installed)) or 'none; reinstall botctl'}",
        )
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"COUNCIL names {name} twice", hint="name each agent once")
        classes = sorted({point.value for point in points if point.name == name})
        if len(classes) > 1:
            raise ConfigError(
                f"COUNCIL names {name}, and several agents have that name: {', '.join(classes)}",
                hint="uninstall all but one of them, or rename one",
            )
    return {name: installed[name] for name in names}


@cache
def _installed_agents(path: tuple[str, ...]) -> EntryPoints:
    """What is installed on this path: a process reads the metadata of all packages once."""
    return entry_points(group=AGENTS)


def _message_of(error: BaseException) -> str:
    """The exception's text. A third party's __str__ may fail as well."""
    try:
        return sanitize(str(error) or type(error).__name__)
    except Exception:  # noqa: BLE001
        return type(error).__name__
