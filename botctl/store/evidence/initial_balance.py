"""What is known of INITIAL_BALANCE: the value that a measured drawdown has agreed with, and what our orders moved."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from botctl.domain.money import to_amount
from botctl.domain.orders import Side
from botctl.domain.symbols import quote_of
from botctl.store import key_value
from botctl.store.models import Order, Tick, Trade

PROVED_KEY = "drawdown.initial_balance"


def load_proved_balance() -> Decimal | None:
    """The INITIAL_BALANCE of the newest drawdown within the limit; None before the first one."""
    saved = key_value.load_cached(PROVED_KEY)
    try:
        return to_amount(saved[0]) if saved else None
    except ValueError:
        return None


def save_proved_balance(value: Decimal) -> None:
    key_value.save_cached(PROVED_KEY, f"{value:f}")


def was_ever_measured() -> bool:
    """Whether a tick has ever known the drawdown, by whatever INITIAL_BALANCE."""
    return Tick.select(Tick.id).where(Tick.drawdown.is_null(False)).exists()


def load_order_flows() -> Mapping[str, Decimal]:
    """What our orders have brought of each quote currency, less what they cost."""
    flows: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in Order.select().where(Order.cost.is_null(False)):
        cost, fee = order.cost or Decimal(0), order.fee or Decimal(0)
        flows[quote_of(order.symbol)] += (cost if order.side == Side.SELL else -cost) - fee
    return flows


def load_entries() -> list[tuple[str, Decimal]]:
    """Symbol and entry price of all trades."""
    trades = Trade.select(Trade.symbol, Trade.entry_price).where(Trade.entry_price.is_null(False))
    return [(trade.symbol, trade.entry_price) for trade in trades if trade.entry_price]
