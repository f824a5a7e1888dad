"""What orders, outside sales and rests change on a trade: its columns, and the event that says why."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain.account.holdings import OutsideSales
from botctl.domain.costs import MAX_COST_RATIO, calculate_pnl, share_of
from botctl.domain.money import cents, format_decimal, price_of
from botctl.domain.orders import Execution, ExitReason, TradeStatus
from botctl.store.broken_rows import get_trade, load_rows
from botctl.store.models import Event, Trade
from botctl.store.rows import OrderRow, TradeRow

Columns = Mapping[str, Any]
OVERSPENT = "overspent"
"""The event of a buy that cost more than MAX_COST_RATIO allows."""
OVERSOLD = "oversold"
"""The event of a sell that filled more than its trade held."""
RECOVERED = "recovered"
"""The event of a row that was corrected from the exchange's records."""
FILLED_LATE = "filled late"
"""The event of a canceled buy that has filled after all."""
ONE = Decimal(1)


def settle_entry(trade: Trade, order: OrderRow, execution: Execution, stop: float | None, now: datetime) -> None:
    if execution.filled <= 0:
        failed = TradeStatus.FAILED
        change_trade(trade, now, "entry failed", "nothing was filled", order, status=failed, exit_time=now)
        return
    price = price_of(execution.cost, execution.filled)
    if stop is None:
        raise AssertionError(f"trade {trade.id} was entered without a stop")
    why = f"bought {format_decimal(execution.filled)} {trade.asset} at {float(price):.8g}"
    change_trade(
        trade, now, "opened", why, order,
        status=TradeStatus.OPEN, amount=execution.filled, entry_amount=execution.filled, entry_price=price,
        entry_cost=execution.cost, entry_fee=execution.fee, entry_order_id=execution.exchange_order_id,
        entry_time=execution.at, stop_loss_price=stop, initial_stop_loss_price=stop, high_price=float(price),
        checked_at=execution.at,
    )  # fmt: skip

    if (overspent := describe_overspending(trade, execution)) is not None:
        Event.create(**event_columns(now, OVERSPENT, trade, {}, {}, overspent, order))


def describe_overspending(trade: Trade, execution: Execution) -> str | None:
    """What to say of a buy that cost far more than it was to cost at the ask that sized it."""
    rows = load_rows(Event.select().where((Event.trade_id == trade.id) & (Event.kind == "entry intended")).limit(1))
    intended: Event | None = next(iter(rows), None)
    if intended is None or intended.price is None:
        return None
    asked = execution.filled * intended.price
    if execution.cost <= MAX_COST_RATIO * asked:
        return None
    cost, price = format_decimal(execution.cost), format_decimal(intended.price)
    return (
        f"the buy of {format_decimal(execution.filled)} {trade.symbol} cost {cost}, more than {MAX_COST_RATIO} times "
        f"the {cents(asked)} that it costs at {price}, the ask that sized it"
    )


def corrected_entry(trade: Trade, cost: Decimal, fee: Decimal, price: Decimal, stop: float | None) -> dict[str, Any]:
    """The entry's columns after a change of its cost and fee by so much."""
    columns: dict[str, Any] = {
        "entry_cost": (trade.entry_cost or Decimal(0)) + cost,
        "entry_fee": (trade.entry_fee or Decimal(0)) + fee,
        "entry_price": price,
    }
    if trade.status == TradeStatus.OPEN and stop is not None:
        columns |= stops_after_entry(trade, stop)
        columns["high_price"] = max(float(price), trade.high_price or 0.0)
    return columns


def stops_after_entry(trade: Trade, stop: float) -> dict[str, float]:
    """The stop and the initial one after a later fill or figure of the entry; neither falls."""
    return {
        "stop_loss_price": max(stop, trade.stop_loss_price or stop),
        "initial_stop_loss_price": max(stop, trade.initial_stop_loss_price or stop),
    }


