"""Joins a study that several machines work on: Optuna keeps it in a database that all of them reach."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from botctl.backtesting.parameter_grid import Axis, Point
from botctl.domain.errors import ConfigError

MAX_ATTEMPTS = 4
"""Machines that start a study at the same moment all create its tables; the losers find them at the next attempt."""


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
    """Try `trials` more points of a study; return all that any machine has tried. Raises ConfigError."""
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("--storage needs Optuna", hint="pip install 'botctl[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a trial that Ctrl-C ends is a warning with its traceback

    def objective(trial: Any) -> float:
        point = tuple(trial.suggest_int(axis.name, 0, len(axis.values) - 1) for axis in axes)
        value = measure(point)
        after_each()
        return value

    try:
        study = _open(storage, name)
        _check_parameters(study, name, parameters)
        study.optimize(objective, n_trials=trials)
        done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    except ConfigError:
        raise
    except Exception as error:  # each database driver has its own errors
        if (ended := _ended_by(error)) is not None:
            raise ended from None
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"the study {name!r} at --storage failed: {reason}", hint="check the address") from error
    return sorted({tuple(int(trial.params[axis.name]) for axis in axes) for trial in done})


def _ended_by(error: BaseException | None) -> BaseException | None:
    """The Ctrl-C or SIGTERM during which an error was raised: what ends a compiler or a driver can fail on its own."""
    while error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        error = error.__context__
    return error


def _open(storage: str, name: str) -> Any:
    import optuna

    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        except Exception as error:  # another machine may be creating the tables
            if attempt == MAX_ATTEMPTS or _ended_by(error) is not None:
                raise
            time.sleep(0.25 * attempt)
    raise AssertionError("the last attempt returns or raises")


def _check_parameters(study: Any, name: str, parameters: dict[str, Any]) -> None:
    """All machines must try the same thing: the first one's parameters are stored, others are refused."""
    stored = study.user_attrs.get("terms")
    if stored is None:
        study.set_user_attr("terms", parameters)
    elif stored != parameters:
        differing = ", ".join(key for key in parameters if stored.get(key) != parameters[key])
        raise ConfigError(f"the study {name!r} was started with another {differing}", hint="choose another --study")
