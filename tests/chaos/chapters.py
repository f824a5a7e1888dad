"""Every chapter of the campaign."""

from tests.chaos.campaign import Chapter
from tests.chaos.kills import DoubleKills, Kills

CHAPTERS: tuple[Chapter, ...] = (Kills(), DoubleKills())
