"""Lets botctl run in a modelled world, and holds each run against the model and the invariants."""

from tests.chaos.comparison import UNPROTECTED, VALUING, Span
from tests.chaos.disturbances import Disturbances
from tests.chaos.history import QUARTER
from tests.chaos.invariants import (
    ALWAYS,
    SETTLED,
    a_bare_trade_is_said,
    a_tripped_drawdown_ends_flat,
    check,
    each_open_trade_has_its_resting_stop,
)
from tests.chaos.kills import run_until
from tests.chaos.modelled_world import ModelledWorld
from tests.chaos.processes import Run
from tests.chaos.scenes import guard_is_awake
from tests.chaos.simple_model import SimpleModel
from tests.chaos.step_log import StepLog

LATER = (a_tripped_drawdown_ends_flat, each_open_trade_has_its_resting_stop)
QUIET = tuple(invariant for invariant in SETTLED if invariant not in LATER)
"""What holds whenever the journal is settled, also when a run was ended before it could sell everything."""
PROVING = ("tick", "check-positions")
"""The commands that prove that each trade has its resting stop."""
TOO_SMALL = "minimum"
MOST_TICKS = 10
"""After so many at the latest nothing is left open. What the owner buys may look like a lost buy for two hours."""
SPOILED_PATIENCE, CALM_PATIENCE = 0.25, 5.0
"""Real seconds until a run stops waiting for an answer: where nothing is spoiled each one comes, if late."""


class ComparedRuns:
    """Runs of botctl in one modelled world."""

    def __init__(self, modelled: ModelledWorld, disturbances: Disturbances, log: StepLog) -> None:
        self._modelled = modelled
        self._disturbances = disturbances
        self._log = log
        self._world = modelled.world
        self._comparison = modelled.comparison

    def run(self, *arguments: str) -> Run:
        """Let botctl run, and hold what it did against the model."""
        disturbed = self._is_disturbed
        self._modelled.wait_until_seconds_play_no_part()
        start = self._world.clock.now()
        fired = self._comparison.take_fired_stops()
        disturbed |= fired
        before = self._modelled.model.twin()
        unsure = _values_the_account(arguments, before) and before.is_unsure(start)
        calm = self._comparison.facts.unsettled == 0 and not (self._modelled.is_skewed or unsure or fired)
        expected = self._modelled.model.run(arguments, start)
        spoiled = disturbed or unsure or expected.is_a_guess
        run = self._run_disturbed(arguments, SPOILED_PATIENCE if disturbed else CALM_PATIENCE)
        self._log.add(f"   botctl {' '.join(arguments)}: {'disturbed, ' if spoiled else ''}{describe(run)}")
        span = Span(arguments, start, self._world.clock.now(), run)
        self._modelled.note_a_wrong_clock()
        assert "Traceback" not in run.stderr, run.words
        assert "bug:" not in run.stdout + run.stderr, run.words
        if spoiled:
            self._comparison.take_over(before, expected, span, calm=calm, valued=not disturbed)
        else:
            self._comparison.check_exactly(expected, span)
        if not spoiled and arguments[0] in PROVING and not before.frozen:
            check(self._world, (a_bare_trade_is_said,))
        tally = self._log.tally
        tally.runs += 1
        if not spoiled:
            tally.undisturbed += 1
            tally.seen.update([f"exit code {run.exit_code}", *(reason for _, reason in expected.closed)])
        return run

    def _run_disturbed(self, arguments: tuple[str, ...], wait_seconds: float) -> Run:
        """One run under what is armed for it, which is over with it."""
        ending = self._disturbances.ending
        run = (
            run_until(self._world, arguments, *ending)
            if ending
            else self._world.run(*arguments, wait_seconds=wait_seconds)
        )
        self._disturbances.clear()
        return run

    @property
    def _is_disturbed(self) -> bool:
        """Whether the next run is disturbed by anything, be it left from earlier ones."""
        return self._disturbances.active or self._comparison.facts.unsettled > 0 or self._modelled.is_skewed

    def check_invariants(self) -> None:
        is_settled = self._comparison.facts.unsettled == 0 and not self._comparison.fired_stops()
        check(self._world, QUIET if is_settled else ALWAYS)

    def come_to_order(self) -> None:
        """The exchange behaves, and cron goes on, until a tick has nothing to complain of."""
        self._disturbances.clear()
        self._world.kraken.clock.offset = 0.0
        self._modelled.council_says("HOLD")
        for _ in range(MOST_TICKS):
            run = self.run("tick")
            code, facts = run.exit_code, self._comparison.facts
            is_small = UNPROTECTED in run.stderr and TOO_SMALL in run.stderr  # it goes on to say so
            is_done = code == 0 or is_small or (code == 3 and not facts.open)  # a tripped guard goes on to the last
            if is_done and not facts.unsettled:
                break
            self._world.clock.skip(QUARTER)
        else:
            raise AssertionError(f"not settled after {MOST_TICKS} ticks")
        if not self._modelled.model.frozen:
            check(self._world, SETTLED)

    def end_well(self) -> None:
        """Whatever was played: the journal settles, and no position is left without its stop."""
        self.come_to_order()
        self.run("resume")
        self._modelled.reach_all_stops()
        guard_is_awake(self._world)
        assert self._world.kraken.bugs == [], "the fake Kraken itself failed"


def _values_the_account(arguments: tuple[str, ...], model: SimpleModel) -> bool:
    return arguments[0] in VALUING and not model.tripped and not (arguments[0] == "tick" and model.frozen)


def describe(run: Run) -> str:
    """A run in one line."""
    return f"exit code {run.exit_code} " + " | ".join(run.stderr.splitlines())
