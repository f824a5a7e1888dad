"""Checks all that a first live run needs: each line says ok, warn or fail, and the fix."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from botctl.cli.context import LogFlags
from botctl.cli.log import start_log
from botctl.config import Config, load_config
from botctl.domain.checks import CheckResult
from botctl.domain.errors import BotError, ConfigError
from botctl.domain.markets import Market, amount_for_cost, below_minimum
from botctl.domain.money import format_decimal
from botctl.domain.settings import Mode, live_trading_disabled_error, missing_for_live
from botctl.domain.symbols import quote_of
from botctl.scheduling.installation import check_schedule
from botctl.store.checks import careless_server
from botctl.store.database import opened_where
from botctl.store.sqlite import damaged
from botctl.wiring import build_market_data, kraken_of, open_bot

if TYPE_CHECKING:
    from botctl.adapters.kraken.exchange import KrakenExchange
    from botctl.trading.bot import Bot

CLOCK_WARN, CLOCK_FAIL = 2.0, 20.0
"""Seconds. botctl sets deadlines by Kraken's own clock, but a wrong one here confuses logs, cron and nonces."""
ENTRY_FEE = Decimal("0.004")
"""What a taker pays at Kraken's lowest tier, as a fraction of the cost."""


def examine(env_file: Path | None, flags: LogFlags) -> list[CheckResult]:
    """Every check, in an order in which a failing one explains the next."""
    try:
        config = load_config(env_file)
        start_log(config, **flags)
    except BotError as error:
        return [CheckResult("settings", "fail", error.message, error.hint)]
    lines = [*_settings(config), *_files(config), *_watchers(config), check_schedule(config.folder)]
    try:
        with open_bot(config) as bot:
            lines.insert(-1, _database(config))
            lines[-1:-1] = _market_checks(config, bot)
    except BotError as error:
        lines.insert(-1, CheckResult("database", "fail", error.message, error.hint))
    return lines


def _settings(config: Config) -> Iterator[CheckResult]:
    missing = missing_for_live(config.settings)
    if missing:
        yield CheckResult("settings", "fail", f"live mode needs {', '.join(missing)}", f"set it in {config.env_file}")
    else:
        where = config.env_file if config.env_file.exists() else "defaults and environment"
        yield CheckResult("settings", "ok", f"{config.settings.botctl_mode} mode, from {where}")
    if config.settings.live_trading_disabled:
        error = live_trading_disabled_error()
        yield CheckResult("live trading", "fail", error.message, error.hint)


def _files(config: Config) -> Iterator[CheckResult]:
    for path in (config.env_file, config.database.file):
        if path is None or not path.exists():
            continue
        if path.stat().st_mode & 0o077:
            status = "fail" if config.settings.botctl_mode is Mode.LIVE else "warn"
            yield CheckResult("file modes", status, f"{path} can be read by others", f"chmod 600 {path}")
        else:
            yield CheckResult("file modes", "ok", f"{path} is yours alone")
    folder = config.database_file.parent
    if folder.exists() and not os.access(folder, os.W_OK):
        yield CheckResult("file modes", "fail", f"{folder} can't be written", "check its owner and mode")
    if config.halt_file.exists():
        yield CheckResult("switch", "warn", f"{config.halt_file} exists, so botctl is paused", "remove it to trade")


def _watchers(config: Config) -> Iterator[CheckResult]:
    """Those who hear of this bot: each with what keeps it from being heard. Nothing is sent."""
    from botctl.monitoring import heartbeat, metrics, sender

    settings = config.settings
    if settings.notify_urls is None:
        yield CheckResult(
            "notify", "warn", "nobody is told when something matters", "set NOTIFY_URLS (docs/settings.md)"
        )
    elif unreachable := sender.problem_with_addresses(settings.channels):
        yield CheckResult("notify", "warn", unreachable.message, unreachable.hint)
    else:
        names = ", ".join(sender.masked(url) for url in settings.channels)
        yield CheckResult("notify", "ok", f"{names}; `botctl notify --test` sends to each")
    if settings.healthcheck_url is not None:
        problem = heartbeat.problem_with_url(settings.healthcheck_url)
        fix = "correct the setting" if problem else ""
        yield CheckResult("heartbeat", "warn" if problem else "ok", problem or "HEALTHCHECK_URL is pinged", fix)
    if settings.metrics_file is not None:
        path = config.folder / settings.metrics_file
        if unwritable := metrics.problem_with_file(path):
            yield CheckResult("metrics", "warn", unwritable.message, unwritable.hint)
        else:
            yield CheckResult("metrics", "ok", f"each tick writes {path}")


def _database(config: Config) -> CheckResult:
    if complaint := opened_where().find_damage():
        error = damaged(config.database, complaint)
        return CheckResult("database", "fail", error.message, error.hint)
    if careless := careless_server():
        return CheckResult("database", "warn", careless, "turn it on in the server's postgresql.conf")
    return CheckResult("database", "ok", f"{config.database}, {config.settings.botctl_mode}")


def _market_checks(config: Config, bot: "Bot") -> list[CheckResult]:
    checks: list[Callable[[], Iterable[CheckResult]]] = []
    if config.settings.botctl_mode is Mode.LIVE:
        checks.append(lambda: _clock(bot))
    if (kraken := kraken_of(bot)) is not None:
        checks.append(lambda: _key(kraken))
    if config.settings.botctl_mode is not Mode.DEMO:
        checks.append(lambda: _exchange(config))
    checks += [lambda: _funds(bot), lambda: _symbols(bot), lambda: [_council(bot)], lambda: _sentiment(bot)]
    lines: list[CheckResult] = []
    for check in checks:
        try:
            lines += check()
        except BotError as error:
            lines.append(CheckResult("exchange", "fail", error.message, error.hint or "check the network and the key"))
    return lines


