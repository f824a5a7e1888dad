"""Places orders: records each one before it is sent, and sends it once. The only module that sends orders."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botctl.domain.errors import BotError, DeadlineElapsed, ExchangeRefused, OutcomeUnknown
from botctl.domain.money import format_decimal
from botctl.domain.orders import DEADLINE_AFTER, OrderRequest, Side, StopRequest
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.rows import OrderRow

log = logging.getLogger(__name__)

STOP_DEADLINE_AFTER = timedelta(seconds=10)
"""From intent to deadline of a stop that is to rest, in exchange time. An exit may have to wait until it is sure that a
lost one never arrived."""

Intend = Callable[[datetime, datetime], OrderRow]
"""Records an order, given its deadline in exchange time and the current time."""


@dataclass
class OrderPlacement:
    exchange: Exchange
    journal: Journal
    clock: Clock

    def place_market_order(self, intend: Intend) -> OrderRow:
        """Record one market order by `intend`, and send it. It may not have ended on return.

        A sell whose deadline was refused is replaced once; a buy needs a fresh price and starts anew in a later run.
        Raises ExchangeRefused when it is certain that nothing was placed; a lost answer leaves the order UNKNOWN and
        raises nothing.
        """
        order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())
        try:
            self._send(order)
        except DeadlineElapsed as error:
            log.warning("%s: asking the exchange for its time", error)
            self.exchange.forget_time()
            if order.side == Side.BUY:
                raise
            order = intend(self.exchange.now() + DEADLINE_AFTER, self.clock.now())
            self._send(order)
        return order

    def place_stop(self, intend: Intend) -> OrderRow:
        """Record one stop order by `intend`, and send it; one whose deadline was refused is replaced once. Raises
        ExchangeRefused as `place_market_order`."""
        order = intend(self.exchange.now() + STOP_DEADLINE_AFTER, self.clock.now())
        try:
            self._send(order)
        except DeadlineElapsed as error:
            log.warning("%s: asking the exchange for its time", error)
            self.exchange.forget_time()
            order = intend(self.exchange.now() + STOP_DEADLINE_AFTER, self.clock.now())
            self._send(order)
        return order

    def _send(self, order: OrderRow) -> None:
        request = self.journal.submit(order)  # committed before a byte is sent
        _log_order(order, "sending")
        try:
            exchange_order_id = self._add(order, request)
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

    def _add(self, order: OrderRow, request: OrderRequest) -> str | None:
        if order.trigger is None:
            return self.exchange.add_order(request)
        stop = StopRequest(request.client_order_id, request.symbol, request.amount, order.trigger, request.deadline)
        return self.exchange.add_stop(stop)


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
