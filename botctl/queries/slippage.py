"""The slippage of each order, against the best expected price in the database."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.decisions import Action
from botctl.domain.orders import ExitReason, Side
from botctl.queries.history import Fill, load_fills
from botctl.store.broken_rows import load_rows
from botctl.store.key_value import UNREADABLE
from botctl.store.models import Decision, Order, Trade

STOPS = (ExitReason.STOP_LOSS, ExitReason.BREAKEVEN, ExitReason.TRAILING_STOP)

DecidedPrices = Mapping[tuple[int, str], Decimal]
"""By trade and action, the last price at the Council's decision."""


@dataclass(frozen=True)
class Slippage:
    """A filled order's expected and actual price."""

    at: datetime
    trade_id: int
    side: str
    symbol: str
    reason: str
    amount: Decimal
    expected_price: Decimal | None
    basis: str
    """What the expected price is."""
    average_price: Decimal

    @property
    def fraction(self) -> Decimal | None:
        """(average - expected) / expected, positive when it hurts; None without an expected price."""
        if self.expected_price is None:
            return None
        change = self.average_price / self.expected_price - 1
        return change if self.side == Side.BUY else -change

    @property
    def cost(self) -> Decimal | None:
        """For the whole amount, in quote."""
        if self.expected_price is None:
            return None
        change = (self.average_price - self.expected_price) * self.amount
        return change if self.side == Side.BUY else -change


def load_slippages(trade_id: int) -> dict[int, Slippage]:
    """The slippage of each filled order of a trade, by order id, oldest first.

    The price that an order was sized at is not stored, so each is measured against the best one that is.
    """
    rows: Any = (
        Order.select(Order, Trade).join(Trade).where(Order.average_price.is_null(False), Order.trade == trade_id)
    )
    decided = _load_decided_prices(trade_id)
    found: dict[int, Slippage] = {}
    for row in load_rows(rows.order_by(Order.id)):
        with suppress(*UNREADABLE):  # of its trade
            at, stop = row.settled_at or row.created_at, row.trade.stop_loss_price
            fill = Fill(row.id, row.trade_id, row.side, row.symbol, row.reason, row.filled, row.average_price, stop, at)
            found[row.id] = _measure(fill, decided)
    return found


def list_slippages() -> list[Slippage]:
    """The same of every filled order, oldest first."""
    decided = _load_decided_prices(None)
    return [_measure(fill, decided) for fill in load_fills()]


def _load_decided_prices(trade_id: int | None) -> DecidedPrices:
    rows = Decision.select(Decision.id, Decision.trade_id, Decision.decision, Decision.price).order_by(Decision.id)
    which = Decision.trade_id.is_null(False) if trade_id is None else Decision.trade_id == trade_id
    rows = rows.where(which, Decision.price.is_null(False))
    return {
        (row.trade_id, row.decision): row.price
        for row in load_rows(rows)
        if row.trade_id is not None and row.price is not None
    }


def _measure(order: Fill, decided: DecidedPrices) -> Slippage:
    expected, basis = None, "not recorded"
    if order.side == Side.BUY:
        expected = decided.get((order.trade_id, Action.BUY))
    elif order.reason == ExitReason.COUNCIL:
        expected = decided.get((order.trade_id, Action.SELL))
    if expected is not None:
        basis = "last price when decided"
    elif order.reason in STOPS and order.stop is not None:
        expected, basis = Decimal(repr(order.stop)), "the stop"
    return Slippage(
        at=order.at,
        trade_id=order.trade_id,
        side=order.side,
        symbol=order.symbol,
        reason=order.reason or "",
        amount=order.filled,
        expected_price=expected,
        basis=basis,
        average_price=order.average_price,
    )
