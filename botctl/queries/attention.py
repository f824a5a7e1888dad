"""What needs the owner's attention, from the database alone."""

from collections.abc import Iterator

from botctl.domain.kill_switch import describe_frozen
from botctl.domain.orders import TradeStatus
from botctl.domain.text import sanitize
from botctl.store.broken_rows import find_broken_rows, load_rows
from botctl.store.evidence.gone_markets import load_gone_markets
from botctl.store.evidence.missing_coins import load_missing
from botctl.store.kill_switch import Switch
from botctl.store.models import ACTIVE_TRADES, UNSETTLED_ORDERS, Order, Tick, Trade
from botctl.store.resting_stops import load_resting_stops

MAX_LENGTH = 300
"""Of one sentence."""


def find_attention(switch: Switch, *, exchange_stop: bool) -> list[str]:
    """A sentence for each thing that is wrong, the most urgent first, each with what to do.

    `exchange_stop` is whether each open trade is to have a stop that rests at Kraken. Needs the open database.
    """
    found = [*_unguarded(switch), *_in_doubt(), *_unprotected(exchange_stop), *_failed_tick(), *_stopped_buys(switch)]
    return [sanitize(sentence, MAX_LENGTH) for sentence in found]


def _open_trades() -> list[Trade]:
    return list(load_rows(Trade.select().where(ACTIVE_TRADES, Trade.status == TradeStatus.OPEN).order_by(Trade.id)))


def _unguarded(switch: Switch) -> Iterator[str]:
    trades = _open_trades()
    if trades and switch.read().frozen:
        guarded = describe_frozen(len(trades), len(load_resting_stops()))
        yield f"{guarded}, since botctl is frozen: `botctl resume` has their stops checked again"
    yield from (f"{_named(trade)} has no stop: see `botctl positions`" for trade in trades if not trade.stop_loss_price)
    yield from map(str, load_gone_markets())
    yield from map(str, find_broken_rows())


def _in_doubt() -> Iterator[str]:
    """Orders whose outcome nobody knows yet, and coins that are not where our own orders put them."""
    if unsettled := Order.select().where(UNSETTLED_ORDERS).count():
        yield f"orders of unknown outcome: {unsettled}. The next tick looks them up: `botctl orders --unsettled`"
    yield from (f"{record.missing}: see `botctl reconcile`" for record in load_missing().values())


def _unprotected(exchange_stop: bool) -> Iterator[str]:
    if not exchange_stop:
        return
    resting = {order.trade_id for order in load_resting_stops()}
    for trade in _open_trades():
        if trade.id not in resting and not trade.exiting:
            yield f"{_named(trade)} has no stop resting at Kraken: the next tick places it; see `botctl resting-stops`"


def _failed_tick() -> Iterator[str]:
    last: Tick | None = next(iter(load_rows(Tick.select().order_by(Tick.id.desc()).limit(1))), None)
    if last is not None and not last.ok:
        failed = next((step for step in last.steps if not step.get("ok")), None)
        why = f"{failed.get('name')}: {failed.get('detail')}" if failed else f"exit code {last.exit_code}"
        yield f"the last tick failed: {why}"


def _stopped_buys(switch: Switch) -> Iterator[str]:
    state = switch.read()
    if state.tripped_at is not None or not state.buy_enabled:
        yield "buys are disabled: `botctl resume --enable-buys` allows them"


def _named(trade: Trade) -> str:
    return f"{trade.symbol} (trade {trade.id})"
