"""The only room that sends orders: written down first, sent once, and followed to its end."""

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from botctl.domain.errors import BotError, DeadlineElapsed, ExchangeRefused, OutcomeUnknown, Refused, weightiest
from botctl.domain.markets import Market, Quote, market_of
from botctl.domain.money import plain
from botctl.domain.order_states import DEADLINE_AFTER, ExitReason, OrderState, Side
from botctl.domain.orders import OrderRequest
from botctl.domain.sizing import amount_for_cost, below_minimum
from botctl.domain.symbols import base_of
from botctl.ports import Clock, Exchange
from botctl.services.entry_gate import EntryGate
from botctl.services.recovery import Recovery
from botctl.services.risk import RiskService
from botctl.store.journal import Journal
from botctl.store.models import Order, Trade
from botctl.store.switch import Switch
from botctl.trading.results import OrderResult

log = logging.getLogger(__name__)

FAR = 2
"""How many times the last price an ask may be, or the other way round. Beyond it one of them is no price."""
VALIDATED = "VALIDATED"
"""What an order that the exchange only checked is called in results."""


@dataclass(frozen=True)
class Sell:
    """An intended exit: how much of which trade, and why."""

    trade: Trade
    amount: Decimal
    reason: ExitReason
    whole: bool
    """Whether it is for all that is left of the trade."""


