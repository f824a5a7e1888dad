"""MasterNode asks the agents and combines their verdicts."""

import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import KW_ONLY, dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points

from botctl.domain.council_rules import CouncilRule, combine
from botctl.domain.decisions import CouncilDecision, Stance, Verdict
from botctl.domain.errors import BotError, ConfigError
from botctl.domain.money import format_decimal
from botctl.domain.symbols import Timeframe, base_of, quote_of
from botctl.domain.text import sanitize
from botctl.frames import TERMINATED, cache_for_numba
from botctl.ports import Agent, Briefing, CandleSource, Clock, OpenTrade, Sentiment
from botctl.store.journal import Journal
from botctl.trading.council.external_command import COMMAND
from botctl.trading.council.past_decisions import PastDecisions
from botctl.trading.pre_trade_checks import PreTradeChecks
from botctl.trading.snapshot import Snapshot

log = logging.getLogger(__name__)

AGENTS = "botctl.agents"
PAST_DECISIONS = 10
"""How many of a symbol's decisions a briefing has."""


@dataclass
class MasterNode:
    market: CandleSource
    sentiment: Sentiment
    journal: Journal
    clock: Clock
    checks: PreTradeChecks
    _: KW_ONLY
    timeframe: Timeframe
    names: Sequence[str]
    rule: CouncilRule = CouncilRule.STORY
    alone: bool = False
    """Whether the only member, a program, decides with its own reason and by no rule."""
    _agents: dict[str, Agent] = field(default_factory=dict, init=False)

    def decide(self, symbol: str, snapshot: Snapshot) -> CouncilDecision:
        """BUY, SELL or HOLD, with every verdict. An agent that fails counts as UNKNOWN.

        Raises ExchangeUnreachable when the candles are unavailable.
        """
        self.check_members()
        return self.decide_on(self.brief(symbol, snapshot))

    def decide_on(self, briefing: Briefing) -> CouncilDecision:
        """The decision by all that the members get to know."""
        symbol = briefing.symbol
        verdicts, errors = [], []
        for name in self.names:
            try:
                verdicts.append(self.ask(name, briefing))
            except BaseException as error:  # whatever a third-party agent raises, the tick goes on
                if ends_the_run(error) or isinstance(error, ConfigError):
                    raise
                why = message_of(error)
                if not isinstance(error, BotError):
                    log.exception("agent %s failed on %s", name, symbol)
                verdicts.append(Verdict(name, Stance.UNKNOWN, f"failed: {why}"))
                errors.append(f"{'COUNCIL_COMMAND' if name == COMMAND else f'agent {name}'} failed on {symbol}: {why}")
        action, reason = combine(self.rule, verdicts)
        if self.alone:
            reason = "the command failed" if errors else verdicts[0].reason
        return CouncilDecision(symbol, action, reason, tuple(verdicts), "; ".join(errors))

    def brief(self, symbol: str, snapshot: Snapshot) -> Briefing:
        """What the members get to know. Asks the exchange for candles alone, and for those once in a run.

        Raises ExchangeUnreachable without them, BrokenRow when the asset's trade can't be read.
        """
        candles = self.market.fetch_candles(symbol, self.timeframe)
        trade = self.journal.active_trade(base_of(symbol))
        open_trade = None
        if trade is not None and trade.entry_price is not None:
            open_trade = OpenTrade(
                entry_price=float(trade.entry_price), amount=format_decimal(trade.amount),
                stop_loss_price=float(trade.stop_loss_price or 0), high_price=float(trade.high_price or 0),
                entry_time=trade.entry_time or trade.created_at,
            )  # fmt: skip
        now, balances = self.clock.now(), snapshot.balances
        return Briefing(
            symbol, candles, self.sentiment, open_trade, now,
            mode=self.journal.mode, timeframe=self.timeframe, quote=snapshot.quotes.good.get(symbol),
            cash=None if balances is None else balances.spendable(quote_of(symbol)),
            cooldown_until=None if open_trade is not None else self.checks.cooldown_until(base_of(symbol), now),
            last_decisions=PastDecisions(symbol, PAST_DECISIONS),
        )  # fmt: skip

    def ask(self, name: str, briefing: Briefing) -> Verdict:
        """One member's verdict. Raises whatever the agent raises, and TypeError for what is no verdict."""
        with redirect_stdout(sys.stderr):  # stdout is for the result: an agent that prints must not break its JSON
            if name not in self._agents:
                self._agents[name] = load_agent(name, find_agents([name])[name])
            return checked_verdict(self._agents[name].judge(briefing))

    def seat(self, name: str, agent: Agent) -> None:
        """Ask `agent` for the member of this name."""
        self._agents[name] = agent

    def seated(self, name: str) -> Agent | None:
        """Who has been asked, or seated, for the member of this name."""
        return self._agents.get(name)

    def check_members(self) -> None:
        """Raises ConfigError for a name that nobody has, or several."""
        check_names(self.names, with_command=COMMAND in self._agents)


