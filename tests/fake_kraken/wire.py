"""Calls as the fake Kraken receives them: a request, its parameters, and the no it may get."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

type Number = Decimal | int | float | str
type Params = dict[str, str]
type JsonObject = dict[str, Any]


class Refusal(Exception):
    """Kraken says no: the text that goes into the answer's `error` list."""


@dataclass
class Request:
    """One call as it reached the server, and what became of it. Tests read these to see what the bot did."""

    endpoint: str
    params: Params
    at: float  # arrival in Kraken's clock, unix seconds
    signature: str = ""  # its API-Sign header, where it has one
    processed: bool = False  # did it get past the gate and do its work (or get its refusal)?
    fault: str | None = None
    error: str | None = None  # Kraken's own refusal, if it was one


type Endpoint = Callable[[Request], JsonObject]


def read_params(sent: str) -> Params:
    """A form, or the JSON object that ccxt sends in its place for a batch; a list in it stays JSON text."""
    if not sent.startswith("{"):
        return dict(parse_qsl(sent, True))
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in json.loads(sent).items()}


def refuse(request: Request, refusal: Refusal) -> JsonObject:
    """The answer that says no."""
    request.error = str(refusal)
    return {"error": [str(refusal)]}


def decimal(value: Number) -> Decimal:
    """Through text, so that a test may write 0.1 and mean it."""
    return Decimal(str(value))


def cut(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN)


def fixed(value: Decimal, places: int) -> str:
    """Exactly `places` decimals, the rest cut off: the way Kraken shortens what it shows."""
    return f"{cut(value, places):f}"


def whole_number(params: Params, name: str, default: int) -> int:
    try:
        return int(params.get(name, default))
    except ValueError:
        raise Refusal(f"EGeneral:Invalid arguments:{name}") from None


def is_true(value: str | None) -> bool:
    """ccxt writes Python's True. What Kraken makes of "False" isn't known; here it means no."""
    return value is not None and value.lower() not in ("", "0", "false")


def positive(params: Params, name: str) -> Decimal:
    try:
        value = Decimal(params.get(name, ""))
    except InvalidOperation:
        raise Refusal(f"EGeneral:Invalid arguments:{name}") from None
    if not value.is_finite() or value <= 0:
        raise Refusal(f"EGeneral:Invalid arguments:{name}")
    return value


def listed(params: Params, name: str, *, at_most: int) -> list[str]:
    names = [entry for entry in params.get(name, "").split(",") if entry]
    if not 1 <= len(names) <= at_most:
        raise Refusal(f"EGeneral:Invalid arguments:{name}")
    return names


def is_between(at: float, params: Params) -> bool:
    """After `start`, which is exclusive, and up to `end`."""
    return whole_number(params, "start", 0) < at and ("end" not in params or at <= whole_number(params, "end", 0))
