"""What an external program is asked: one JSON object with all that a run knows about a symbol."""

import math
from dataclasses import asdict
from typing import Any

from botctl.domain.candles import Candle
from botctl.domain.decisions import Stance, sentiment_stance
from botctl.domain.errors import Refused
from botctl.domain.serialization import to_json
from botctl.market_data.indicators import calculate_atr, calculate_trend
from botctl.ports import Briefing

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning or goes; new fields do not raise it."""


def write_question(briefing: Briefing, *, atr_period: int, candles: int) -> dict[str, Any]:
    """The question as a JSON document, with the newest `candles`. Money is text, as in `--json`; candles and indicators
    are numbers."""
    return {
        "schema_version": SCHEMA_VERSION,
        "now": to_json(briefing.now),
        "mode": str(briefing.mode),
        "symbol": briefing.symbol,
        "timeframe": None if briefing.timeframe is None else str(briefing.timeframe),
        "quote": _quote(briefing),
        "sentiment": _sentiment(briefing),
        "indicators": _indicators(briefing, atr_period),
        "trade": to_json(briefing.trade),
        "cash": to_json(briefing.cash),
        "cooldown_until": to_json(briefing.cooldown_until),
        "last_decisions": [to_json(asdict(decision)) for decision in briefing.last_decisions],
        "candles": [_candle(candle) for candle in briefing.candles[-candles:]],
    }


def _quote(briefing: Briefing) -> dict[str, Any] | None:
    quote = briefing.quote
    return None if quote is None else {name: to_json(getattr(quote, name)) for name in ("last", "bid", "ask", "at")}


def _sentiment(briefing: Briefing) -> dict[str, Any]:
    reading = briefing.sentiment.read()
    stance = Stance.UNKNOWN if reading.index is None else sentiment_stance(reading.index)
    measured_at = to_json(reading.measured_at)
    return {"index": reading.index, "stance": str(stance), "measured_at": measured_at, "reason": reading.why}


def _indicators(briefing: Briefing, atr_period: int) -> dict[str, float | int | None]:
    """Of the last candle; null with too few of them, or for a market that does not move."""
    try:
        atr = calculate_atr(briefing.candles, atr_period)
    except Refused:
        atr = math.nan
    fast = slow = rsi = math.nan
    if briefing.candles:
        _, fast, slow, rsi = calculate_trend(briefing.candles)
    figures = {"atr": atr, "ema_12": fast, "ema_26": slow, "rsi_14": rsi}
    return {"atr_period": atr_period} | {
        name: float(figure) if math.isfinite(figure) else None for name, figure in figures.items()
    }


def _candle(candle: Candle) -> dict[str, Any]:
    """The time is that of its opening."""
    return {**candle._asdict(), "time": candle.closed_at(0).isoformat().replace("+00:00", "Z")}
