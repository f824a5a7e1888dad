"""Checks of Kraken's clock, status and the API key, for `botctl doctor`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botctl.adapters.kraken.exchange import KrakenExchange, KrakenMarketData
from botctl.adapters.kraken.parsing import FORBIDDEN_RIGHTS, parse_api_key, parse_key_expiry
from botctl.domain.errors import BotError, NoAnswer
from botctl.domain.health.checks import KEY_EXPIRES_SOON, CheckResult
from botctl.ports import ApiKey

CLOCK_WARN, CLOCK_FAIL = 2.0, 20.0
"""Seconds. botctl sets deadlines by Kraken's clock, but a wrong clock here confuses logs, cron and nonces."""
REQUIRED_RIGHTS = {
    "query-funds": "Query Funds",
    "query-open-trades": "Query Open Orders & Trades",
    "query-closed-trades": "Query Closed Orders & Trades",
    "modify-trades": "Create & Modify Orders",
}
UNUSED_RIGHTS = {"add-funds", "earn-funds"}


def check_clock(kraken: KrakenExchange) -> Iterator[CheckResult]:
    seconds = abs((kraken.now(fresh=True) - datetime.now(UTC)).total_seconds())
    status = "fail" if seconds > CLOCK_FAIL else "warn" if seconds > CLOCK_WARN else "ok"
    fix = "" if status == "ok" else "set this machine's clock (NTP)"
    yield CheckResult("clock", status, f"{seconds:.0f} s between this machine and Kraken", fix)


def check_key(
    kraken: KrakenExchange, *, allow_withdraw: bool, remember: Callable[[ApiKey], object]
) -> Iterator[CheckResult]:
    """The rights and the expiry of the key, which are remembered: a key that was corrected may buy at once."""
    info = kraken.fetch_key_info()
    with suppress(BotError):
        remember(parse_api_key(info))
    yield from _check_rights(info, allow_withdraw=allow_withdraw)
    try:
        yield from _check_expiry(parse_key_expiry(info), datetime.now(UTC))
    except BotError as error:
        yield CheckResult("key expiry", "warn", error.message, "try again later")


def check_status(market_data: KrakenMarketData) -> Iterator[CheckResult]:
    try:
        status = market_data.fetch_system_status()
    except NoAnswer:
        raise
    except BotError as error:
        yield CheckResult("exchange", "warn", error.message, "can't read Kraken's status; try again later")
        return
    fix = "" if status == "online" else "wait until Kraken is online again"
    yield CheckResult("exchange", "warn" if fix else "ok", f"Kraken is {status}", fix)


def _check_rights(info: Mapping[str, Any], *, allow_withdraw: bool) -> Iterator[CheckResult]:
    """Whether the key of this GetApiKeyInfo answer has all rights that botctl needs, and no dangerous ones."""
    permissions = info.get("permissions")
    rights = {str(right) for right in permissions} if isinstance(permissions, list) else set()
    lacking = [name for right, name in REQUIRED_RIGHTS.items() if right not in rights]
    dangerous = sorted(rights & FORBIDDEN_RIGHTS)
    check = partial(CheckResult, "key rights")
    if lacking:
        yield check("fail", f"the key lacks: {', '.join(lacking)}", "give it these rights at Kraken")
    if dangerous:
        fix = "make a key without any withdraw right, and delete this one"
        yield check("warn" if allow_withdraw else "fail", f"the key may withdraw ({', '.join(dangerous)})", fix)
    if unused := sorted(rights & UNUSED_RIGHTS):
        yield check("warn", f"the key has rights botctl never uses: {', '.join(unused)}", "drop them")
    if not lacking and not dangerous:
        yield check("ok", "may query and trade, may not withdraw")
    if str(info.get("queryFrom") or 0) != "0" or str(info.get("queryTo") or 0) != "0":
        yield check("warn", "the key sees only a part of the history", "lift its query dates")


def _check_expiry(expires_at: datetime | None, now: datetime) -> Iterator[CheckResult]:
    if expires_at is not None and (left := expires_at - now) < KEY_EXPIRES_SOON:
        expired = left < timedelta(0)
        detail = "the key has expired" if expired else f"the key expires in {left.days} days"
        yield CheckResult("key expiry", "fail" if expired else "warn", detail, "renew it at Kraken")