class ExecutionService:
    """Buys and sells at market. With `validate_only` the exchange checks each order and nothing is recorded."""

    def __init__(
        self,
        exchange: Exchange,
        journal: Journal,
        recovery: Recovery,
        risk: RiskService,
        gate: EntryGate,
        switch: Switch,
        clock: Clock,
        *,
        validate_only: bool = False,
    ) -> None:
        self.exchange = exchange
        self.journal = journal
        self.recovery = recovery
        self.risk = risk
        self.gate = gate
        self.switch = switch
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
        self.gate.check(symbol, self.clock.now())
        market = self.market(symbol)
        if not market.tradable:
            raise ExchangeRefused(f"{symbol} is in {market.status} mode", hint="wait until the exchange opens it again")
        atr = self.risk.fetch_atr(symbol)
        quantity = self._size(market, self._quote(symbol), amount_usd, atr)
        if self.validate_only:
            return self._validate(Side.BUY, symbol, quantity)
        order = self.place_market_order(Side.BUY, symbol, quantity, atr=atr)
        return self._outcome(order)

    def execute_sell(self, symbol: str, amount_token: Decimal, reason: ExitReason = ExitReason.MANUAL) -> OrderResult:
        """Sell `amount_token` of the asset out of its open trade. Raises as `execute_buy`."""
        trade = self._open_trade(symbol)
        sell = Sell(trade, amount_token, reason, whole=amount_token >= trade.amount)
        results, errors = self.execute_sells([sell])
        if errors:
            raise weightiest(errors)
        return results[0]

    def execute_sells(self, sells: Sequence[Sell]) -> tuple[list[OrderResult], list[BotError]]:
        """Send every sell first, then learn all their endings together: one that hangs holds no other back."""
        errors: list[BotError] = []
        if self.validate_only:
            return self._validate_sells(sells, errors), errors
        orders: list[Order] = []
        for sell in sells:
            try:
                orders.append(
                    self.place_market_order(
                        Side.SELL,
                        sell.trade.symbol,
                        sell.amount,
                        trade=sell.trade,
                        reason=sell.reason,
                        whole=sell.whole,
                    )
                )
            except BotError as error:
                errors.append(error)
        errors += self.recovery.settle(orders)
        results: list[OrderResult] = []
        for order in orders:
            try:
                results.append(self._result(order))
            except BotError as error:
                errors.append(error)
        return results, errors

    def place_market_order(
        self,
        side: Side,
        symbol: str,
        quantity: Decimal,
        *,
        atr: float | None = None,
        trade: Trade | None = None,
        reason: ExitReason = ExitReason.MANUAL,
        whole: bool = True,
    ) -> Order:
        """Write down and send one market order for `quantity` of the asset. It may not have ended on return.

        A buy needs the `atr` that its stop will hang from, a sell the `trade` it sells from. Raises ExchangeRefused
        when it is certain that nothing was placed; a lost answer leaves the order UNKNOWN and raises nothing.
        """
        if side is Side.BUY:
            if atr is None:
                raise Refused("a buy without an ATR has no stop")
            self.gate.check_database()
            return self._send(partial(self._intend_entry, symbol, quantity, atr))
        from_trade = trade or self._open_trade(symbol)
        permit = partial(self._permit_exit, from_trade, reason)
        return self._send(
            lambda deadline, now: self.journal.intend_exit(
                from_trade, quantity, reason, whole=whole, permit=permit, deadline=deadline, now=now
            )
        )

    def market(self, symbol: str) -> Market:
        """The market of a symbol. Whether it takes orders now is the exchange's own word at each order."""
        return market_of(self.exchange.load_markets(), symbol)

    def _send(self, intend: Callable[[datetime, datetime], Order]) -> Order:
        """Intent, then request. An order that came too late by the exchange's clock is followed by one fresh one."""
        order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())
        try:
            self._transmit(order)
        except DeadlineElapsed as error:
            log.warning("%s: asking the exchange for its time", error)
            self.exchange.forget_time()
            order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())
            self._transmit(order)
        return order

    def _intend_entry(self, symbol: str, quantity: Decimal, atr: float, deadline: datetime, now: datetime) -> Order:
        """Every rule is asked again: much may have happened while the exchange was asked for this and that."""
        permit = partial(self.gate.check, symbol, now)
        return self.journal.intend_entry(symbol, quantity, atr, permit=permit, deadline=deadline, now=now)

    def _transmit(self, order: Order) -> None:
        request = self.journal.submit(order)  # committed before a byte leaves the house
        log.info(
            "sending %s %s %s (%s)", order.side, plain(order.amount), order.symbol, order.client_order_id,
            extra=_figures(order),
        )  # fmt: skip
        try:
            exchange_order_id = self.exchange.add_order(request)
        except ExchangeRefused as refusal:
            log.info(
                "%s %s %s (%s) refused: %s", order.side, plain(order.amount), order.symbol, order.client_order_id,
                refusal, extra=_figures(order),
            )  # fmt: skip
            with _answer_of(order):
                self.journal.reject(order, refusal, self.clock.now())
            raise
        except BotError as silence:  # whatever it was: the order has left, and may exist
            log.warning("%s: looking it up (%s)", silence, order.client_order_id, extra=_figures(order))
            with _answer_of(order):
                self.journal.doubt(order, silence)
            return
        if exchange_order_id is None:
            raise AssertionError("an order that was not validated only must have an id")
        with _answer_of(order):
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

    def _validate_sells(self, sells: Sequence[Sell], errors: list[BotError]) -> list[OrderResult]:
        results: list[OrderResult] = []
        for sell in sells:
            try:
                results.append(self._validate(Side.SELL, sell.trade.symbol, sell.amount))
            except BotError as error:
                errors.append(error)
        return results

    def _quote(self, symbol: str) -> Quote:
        quotes = self.exchange.fetch_quotes([symbol])
        if symbol not in quotes.good:
            raise BotError(f"{symbol} {quotes.bad.get(symbol, 'has no price')}", hint="nothing was bought")
        return quotes.good[symbol]

    def _size(self, market: Market, quote: Quote, amount_usd: Decimal, atr: float) -> Decimal:
        """How much of the asset the amount buys at the ask, if that could also be sold at its own stop."""
        if quote.ask is None:
            raise BotError(f"{market.symbol} has no ask price", hint="nothing was bought")
        if not quote.last / FAR <= quote.ask <= quote.last * FAR:
            raise BotError(
                f"the ask of {market.symbol}, {plain(quote.ask)}, is far from its last price, {plain(quote.last)}",
                hint="nothing was bought",
            )
        quantity = amount_for_cost(amount_usd, quote.ask, market)
        stop = Decimal(repr(self.risk.stop_for(quote.ask, atr)))
        for price, where in ((quote.ask, ""), (stop, " at its stop")):
            if why := below_minimum(quantity, price, market):
                raise ExchangeRefused(
                    f"{plain(amount_usd)} {market.quote} buys too little{where}: {why}", hint="raise the amount"
                )
        return quantity

    def _open_trade(self, symbol: str) -> Trade:
        trade = self.journal.active_trade(base_of(symbol))
        if trade is None or trade.entry_amount is None:
            raise Refused(f"there is no open trade of {base_of(symbol)}", hint="see `botctl positions`")
        return trade

    def _permit_exit(self, trade: Trade, reason: ExitReason) -> None:
        if self.switch.read().frozen and reason is not ExitReason.LIQUIDATION:
            raise Refused("botctl is frozen: no order but liquidate's is sent", hint="`botctl resume` thaws it")
        if trade.id in self.journal.unsettled_trade_ids():
            raise OutcomeUnknown(f"trade {trade.id} has an order whose ending is unknown", hint="see `botctl orders`")

    def _outcome(self, order: Order) -> OrderResult:
        """Follow one order to its end; raises what its caller must know."""
        errors = self.recovery.settle([order])
        if errors:
            raise weightiest(errors)
        if order.state == OrderState.ABSENT:
            raise BotError(f"the {order.side} of {order.symbol} never reached the exchange", hint="try again")
        if order.filled == 0:
            raise ExchangeRefused(
                f"the exchange canceled the {order.side} of {order.symbol} unfilled", hint="try again"
            )
        return self._result(order)

    def _result(self, order: Order) -> OrderResult:
        trade = Trade.get_by_id(order.trade_id)
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


def _figures(order: Order) -> dict[str, Any]:
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
def _answer_of(order: Order) -> Iterator[None]:
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
