"""Answers that lie: every fact that moves money is told wrong, for an answer, a minute or an hour; then the truth."""

import random
from collections.abc import Iterator

from tests.chaos.campaign import SEPARATOR
from tests.chaos.lie_families import ANSWERS, CASH, HIDDEN_FOR_LONG, Family
from tests.chaos.lie_losses import DATABASES, MARKETS, RICHES, STOPS
from tests.chaos.lie_resting import RESTING
from tests.chaos.scenes import Stage

FAMILIES: tuple[Family, ...] = (*ANSWERS, CASH, HIDDEN_FOR_LONG, *STOPS, *RICHES, *DATABASES, *MARKETS, *RESTING)
"""What the campaign draws from."""
CHOSEN = ", "


class Lies:
    """One lie, drawn."""

    name = "lies"
    about = "balances, records, prices, markets and databases that lie, and a run that was stopped"

    def __init__(self, families: tuple[Family, ...] = FAMILIES) -> None:
        self.families = families

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Drawn: of each family in turn one choice."""
        chance = random.Random(seed)
        for number in range(runs):
            family = self.families[number % len(self.families)]
            yield self.trial_of(family, chance)

    def trial_of(self, family: Family, chance: random.Random) -> str:
        return SEPARATOR.join((self.name, family.name, CHOSEN.join(map(chance.choice, family.choices))))

    def play(self, stage: Stage, trial: str) -> int:
        _, name, chosen = trial.split(SEPARATOR)
        family = next(family for family in self.families if family.name == name)
        family.play(stage, *chosen.split(CHOSEN))
        return 1
