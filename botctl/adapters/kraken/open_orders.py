"""What is done to open orders at Kraken beside placing them: list them, move a stop in place, cancel one or many."""

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import batched
from typing import Any

from botctl.adapters.kraken import parsing
from botctl.adapters.kraken.errors import BEFORE_PROCESSING, UNCHANGED, UNKNOWN_ORDER, KrakenApiError
from botctl.adapters.kraken.order_params import amend_params
from botctl.adapters.kraken.session import KrakenSession
from botctl.domain.errors import BotError, ExchangeRefused, LockedOut, NoAnswer, UnusableAnswer, attempt_each
from botctl.domain.orders import OrderRecord

log = logging.getLogger(__name__)

ORDERS_PER_CALL = 50
ABOUT_THE_ORDER = "EOrder:"

Read = Callable[..., Any]
"""Repeats a call that is safe to repeat, and translates Kraken's errors `unless` they begin like this."""


def read_open_orders(answer: Mapping[str, Any], symbols: Mapping[str, str]) -> list[OrderRecord]:
    """The readable orders of an OpenOrders answer: one strange order of the owner must not hide all others. A stop of
    botctl that is left out is looked up by its own id."""
    records = []
    for txid, order in answer.items():
        try:
            records.append(parsing.parse_order_record(txid, order, symbols))
        except UnusableAnswer as error:
            log.warning("%s: left out of the open orders", error.message)
    return records


def amend_stop(session: KrakenSession, read: Read, client_order_id: str, trigger: Decimal, amount: Decimal) -> None:
    """Move a stop. An amendment that changes nothing is refused: then an earlier one, whose answer was lost, has done
    it. Raises ExchangeRefused for any other refusal of the order itself."""
    params = amend_params(client_order_id, trigger, amount)

    def send() -> None:
        try:
            session.post("AmendOrder", params)
        except KrakenApiError as api_error:
            if api_error.mentions(UNCHANGED):
                return
            if api_error.all_of(ABOUT_THE_ORDER) and not api_error.mentions(*BEFORE_PROCESSING):
                raise ExchangeRefused(f"Kraken refused to move the stop: {api_error}") from api_error
            raise

    read(send)


def cancel_orders(session: KrakenSession, read: Read, client_order_ids: Sequence[str]) -> bool:
    """Whether Kraken confirms that it has canceled all of them. Raises BotError when none could be asked for."""
    counts = [_cancel_together(session, read, ids) for ids in batched(client_order_ids, ORDERS_PER_CALL)]
    return sum(counts) == len(client_order_ids)


def _cancel_together(session: KrakenSession, read: Read, ids: Sequence[str]) -> int:
    """How many of these Kraken has canceled by now. A batch that it refuses as a whole is canceled one by one: what it
    dislikes about one order, or about batches, must not keep the others."""
    if len(ids) == 1:
        return _cancel_one(session, read, ids[0])
    try:
        count: int = read(partial(_post_batch, session, ids), unless=("EOrder:", "EGeneral:"))
    except (NoAnswer, LockedOut):
        raise
    except (BotError, KrakenApiError) as error:
        log.warning("%d orders could not be canceled together (%s): one by one", len(ids), error)
        canceled, errors = attempt_each(partial(_cancel_one, session, read), ids)
        if errors and not canceled:
            raise errors[0] from error
        return sum(canceled)
    return count


def _cancel_one(session: KrakenSession, read: Read, client_order_id: str) -> int:
    try:
        count: int = read(partial(_post_cancel, session, client_order_id), unless=UNKNOWN_ORDER)
    except KrakenApiError:  # there is no such open order: its record tells how it ended
        return 0
    return count


def _post_cancel(session: KrakenSession, client_order_id: str) -> int:
    return parsing.parse_cancel_count(session.post("CancelOrder", {"cl_ord_id": client_order_id}, cost=0))


def _post_batch(session: KrakenSession, client_order_ids: Sequence[str]) -> int:
    named: list[Any] = [{"cl_ord_id": each} for each in client_order_ids]
    return parsing.parse_cancel_count(session.post("CancelOrderBatch", {"cl_ord_ids": named}))
