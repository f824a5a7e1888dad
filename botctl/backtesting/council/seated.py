"""The Council of the settings, asked about a history: own agents, and programs."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from botctl.adapters.simulated import SimulatedMarket
from botctl.backtesting.council.account import Account
from botctl.backtesting.council.history_agents import (
    HistoryAgent,
    JudgedHistory,
    check_by_briefing,
    check_for_look_ahead,
    judge_histories,
    sample_rows,
)
from botctl.backtesting.council.members import COMMAND, decides_alone, label_of
from botctl.backtesting.council.scene import NUMBERS, Decided, Scene, no_decisions
from botctl.backtesting.council.walk import CouncilWalk
from botctl.backtesting.engine import BacktestParameters, MarketArrays
from botctl.backtesting.exits import HOLD
from botctl.domain.configuration.settings import DEFAULT_BALANCE, Mode, Settings
from botctl.domain.council_rules import CouncilRule, combine
from botctl.domain.decisions import TECHNICAL_STANCES, Stance, Verdict
from botctl.domain.sentiment import SENTIMENT_STANCES
from botctl.ports import Agent, Briefing, Progress
from botctl.store.journal import Journal
from botctl.trading.council.external_command import ExternalCommand
from botctl.trading.council.master_node import MasterNode, find_agents, load_agent
from botctl.trading.council.recent_answers import RecentAnswers
from botctl.trading.council.sentiment_agent import SentimentAgent
from botctl.trading.council.technical_agent import TechnicalAgent

if TYPE_CHECKING:
    import numpy as np

    type Array = np.ndarray[Any, Any]

NOT_SEEN = Verdict("", Stance.UNKNOWN, "no candle has closed yet")

type BuildMaster = Callable[[Settings, SimulatedMarket, Journal], MasterNode]
"""The Council of some settings, on a market and a journal."""


@dataclass
class SeatedCouncil:
    """Its decisions are known beforehand where all its agents judge a whole history at once. Otherwise it is asked bar
    by bar, where a run would ask it, and with the open trade that it would see."""

    settings: Settings
    build: BuildMaster
    _known: tuple[Scene, dict[str, JudgedHistory]] | None = field(default=None, init=False)

    @property
    def label(self) -> str:
        return label_of(self.settings)

    @cached_property
    def agents(self) -> Mapping[str, Agent]:
        """By name, in the order of COUNCIL, without a program. Raises ConfigError."""
        names = [] if decides_alone(self.settings) else [name for name in self.settings.council if name != COMMAND]
        with redirect_stdout(sys.stderr):
            return {name: load_agent(name, point) for name, point in find_agents(names).items()}

    def prepare(self, scene: Scene) -> Decided | None:
        if self.settings.council_command is not None:
            return None
        columns = [self._verdicts(name, agent, scene) for name, agent in self.agents.items()]
        known = [column for column in columns if column is not None]
        if len(known) < len(columns):
            return None
        return Decided(decide_all(known, self.settings.council_rule, scene))

    def ask(self, scene: Scene, arrays: MarketArrays, parameters: BacktestParameters, progress: Progress) -> Decided:
        seats = self._seats(scene, scene.timeline.first - 1)
        for name, agent in {**self.agents, **self._judged(scene)}.items():
            seats.master.seat(name, agent)
        walk = CouncilWalk(scene, arrays, parameters, seats.account, seats.market)
        table = walk.decide(lambda symbol: seats.master.decide_on(seats.brief(symbol)), progress)
        return Decided(table, walk.errors.messages(), [astuple(trade) for trade in seats.account.trades])

    def _verdicts(self, name: str, agent: Agent, scene: Scene) -> "list[list[Verdict]] | None":
        """By symbol, at each bar; None for an agent that must be asked bar by bar."""
        if isinstance(agent, SentimentAgent):
            moods = [Verdict(name, stance, "") for stance in SENTIMENT_STANCES]
            return [[moods[mood] for mood in scene.moods.tolist()]] * len(scene.histories)
        judged = self._judged(scene).get(name)
        if judged is None:
            return None
        rows = zip((judged.verdicts[each.symbol] for each in scene.signals), scene.places, strict=True)
        return [[own[at] if at >= 0 else NOT_SEEN for at in indexes.tolist()] for own, indexes in rows]

    def _judged(self, scene: Scene) -> dict[str, JudgedHistory]:
        """What those agents say that judge whole histories, each asked once."""
        if self._known is None or self._known[0] is not scene:
            self._known = scene, dict(self._judge(scene))
        return self._known[1]

    def _judge(self, scene: Scene) -> Iterator[tuple[str, JudgedHistory]]:
        for name, agent in self.agents.items():
            if isinstance(agent, TechnicalAgent):
                yield name, technical_history(name, scene)
            elif isinstance(agent, HistoryAgent):
                with redirect_stdout(sys.stderr):
                    judged = judge_histories(name, agent, scene.signals)
                    self._check(name, agent, judged, scene)
                yield name, judged

    def _check(self, name: str, agent: HistoryAgent, judged: JudgedHistory, scene: Scene) -> None:
        """Raises BotError for an agent that looks ahead, or whose `judge` says something else."""
        timeline = scene.timeline
        for history, places in zip(scene.signals, scene.places, strict=True):
            verdicts = judged.verdicts[history.symbol]
            rows = sample_rows(verdicts, int(places[timeline.first]), int(places[timeline.last]))
            check_for_look_ahead(name, agent, history, verdicts, rows)
            bars = [int(places.searchsorted(row)) for row in rows]
            briefings = (self._seats(scene, bar).brief(history.symbol) for bar in bars)
            expected = (verdicts[int(places[bar])] for bar in bars)
            check_by_briefing(name, agent, history.symbol, zip(briefings, expected, strict=True))

    def _seats(self, scene: Scene, bar: int) -> "Seats":
        """The members at a bar, with an account that has not traded yet."""
        settings = self.settings
        market = SimulatedMarket(scene.histories, scene.timeline, scene.sentiment, last_bar=bar)
        account = Account(
            scene.timeline.symbols,
            settings.initial_balance or DEFAULT_BALANCE,
            timedelta(minutes=settings.cooldown_minutes),
        )
        master = self.build(settings, market, cast("Journal", account))
        program = master.seated(COMMAND)
        if isinstance(program, ExternalCommand) and program.recent is not None:
            program.recent = AnswersInMemory(program.recent.journal, program.recent.every)
        return Seats(master, market, account)


@dataclass(frozen=True)
class AnswersInMemory(RecentAnswers):
    """COUNCIL_EVERY without a database."""

    _kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def _load(self, key: str) -> dict[str, Any] | None:
        return self._kept.get(key)

    def _save(self, key: str, kept: dict[str, Any], now: datetime) -> None:
        self._kept[key] = kept


@dataclass(frozen=True)
class Seats:
    master: MasterNode
    market: SimulatedMarket
    account: Account

    def brief(self, symbol: str) -> Briefing:
        """What a replay would tell the members at this bar."""
        number, now = self.account.symbols.index(symbol), self.market.now()
        position = self.account.positions.get(number)
        return Briefing(
            symbol,
            self.market.fetch_candles(symbol, self.master.timeframe),
            self.market,
            None if position is None else position.as_told(),
            now,
            mode=Mode.REPLAY,
            timeframe=self.master.timeframe,
            quote=self.market.fetch_quotes([symbol]).good[symbol],
            cash=self.account.free_cash(),
            cooldown_until=self.account.cooldown_until(number, now),
            last_decisions=self.account.decisions.get(symbol, []),
        )


def technical_history(name: str, scene: Scene) -> JudgedHistory:
    """The compiled technical agent's verdicts."""
    stances = {number: Verdict(name, stance, "") for number, stance in TECHNICAL_STANCES.items()}
    verdicts = {
        history.symbol: [stances[opinion] for opinion in opinions.tolist()]
        for history, opinions in zip(scene.signals, scene.opinions(), strict=True)
    }
    return JudgedHistory(name, {each.symbol: [*map(int, each.times)] for each in scene.signals}, verdicts)


def decide_all(columns: Sequence[list[list[Verdict]]], rule: CouncilRule, scene: Scene) -> "Array":
    """The decisions at all bars, from each member's verdicts by symbol and bar."""
    table = no_decisions(len(scene.histories), len(scene.timeline.times))
    known: dict[tuple[tuple[Stance, float], ...], int] = {}
    for number in range(len(scene.histories)):
        for bar, verdicts in enumerate(zip(*(column[number] for column in columns), strict=True)):
            key = tuple((verdict.stance, verdict.confidence) for verdict in verdicts)
            if key not in known:
                known[key] = NUMBERS[combine(rule, verdicts)[0]]
            table[number, bar] = known[key]
        table[number, :-1][scene.silent[number]] = HOLD
    return table
