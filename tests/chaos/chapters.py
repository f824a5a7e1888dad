"""Every chapter of the campaign."""

from tests.chaos.campaign import Chapter
from tests.chaos.fuzz_answers import ANSWERS
from tests.chaos.fuzz_council import COUNCIL
from tests.chaos.fuzz_input import INPUT
from tests.chaos.kills import DoubleKills, Kills
from tests.chaos.properties import Fuzz, Property
from tests.chaos.secrets import SecretsKept


def all_properties() -> tuple[Property, ...]:
    """What is tried on drawn cases."""
    return (*INPUT, *ANSWERS, *COUNCIL)


CHAPTERS: tuple[Chapter, ...] = (
    Kills(),
    DoubleKills(),
    Fuzz("fuzz", "drawn settings, arguments and answers", all_properties),
    SecretsKept(),
)
