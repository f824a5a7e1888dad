"""doctor: checks everything that a live run needs."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import typer

from botctl.cli.context import JsonFlag, env_file_of, in_a_named_home, start_log_for, with_log_problem
from botctl.cli.output import show_checks
from botctl.config import Config, check_file_modes, load_config
from botctl.domain.configuration.refused_buys import live_trading_disabled_error
from botctl.domain.configuration.settings import Mode, Settings, missing_for_live
from botctl.domain.errors import BotError, NoAnswer
from botctl.domain.health.checks import CheckResult
from botctl.domain.text import counted, format_time
from botctl.monitoring.check import check_monitoring
from botctl.queries.portfolio import now_offline
from botctl.scheduling.installation import check_schedule
from botctl.scheduling.runner import find_ticking
from botctl.store.broken_rows import find_broken_rows
from botctl.store.location import opened_where
from botctl.store.sqlite import damaged
from botctl.store.ticks import load_last_tick_at
from botctl.store.upkeep.checks import unsafe_settings
from botctl.trading.bot import Bot
from botctl.trading.council.check import check_council
from botctl.trading.readiness import (
    check_fees,
    check_funds,
    check_initial_balance,
    check_journal,
    check_open_markets,
    check_sentiment,
    check_symbols,
)
from botctl.trading.resting_stop_checks import check_resting_stops
from botctl.wiring import build_market_data, kraken_of, open_bot


def doctor(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Check everything a live run needs, and suggest fixes.

    Covers settings, file modes, database, clock, key rights, funds, minimums, Council and schedule. Sends no order
    and changes nothing. Exit code 1 if a check has failed; a `warn` can wait.

    \b
    Examples:
      botctl doctor
      BOTCTL_MODE=live botctl doctor
    """
    show_checks(ctx, _check_all(ctx), "nothing to check")


def _check_all(ctx: typer.Context) -> list[CheckResult]:
    """Every check, ordered so that a failure explains those after it."""
    try:
        config = load_config(env_file_of(ctx), lock_timeouts=ctx.obj, strict=False)
        config = with_log_problem(config, start_log_for(ctx, config))
        config = in_a_named_home(ctx, config, acts=False, looks=True)
    except BotError as error:
        return [CheckResult("settings", "fail", error.message, error.hint)]
    results = [*_check_settings(config), *_check_files(config), *check_monitoring(config.settings, config.folder)]
    ticks: list[CheckResult] = []
    try:
        with open_bot(config) as bot:
            ticks.append(_check_ticks(config, bot))
            results.append(_check_database(config))
            results += [CheckResult("database", "fail", each.message, each.hint) for each in find_broken_rows()]
            results += _check_trading(config, bot)
    except BotError as error:
        results.append(CheckResult("database", "fail", error.message, error.hint))
    return [*results, check_schedule(config.folder), *ticks]


def _check_settings(config: Config) -> Iterator[CheckResult]:
    missing = [name for name in missing_for_live(config.settings) if name not in config.doubtful]
    for problem in config.problems:
        yield CheckResult("settings", "fail", problem.message, problem.hint)
    if missing:
        yield CheckResult("settings", "fail", f"live mode needs {', '.join(missing)}", f"set it in {config.env_file}")
    elif not config.problems:
        source = config.env_file if config.env_file.exists() else "defaults and environment"
        yield CheckResult("settings", "ok", f"{config.settings.botctl_mode} mode, from {source}")
    if config.settings.https_proxy is not None and config.settings.botctl_mode is not Mode.DEMO:
        yield _describe_proxy(config.settings)
    if config.settings.live_trading_disabled:
        error = live_trading_disabled_error()
        yield CheckResult("live trading", "fail", error.message, error.hint)


def _describe_proxy(settings: Settings) -> CheckResult:
    """The proxy before Kraken, without its password."""
    proxy, url = settings.https_proxy, settings.kraken_api_url
    if url and url.startswith("http:"):
        hint = "unset HTTPS_PROXY, or use https"
        return CheckResult("proxy", "warn", f"KRAKEN_API_URL={url} is reached without HTTPS_PROXY={proxy}", hint)
    return CheckResult("proxy", "ok", f"Kraken is reached through HTTPS_PROXY={proxy}")


