"""Joins a study that several machines work on: Optuna keeps it in a database that all of them reach."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from botctl.backtesting.parameter_grid import Axis, Point
from botctl.domain.errors import ConfigError

OPENINGS = 4
"""Machines that begin a study at the same moment all make its tables; who comes second finds them the next time."""


def join_study(
    axes: Sequence[Axis],
    measure: Callable[[Point], float],
    *,
    storage: str,
    name: str,
    parameters: dict[str, Any],
    trials: int,
    after_each: Callable[[], object],
) -> list[Point]:
    """Try `trials` more points of the study `name`, and return all that any machine has tried.

    `measure` tells how good a point is, more being better; `terms` are what the machines must have in common. Raises
    ConfigError when Optuna is not installed, or its storage can't be reached.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("--storage needs Optuna", hint="pip install 'botctl[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(one: Any) -> float:
        point = tuple(one.suggest_int(axis.name, 0, len(axis.values) - 1) for axis in axes)
        value = measure(point)
        after_each()
        return value

    try:
        study = _open(storage, name)
        _must_be_alike(study, name, parameters)
        study.optimize(objective, n_trials=trials)
        done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    except ConfigError:
        raise
    except Exception as error:  # any driver of any database may fail in its own way
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"the study {name!r} at --storage failed: {reason}", hint="check the address") from error
    return sorted({tuple(int(one.params[axis.name]) for axis in axes) for one in done})


def _open(storage: str, name: str) -> Any:
    """The study, made where there is none yet."""
    import optuna

    for opening in range(1, OPENINGS + 1):
        try:
            return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        except Exception:  # another machine may have made the tables meanwhile
            if opening == OPENINGS:
                raise
            time.sleep(0.25 * opening)
    raise AssertionError("the last opening returns or raises")


def _must_be_alike(study: Any, name: str, parameters: dict[str, Any]) -> None:
    """All machines of a study must try the same thing: the first one's terms stand, and another's are refused."""
    begun = study.user_attrs.get("terms")
    if begun is None:
        study.set_user_attr("terms", parameters)
    elif begun != parameters:
        differing = ", ".join(key for key in parameters if begun.get(key) != parameters[key])
        raise ConfigError(f"the study {name!r} was begun with another {differing}", hint="take another --study")
