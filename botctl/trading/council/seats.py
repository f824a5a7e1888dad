"""Who sits in the Council, by the settings."""

from collections.abc import Mapping
from pathlib import Path

from botctl.domain.configuration.settings import Settings
from botctl.domain.council_rules import CouncilRule
from botctl.ports import CandleSource, Clock, Sentiment
from botctl.store.journal import Journal
from botctl.trading.council.external_command import COMMAND, ExternalCommand
from botctl.trading.council.master_node import MasterNode
from botctl.trading.council.recent_answers import RecentAnswers
from botctl.trading.pre_trade_checks import PreTradeChecks


def build_master(
    settings: Settings,
    market: CandleSource,
    sentiment: Sentiment,
    journal: Journal,
    clock: Clock,
    checks: PreTradeChecks,
    variables: Mapping[str, str],
    home: Path | None,
) -> MasterNode:
    """The agents of COUNCIL with the program of COUNCIL_COMMAND among them, or the program alone.

    `variables` are what the program sees of the environment beside what every program does.
    """
    alone = decides_alone(settings)
    master = MasterNode(
        market, sentiment, journal, clock, checks,
        timeframe=settings.signal_timeframe, names=(COMMAND,) if alone else settings.council,
        rule=CouncilRule.UNANIMOUS if alone else settings.council_rule, alone=alone,
    )  # fmt: skip
    if settings.council_command is not None:
        master.seat(COMMAND, build_program(settings, settings.council_command, journal, variables, home))
    return master


def decides_alone(settings: Settings) -> bool:
    """Whether the program of COUNCIL_COMMAND decides instead of the agents: COUNCIL does not name it."""
    return settings.council_command is not None and COMMAND not in settings.council


def build_program(
    settings: Settings, command: str, journal: Journal, variables: Mapping[str, str], home: Path | None
) -> ExternalCommand:
    """The program of this command line, with the settings of COUNCIL_COMMAND."""
    every = settings.council_every
    return ExternalCommand(
        command, float(settings.council_timeout),
        home=home, variables=variables, atr_period=settings.atr_period, candles=settings.council_candles,
        recent=None if every is None else RecentAnswers(journal, every),
    )  # fmt: skip
