"""How the bot stands, from its open database and from what this host says of its schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from botctl.config import Config, why_no_buys
from botctl.domain.health.ticking import Ticking
from botctl.monitoring.outbox import load_active_alerts
from botctl.monitoring.problems import Watched, collect_problems
from botctl.queries import portfolio
from botctl.queries.cockpit import AlarmView, Cockpit, load_cockpit
from botctl.queries.resting_stops import name_unprotected
from botctl.run_lock import LockHolder
from botctl.scheduling.runner import find_runner
from botctl.store.evidence.last_prices import LastPrice
from botctl.store.resting_stops import load_resting_stops
from botctl.trading.evidence.api_key import key_id_of, load_api_key


def read_cockpit(
    config: Config,
    *,
    holder: LockHolder | None = None,
    runner: tuple[str | None, bool] | None = None,
    prices: Mapping[str, LastPrice] | None = None,
) -> Cockpit:
    """Of the open database. `holder` has the run's lock, `runner` is what `find_runner` said (it starts programs),
    `prices` are newer than those of the last run. Raises BotError."""
    settings = config.settings
    mode, seconds, now = settings.botctl_mode, settings.timeframe.seconds, portfolio.now_offline(settings.botctl_mode)
    status = portfolio.status(mode, config.switch, settings.initial_balance, now, seconds, holder)
    scheduled_by, active = find_runner(config.folder) if runner is None else runner
    ticking = Ticking(scheduled_by, active, status.last_tick_at, now, seconds)
    status = replace(
        status,
        scheduled_by=scheduled_by,
        overdue=ticking.overdue,
        resting_stops=len(load_resting_stops()),
        unprotected=name_unprotected(settings.resting_distance),
    )
    return load_cockpit(
        settings,
        str(config.folder),
        config.switch,
        status,
        ticking,
        alarms=_alarms(config, now),
        no_buys=why_no_buys(config),
        prices=dict(prices or {}),
    )


def _alarms(config: Config, now: datetime) -> Sequence[AlarmView]:
    """What is wrong now, and since when, where a message has reported it."""
    key = load_api_key(key_id_of(config.settings))
    home = Watched(config.settings, config.switch, now, None if key is None else key.expires_at)
    since = {each.key: each.since for each in load_active_alerts() if each.resolved_at is None}
    return [AlarmView(each.key, each.text, since.get(each.key)) for each in collect_problems(home, datetime.now(UTC))]
