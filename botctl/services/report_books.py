"""A report's source: what the database of a home holds."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from botctl.domain import figures
from botctl.domain.candles import CandleColumns
from botctl.domain.glances import StatusView
from botctl.domain.order_states import ExitReason, Side
from botctl.domain.positions import TradeView
from botctl.domain.report import ReportTrade, Ruling, Slippage, StopMove
from botctl.domain.settings import Settings
from botctl.services import glances
from botctl.services.report import Account
from botctl.store.models import Decision, Event, Order, Tick, Trade
from botctl.store.switch import Switch

STOPS = (ExitReason.STOP_LOSS, ExitReason.BREAKEVEN, ExitReason.TRAILING_STOP)


class BookSource:
    """Reads the open database, and asks `find_candles` for the candles of a symbol."""

    def __init__(
        self, settings: Settings, switch: Switch, now: datetime, find_candles: Callable[[str], CandleColumns | None]
    ) -> None:
        self.settings = settings
        self.switch = switch
        self.now = now
        self.find_candles = find_candles
        self._found: dict[str, CandleColumns | None] = {}

    def account(self) -> Account:
        settings, mode = self.settings, self.settings.botctl_mode
        initial = settings.initial_balance
        status = glances.status(mode, self.switch, initial, self.now, settings.timeframe_seconds)
        return Account(
            title=f"botctl, {mode} mode",
            about=f"the {mode} database of this home, {', '.join(settings.symbols)}",
            quote=settings.quote_currency,
            initial_balance=initial,
            max_drawdown=settings.max_drawdown,
            until=self.now,
            figures=[
                ("system", _system_in_words(status)),
                ("buys", _buys_in_words(status)),
                ("drawdown below the initial balance", figures.percent(status.drawdown)),
            ],
            candles_hint="`botctl fetch {symbol}` keeps the candles that Kraken still tells, the newest 720.",
        )

    def curve(self) -> tuple[Sequence[int], Sequence[float]]:
        """As each tick that could value the account saw it."""
        query = Tick.select(Tick.at, Tick.equity).where(Tick.equity.is_null(False)).order_by(Tick.id)
        rows: Any = list(query.tuples())
        return [int(at.timestamp()) for at, _ in rows], [float(equity) for _, equity in rows]

    def trades(self) -> list[ReportTrade]:
        return [_report_trade(trade) for trade in glances.list_trades()]

    def stops(self, trade: ReportTrade) -> list[StopMove]:
        """As the audit trail has it."""
        moves: list[StopMove] = []
        for event in Event.select(Event.at, Event.after).where(Event.trade_id == trade.id).order_by(Event.id):
            stop = event.after.get("stop_loss_price")
            if stop is not None and (not moves or stop != moves[-1].stop):
                moves.append(StopMove(event.at.timestamp(), float(stop)))
        return moves

    def candles(self, symbol: str) -> CandleColumns | None:
        if symbol not in self._found:
            self._found[symbol] = self.find_candles(symbol)
        return self._found[symbol]

    def rulings(self) -> list[Ruling]:
        wanted = (Decision.symbol, Decision.decision, Decision.reason, Decision.outcome, Decision.price)
        rows: Any = Decision.select(Decision.decided_at, *wanted).order_by(Decision.id).tuples()
        return [Ruling(at, at, 1, *words) for at, *words in rows]

    def slippages(self) -> list[Slippage]:
        """What an order was sized at is not kept, so each is measured by the best price that is."""
        bought, sold = decided_prices("bought: trade "), decided_prices("sold trade ")
        rows = Order.select(Order, Trade).join(Trade).where(Order.average_price.is_null(False)).order_by(Order.id)
        return [slippage_of(row, row.average_price, bought, sold) for row in rows if row.average_price is not None]


def _system_in_words(status: StatusView) -> str:
    unguarded = " and FROZEN: positions are unguarded" if status.frozen else ""
    why = f" ({status.why})" if status.why else ""
    return f"{status.system_status}{unguarded}{why}"


def _buys_in_words(status: StatusView) -> str:
    tripped = f": the drawdown guard tripped at {figures.moment(status.tripped_at)} UTC" if status.tripped_at else ""
    return f"{'enabled' if status.buy_enabled else 'disabled'}{tripped}"


def _report_trade(trade: TradeView) -> ReportTrade:
    return ReportTrade(
        id=trade.id,
        symbol=trade.symbol,
        status=trade.status,
        amount=trade.amount,
        entry_at=trade.opened_at,
        entry_price=trade.entry_price,
        entry_cost=trade.entry_cost,
        entry_fee=trade.entry_fee,
        exit_at=trade.closed_at,
        exit_price=trade.exit_price,
        exit_fee=trade.exit_fee,
        exit_reason=trade.exit_reason,
        pnl=trade.pnl,
        atr=trade.atr,
        stop_loss_price=trade.stop_loss_price,
        high_price=trade.high_price,
    )


def decided_prices(outcome: str) -> dict[int, Decimal]:
    """By trade, the last price when the Council decided on what came to this outcome."""
    rows = Decision.select(Decision.outcome, Decision.price).where(Decision.outcome.startswith(outcome))
    numbers = [(row.outcome.removeprefix(outcome), row.price) for row in rows if row.price is not None]
    return {int(number): price for number, price in numbers if number.isdecimal()}


def slippage_of(order: Order, average: Decimal, bought: dict[int, Decimal], sold: dict[int, Decimal]) -> Slippage:
    expected, basis = None, "not recorded"
    if order.side == Side.BUY:
        expected = bought.get(order.trade_id)
    elif order.reason == ExitReason.COUNCIL:
        expected = sold.get(order.trade_id)
    if expected is not None:
        basis = "last price when decided"
    elif order.reason in STOPS and order.trade.stop_loss_price is not None:
        expected, basis = Decimal(repr(order.trade.stop_loss_price)), "the stop"
    return Slippage(
        at=order.settled_at or order.created_at,
        trade_id=order.trade_id,
        side=order.side,
        symbol=order.symbol,
        reason=order.reason or "",
        amount=order.filled,
        expected_price=expected,
        basis=basis,
        average_price=average,
    )
