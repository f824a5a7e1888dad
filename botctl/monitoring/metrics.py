"""Metrics of the last tick for Prometheus, in a file that node_exporter's textfile collector reads, or served."""

from datetime import datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

from botctl.domain.configuration.settings import Settings
from botctl.domain.errors import ConfigError
from botctl.files import write_public
from botctl.monitoring.own_files import OwnFile
from botctl.monitoring.problems import Watched, load_unguarded, load_unprotected, watched
from botctl.queries import portfolio
from botctl.store.broken_rows import load_rows
from botctl.store.kill_switch import Switch
from botctl.store.models import Tick
from botctl.trading.bot import Bot

MISSING = ConfigError(
    "METRICS_FILE is set but prometheus_client is not installed", hint="pip install 'botctl[metrics]'"
)
FILE = OwnFile("METRICS_FILE", "a metrics file of botctl", b"# HELP botctl_")

METRICS = {
    "botctl_last_success_timestamp_seconds": "When the last tick without a failure ended.",
    "botctl_last_tick_timestamp_seconds": "When the last tick ended.",
    "botctl_last_tick_duration_seconds": "How long it took.",
    "botctl_last_tick_exit_code": "Its exit code.",
    "botctl_last_tick_requests": "Requests it sent to the exchange.",
    "botctl_equity": "Everything valued in the quote currency, when it was last known.",
    "botctl_drawdown_ratio": "Fraction of the performance that is gone since the start, when it was last known.",
    "botctl_drawdown_peak_ratio": "Fraction of the highest performance that is gone, when it was last known.",
    "botctl_is_trading_active": "1 while the switch allows to open positions, else 0.",
    "botctl_open_trades": "Open positions.",
    "botctl_unguarded_positions": "Open positions whose stop is not checked.",
    "botctl_unprotected_positions": "Open positions without the resting stop that EXCHANGE_STOP asks for.",
    "botctl_unsettled_orders": "Orders whose outcome is not known yet.",
    "botctl_missed_runs": "Runs missed since the database was created.",
}
"""The names are public: dashboards use them."""
Metrics = dict[str, float | Decimal | None]
"""Values by name. None is unknown."""


def read_metrics(bot: Bot, *, exit_code: int, seconds: float, now: datetime) -> Metrics:
    """The metrics of the tick that ends `now`."""
    ended = now.timestamp() if exit_code == 0 else _last_success_at()
    return {
        "botctl_last_success_timestamp_seconds": ended,
        "botctl_last_tick_timestamp_seconds": now.timestamp(),
        "botctl_last_tick_duration_seconds": seconds,
        "botctl_last_tick_exit_code": exit_code,
        "botctl_last_tick_requests": bot.exchange.count_requests(),
        **_standing(watched(bot)),
    }


def load_metrics(settings: Settings, switch: Switch) -> Metrics:
    """The same between two ticks, from the open database, which does not know the number of requests."""
    newest = load_rows(Tick.select().order_by(Tick.id.desc()).limit(1))
    last: Tick | None = next(iter(newest), None)
    return {
        "botctl_last_success_timestamp_seconds": _last_success_at(),
        "botctl_last_tick_timestamp_seconds": None if last is None else last.at.timestamp() + last.seconds,
        "botctl_last_tick_duration_seconds": None if last is None else last.seconds,
        "botctl_last_tick_exit_code": None if last is None else last.exit_code,
        **_standing(Watched(settings, switch, portfolio.now_offline(settings.botctl_mode), None)),
    }


def _last_success_at() -> float | None:
    successes = load_rows(Tick.select().where(Tick.exit_code == 0).order_by(Tick.id.desc()).limit(1))
    success: Tick | None = next(iter(successes), None)
    return None if success is None else success.at.timestamp() + success.seconds


def _standing(home: Watched) -> Metrics:
    settings = home.settings
    status = portfolio.status(
        settings.botctl_mode, home.switch, settings.initial_balance, home.now, settings.timeframe.seconds
    )
    return {
        "botctl_equity": status.equity,
        "botctl_drawdown_ratio": status.drawdown,
        "botctl_drawdown_peak_ratio": status.drawdown_peak,
        "botctl_is_trading_active": float(status.is_trading_active),
        "botctl_open_trades": status.open_trades,
        "botctl_unguarded_positions": len(load_unguarded(home)),
        "botctl_unprotected_positions": len(load_unprotected(home)),
        "botctl_unsettled_orders": status.unsettled_orders,
        "botctl_missed_runs": status.missed_ticks,
    }


def problem_with_file(path: Path) -> ConfigError | None:
    """Why the metrics can't be written to this file, if anything."""
    if find_spec("prometheus_client") is None:
        return MISSING
    return FILE.problem_with(path)


def write_metrics(path: Path, mode: str, metrics: Metrics) -> None:
    """Replace the file atomically, readable by all users. Unknown values are left out. Raises ConfigError."""
    if problem := problem_with_file(path):
        raise problem
    write_public(path, format_metrics(mode, metrics))


def format_metrics(mode: str, metrics: Metrics) -> bytes:
    """In Prometheus' text format, without unknown values. Raises ConfigError."""
    try:
        from prometheus_client import CollectorRegistry, Gauge, generate_latest
    except ImportError:
        raise ConfigError("metrics need prometheus_client", hint="pip install 'botctl[metrics]'") from None
    registry = CollectorRegistry()
    for name, value in metrics.items():
        if value is not None:
            Gauge(name, METRICS[name], ["mode"], registry=registry).labels(mode=mode).set(float(value))
    return bytes(generate_latest(registry))
