"""The way out of a trade: how much can be sold, and what becomes of a rest that can't."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from botctl.domain.errors import BadValue, BotError, ExchangeRefused, ExchangeUnreachable
from botctl.domain.markets import Balances, Market
from botctl.domain.money import floor_to, plain
from botctl.domain.order_states import ExitReason, OrderState
from botctl.domain.sizing import below_minimum
from botctl.ports import Clock, Exchange
from botctl.services.execution import ExecutionService, Sell
from botctl.services.lookout import Look
from botctl.store.journal import Journal
from botctl.store.models import Trade
from botctl.trading.results import OrderResult

SECOND_LOOK_AFTER = 3.0
"""Seconds until the balances are asked again, before a trade is given up as sold by somebody else."""
MATERIAL = Decimal("0.001")
"""A balance short by more than this fraction of the trade was touched by somebody else, and is said."""


@dataclass
class Exits:
    """What a round of exits came to."""

    results: list[OrderResult] = field(default_factory=list)
    errors: list[BotError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class ExitDesk:
    """Bounds every sell by what the trade holds and what is really there, and has it executed."""

    def __init__(self, exchange: Exchange, journal: Journal, execution: ExecutionService, clock: Clock) -> None:
        self.exchange = exchange
        self.journal = journal
        self.execution = execution
        self.clock = clock
        self._again: Balances | None = None

    @property
    def validate_only(self) -> bool:
        """Whether sells are only checked by the exchange, and nothing is recorded."""
        return self.execution.validate_only

    def close(
        self, wanted: Sequence[tuple[Trade, ExitReason]], look: Look, exits: Exits, amount: Decimal | None = None
    ) -> None:
        """Plan each sell, send them all, learn their endings together, and sweep up what is too small to sell."""
        sells: list[Sell] = []
        self._again = None
        for trade, reason in wanted:
            try:
                sell = self._plan(trade, reason, look, exits, amount)
                if sell is not None:
                    sells.append(sell)
            except BotError as error:
                exits.errors.append(error)
        if not sells:
            return
        results, errors = self.execution.execute_sells(sells)
        exits.results += results
        exits.errors += errors
        if self.validate_only:
            return
        try:
            self._sweep_after(sells, look, exits)
            exits.errors += [short for result in results if (short := self._shortfall(result)) is not None]
        except BotError as error:  # what was sold is told all the same
            exits.errors.append(error)

    def sweep(self, trade: Trade, reason: ExitReason, exits: Exits) -> bool:
        """Close what an earlier sell left if it is below the order minimum: nobody could sell it any more."""
        market = self.execution.market(trade.symbol)
        if trade.sold_amount == 0 or trade.amount >= market.min_amount:
            return False
        self._close_as_dust(trade, reason, market, exits)
        return True

    def _plan(self, trade: Trade, reason: ExitReason, look: Look, exits: Exits, wanted: Decimal | None) -> Sell | None:
        """How much can be sold: the trade's amount, bounded by what is there, in whole lots. None: it was closed.

        Only the minimum in the asset decides here. Whether it is worth enough is the exchange's own word at the
        order: a wrong price must not write a position off.
        """
        market = self.execution.market(trade.symbol)
        if wanted is not None and wanted > trade.amount:
            raise BadValue(
                f"{plain(wanted)} {trade.asset} is more than the {plain(trade.amount)} that trade {trade.id} holds",
                hint="botctl sells only what it bought",
            )
        if self.validate_only:  # nothing may be written, so only what would be sent matters
            return Sell(trade, trade.amount if wanted is None else wanted, reason, whole=wanted is None)
        if trade.amount < market.min_amount:
            self._close_as_dust(trade, reason, market, exits)
            return None
        amount = trade.amount if wanted is None else wanted
        if look.balances is not None:
            self._bound_by_balance(trade, market, look.balances, exits)
            if trade.closed_at is not None:
                return None
            amount = min(amount, trade.amount, look.balances.spendable(trade.asset))
        amount = floor_to(amount, market.lot_decimals)
        if amount < market.min_amount:
            raise ExchangeRefused(
                f"{plain(amount)} {trade.asset} can't be sold: the order minimum is {plain(market.min_amount)}",
                hint="sell more, or all of it",
            )
        return Sell(trade, amount, reason, whole=wanted is None or amount >= trade.amount)

    def _bound_by_balance(self, trade: Trade, market: Market, balances: Balances, exits: Exits) -> None:
        """Bring the trade down to what is there, or close it as EXTERNAL: when a second look says so too."""
        there, free = balances.total(trade.asset), balances.spendable(trade.asset)
        if there < min(trade.amount, market.min_amount):
            again = self._second_look().total(trade.asset)
            if again >= market.min_amount:
                raise ExchangeUnreachable(f"two looks at the {trade.asset} balance disagree: {there}, then {again}")
            why = f"{plain(there)} {trade.asset} is left on the exchange: sold or moved by somebody else"
            self.journal.close_without_order(trade, ExitReason.EXTERNAL, why, self.clock.now())
            exits.notes.append(f"trade {trade.id} ({trade.symbol}) closed as EXTERNAL: {why}")
            return
        if free < market.min_amount:
            raise BotError(
                f"the {plain(there)} {trade.asset} of trade {trade.id} is on hold or earning, and can't be sold",
                hint="cancel your own orders for it, or move it back to the spot balance",
            )
        material = trade.amount - there > MATERIAL * trade.amount
        if material and (again := self._second_look().total(trade.asset)) != there:
            raise ExchangeUnreachable(f"two looks at the {trade.asset} balance disagree: {there}, then {again}")
        if there < trade.amount:
            why = f"{plain(there)} {trade.asset} is there, the trade says {plain(trade.amount)}"
            if material:
                exits.notes.append(f"trade {trade.id} ({trade.symbol}): {why}; selling what is there")
                self.journal.shrink(trade, floor_to(there, market.lot_decimals), why, self.clock.now())

    def _second_look(self) -> Balances:
        """The balances some seconds later, asked once for all: a fresh buy may not show in the first ones."""
        if self._again is None:
            self.clock.sleep(SECOND_LOOK_AFTER)
            self._again = self.exchange.fetch_balances()
        return self._again

    def _sweep_after(self, sells: Sequence[Sell], look: Look, exits: Exits) -> None:
        """Rests too small to sell close as dust: by the asset's minimum, or when the exchange said so as well."""
        unsettled = self.journal.unsettled_trade_ids()
        for sell in sells:
            trade = self.journal.open_trade(sell.trade.id)
            if trade is None or trade.id in unsettled or self.sweep(trade, sell.reason, exits):
                continue
            market, quote = self.execution.market(trade.symbol), look.quotes.good.get(trade.symbol)
            too_small = quote is not None and below_minimum(trade.amount, quote.last, market)
            if too_small and self.journal.refused_below_minimum(trade):
                self._close_as_dust(trade, sell.reason, market, exits)

    def _shortfall(self, result: OrderResult) -> BotError | None:
        """What to say of a sell that has ended without selling all it was for, when its trade lives on."""
        ended = result.state in (OrderState.CANCELED, OrderState.ABSENT)
        if not ended or result.filled == result.amount or self.journal.open_trade(result.trade_id or 0) is None:
            return None
        sold = f"{plain(result.filled)} of {plain(result.amount)} {result.symbol} was sold"
        return BotError(f"the sell ended {result.state}: {sold}", hint="the next check goes on with the rest")

    def _close_as_dust(self, trade: Trade, reason: ExitReason, market: Market, exits: Exits) -> None:
        why = f"{plain(trade.amount)} {trade.asset} is below the order minimum of {market.symbol}: left as dust"
        self.journal.close_without_order(trade, reason, why, self.clock.now())
        exits.notes.append(f"trade {trade.id} ({trade.symbol}) closed, {why}")
