"""Every way in which one request to Kraken may go wrong, by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

REFUSED, REFUSED_FOR_A_MOMENT = "refused", "refused for a moment"
"""Nobody listens: until the run has ended, or until it has waited a second."""

NOT_PROCESSED_TEXTS = (
    "EAPI:Invalid nonce",
    "EAPI:Rate limit exceeded",
    "EOrder:Rate limit exceeded",
    "EAuth:Rate limit exceeded",
    "EOrder:Domain rate limit exceeded",
    "EGeneral:Too many requests",
    "EGeneral:Temporary lockout",
    "EService:Throttled: 1793620900",
    "EService: Throttled",
    "EService:Deadline elapsed",
    "EService:Market in cancel_only mode",
    "EService:Market in post_only mode",
    "EService:Market in limit_only mode",
    "EAPI:Invalid key",
    "EAPI:Invalid signature",
    "EGeneral:Permission denied",
    "EAuth:Account temporary disabled",
    "EAccount:Invalid permissions:BTC trading restricted",
    "ESession:Invalid session",
    "ETrade:User Locked",
    "EOrder:Insufficient funds",
    "EOrder:Order minimum not met",
    "EOrder:Cost minimum not met",
    "EOrder:Tick size check failed",
    "EOrder:Invalid price",
    "EOrder:Orders limit exceeded",
    "EOrder:Post only order",
    "EOrder:Cannot open position",
    "EOrder:Insufficient margin",
    "EOrder:Unknown order",
    "EOrder:Invalid order",
    "EOrder:Trading agreement required",
    "EGeneral:Invalid arguments",
    "EGeneral:Invalid arguments:volume",
    "EGeneral:Invalid arguments:volume minimum not met",
    "EGeneral:Invalid arguments:price",
    "EGeneral:Invalid arguments:viqc",
    "EGeneral:Invalid arguments:cl_ord_id",
    "EGeneral:Invalid arguments:userref",
    "EGeneral:Unknown method",
    "EQuery:Unknown asset pair",
    "EQuery:Unknown asset",
    "EFunding:Invalid amount",
)
"""Texts after which nothing was placed."""

PERHAPS_TEXTS = (
    "EService:Unavailable",
    "EService:Busy",
    "EService:Timeout",
    "EGeneral:Internal error",
    "EDatabase:Internal error",
    "EQuery:Internal error",
    "EUnheard:Of such a thing",
)
"""Texts after which an order may have been placed, and may not."""

PLACED_TEXTS = ("EGeneral:Invalid arguments:cl_ord_id not unique",)
"""The text that proves that there is an order."""

SHAPES: Mapping[str, Any] = MappingProxyType(
    {
        "a list": [],
        "a text": "maintenance",
        "a number": 5,
        "null": None,
        "an object of something else": {"status": "ok"},
        "error as text": {"error": "EService:Busy", "result": {}},
        "error as null": {"error": None, "result": {}},
        "error as numbers": {"error": [500]},
        "result as list": {"error": [], "result": []},
        "result as text": {"error": [], "result": "OK"},
        "result of something else": {"error": [], "result": {"nonsense": {}}},
        "result of nulls": {"error": [], "result": {"nonsense": None}},
        "lists for objects": {"error": [], "result": {"open": [], "closed": [], "trades": [], "txid": {}}},
        "nothing in everything": {"error": [], "result": {"open": None, "closed": None, "count": None, "txid": None}},
        "txid of nothing": {"error": [], "result": {"txid": []}},
        "txid of empty text": {"error": [], "result": {"txid": [""]}},
    }
)


@dataclass(frozen=True)
class Kind:
    """One fault as FakeKraken.fault takes it. Where `orders_only`, it differs from another only for an order."""

    fault: str
    options: Mapping[str, Any] = field(default_factory=dict)
    orders_only: bool = False


def _kinds() -> dict[str, Kind]:
    kinds = {
        "closed before": Kind("drop_before"),
        "closed after": Kind("drop_after"),
        "reset before": Kind("reset_before"),
        "reset after": Kind("reset_after"),
        "time-out, never processed": Kind("hang_before", {"seconds": 12.0, "processed": False}),
        "time-out, processed late": Kind("hang_before", {"seconds": 12.0}),
        "time-out, processed past its deadline": Kind("hang_before", {"seconds": 45.0}, orders_only=True),
        "time-out after": Kind("hang_after", {"seconds": 12.0}),
        "slow answer": Kind("hang_after", {"seconds": 0.1}),
        "cut in the middle of its length": Kind("short_body"),
        "truncated JSON": Kind("truncated"),
        "warning beside the result": Kind("warning"),
        "no result": Kind("no_result"),
        "null result": Kind("null_result"),
        "empty result": Kind("empty_result"),
        "empty 200": Kind("empty"),
        "HTML 200": Kind("html"),
    }
    for status in (401, 403, 404, 429, 500, 502, 503, 504, 520, 530):
        kinds[f"HTTP {status}"] = Kind("status", {"status": status})
    kinds |= {f"shape, {name}": Kind("shape", {"body": body}) for name, body in SHAPES.items()}
    for text in (*NOT_PROCESSED_TEXTS, *PERHAPS_TEXTS, *PLACED_TEXTS):
        kinds[_name_of(text)] = Kind("error", {"error": text, "processed": text in PLACED_TEXTS})
    placed = [name for name, kind in kinds.items() if kind.fault in ("status", "shape", "empty", "html")]
    placed += ["no result", "null result", "empty result", *map(_name_of, PERHAPS_TEXTS)]
    for name in placed:
        kinds[f"{name}, but placed"] = Kind(
            kinds[name].fault, {**kinds[name].options, "processed": True}, orders_only=True
        )
    for name in ("truncated JSON", "cut in the middle of its length", "warning beside the result"):
        kinds[f"{name}, not placed"] = Kind(kinds[name].fault, {"processed": False}, orders_only=True)
    return kinds


def _name_of(text: str) -> str:
    """A text without the sign that parts a trial's words."""
    return text.replace(": ", ":")


KINDS: Mapping[str, Kind] = MappingProxyType(_kinds())
FOR_READS = (REFUSED, REFUSED_FOR_A_MOMENT, *(name for name, kind in KINDS.items() if not kind.orders_only))
FOR_ORDERS = (REFUSED, REFUSED_FOR_A_MOMENT, *KINDS)
