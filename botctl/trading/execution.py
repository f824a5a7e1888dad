"""The only room that sends orders: written down first, sent once, and followed to its end."""

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    most_severe,
)
from botctl.domain.markets import Market, Quote, amount_for_cost, below_minimum, market_of
from botctl.domain.money import format_decimal
from botctl.domain.orders import DEADLINE_AFTER, ExitReason, OrderRequest, OrderState, Side, TradeStatus
from botctl.domain.symbols import base_of
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.rows import OrderRow, TradeRow
from botctl.trading.exits import ExitPlanner, Exits, Sell, WantedExit
from botctl.trading.order_settlement import OrderSettlement
from botctl.trading.pre_trade_checks import PreTradeChecks
from botctl.trading.results import OrderResult
from botctl.trading.risk import RiskService
from botctl.trading.snapshot import Snapshot, SnapshotService

log = logging.getLogger(__name__)

MAX_ASK_TO_LAST_RATIO = 2
"""How many times the last price an ask may be, or the other way round. Beyond it one of them is no price."""
VALIDATED = "VALIDATED"
"""What an order that the exchange only checked is called in results."""


Intend = Callable[[datetime, datetime], OrderRow]
"""Writes an order down, with its deadline in exchange time and the moment it is made."""


class ExecutionService:
    """Buys and sells at market. With `validate_only` the exchange checks each order and nothing is recorded."""

    def __init__(
        self,
        exchange: Exchange,
        journal: Journal,
        settlement: OrderSettlement,
        risk: RiskService,
        pre_trade_checks: PreTradeChecks,
        exit_planner: ExitPlanner,
        snapshots: SnapshotService,
        clock: Clock,
        *,
        validate_only: bool = False,
    ) -> None:
        self.exchange = exchange
        self.journal = journal
        self.settlement = settlement
        self.risk = risk
        self.pre_trade_checks = pre_trade_checks
        self.exit_planner = exit_planner
        self.snapshots = snapshots
        self.clock = clock
        self.validate_only = validate_only

    def get_balance(self, currency: str) -> Decimal:
        """The free funds in `currency`. Raises ExchangeUnreachable rather than reading a bad answer as zero."""
        return self.exchange.fetch_balances().spendable(currency)

    def execute_buy(self, symbol: str, amount_usd: Decimal) -> OrderResult:
        """Buy for `amount_usd` of the symbol's quote currency (the fee comes on top), with a stop below.

        The ATR comes first: no stop, no order. Raises Refused, BadValue, ExchangeRefused, ExchangeUnreachable, and
        OutcomeUnknown when the order may exist; then the asset stays reserved until a later run knows.
        """
        self.pre_trade_checks.check(symbol, self.clock.now())
        market = self.market(symbol)
        if not market.tradable:
            raise ExchangeRefused(f"{symbol} is in {market.status} mode", hint="wait until the exchange opens it again")
        candles = self.risk.fetch_candles(symbol)
        atr = self.risk.calculate_atr(candles)
        ask = self._ask_of(self._quote(symbol))
        quantity = self._size(market, ask, self.risk.calculate_stop_loss(ask, candles), amount_usd)
        if self.validate_only:
            return self._validate(Side.BUY, symbol, quantity)
        try:
            order = self._place_entry(symbol, quantity, atr)
        except InsufficientFunds as refusal:
            raise self._with_free_funds(refusal, market.quote) from refusal
        return self._outcome(order)

    def execute_sell(
        self, symbol: str, amount_token: Decimal | None = None, reason: ExitReason = ExitReason.MANUAL
    ) -> OrderResult | None:
        """Sell `amount_token` of the asset out of its open trade, or all of it; None when there was nothing left to
        sell, and the trade was closed so.

        Raises Refused without such a trade, BadValue for more than it holds, and what the order raises.
        """
        trade = self._open_trade(symbol)
        self.pre_trade_checks.check_exit(trade, reason)
        exits = self.execute_sells(
            [WantedExit(trade, reason, amount_token)], self.snapshots.take_snapshot([trade.symbol])
        )
        if exits.errors:
            raise most_severe(exits.errors)
        return exits.results[0] if exits.results else None

    def execute_sells(self, wanted: Sequence[WantedExit], snapshot: Snapshot) -> Exits:
        """Bound each sell by what is there, send them all, learn their endings together, and sweep up what is too
        small to sell: one that hangs holds no other back."""
        if self.validate_only:
            return self._validate_sells(wanted)
        plan = self.exit_planner.plan(wanted, snapshot)
        orders: list[OrderRow] = []
        errors = [*plan.errors]
        for sell in plan.sells:
            try:
                orders.append(self._place_exit(sell))
            except BotError as error:
                errors.append(error)
        errors += self.settlement.settle(orders)
        results: list[OrderResult] = []
        for order in orders:
            try:
                results.append(self._result(order))
            except BotError as error:
                errors.append(error)
        swept: list[str] = []
        try:
            swept = self.exit_planner.close_dust_after(plan.sells, snapshot) if plan.sells else []
            errors += [short for result in results if (short := self._shortfall(result)) is not None]
        except BotError as error:  # what was sold is told all the same
            errors.append(error)
        return Exits(results, errors, plan.notes + swept)

    def place_market_order(self, intend: Intend) -> OrderRow:
        """Write down one market order by `intend`, and send it. It may not have ended on return.

        An order that came too late by the exchange's clock is followed by one fresh one. Raises ExchangeRefused when it
        is certain that nothing was placed; a lost answer leaves the order UNKNOWN and raises nothing.
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

    def market(self, symbol: str) -> Market:
        """The market of a symbol. Whether it takes orders now is the exchange's own word at each order."""
        return market_of(self.exchange.load_markets(), symbol)

    def _place_entry(self, symbol: str, quantity: Decimal, atr: float) -> OrderRow:
        """Buy `quantity` of the asset; the trade's stop will hang from `atr`."""
        self.pre_trade_checks.check_database()

        def intend(deadline: datetime, now: datetime) -> OrderRow:
            """Every rule is asked again: much may have happened while the exchange was asked for this and that."""
            check = partial(self.pre_trade_checks.check, symbol, now)
            return self.journal.intend_entry(symbol, quantity, atr, check=check, deadline=deadline, now=now)

        return self.place_market_order(intend)

    def _place_exit(self, sell: Sell) -> OrderRow:
        """Sell what the plan says, out of its trade."""
        check = partial(self.pre_trade_checks.check_exit, sell.trade, sell.reason)

        def intend(deadline: datetime, now: datetime) -> OrderRow:
            return self.journal.intend_exit(
                sell.trade, sell.amount, sell.reason, whole=sell.whole, check=check, deadline=deadline, now=now
            )

        return self.place_market_order(intend)

    def _send(self, order: OrderRow) -> None:
        request = self.journal.submit(order)  # committed before a byte leaves the house
        log.info(
            "sending %s %s %s (%s)", order.side, format_decimal(order.amount), order.symbol, order.client_order_id,
            extra=_log_fields(order),
        )  # fmt: skip
        try:
            exchange_order_id = self.exchange.add_order(request)
        except ExchangeRefused as refusal:
            log.info(
                "%s %s %s (%s) refused: %s", order.side, format_decimal(order.amount), order.symbol, order.client_order_id,
                refusal, extra=_log_fields(order),
            )  # fmt: skip
            with _recording_the_answer_to(order):
                self.journal.reject(order, refusal, self.clock.now())
            raise
        except BotError as silence:  # whatever it was: the order has left, and may exist
            log.warning("%s: looking it up (%s)", silence, order.client_order_id, extra=_log_fields(order))
            with _recording_the_answer_to(order):
                self.journal.mark_unknown(order, silence)
            return
        if exchange_order_id is None:
            raise AssertionError("an order that was not validated only must have an id")
        with _recording_the_answer_to(order):
            self.journal.accept(order, exchange_order_id)

    def _validate(self, side: Side, symbol: str, quantity: Decimal) -> OrderResult:
        """Let the exchange check an order: nothing trades, nothing is written."""
        client_order_id = str(uuid.uuid4())
        deadline = self.exchange.now() + DEADLINE_AFTER
        self.exchange.add_order(OrderRequest(client_order_id, side, symbol, quantity, deadline), validate=True)
        return OrderResult(
            side, symbol, VALIDATED, quantity, Decimal(0), None, None, None, client_order_id, None,
            note="validated only: nothing was traded",
        )  # fmt: skip

    def _validate_sells(self, wanted: Sequence[WantedExit]) -> Exits:
        results: list[OrderResult] = []
        errors: list[BotError] = []
        for each in wanted:
            try:
                results.append(self._validate(Side.SELL, each.trade.symbol, each.amount_to_sell()))
            except BotError as error:
                errors.append(error)
        return Exits(results, errors)

    def _quote(self, symbol: str) -> Quote:
        quotes = self.exchange.fetch_quotes([symbol])
        if symbol not in quotes.good:
            raise BotError(f"{symbol} {quotes.bad.get(symbol, 'has no price')}", hint="nothing was bought")
        return quotes.good[symbol]

    def _ask_of(self, quote: Quote) -> Decimal:
        """What a buy is sized by. Raises BotError when it is missing, or no price."""
        if quote.ask is None:
            raise BotError(f"{quote.symbol} has no ask price", hint="nothing was bought")
        if not quote.last / MAX_ASK_TO_LAST_RATIO <= quote.ask <= quote.last * MAX_ASK_TO_LAST_RATIO:
            raise BotError(
                f"the ask of {quote.symbol}, {format_decimal(quote.ask)}, is far from its last price, {format_decimal(quote.last)}",
                hint="nothing was bought",
            )
        return quote.ask

    def _size(self, market: Market, ask: Decimal, stop: float, amount_usd: Decimal) -> Decimal:
        """How much of the asset the amount buys at the ask, if that could also be sold at its own stop."""
        quantity = amount_for_cost(amount_usd, ask, market)
        for price, where in ((ask, ""), (Decimal(repr(stop)), " at its stop")):
            if why := below_minimum(quantity, price, market):
                raise ExchangeRefused(
                    f"{format_decimal(amount_usd)} {market.quote} buys too little{where}: {why}",
                    hint="raise the amount",
                )
        return quantity

    def _with_free_funds(self, refusal: InsufficientFunds, currency: str) -> InsufficientFunds:
        """The refusal, with what there is instead, as far as the exchange says so now."""
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

    def _outcome(self, order: OrderRow) -> OrderResult:
        """Follow one order to its end; raises what its caller must know."""
        errors = self.settlement.settle([order])
        if errors:
            raise most_severe(errors)
        if order.state == OrderState.ABSENT:
            raise BotError(f"the {order.side} of {order.symbol} never reached the exchange", hint="try again")
        if order.filled == 0:
            raise ExchangeRefused(
                f"the exchange canceled the {order.side} of {order.symbol} unfilled", hint="try again"
            )
        return self._result(order)

    def _shortfall(self, result: OrderResult) -> BotError | None:
        """What to say of a sell that has ended without selling all it was for, when its trade lives on."""
        ended = result.state in (OrderState.CANCELED, OrderState.ABSENT)
        if not ended or result.filled == result.amount or self.journal.open_trade(result.trade_id or 0) is None:
            return None
        sold = f"{format_decimal(result.filled)} of {format_decimal(result.amount)} {result.symbol} was sold"
        return BotError(f"the sell ended {result.state}: {sold}", hint="the next check goes on with the rest")

    def _result(self, order: OrderRow) -> OrderResult:
        trade = self.journal.trade(order.trade_id)
        partly = order.state == OrderState.CANCELED and order.filled > 0
        return OrderResult(
            side=order.side,
            symbol=order.symbol,
            state=order.state,
            amount=order.amount,
            filled=order.filled,
            average_price=order.average_price,
            cost=order.cost,
            fee=order.fee,
            client_order_id=order.client_order_id,
            exchange_order_id=order.exchange_order_id,
            trade_id=trade.id,
            trade_status=trade.status,
            stop_loss_price=trade.stop_loss_price,
            atr=trade.atr,
            reason=order.reason,
            pnl=trade.pnl,
            note="filled in part: the exchange canceled the rest" if partly else "",
        )


def _log_fields(order: OrderRow) -> dict[str, Any]:
    """What a line about an order carries for programs."""
    return {
        "symbol": order.symbol,
        "side": order.side,
        "amount": order.amount,
        "reason": order.reason,
        "trade_id": order.trade_id,
        "client_order_id": order.client_order_id,
    }


@contextmanager
def _recording_the_answer_to(order: OrderRow) -> Iterator[None]:
    """Writing down what came of an order that has left. Where that fails it stays SUBMITTED: one of unknown outcome,
    which keeps its trade from any other order and which the next run looks up."""
    try:
        yield
    except BotError as error:
        raise OutcomeUnknown(
            f"the {order.side} of {order.symbol} was sent, and the answer could not be written down: {error.message} "
            f"(client order id {order.client_order_id})",
            hint="the next run looks it up; don't repeat it",
        ) from error
