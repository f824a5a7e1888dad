"""Everything that `status` and the page show of now, from the database: no network, no pandas."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from botctl.domain.configuration.settings import Mode, Settings
from botctl.domain.health.ticking import Ticking
from botctl.domain.kill_switch import switch_sentence
from botctl.domain.orders import TradeStatus
from botctl.domain.serialization import MERGED
from botctl.queries.guarding import unguarded_reason
from botctl.queries.portfolio import StatusView, fee_rates, trade_record
from botctl.queries.positions import LivePosition, live_position
from botctl.store.broken_rows import load_rows
from botctl.store.evidence.gone_markets import load_gone_markets
from botctl.store.evidence.known_account import load_fills_since, load_known_account
from botctl.store.evidence.last_prices import LastPrice, load_last_prices
from botctl.store.evidence.performance import load_performance
from botctl.store.kill_switch import Switch
from botctl.store.models import ACTIVE_TRADES, PaperHolding, Tick, Trade
from botctl.store.resting_stops import load_resting_stops

CURVE_POINTS = 240
"""Of the equity curve from its first tick to its last: as many as the widest terminal has columns."""


@dataclass(frozen=True)
class CockpitPosition:
    """An open trade at its last known price."""

    live: LivePosition = field(metadata=MERGED)
    price_at: datetime | None
    """When the price was seen."""
    stop_distance: Decimal | None
    """How far the price may fall before the stop sells, as a fraction of it."""
    pnl_at_stop: Decimal | None
    """The net P&L of the whole trade if it were sold at its stop, after both fees and without slippage."""
    trigger: Decimal | None
    """Of the stop that rests at the exchange, where one does."""
    unprotected: bool
    """Whether EXCHANGE_STOP asks for a resting stop and none is there."""
    unguarded: str
    """Why its stop is not checked; empty while it is."""


@dataclass(frozen=True)
class EquityAt:
    at: datetime
    equity: Decimal


@dataclass(frozen=True)
class AlarmView:
    """A problem that lasts. `since` is None where no message has reported it."""

    key: str
    text: str
    since: datetime | None


@dataclass(frozen=True, kw_only=True)
class Cockpit:
    """How the bot stands. Money is in `quote_currency`, drawdowns and limits are fractions."""

    status: StatusView = field(metadata=MERGED)
    home: str
    quote_currency: str
    at: datetime
    """Now, by the market's clock: in demo mode it is simulated."""
    switch: str
    """What the kill switch lets happen, and since when, in one or a few sentences."""
    positions: list[CockpitPosition]
    equity_at: datetime | None
    equity_curve: list[EquityAt]
    """From the first tick to the last, at most `CURVE_POINTS` of them."""
    base: Decimal | None
    """What the drawdown is measured from: INITIAL_BALANCE, with what came and went since then."""
    max_drawdown: Decimal
    max_drawdown_peak: Decimal | None
    cash: Decimal | None
    """Of the quote currency, by the last look and our own fills since then."""
    last_tick_exit_code: int | None
    last_tick_error: str
    """Why the last tick failed; empty when it did not."""
    next_tick_at: datetime | None
    """None where nothing runs the ticks, or they do not come."""
    exchange_stop: bool
    """Whether a stop of each position is to rest at the exchange."""
    alarms: list[AlarmView]


