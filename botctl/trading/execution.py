"""Places orders: records each one, sends it once, and follows it to its end. The only module that sends orders."""

import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from botctl.domain.errors import (
    BotError,
    DeadlineElapsed,
    ExchangeRefused,
    InsufficientFunds,
    OutcomeUnknown,
    Refused,
    attempt_each,
    most_severe,
)
from botctl.domain.markets import Market, amount_for_cost, below_minimum, market_of
from botctl.domain.money import format_decimal
from botctl.domain.orders import DEADLINE_AFTER, ExitReason, OrderRequest, OrderState, Side, TradeStatus
from botctl.domain.symbols import base_of
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.rows import OrderRow, TradeRow
from botctl.trading.exits import ExitPlanner, Exits, RefusedSell, Sell, WantedExit
from botctl.trading.missing_coins import MissingCoinsReview
from botctl.trading.order_settlement import OrderSettlement
from botctl.trading.pre_trade_checks import PreTradeChecks
from botctl.trading.results import OrderResult
from botctl.trading.risk import RiskService
from botctl.trading.snapshot import Snapshot, SnapshotService

log = logging.getLogger(__name__)

MAX_ASK_TO_LAST_RATIO = 2
"""How far the ask and the last price may be apart. Beyond that one of them is wrong."""
VALIDATED = "VALIDATED"
"""The state in results of an order that the exchange only checked."""

Intend = Callable[[datetime, datetime], OrderRow]
"""Records an order, given its deadline in exchange time and the current time."""


