"""Status and trades for the quickest commands, from the database. `status` runs without importing trade records."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from botctl.domain.configuration.settings import Mode, Settings
from botctl.domain.errors import BadValue
from botctl.domain.fees import FeeRates
from botctl.domain.orders import TradeStatus
from botctl.domain.serialization import NOT_IN_JSON
from botctl.run_lock import LockHolder
from botctl.store.broken_rows import find_unknown_rows, load_row, load_rows
from botctl.store.evidence.fee_rates import load_fee_rates
from botctl.store.kill_switch import Switch
from botctl.store.models import ACTIVE_TRADES, UNSETTLED_ORDERS, Order, Tick, Trade
from botctl.store.resting_stops import find_unprotected, load_resting_stops
from botctl.store.rows import Rows
from botctl.store.ticks import load_last_tick_at, load_missed_ticks, missed_between

if TYPE_CHECKING:
    from botctl.ports import MarketData
    from botctl.queries.positions import LivePosition, TradeRecord


@dataclass(frozen=True)
class StatusView:
    mode: str
    system_status: str
    frozen: bool
    buy_enabled: bool
    is_trading_active: bool
    tripped_at: datetime | None
    initial_balance: Decimal | None
    equity: Decimal | None
    drawdown: Decimal | None
    drawdown_peak: Decimal | None
    """From the highest performance so far."""
    open_trades: int
    unsettled_orders: int
    last_tick_at: datetime | None
    last_tick_ok: bool | None
    missed_ticks: int
    scheduled_by: str | None = None
    """What runs the ticks: `cron`, `systemd` or None."""
    overdue: str = ""
    """What is wrong when ticks do not come in time; empty while they do."""
    resting_stops: int = 0
    """The stops that rest at the exchange, by the journal."""
    unprotected: tuple[str, ...] = ()
    """The open positions whose resting stop is not as EXCHANGE_STOP asks for."""
    why: str = field(default="", metadata=NOT_IN_JSON)
    """What paused it."""
    running: str = field(default="", metadata=NOT_IN_JSON)
    """The run that holds the lock now."""


def list_trades(*, symbol: str | None = None, limit: int | None = None) -> "Rows[TradeRecord]":
    """All trades, newest last."""
    query = Trade.select().order_by(Trade.id.desc())
    if symbol:
        query = query.where(Trade.symbol == symbol)
    rows = load_rows(query.limit(limit))
    return Rows([trade_record(row) for row in rows[::-1]], rows.broken)


def list_positions(distance: float | None = None) -> "Rows[TradeRecord]":
    """Trades that are open or being opened, oldest first. `distance` is that of the resting stops that they are to
    have, None without."""
    rows, with_resting_stop = load_rows(Trade.select().where(ACTIVE_TRADES).order_by(Trade.id)), resting_stops(distance)
    records = [with_resting_stop(trade_record(row)) for row in rows]
    return Rows(records, [*rows.broken, *find_unknown_rows()])


def resting_stops(distance: float | None) -> "Callable[[TradeRecord], TradeRecord]":
    """Adds to an open trade the stop of it that rests at the exchange, and what that lacks."""
    resting, lacks = {each.trade_id: each.trigger for each in load_resting_stops()}, find_unprotected(distance)
    return lambda trade: replace(trade, resting_trigger=resting.get(trade.id), unprotected=lacks.get(trade.id))


def find_trade(trade_id: int) -> "TradeRecord":
    found = load_row(Trade.select().where(Trade.id == trade_id))
    if found is None:
        raise BadValue(f"no trade {trade_id}", hint="see `botctl trades`")
    return trade_record(found)


def list_live_positions(market: "MarketData", rates: FeeRates, distance: float | None = None) -> "Rows[LivePosition]":
    """The same with current prices, from one request."""
    trades = list_positions(distance)
    quotes = market.fetch_quotes([trade.symbol for trade in trades]).good if trades else {}
    priced = [
        with_price(trade, quotes[trade.symbol].last if trade.symbol in quotes else None, rates) for trade in trades
    ]
    return Rows(priced, trades.broken)


def with_price(trade: "TradeRecord", price: Decimal | None, rates: FeeRates) -> "LivePosition":
    from botctl.queries.positions import live_position

    return live_position(trade, price, rates.taker(trade.symbol))


def fee_rates(settings: Settings) -> FeeRates:
    """What selling costs: the account's own rates, as last told, or FEE_RATE."""
    return load_fee_rates(settings.fee_rate, own=settings.botctl_mode is Mode.LIVE)


def status(
    mode: str,
    switch: Switch,
    initial_balance: Decimal | None,
    now: datetime,
    seconds: int,
    holder: LockHolder | None = None,
) -> StatusView:
    """`seconds` is the time between two ticks; overdue ones count as missed. `holder` holds the run's lock."""
    state = switch.read()
    ticks = Tick.select().order_by(Tick.id.desc())
    newest: Tick | None = next(iter(load_rows(ticks.limit(1))), None)
    newest_valued: Tick | None = next(iter(load_rows(ticks.where(Tick.equity.is_null(False)).limit(1))), None)
    return StatusView(
        mode=mode,
        system_status=state.system_status,
        frozen=state.frozen,
        buy_enabled=state.buy_enabled,
        is_trading_active=state.is_trading_active,
        tripped_at=state.tripped_at,
        initial_balance=initial_balance,
        equity=newest_valued.equity if newest_valued else None,
        drawdown=newest_valued.drawdown if newest_valued else None,
        drawdown_peak=newest_valued.drawdown_peak if newest_valued else None,
        open_trades=Trade.select().where(ACTIVE_TRADES, Trade.status == TradeStatus.OPEN).count(),
        unsettled_orders=Order.select().where(UNSETTLED_ORDERS).count(),
        last_tick_at=newest.at if newest else None,
        last_tick_ok=newest.ok if newest else None,
        missed_ticks=load_missed_ticks() + (missed_between(newest.at, now, seconds) if newest else 0),
        running="" if holder is None else str(holder) or "another run",
        why=state.why,
    )


def trade_record(row: Trade) -> "TradeRecord":
    """A row as plain values, without the bot's internal columns."""
    from botctl.domain.costs import r_multiple
    from botctl.queries.positions import TradeRecord

    return TradeRecord(
        id=row.id,
        symbol=row.symbol,
        asset=row.asset,
        mode=row.mode,
        status=row.status,
        amount=row.amount,
        entry_price=row.entry_price,
        entry_cost=row.entry_cost,
        entry_fee=row.entry_fee,
        entry_time=row.entry_time,
        entry_order_id=row.entry_order_id,
        atr=row.atr,
        initial_stop_loss_price=row.initial_stop_loss_price,
        stop_loss_price=row.stop_loss_price,
        high_price=row.high_price,
        exit_price=row.exit_price,
        exit_proceeds=row.exit_proceeds if row.sold_amount > 0 else None,
        exit_fee=row.exit_fee if row.sold_amount > 0 else None,
        exit_time=row.exit_time,
        exit_order_id=row.exit_order_id,
        exit_reason=row.exit_reason,
        pnl=row.pnl,
        r_multiple=r_multiple(row.pnl, row.entry_cost, row.entry_price, row.initial_stop_loss_price),
    )


def now_offline(mode: Mode) -> datetime:
    """The time for commands that need no exchange: a simulated market's last tick, or this machine's clock."""
    now = datetime.now(UTC)
    return now if mode in (Mode.PAPER, Mode.LIVE) else load_last_tick_at() or now
