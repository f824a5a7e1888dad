"""Who decides in a backtest, a replay, a sweep and the demo: the Council of the settings, or recorded decisions."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from botctl.backtesting.council.members import COMMAND, is_compiled
from botctl.cli.context import env_file_of
from botctl.config import named_variables, read_sources
from botctl.domain.configuration.settings import SETTINGS, Settings
from botctl.domain.errors import BadValue, ConfigError
from botctl.files import why_unreadable

if TYPE_CHECKING:
    from botctl.backtesting.council.program_cache import ProgramCache
    from botctl.backtesting.council.recorded import RecordedCouncil
    from botctl.backtesting.council.scene import DecisionSource
    from botctl.market_data.timeline import Timeline
    from botctl.trading.bot import Bot
    from botctl.trading.council.master_node import MasterNode

COUNCIL_SETTINGS = tuple(setting.name for setting in SETTINGS if setting.name.startswith("COUNCIL"))
"""Who sits in the Council."""


@dataclass(frozen=True)
class StudyCouncil:
    source: "DecisionSource | None" = None
    """None for the compiled agents."""
    recorded: "RecordedCouncil | None" = None
    answers: "ProgramCache | None" = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    home: Path | None = None
    """Where a program runs."""

    @property
    def label(self) -> str:
        """Who decides in place of the settings' Council; empty for the latter."""
        return "" if self.recorded is None else self.recorded.label

    def seat_in(self, bot: "Bot", timeline: "Timeline | None" = None) -> None:
        """Let them decide in the ticks of a replay or the demo."""
        from botctl.backtesting.council.recorded import RecordedDecider
        from botctl.trading.council.external_command import ExternalCommand

        program = bot.council.master.seated(COMMAND)
        if self.recorded is not None and timeline is not None:
            decider = RecordedDecider(self.recorded.fill(timeline), timeline, bot.clock)
            bot.council.master = cast("MasterNode", decider)
        elif isinstance(program, ExternalCommand):
            program.answers = self.answers


def council_values(ctx: typer.Context) -> dict[str, str]:
    """Who sits by the environment and .env. The latter's other lines play no part, even if they are wrong."""
    values = read_sources(env_file_of(ctx)).values
    return {name: values[name] for name in COUNCIL_SETTINGS if name in values}


def seat_council(ctx: typer.Context, settings: Settings, options: Mapping[str, str]) -> StudyCouncil:
    """Who decides by these settings and the options --decisions and --cache. Raises BadValue and ConfigError."""
    cache, decisions = options.get("cache"), options.get("decisions")
    if cache is not None and (decisions is not None or settings.council_command is None):
        raise BadValue(
            "--cache is for a program, and COUNCIL_COMMAND names none", hint="set COUNCIL_COMMAND, or omit it"
        )
    if decisions is not None:
        if why := why_unreadable(Path(decisions)):
            raise BadValue(why, hint="give --decisions a database that botctl wrote")
        from botctl.backtesting.council.recorded import RecordedCouncil, read_decisions

        recorded = RecordedCouncil(Path(decisions).name, read_decisions(Path(decisions)))
        return StudyCouncil(recorded, recorded)
    return StudyCouncil() if is_compiled(settings) else _seat_own(ctx, settings, cache)


def _seat_own(ctx: typer.Context, settings: Settings, cache: str | None) -> StudyCouncil:
    """Own agents, or a program."""
    from botctl.adapters.simulated import SimulatedMarket
    from botctl.backtesting.council.program_cache import open_cache
    from botctl.backtesting.council.seated import SeatedCouncil
    from botctl.store.journal import Journal
    from botctl.trading.council.external_command import ExternalCommand
    from botctl.trading.council.master_node import MasterNode
    from botctl.trading.council.seats import build_master
    from botctl.trading.pre_trade_checks import PreTradeChecks

    sources = read_sources(env_file_of(ctx))
    check_members(settings, sources.folder)
    keep_quiet(ctx)
    variables = named_variables(settings, sources)
    for warning in variables.missing:
        print(f"botctl: warning: {warning}", file=sys.stderr)
    answers = None if cache is None else ctx.with_resource(open_cache(Path(cache), sources.folder))

    def build(settings: Settings, market: SimulatedMarket, journal: Journal) -> MasterNode:
        no_checks = cast("PreTradeChecks", None)  # a backtest has its own
        master = build_master(settings, market, market, journal, market, no_checks, variables.values, sources.folder)
        if isinstance(program := master.seated(COMMAND), ExternalCommand):
            program.answers = answers
        return master

    return StudyCouncil(
        SeatedCouncil(settings, build), answers=answers, variables=variables.values, home=sources.folder
    )


def check_members(settings: Settings, home: Path) -> None:
    """Raises ConfigError for agents or a program that are not installed."""
    from botctl.trading.council.check import check_council

    for result in check_council(settings, home):
        if result.status == "fail":
            raise ConfigError(result.detail, hint=result.fix)


def keep_quiet(ctx: typer.Context) -> None:
    """What agents fail at is said at the end, once, and not at each bar; with --debug then too."""
    if not ctx.find_root().params.get("debug"):
        logging.getLogger("botctl").addHandler(logging.NullHandler())


def report_errors(errors: Sequence[str]) -> None:
    """What failed in the ticks or the Council, below the result."""
    for error in errors:
        print(f"botctl: error: {error}", file=sys.stderr)