def _check_ticks(config: Config, bot: Bot) -> CheckResult:
    """Whether the last tick is as new as it should be."""
    settings, last = config.settings, load_last_tick_at()
    ticking = find_ticking(config.folder, last, now_offline(settings.botctl_mode), settings.timeframe.seconds)
    if ticking.overdue:
        trades = len(bot.journal.open_symbols())
        detail = ticking.overdue + (
            f" {counted(trades, 'open position is', 'open positions are')} not guarded" if trades else ""
        )
        return CheckResult("ticks", "fail" if trades else "warn", detail, "run `botctl schedule show`")
    detail = "no tick yet" if last is None else f"the last tick is of {format_time(last)} UTC"
    signals = "" if settings.signal_seconds is None else f", signals every {settings.signal_timeframe}"
    return CheckResult("ticks", "ok", f"{detail}, expected every {settings.timeframe}{signals}")


def _check_files(config: Config) -> Iterator[CheckResult]:
    files = [config.env_file, *filter(None, [config.database.file])]
    yield from check_file_modes(files, config.settings.botctl_mode)
    folder = config.database_file.parent
    if folder.exists() and not os.access(folder, os.W_OK):
        yield CheckResult("file modes", "fail", f"can't write to {folder}", "check its owner and permissions")
    for file in filter(os.path.lexists, config.halt_files):
        yield CheckResult("switch", "warn", f"{file} exists, so botctl is paused", "remove it to trade")


def _check_database(config: Config) -> CheckResult:
    if complaint := opened_where().find_damage():
        error = damaged(config.database, complaint)
        return CheckResult("database", "fail", error.message, error.hint)
    if unsafe := unsafe_settings():
        return CheckResult("database", "warn", unsafe, "turn it on in the server's postgresql.conf")
    return CheckResult("database", "ok", f"{config.database}, {config.settings.botctl_mode}")


def _check_trading(config: Config, bot: Bot) -> Iterator[CheckResult]:
    try:
        yield from _check_exchange(config, bot)
    except NoAnswer as error:  # what else asks the exchange would only repeat it
        address = " and KRAKEN_API_URL" if config.settings.kraken_api_url else ""
        yield CheckResult("exchange", "fail", error.message, f"check this machine's network{address}")
    yield from check_council(config.settings, config.folder)
    for missing in config.council_variables.missing:
        yield CheckResult("council", "warn", missing, "set it, or take its name out of COUNCIL_ENV")
    yield check_sentiment(bot)


def _check_exchange(config: Config, bot: Bot) -> Iterator[CheckResult]:
    """Raises NoAnswer."""
    if (kraken := kraken_of(bot)) is not None:
        from botctl.adapters.kraken.checks import check_clock, check_key

        yield from _results_of(check_clock, kraken)
        allowed = config.settings.allow_withdraw_key
        yield from _results_of(partial(check_key, allow_withdraw=allowed, remember=bot.key_check.remember), kraken)
    if config.settings.botctl_mode is not Mode.DEMO:
        from botctl.adapters.kraken.checks import check_status

        yield from _results_of(check_status, build_market_data(config.settings))
    yield from _results_of(lambda each: check_journal(each, config.database_file), bot)
    yield from _results_of(check_fees, bot)
    yield from _results_of(check_funds, bot)
    yield from _results_of(check_initial_balance, bot)
    yield from _results_of(check_symbols, bot)
    yield from _results_of(check_open_markets, bot)
    yield from _results_of(check_resting_stops, bot)


def _results_of[T](check: Callable[[T], Iterable[CheckResult]], subject: T) -> Iterator[CheckResult]:
    """The results of a check; an error is one of them. Raises NoAnswer."""
    try:
        yield from check(subject)
    except NoAnswer:
        raise
    except BotError as error:
        yield CheckResult("exchange", "fail", error.message, error.hint or "check the network and the key")
