"""What an API key of Kraken may do and when it expires, against what botctl needs."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from botctl.domain.checks import KEY_EXPIRES_SOON, CheckResult

NEEDED_RIGHTS = {
    "query-funds": "Query Funds",
    "query-open-trades": "Query Open Orders & Trades",
    "query-closed-trades": "Query Closed Orders & Trades",
    "modify-trades": "Create & Modify Orders",
}
FORBIDDEN_RIGHTS = {"withdraw-funds", "add-withdraw-address", "update-withdraw-address"}
NEEDLESS_RIGHTS = {"add-funds", "earn-funds"}


def check_rights(info: Mapping[str, Any]) -> Iterator[CheckResult]:
    """Whether a key, of which Kraken's GetApiKeyInfo says this, may do what botctl does, and nothing dangerous."""
    permissions = info.get("permissions")
    rights = {str(right) for right in permissions} if isinstance(permissions, list) else set()
    lacking = [name for right, name in NEEDED_RIGHTS.items() if right not in rights]
    dangerous = sorted(rights & FORBIDDEN_RIGHTS)
    if lacking:
        yield CheckResult(
            "key rights", "fail", f"the key lacks: {', '.join(lacking)}", "give it these rights at Kraken"
        )
    if dangerous:
        fix = "make a key without any withdraw right, and delete this one"
        yield CheckResult("key rights", "fail", f"the key may withdraw ({', '.join(dangerous)})", fix)
    if needless := sorted(rights & NEEDLESS_RIGHTS):
        detail = f"the key has rights botctl never uses: {', '.join(needless)}"
        yield CheckResult("key rights", "warn", detail, "drop them")
    if not lacking and not dangerous:
        yield CheckResult("key rights", "ok", "may query and trade, may not withdraw")
    if str(info.get("queryFrom") or 0) != "0" or str(info.get("queryTo") or 0) != "0":
        yield CheckResult("key rights", "warn", "the key sees only a part of the history", "lift its query dates")


def check_expiry(expires_at: datetime | None, now: datetime) -> Iterator[CheckResult]:
    """Says something only of a key that expires soon, or has expired."""
    if expires_at is not None and (left := expires_at - now) < KEY_EXPIRES_SOON:
        over = left < timedelta(0)
        detail = "the key has expired" if over else f"the key expires in {left.days} days"
        yield CheckResult("key expiry", "fail" if over else "warn", detail, "renew it at Kraken")