@dataclass
class ExecutionService:
    """Buys and sells at market. With `validate_only` the exchange checks each order and nothing is recorded."""

    exchange: Exchange
    journal: Journal
    settlement: OrderSettlement
    risk: RiskService
    pre_trade_checks: PreTradeChecks
    exit_planner: ExitPlanner
    review: MissingCoinsReview
    snapshots: SnapshotService
    clock: Clock
    _: KW_ONLY
    validate_only: bool = False

    def get_balance(self, currency: str) -> Decimal:
        """The free funds in `currency`. Raises ExchangeUnreachable; an invalid answer is never read as zero."""
        return self.exchange.fetch_balances().spendable(currency)

    def execute_buy(self, symbol: str, amount_usd: Decimal) -> OrderResult:
        """Buy for `amount_usd` of the symbol's quote currency, plus the fee, with a stop.

        Raises Refused, BadValue, ExchangeRefused, ExchangeUnreachable, and OutcomeUnknown when the order may exist;
        then the asset stays reserved until a later run has settled the order.
        """
        self.pre_trade_checks.check(symbol, self.clock.now())
        market = market_of(self.exchange.load_markets(), symbol)
        if not market.tradable:  # the status may be out of date: the exchange decides at each order
            raise ExchangeRefused(f"{symbol} is in {market.status} mode", hint="wait until the exchange opens it again")
        candles = self.risk.fetch_candles(symbol)  # no order without an ATR to place its stop by
        atr = self.risk.calculate_atr(candles)
        ask = self._fetch_ask(symbol)
        quantity = self._size(market, ask, self.risk.calculate_stop_loss(ask, candles), amount_usd)
        if self.validate_only:
            return self._validate(Side.BUY, symbol, quantity)
        try:
            order = self._place_entry(symbol, quantity, atr)
        except InsufficientFunds as refusal:
            raise self._with_free_funds(refusal, market.quote) from refusal
        return self._settled_result(order)

    def execute_sell(
        self, symbol: str, amount_token: Decimal | None = None, reason: ExitReason = ExitReason.MANUAL
    ) -> OrderResult | None:
        """Sell `amount_token` of the asset from its open trade, or all of it; None when nothing could be sold and the
        trade was closed.

        Raises Refused without such a trade, BadValue for more than it holds, and what the order raises.
        """
        trade = self._open_trade(symbol)
        self.pre_trade_checks.check_exit(trade, reason)
        snapshot = self.snapshots.take_snapshot([trade.symbol])
        exits = self.execute_sells([WantedExit(trade, reason, amount_token)], snapshot, assets={trade.asset})
        if exits.errors:
            raise most_severe(exits.errors)
        return exits.results[0] if exits.results else None

    def execute_sells(
        self, wanted: Sequence[WantedExit], snapshot: Snapshot, *, assets: Collection[str] | None = None
    ) -> Exits:
        """Plan the sells, send them all, again what was refused in part, and settle them together. Then close what the
        exchange refuses as dust, and review what its balance lacks: of all assets, or of `assets`.

        One order that fails or hangs does not hold back the others.
        """
        if self.validate_only:
            return Exits(*attempt_each(self._validate_sell, wanted))
        plan = self.exit_planner.plan(wanted, snapshot)
        orders, refused = self._place_exits(plan.sells)
        short = [each.sell.trade for each in refused if isinstance(each.error, InsufficientFunds)]
        more, refused, failed = self._place_again(refused)
        orders += more
        unsettled = self.settlement.settle(orders)
        results, unread = attempt_each(self._result, orders)
        errors = [*plan.errors, *failed, *unsettled, *unread]
        notes = plan.notes
        written_off: frozenset[int] = frozenset()
        try:
            dust = self.exit_planner.close_dust(refused)
            notes, written_off, errors = notes + dust.notes, dust.closed, errors + dust.errors
            errors += [error for result in results if (error := self._shortfall(result)) is not None]
            review = self.review.review(snapshot, refused=short, assets=assets)
            written_off, errors = written_off | review.written_off, errors + review.errors
        except BotError as error:  # the results of the sells are reported all the same
            errors.append(error)
        errors += [each.error for each in refused if each.sell.trade.id not in written_off]
        return Exits(results, errors, notes)

    def _place_exits(self, sells: Sequence[Sell]) -> tuple[list[OrderRow], list[RefusedSell]]:
        orders: list[OrderRow] = []
        refused: list[RefusedSell] = []
        for sell in sells:
            try:
                orders.append(self._place_exit(sell))
            except BotError as error:
                refused.append(RefusedSell(sell, error))
        return orders, refused

    def _place_again(self, refused: Sequence[RefusedSell]) -> tuple[list[OrderRow], list[RefusedSell], list[BotError]]:
        """Send the second sells. Returns the refusals that stand: that of a whole does when only a part was free."""
        try:
            sells = self.exit_planner.plan_again(refused)
        except BotError as error:
            return [], list(refused), [error]
        orders, again = self._place_exits(sells)
        placed = {order.trade_id for order in orders}
        whole = {each.trade.id for each in sells if any(each == first.sell for first in refused)}
        repeated = {each.sell.trade.id for each in again}
        stand = [
            each for each in refused if each.sell.trade.id not in repeated and each.sell.trade.id not in placed & whole
        ]
        return orders, stand + again, []

    def place_market_order(self, intend: Intend) -> OrderRow:
        """Record one market order by `intend`, and send it. It may not have ended on return.

        An order that arrived after its deadline is replaced once. Raises ExchangeRefused when it is certain that
        nothing was placed; a lost answer leaves the order UNKNOWN and raises nothing.
        """
        order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())
        try:
            self._send(order)
        except DeadlineElapsed as error:
            log.warning("%s: asking the exchange for its time", error)
            self.exchange.forget_time()
            order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())
            self._send(order)
        return order

    def _place_entry(self, symbol: str, quantity: Decimal, atr: float) -> OrderRow:
        self.pre_trade_checks.check_database()

        def intend(deadline: datetime, now: datetime) -> OrderRow:
            check = partial(self.pre_trade_checks.check, symbol, now)  # again: the calls before took their time
            return self.journal.intend_entry(symbol, quantity, atr, check=check, deadline=deadline, now=now)

        return self.place_market_order(intend)

    def _place_exit(self, sell: Sell) -> OrderRow:
        check = partial(self.pre_trade_checks.check_exit, sell.trade, sell.reason)

        def intend(deadline: datetime, now: datetime) -> OrderRow:
            return self.journal.intend_exit(
                sell.trade, sell.amount, sell.reason, whole=sell.whole, check=check, deadline=deadline, now=now
            )

        return self.place_market_order(intend)

    def _send(self, order: OrderRow) -> None:
        request = self.journal.submit(order)  # committed before a byte is sent
        _log_order(order, "sending")
        try:
            exchange_order_id = self.exchange.add_order(request)
        except ExchangeRefused as refusal:
            _log_order(order, "refused", refusal)
            with _recording_the_answer_to(order):
                self.journal.reject(order, refusal, self.clock.now())
            raise
        except BotError as error:  # whatever it is: the order was sent, and may exist
            log.warning("%s: looking it up (%s)", error, order.client_order_id, extra=_log_fields(order))
            with _recording_the_answer_to(order):
                self.journal.mark_unknown(order, error)
            return
        if exchange_order_id is None:
            raise AssertionError("an order that was not validated only must have an id")
        with _recording_the_answer_to(order):
            self.journal.accept(order, exchange_order_id)

    def _validate(self, side: Side, symbol: str, quantity: Decimal) -> OrderResult:
        client_order_id = str(uuid.uuid4())
        deadline = self.exchange.now() + DEADLINE_AFTER
        self.exchange.add_order(OrderRequest(client_order_id, side, symbol, quantity, deadline), validate=True)
        return OrderResult(
            side, symbol, VALIDATED, quantity, Decimal(0), None, None, None, client_order_id, None,
            note="validated only: nothing was traded",
        )  # fmt: skip

    def _validate_sell(self, wanted: WantedExit) -> OrderResult:
        return self._validate(Side.SELL, wanted.trade.symbol, wanted.amount_to_sell())

    def _fetch_ask(self, symbol: str) -> Decimal:
        """The price that sizes a buy. Raises BotError when it is missing or implausible."""
        quotes = self.exchange.fetch_quotes([symbol])
        if (quote := quotes.good.get(symbol)) is None:
            raise BotError(f"{symbol} {quotes.bad.get(symbol, 'has no price')}", hint="nothing was bought")
        if quote.ask is None:
            raise BotError(f"{symbol} has no ask price", hint="nothing was bought")
        if not quote.last / MAX_ASK_TO_LAST_RATIO <= quote.ask <= quote.last * MAX_ASK_TO_LAST_RATIO:
            ask, last = format_decimal(quote.ask), format_decimal(quote.last)
            why = f"the ask of {symbol}, {ask}, is far from its last price, {last}"
            raise BotError(why, hint="nothing was bought")
        return quote.ask

    def _size(self, market: Market, ask: Decimal, stop: float, amount_usd: Decimal) -> Decimal:
        """The amount of the asset that `amount_usd` buys at the ask. It must be large enough to be sold at its stop."""
        quantity = amount_for_cost(amount_usd, ask, market)
        for price, where in ((ask, ""), (Decimal(repr(stop)), " at its stop")):
            if why := below_minimum(quantity, price, market):
                problem = f"{format_decimal(amount_usd)} {market.quote} buys too little{where}: {why}"
                raise ExchangeRefused(problem, hint="raise the amount")
        return quantity

    def _with_free_funds(self, refusal: InsufficientFunds, currency: str) -> InsufficientFunds:
        """The refusal with the free funds, if they can be fetched now."""
        try:
            free = self.get_balance(currency)
        except BotError as error:
            log.warning("free funds: %s", error)
            return refusal
        return InsufficientFunds(f"{refusal.message}; {format_decimal(free)} {currency} is free", hint=refusal.hint)

    def _open_trade(self, symbol: str) -> TradeRow:
        trade = self.journal.active_trade(base_of(symbol))
        if trade is None:
            raise Refused(f"there is no open trade of {base_of(symbol)}", hint="see `botctl positions`")
        if trade.status != TradeStatus.OPEN:
            raise Refused(f"trade {trade.id} is not open", hint="see `botctl positions`")
        return trade

    def _settled_result(self, order: OrderRow) -> OrderResult:
        """Follow one order to its end. Raises BotError unless something was traded."""
        errors = self.settlement.settle([order])
        if errors:
            raise most_severe(errors)
        name = f"the {order.side} of {order.symbol}"
        if order.state == OrderState.ABSENT:
            raise BotError(f"{name} never reached the exchange", hint="try again")
        if order.filled == 0:
            raise ExchangeRefused(f"the exchange canceled {name} unfilled", hint="try again")
        return self._result(order)

    def _shortfall(self, result: OrderResult) -> BotError | None:
        """The error for a sell that ended before its amount was sold, while its trade is still open."""
        ended = result.state in (OrderState.CANCELED, OrderState.ABSENT)
        if not ended or result.filled == result.amount or self.journal.open_trade(result.trade_id or 0) is None:
            return None
        sold = f"{format_decimal(result.filled)} of {format_decimal(result.amount)} {result.symbol} was sold"
        return BotError(f"the sell ended {result.state}: {sold}", hint="the next check sells the rest")

    def _result(self, order: OrderRow) -> OrderResult:
        trade = self.journal.trade(order.trade_id)
        partly = order.state == OrderState.CANCELED and order.filled > 0
        return OrderResult(
            side=order.side, symbol=order.symbol, state=order.state, amount=order.amount, filled=order.filled,
            average_price=order.average_price, cost=order.cost, fee=order.fee,
            client_order_id=order.client_order_id, exchange_order_id=order.exchange_order_id, reason=order.reason,
            trade_id=trade.id, trade_status=trade.status, stop_loss_price=trade.stop_loss_price,
            atr=trade.atr, pnl=trade.pnl, note="filled in part: the exchange canceled the rest" if partly else "",
        )  # fmt: skip


def _log_order(order: OrderRow, event: str, error: BotError | None = None) -> None:
    name = f"{order.side} {format_decimal(order.amount)} {order.symbol} ({order.client_order_id})"
    log.info("%s", f"{event} {name}" if error is None else f"{name} {event}: {error}", extra=_log_fields(order))


def _log_fields(order: OrderRow) -> dict[str, Any]:
    names = ("symbol", "side", "amount", "reason", "trade_id", "client_order_id")
    return {name: getattr(order, name) for name in names}


@contextmanager
def _recording_the_answer_to(order: OrderRow) -> Iterator[None]:
    """Explain a failure to record what the exchange answered. The order stays SUBMITTED, which means that its outcome
    is unknown: its trade gets no other order, and the next run looks it up."""
    try:
        yield
    except BotError as error:
        raise OutcomeUnknown(
            f"the {order.side} of {order.symbol} was sent, and the answer could not be recorded: {error.message} "
            f"(client order id {order.client_order_id})",
            hint="the next run looks it up; don't repeat it",
        ) from error
