"""Names the owner's own orders that exits have canceled: a sell outranks a resting buy in its way. Sends no order."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from botctl.domain.errors import BotError
from botctl.domain.markets import Balances
from botctl.domain.money import format_decimal
from botctl.domain.orders import OrderRecord, Side
from botctl.domain.symbols import quote_of
from botctl.ports import Clock, Exchange
from botctl.store.corrections import record_outranked_order
from botctl.store.journal import Journal
from botctl.trading.results import OrderResult

log = logging.getLogger(__name__)

LOOK_BACK = timedelta(minutes=10)
"""How old the listed orders may be: a run's sells are younger."""
MARGIN = timedelta(seconds=1)
"""Between a sell and the end of an order that it canceled."""
BY_HAND = "User requested"
"""The exchange's reason for an order that its owner canceled."""


@dataclass
class OutrankedOrders:
    """Looks for them after the exits of a run, and only if the account had money on hold for an order."""

    exchange: Exchange
    journal: Journal
    clock: Clock
    _sells: dict[str, int] = field(default_factory=dict, init=False)
    """Client order ids of sells that may have met one, with their trades."""

    def note_exits(self, results: Sequence[OrderResult], balances: Balances | None) -> None:
        """Remember sells of a run. `balances` are from before them."""
        for each in results:
            if each.client_order_id and each.trade_id and balances and balances.on_hold(quote_of(each.symbol)) > 0:
                self._sells[each.client_order_id] = each.trade_id

    def report(self) -> list[str]:
        """Say, and record, which orders of the owner the exits since the last report have canceled."""
        sells, self._sells = self._sells, {}
        if not sells:
            return []
        try:
            records = self.exchange.list_orders(self.exchange.now() - LOOK_BACK, lambda _received, _total: None)
            own = self.journal.own_order_ids([record.report.exchange_order_id for record in records])
            buys = [record for record in records if record.report.exchange_order_id not in own]
            return [
                self._record(sells[str(sell.report.client_order_id)], buy)
                for sell in records
                if sell.report.client_order_id in sells
                for buy in buys
                if _was_in_the_way(buy, sell)
            ]
        except BotError as error:
            log.warning("the orders that an exit may have canceled: %s", error)
            return []

    def _record(self, trade_id: int, buy: OrderRecord) -> str:
        left = format_decimal(buy.amount - buy.report.filled)
        why = (
            f"the exit of trade {trade_id} canceled your own order {buy.report.exchange_order_id}, a buy of {left} "
            f"{buy.symbol} that was in its way ({buy.report.reason or 'no reason given'})"
        )
        record_outranked_order(trade_id, why, self.clock.now())
        return why


def _was_in_the_way(buy: OrderRecord, sell: OrderRecord) -> bool:
    """Whether an order was canceled while the sell was at work, and not by hand."""
    ended, report = buy.report.closed_at, buy.report
    if buy.side is not Side.BUY or buy.symbol != sell.symbol or ended is None or report.complete:
        return False
    sold_until = sell.report.closed_at or sell.report.opened_at
    return report.reason != BY_HAND and sell.report.opened_at - MARGIN <= ended <= sold_until + MARGIN
