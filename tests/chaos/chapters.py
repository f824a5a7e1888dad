"""Every chapter of the campaign."""

from tests.chaos.campaign import Chapter
from tests.chaos.disasters import Disasters
from tests.chaos.faults import FaultPairs, Faults, FaultsInRecovery
from tests.chaos.kills import DoubleKills, Kills
from tests.chaos.migrations import Migrations
from tests.chaos.model import Model
from tests.chaos.moods import Moods
from tests.chaos.pulls import Pulls
from tests.chaos.races import Races
from tests.chaos.waits import Waits

CHAPTERS: tuple[Chapter, ...] = (
    Kills(),
    DoubleKills(),
    Faults(),
    FaultPairs(),
    FaultsInRecovery(),
    Moods(),
    Pulls(),
    Races(),
    Waits(),
    Disasters(),
    Migrations(),
    Model(),
)
