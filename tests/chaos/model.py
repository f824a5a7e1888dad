"""Plays games against the simple model. Each is drawn from its seed alone, so that its trial's text plays it again."""

from collections.abc import Iterator

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.campaign import SEPARATOR
from tests.chaos.scenes import Stage
from tests.chaos.state_machine import RestingStateMachine, TradingStateMachine
from tests.chaos.step_log import Surprise, Tally

STEPS = 50
"""In one game."""
RESTING = " with resting stops"


def play_game(stage: Stage, steps: int, number: int, *, shrink: bool = False, resting: bool = False) -> Tally:
    """One example of so many steps, drawn from the seed `number`; with stops that rest at Kraken where `resting` says
    so. With `shrink` a failure is made as short as can be, which takes minutes."""
    tally = Tally()
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    chosen = settings(
        max_examples=1,
        stateful_step_count=steps + 1,  # one is for the beginning
        phases=phases,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )

    @seed(number)
    def game() -> TradingStateMachine:
        return (RestingStateMachine if resting else TradingStateMachine)(stage, tally)

    try:
        run_state_machine_as_test(game, settings=chosen)  # type: ignore[arg-type]
    except Exception as error:  # a failure that does not repeat itself is one too
        if not tally.failures:
            raise
        notes = "\n".join(getattr(error, "__notes__", []))
        raise Surprise(f"{tally.failures[-1]}\n{notes}") from error
    return tally


class Model:
    """Everything at once, against the simple model."""

    name = "model"
    about = "steps of anything, each compared with a simple model"

    def trials(self, stage: Stage, runs: int, seed: int) -> Iterator[str]:
        """Examples of fifty steps, with seeds from `seed` on, every third with resting stops. `, shrunk` behind one
        makes its failure short."""
        for number in range(seed, seed + runs):
            steps = f"{STEPS} steps{RESTING}" if number % 3 == 0 else f"{STEPS} steps"
            yield SEPARATOR.join((self.name, steps, f"seed {number}"))

    def play(self, stage: Stage, trial: str) -> int:
        _, steps, drawn = trial.split(SEPARATOR)
        number, *rest = drawn.removeprefix("seed ").split(", ")
        count, resting = int(steps.split()[0]), steps.endswith(RESTING)
        return play_game(stage, count, int(number), shrink=rest == ["shrunk"], resting=resting).steps
