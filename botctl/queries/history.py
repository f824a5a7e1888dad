"""Long histories for the page, read without an object for each row. A row that can't be read is left out."""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from botctl.store.broken_rows import load_rows
from botctl.store.fields import parse_moment
from botctl.store.key_value import UNREADABLE
from botctl.store.models import Decision, Order, Tick, Trade, database
from botctl.store.rows import Rows

BLOCK = 64
"""Decisions that follow one another: of all symbols, since each tick decides on all of them."""


def load_equity() -> list[tuple[datetime, float, float | None]]:
    """When, the equity in quote and the drawdown as a fraction, of each tick that could value the account."""
    query = Tick.select(Tick.at, Tick.equity, Tick.drawdown).where(Tick.equity.is_null(False)).order_by(Tick.id)
    return list(_parsed(query, lambda at, equity, drawdown: (parse_moment(at), _number(equity), _optional(drawdown))))


def load_decided_prices(limit: int = 6_000) -> dict[str, list[tuple[float, float]]]:
    """By symbol, the price at decisions on it and their time in unix seconds, oldest first.

    At most about `limit` of them, in blocks evenly among all: more than a chart shows, from a table that grows with
    every tick. The first and the last block are among them.
    """
    ends = [
        row.id
        for order in (Decision.id, Decision.id.desc())
        for row in Decision.select(Decision.id).order_by(order).limit(1)
    ]
    if not ends:
        return {}
    first, last = ends
    every = max(1, (last - first) // limit)
    number: Any = Decision.id
    chosen = (
        (number / BLOCK - number / (BLOCK * every) * every == 0) | (number < first + BLOCK) | (number > last - BLOCK)
    )
    columns = Decision.select(Decision.symbol, Decision.decided_at, Decision.price).order_by(Decision.id)
    prices: dict[str, list[tuple[float, float]]] = {}
    for symbol, at, price in _parsed(
        columns.where(Decision.price.is_null(False), chosen),
        lambda symbol, at, price: (str(symbol), parse_moment(at).timestamp(), _number(price)),
    ):
        if price > 0:
            prices.setdefault(symbol, []).append((at, price))
    return prices


def load_newest_decisions(limit: int) -> Rows[Decision]:
    """Without their verdicts, oldest first."""
    columns = (
        Decision.id, Decision.symbol, Decision.decided_at, Decision.decision, Decision.reason, Decision.outcome,
        Decision.price,
    )  # fmt: skip
    rows = load_rows(Decision.select(*columns).order_by(Decision.id.desc()).limit(limit))
    return Rows(rows[::-1], rows.broken)


class Fill(NamedTuple):
    """A filled order, with the stop of its trade."""

    id: int
    trade_id: int
    side: str
    symbol: str
    reason: str | None
    filled: Decimal
    average_price: Decimal
    stop: float | None
    at: datetime
    """When it was settled."""


def load_fills() -> Iterator[Fill]:
    """Each filled order, oldest first."""
    query = (
        Order.select(
            Order.id, Order.trade, Order.side, Order.symbol, Order.reason, Order.filled, Order.average_price,
            Trade.stop_loss_price, Order.settled_at, Order.created_at,
        )
        .join(Trade)
        .where(Order.average_price.is_null(False))
        .order_by(Order.id)
    )  # fmt: skip

    def parse(number: int, trade: int, *row: Any) -> Fill:
        side, symbol, reason, filled, average, stop, settled, created = row
        at, price = parse_moment(settled or created), _positive(average)
        return Fill(number, trade, side, symbol, reason, _positive(filled), price, _optional(stop), at)

    return _parsed(query, parse)


def _parsed(query: Any, parse: Callable[..., Any]) -> Iterator[Any]:
    for row in database.execute(query).fetchall():
        try:
            yield parse(*row)
        except UNREADABLE:
            continue


def _number(text: str | float) -> float:
    """Raises ValueError for what is no finite number."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is not a usable number")
    return number


def _optional(text: str | float | None) -> float | None:
    return None if text is None else _number(text)


def _positive(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite() or number <= 0:
        raise ValueError(f"{text} is not a usable number")
    return number