def checked_verdict(verdict: object) -> Verdict:
    """An agent's answer, with texts that can be printed. Raises TypeError for one that is no verdict."""
    if not isinstance(verdict, Verdict):
        raise TypeError(f"its answer is not a Verdict: {verdict!r:.80}")
    if not isinstance(verdict.stance, str) or verdict.stance not in list(Stance):
        raise TypeError(f"its answer has no stance: {verdict.stance!r:.80}")
    confidence = verdict.confidence
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise TypeError(f"its confidence is not a number from 0 to 1: {confidence!r:.80}")
    agent, reason = sanitize(str(verdict.agent), 40), sanitize(str(verdict.reason), 500)
    return Verdict(agent, Stance(verdict.stance), reason, float(confidence))


def load_agent(name: str, point: EntryPoint) -> Agent:
    """An agent, made once in a run. Raises ConfigError: only another installation or COUNCIL helps."""
    try:
        with cache_for_numba(), redirect_stdout(sys.stderr):  # it may import pandas-ta, and print
            agent: Agent = point.load()()
            if not callable(getattr(agent, "judge", None)):
                raise TypeError(f"{type(agent).__name__} has no method judge")
    except BaseException as error:  # whatever a third party's module raises, the tick goes on
        if ends_the_run(error) or isinstance(error, TimeoutError):
            raise
        log.debug("agent %s", name, exc_info=True)
        message = f"COUNCIL names {name}, and that agent can't be loaded: {message_of(error)}"
        raise ConfigError(message, hint="correct or uninstall it, or take it out of COUNCIL") from error
    return agent


def ends_the_run(error: BaseException) -> bool:
    """Whether it is Ctrl-C or SIGTERM, and no error of an agent."""
    return isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code == TERMINATED)


def check_names(names: Sequence[str], *, with_command: bool) -> None:
    """Raises ConfigError for a member that does not exist, and for one that sits twice."""
    if COMMAND in names and not with_command:
        message = f"COUNCIL names {COMMAND}, and COUNCIL_COMMAND is not set"
        raise ConfigError(message, hint=f"set it, or take {COMMAND} out of COUNCIL")
    _refuse_twice(names)
    find_agents([name for name in names if name != COMMAND])


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
        classes = sorted({point.value for point in points if point.name == name})
        if len(classes) > 1:
            raise ConfigError(
                f"COUNCIL names {name}, and several agents have that name: {', '.join(classes)}",
                hint="uninstall all but one of them, or rename one",
            )
    return {name: installed[name] for name in names}


def installed_names() -> list[str]:
    return sorted({point.name for point in _installed_agents(tuple(sys.path))})


def _refuse_twice(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"COUNCIL names {name} twice", hint="name each agent once")


@cache
def _installed_agents(path: tuple[str, ...]) -> EntryPoints:
    """What is installed on this path: a process reads the metadata of all packages once."""
    return entry_points(group=AGENTS)


def message_of(error: BaseException) -> str:
    """The exception's text; its type too where that is a single word, such as KeyError's, which says nothing alone.

    A third party's __str__ may fail as well.
    """
    try:
        kind, text = type(error).__name__, sanitize(str(error))
        return text if " " in text else f"{kind}: {text}" if text else kind
    except Exception:  # noqa: BLE001
        return type(error).__name__