def _exchange(config: Config) -> Iterator[CheckResult]:
    """Kraken's own word on whether it takes orders."""
    try:
        status = build_market_data(config.settings).fetch_system_status()
    except BotError as error:
        yield CheckResult("exchange", "warn", error.message, "Kraken's status can't be read; try again later")
        return
    fix = "" if status == "online" else "wait until Kraken is online again"
    yield CheckResult("exchange", "warn" if fix else "ok", f"Kraken says it is {status}", fix)


def _funds(bot: "Bot") -> Iterator[CheckResult]:
    """Enough for one entry of the usual size, with a fee of the entry tier on top."""
    try:
        free = bot.exchange.fetch_balances()
    except BotError as error:
        yield CheckResult("funds", "warn", f"the balance can't be read: {error.message}", "see the key's rights")
        return
    for quote in sorted({quote_of(symbol) for symbol in bot.settings.symbols}):
        have, need = free.spendable(quote), bot.settings.trade_amount_usd * (1 + ENTRY_FEE)
        short = have < need
        detail = f"{format_decimal(have)} {quote} free, one entry needs {format_decimal(need)}"
        fix = "add funds, or lower TRADE_AMOUNT_USD" if short else ""
        yield CheckResult("funds", "warn" if short else "ok", detail, fix)


def _clock(bot: "Bot") -> Iterator[CheckResult]:
    off = abs((bot.exchange.now(fresh=True) - datetime.now(UTC)).total_seconds())
    detail = f"{off:.0f} s between this machine and Kraken"
    if off > CLOCK_FAIL:
        yield CheckResult("clock", "fail", detail, "set this machine's clock (NTP)")
    else:
        fix = "set this machine's clock (NTP)" if off > CLOCK_WARN else ""
        yield CheckResult("clock", "warn" if fix else "ok", detail, fix)


def _key(kraken: "KrakenExchange") -> Iterator[CheckResult]:
    """Kraken's GetApiKeyInfo tells the rights of the key that asks."""
    from botctl.adapters.kraken.api_key import check_expiry, check_rights
    from botctl.adapters.kraken.parsing import parse_key_expiry

    info = kraken.fetch_key_info()
    yield from check_rights(info)
    try:
        yield from check_expiry(parse_key_expiry(info), datetime.now(UTC))
    except BotError as error:
        yield CheckResult("key expiry", "warn", error.message, "try again later")


def _symbols(bot: "Bot") -> Iterator[CheckResult]:
    """Tradable, and a trade of the usual size can be sold at its own stop."""
    markets = bot.exchange.load_markets()
    quotes = bot.exchange.fetch_quotes([symbol for symbol in bot.settings.symbols if symbol in markets])
    for symbol in bot.settings.symbols:
        market, quote = markets.get(symbol), quotes.good.get(symbol)
        if market is None:
            yield CheckResult("symbols", "fail", f"{symbol} is no market here", "correct SYMBOLS")
        elif not market.tradable:
            yield CheckResult(
                "symbols", "fail", f"{symbol} is in {market.status} mode", "wait, or take it from SYMBOLS"
            )
        elif quote is None or quote.ask is None:
            yield CheckResult("symbols", "fail", f"{symbol} {quotes.bad.get(symbol, 'has no ask')}", "try again later")
        else:
            yield _minimum(bot, market, quote.ask)


def _minimum(bot: "Bot", market: Market, ask: Decimal) -> CheckResult:
    cost = bot.settings.trade_amount_usd
    try:
        stop = Decimal(repr(bot.risk.calculate_stop_loss(ask, bot.risk.fetch_candles(market.symbol))))
    except BotError as error:
        return CheckResult(
            "minimums", "fail", f"{market.symbol}: {error.message}", error.hint or "no entry without an ATR"
        )
    amount = amount_for_cost(cost, ask, market)
    if why := below_minimum(amount, stop, market):
        return CheckResult("minimums", "fail", f"{market.symbol}: at its stop {why}", "raise TRADE_AMOUNT_USD")
    detail = f"{market.symbol}: {format_decimal(cost)} {market.quote} is enough, also at its stop of {stop:.6g}"
    return CheckResult("minimums", "ok", detail)


def _council(bot: "Bot") -> CheckResult:
    """Everybody who is to sit can."""
    if bot.settings.council_command is not None:
        return _council_command(bot.settings.council_command)
    from botctl.trading.council.master_node import find_agents

    names = bot.settings.council
    try:
        find_agents(names)
    except ConfigError as error:
        return CheckResult("council", "fail", error.message, error.hint)
    if set(names) in ({"technical"}, {"sentiment"}):
        detail = f"{names[0]} alone never decides: a buy takes FEAR and BULLISH"
        return CheckResult("council", "warn", detail, "COUNCIL=technical,sentiment")
    return CheckResult("council", "ok", ", ".join(names))


def _council_command(command: str) -> CheckResult:
    try:
        program = shlex.split(command)[0]
    except (ValueError, IndexError) as error:
        return CheckResult("council", "fail", f"COUNCIL_COMMAND is no command line: {error}", "correct the setting")
    if shutil.which(program) is None:
        fix = "correct the setting"
        return CheckResult("council", "fail", f"COUNCIL_COMMAND: there is no program {program!r}", fix)
    return CheckResult("council", "ok", f"COUNCIL_COMMAND runs {program}")


def _sentiment(bot: "Bot") -> Iterator[CheckResult]:
    reading = bot.sentiment.read()
    if reading.index is None:
        yield CheckResult("sentiment", "warn", reading.why, "without it the Council holds; check SENTIMENT_URL")
    else:
        yield CheckResult("sentiment", "ok", f"Fear & Greed {reading.index} ({reading.why})")