def settle_exit(trade: Trade, order: OrderRow, execution: Execution, now: datetime) -> None:
    """What the trade holds is the most that it can have sold: the rest of a larger fill were other coins."""
    is_open = trade.status == TradeStatus.OPEN
    held = trade.amount if is_open else Decimal(0)
    sold = min(execution.filled, held)
    if sold > 0:
        price = float(price_of(execution.cost, execution.filled))
        why = f"sold {format_decimal(sold)} {trade.asset} at {price:.8g}"
        change_trade(
            trade, now, "sold", why, order,
            amount=held - sold, sold_amount=trade.sold_amount + sold,
            exit_proceeds=trade.exit_proceeds + share_of(execution.cost, sold, execution.filled),
            exit_fee=trade.exit_fee + share_of(execution.fee, sold, execution.filled),
            exit_order_id=execution.exchange_order_id,
        )  # fmt: skip
    if execution.filled > held:
        said = _describe_overselling(trade, execution, held)
        Event.create(**event_columns(now, OVERSOLD, trade, {}, {}, said, order))
    if is_open and execution.filled > 0 and order.trigger is not None and trade.amount > 0 and not trade.exiting:
        why = "the resting stop has sold a part: the rest is sold too"
        change_trade(trade, now, "stop hit", why, order, exiting=order.reason)
    if is_open and trade.amount <= 0:
        reason = ExitReason(order.reason or ExitReason.MANUAL)
        close_trade(trade, reason, f"sold to the last lot: {reason}", execution.at, order)


def _describe_overselling(trade: Trade, execution: Execution, held: Decimal) -> str:
    filled, beyond = format_decimal(execution.filled), format_decimal(execution.filled - held)
    return (
        f"a sell of trade {trade.id} filled {filled} {trade.symbol}, {beyond} more than the trade held: those coins "
        f"were not the trade's (exchange order id {execution.exchange_order_id})"
    )


def shrink_trade(trade: Trade, gone: Decimal, kind: str, why: str, now: datetime) -> None:
    """Take `gone` off what a trade holds and, unless nothing is left of its entry then, off its entry's figures."""
    changes: dict[str, Any] = {"amount": trade.amount - gone}
    entered = trade.entry_amount or trade.amount + trade.sold_amount
    if gone < entered and trade.entry_cost is not None and trade.entry_fee is not None:
        changes |= {
            "entry_amount": entered - gone,
            "entry_cost": trade.entry_cost - share_of(trade.entry_cost, gone, entered),
            "entry_fee": trade.entry_fee - share_of(trade.entry_fee, gone, entered),
        }
    change_trade(trade, now, kind, why, **changes)


def book_outside_sale(trade: Trade, sale: OutsideSales, fraction: Decimal, why: str, at: datetime) -> None:
    """Add the trade's part of an outside sale to what it has sold."""
    cost, fee = sale.cost or Decimal(0), sale.fee or Decimal(0)
    change_trade(
        trade,
        at,
        "sold outside",
        why,
        amount=Decimal(0),
        sold_amount=trade.sold_amount + trade.amount,
        exit_proceeds=trade.exit_proceeds + share_of(cost, fraction, ONE),
        exit_fee=trade.exit_fee + share_of(fee, fraction, ONE),
        exit_order_id=sale.order_id,
    )


def close_trade(
    trade: Trade,
    reason: ExitReason,
    why: str,
    at: datetime,
    order: OrderRow | None = None,
    *,
    exit_time: datetime | None = None,
    pnl_known: bool = True,
) -> None:
    """Close a trade; what it still holds is dust or gone. Its P&L is unknown when nothing was sold."""
    sold = trade.sold_amount > 0
    pnl = None
    if sold and pnl_known and trade.entry_cost is not None and trade.entry_fee is not None:
        pnl = calculate_pnl(trade.entry_cost, trade.entry_fee, trade.exit_proceeds, trade.exit_fee)
    change_trade(
        trade, at, "closed", why, order,
        status=TradeStatus.CLOSED, amount=trade.sold_amount if sold else trade.entry_amount,
        exit_price=price_of(trade.exit_proceeds, trade.sold_amount) if sold else None,
        exit_reason=reason, exit_time=exit_time or at, exiting=None, pnl=pnl,
    )  # fmt: skip


def change_trade(
    trade: TradeRow, at: datetime, kind: str, why: str, order: OrderRow | None = None, **changes: Any
) -> None:
    """Change a trade and record the event. The caller holds the transaction.

    The values before are read from the database: `trade` may be out of date.
    """
    row = get_trade(trade.id)
    before = {name: getattr(row, name) for name in changes}
    Trade.update(**changes).where(Trade.id == trade.id).execute()
    set_columns(trade, changes)
    Event.create(**event_columns(at, kind, trade, before, changes, why, order))


def set_columns(row: TradeRow | OrderRow, columns: Columns) -> None:
    for name, value in columns.items():
        setattr(row, name, value)


def event_columns(
    at: datetime, kind: str, trade: TradeRow, before: Columns, after: Columns, why: str, order: OrderRow | None = None
) -> dict[str, Any]:
    return {
        "at": at, "kind": kind, "trade_id": trade.id, "order_id": order.id if order else None,
        "before": before, "after": dict(after), "why": why or kind,
    }  # fmt: skip