def load_cockpit(
    settings: Settings,
    home: str,
    switch: Switch,
    status: StatusView,
    ticking: Ticking,
    *,
    alarms: Sequence[AlarmView] = (),
    no_buys: str = "",
    prices: dict[str, LastPrice] | None = None,
) -> Cockpit:
    """From the open database. `ticking` is what the host tells, `alarms` what is wrong now, `no_buys` why settings
    allow no buys; `prices` are newer ones than those that the runs have seen. Raises BotError."""
    state, now = switch.read(), ticking.now
    newest: Tick | None = next(iter(load_rows(Tick.select().order_by(Tick.id.desc()).limit(1))), None)
    performance = load_performance()
    measured = performance is not None and performance.initial_balance == settings.initial_balance
    curve = load_equity_curve()
    unchecked = ticking.overdue
    sentence = switch_sentence(
        state, switch.read_since(), now, open_trades=status.open_trades, unchecked=unchecked, no_buys=no_buys
    )
    return Cockpit(
        status=status,
        home=home,
        quote_currency=settings.quote_currency,
        at=now,
        switch=sentence,
        positions=load_positions(settings, ticking, frozen=state.frozen, prices=prices or {}),
        equity_at=curve[-1].at if curve else None,
        equity_curve=curve,
        base=performance.performance.base if measured and performance is not None else settings.initial_balance,
        max_drawdown=settings.max_drawdown,
        max_drawdown_peak=settings.max_drawdown_peak,
        cash=load_cash(settings),
        last_tick_exit_code=newest.exit_code if newest else None,
        last_tick_error=_first_failure(newest),
        next_tick_at=ticking.next_tick_at,
        exchange_stop=settings.exchange_stop,
        alarms=list(alarms),
    )


def load_positions(
    settings: Settings, ticking: Ticking, *, frozen: bool, prices: dict[str, LastPrice]
) -> list[CockpitPosition]:
    """The open trades, oldest first. Rows that can't be read are left out."""
    rates, known = fee_rates(settings), load_last_prices() | prices
    triggers = {order.trade_id: order.trigger for order in load_resting_stops()}
    gone = {each.trade_id for each in load_gone_markets()}
    positions = []
    for row in load_rows(Trade.select().where(ACTIVE_TRADES, Trade.status == TradeStatus.OPEN).order_by(Trade.id)):
        last, rate = known.get(row.symbol) or _entry_price(row), rates.taker(row.symbol)
        trade = trade_record(row)
        live = live_position(trade, None if last is None else last.price, rate)
        stop = None if row.stop_loss_price is None else Decimal(repr(row.stop_loss_price))
        unguarded = unguarded_reason(row, ticking.now, ticking.seconds, frozen=frozen, gone=gone)
        positions.append(
            CockpitPosition(
                live=live,
                price_at=None if last is None else last.at,
                stop_distance=live.stop_distance,
                pnl_at_stop=None if stop is None else live_position(trade, stop, rate).net_pnl,
                trigger=triggers.get(row.id),
                unprotected=settings.exchange_stop and row.id not in triggers and not row.exiting,
                unguarded=unguarded or "",
            )
        )
    return positions


def load_equity_curve(points: int = CURVE_POINTS) -> list[EquityAt]:
    """From the first tick that could value the account to the last, at most so many, evenly among the ticks."""
    valued = Tick.select(Tick.id).where(Tick.equity.is_null(False))
    ends = [row.id for order in (Tick.id, Tick.id.desc()) for row in valued.order_by(order).limit(1)]
    if not ends:
        return []
    first, last = ends
    steps = max(1, points - 1)
    ids = {first + round(step * (last - first) / steps) for step in range(steps + 1)}
    columns = Tick.select(Tick.id, Tick.at, Tick.equity).where(Tick.id.in_(sorted(ids)), Tick.equity.is_null(False))
    return [EquityAt(row.at, row.equity) for row in load_rows(columns.order_by(Tick.id))]


def load_cash(settings: Settings) -> Decimal | None:
    """What is there of the quote currency; None while no look has told."""
    if settings.botctl_mode is not Mode.LIVE:
        rows = load_rows(PaperHolding.select().where(PaperHolding.currency == settings.quote_currency))
        return rows[0].total if rows else settings.initial_balance
    known = load_known_account()
    if known.at is None:
        return None
    bought = load_fills_since(known.last_event).get(settings.quote_currency, Decimal(0))
    return known.holdings.amounts.get(settings.quote_currency, Decimal(0)) + bought


def _entry_price(row: Trade) -> LastPrice | None:
    """The price of a trade that no run has looked at yet."""
    if row.entry_price is None or row.entry_time is None:
        return None
    return LastPrice(row.entry_price, row.entry_time)


def _first_failure(tick: Tick | None) -> str:
    if tick is None or tick.ok:
        return ""
    failed = next((step for step in tick.steps if not step.get("ok")), None)
    return str(failed.get("detail")) if failed else f"exit code {tick.exit_code}"
