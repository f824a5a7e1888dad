"""Figures of the last tick for Prometheus, in a file that node_exporter's textfile collector reads."""

import os
from importlib.util import find_spec
from pathlib import Path

from botctl.domain.errors import ConfigError
from botctl.files import write_public
from botctl.monitoring.results import TickMetrics

MISSING = ConfigError("METRICS_FILE is set, and prometheus_client is missing", hint="pip install 'botctl[metrics]'")

BEGINNING = b"# HELP botctl_"
"""Of every file that is written here. Nothing else is ever replaced."""

METRICS: tuple[tuple[str, str, str], ...] = (
    ("last_success_at", "botctl_last_success_timestamp_seconds", "When the last tick without a failure ended."),
    ("last_tick_at", "botctl_last_tick_timestamp_seconds", "When the last tick ended."),
    ("seconds", "botctl_last_tick_duration_seconds", "How long it took."),
    ("exit_code", "botctl_last_tick_exit_code", "Its exit code."),
    ("requests", "botctl_last_tick_requests", "Requests it sent to the exchange."),
    ("equity", "botctl_equity", "Everything valued in the quote currency, when it was last known."),
    ("drawdown", "botctl_drawdown_ratio", "Fraction of the initial balance that is gone, when it was last known."),
    ("open_trades", "botctl_open_trades", "Open positions."),
    ("unguarded", "botctl_unguarded_positions", "Open positions whose stop nobody checks."),
    ("unsettled_orders", "botctl_unsettled_orders", "Orders whose ending is not known."),
    ("missed_runs", "botctl_missed_runs", "Runs left out since the database was made."),
)
"""Field of TickFigures, name, meaning. Names stay: dashboards stand on them."""


def problem_with_file(path: Path) -> ConfigError | None:
    """Why the figures can't be written; None when nothing is known against it."""
    if find_spec("prometheus_client") is None:
        return MISSING
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        return ConfigError(f"METRICS_FILE {path} can't be written", hint="check that its folder is there, and yours")
    try:
        with path.open("rb") as file:
            found = file.read(len(BEGINNING))
    except FileNotFoundError:
        return None
    except OSError as error:
        return ConfigError(f"METRICS_FILE {path} can't be read: {error.strerror}", hint="name another file")
    if found not in (b"", BEGINNING):  # a slip of the pen must not cost a database
        return ConfigError(f"METRICS_FILE {path} holds something else", hint="name another file")
    return None


def write_metrics(path: Path, figures: TickMetrics) -> None:
    """Replace the file, whole or not at all; others may read it. A figure that is unknown is left out.

    Raises ConfigError.
    """
    if problem := problem_with_file(path):
        raise problem
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    for field, name, meaning in METRICS:
        value = getattr(figures, field)
        if value is not None:
            Gauge(name, meaning, ["mode"], registry=registry).labels(mode=figures.mode).set(float(value))
    write_public(path, generate_latest(registry))
