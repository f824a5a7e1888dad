"""Checks of Kraken's clock, status and the API key, for `botctl doctor`."""

from collections.abc import Iterator
from datetime import UTC, datetime

from botctl.adapters.kraken.api_key import check_expiry, check_rights
from botctl.adapters.kraken.exchange import KrakenExchange, KrakenMarketData
from botctl.adapters.kraken.parsing import parse_key_expiry
from botctl.domain.checks import CheckResult
from botctl.domain.errors import BotError

CLOCK_WARN, CLOCK_FAIL = 2.0, 20.0
"""Seconds. botctl sets deadlines by Kraken's clock, but a wrong clock here confuses logs, cron and nonces."""


def check_clock(kraken: KrakenExchange) -> Iterator[CheckResult]:
    seconds = abs((kraken.now(fresh=True) - datetime.now(UTC)).total_seconds())
    status = "fail" if seconds > CLOCK_FAIL else "warn" if seconds > CLOCK_WARN else "ok"
    fix = "" if status == "ok" else "set this machine's clock (NTP)"
    yield CheckResult("clock", status, f"{seconds:.0f} s between this machine and Kraken", fix)


def check_key(kraken: KrakenExchange) -> Iterator[CheckResult]:
    info = kraken.fetch_key_info()
    yield from check_rights(info)
    try:
        yield from check_expiry(parse_key_expiry(info), datetime.now(UTC))
    except BotError as error:
        yield CheckResult("key expiry", "warn", error.message, "try again later")


def check_status(market_data: KrakenMarketData) -> Iterator[CheckResult]:
    try:
        status = market_data.fetch_system_status()
    except BotError as error:
        yield CheckResult("exchange", "warn", error.message, "can't read Kraken's status; try again later")
        return
    fix = "" if status == "online" else "wait until Kraken is online again"
    yield CheckResult("exchange", "warn" if fix else "ok", f"Kraken is {status}", fix)
