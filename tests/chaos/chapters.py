"""Every chapter of the campaign."""

from tests.chaos.campaign import Chapter
from tests.chaos.faults import FaultPairs, Faults, FaultsInRecovery
from tests.chaos.kills import DoubleKills, Kills
from tests.chaos.moods import Moods

CHAPTERS: tuple[Chapter, ...] = (Kills(), DoubleKills(), Faults(), FaultPairs(), FaultsInRecovery(), Moods())
