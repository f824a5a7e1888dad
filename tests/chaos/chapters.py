"""Every chapter of the campaign."""

from tests.chaos.campaign import Chapter
from tests.chaos.kills import DoubleKills, Kills
from tests.chaos.model import Model

CHAPTERS: tuple[Chapter, ...] = (Kills(), DoubleKills(), Model())
