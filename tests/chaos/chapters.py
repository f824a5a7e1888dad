"""Every chapter of the campaign."""

from tests.chaos.campaign import Chapter
from tests.chaos.disasters import Disasters
from tests.chaos.exchange_conditions import ExchangeConditions
from tests.chaos.faults import FaultPairs, Faults, FaultsInRecovery
from tests.chaos.fuzz_answers import ANSWERS
from tests.chaos.fuzz_council import COUNCIL
from tests.chaos.fuzz_input import INPUT
from tests.chaos.interference import Interference
from tests.chaos.kill_switch_races import KillSwitchRaces
from tests.chaos.kills import DoubleKills, Kills
from tests.chaos.lies import Lies
from tests.chaos.migrations import Migrations
from tests.chaos.model import Model
from tests.chaos.properties import Fuzz, Property
from tests.chaos.races import Races
from tests.chaos.secrets import SecretsKept
from tests.chaos.waits import Waits


def all_properties() -> tuple[Property, ...]:
    """What is tried on drawn cases."""
    return (*INPUT, *ANSWERS, *COUNCIL)


CHAPTERS: tuple[Chapter, ...] = (
    Kills(),
    DoubleKills(),
    Faults(),
    FaultPairs(),
    FaultsInRecovery(),
    ExchangeConditions(),
    Interference(),
    KillSwitchRaces(),
    Races(),
    Waits(),
    Disasters(),
    Migrations(),
    Model(),
    Lies(),
    Fuzz("fuzz", "drawn settings, arguments and answers", all_properties),
    SecretsKept(),
)
