"""Buys and sells: plans each order, has it placed, and follows it to its end."""

import logging
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from botctl.domain.errors import (
    BotError,
    ExchangeRefused,
    InsufficientFunds,
    Refused,
    as_bot_error,
    attempt_each,
    most_severe,
)
from botctl.domain.fees import cost_with_fee
from botctl.domain.markets import Market
from botctl.domain.money import format_decimal, price_of, total
from botctl.domain.orders import DEADLINE_AFTER, UNSETTLED, ExitReason, OrderRequest, OrderState, Side, TradeStatus
from botctl.domain.symbols import base_of
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.rows import OrderRow, TradeRow
from botctl.trading.entries import EntryPlanner, PlannedEntry, Spend
from botctl.trading.evidence.missing_coins import MissingCoinsReview
from botctl.trading.evidence.outranked_orders import OutrankedOrders
from botctl.trading.evidence.unrecorded_orders import check_exit
from botctl.trading.exit_preparation import EarlyPreparation, find_resting, find_sold_before, prepare_exits
from botctl.trading.exits import ExitPlanner, Exits, ManualSale, RefusedSell, Sell, SellRound, SentSells, WantedExit
from botctl.trading.orders.placement import OrderPlacement
from botctl.trading.orders.resting_stops import RestingStops
from botctl.trading.orders.settlement import OrderSettlement
from botctl.trading.pre_trade_checks import PreTradeChecks
from botctl.trading.results import OrderResult
from botctl.trading.snapshot import Snapshot, SnapshotService

log = logging.getLogger(__name__)

FURTHER_ROUNDS = 2
"""How often one run goes on with exits that the exchange canceled after a part."""
VALIDATED = "VALIDATED"
"""The state in results of an order that the exchange only checked."""


@dataclass(frozen=True)
class StartedBuy:
    """A buy that was sent, or only validated."""

    order: OrderRow | None
    validated: OrderResult | None = None


@dataclass(frozen=True)
class Bought:
    result: OrderResult | None
    errors: list[BotError] = field(default_factory=list)


@dataclass
class ExecutionService:
    """Buys and sells at market. With `validate_only` the exchange checks each order and nothing is recorded."""

    exchange: Exchange
    journal: Journal
    settlement: OrderSettlement
    placement: OrderPlacement
    resting: RestingStops
    pre_trade_checks: PreTradeChecks
    entry_planner: EntryPlanner
    exit_planner: ExitPlanner
    review: MissingCoinsReview
    outranked: OutrankedOrders
    snapshots: SnapshotService
    clock: Clock
    _: KW_ONLY
    validate_only: bool = False

    def get_balance(self, currency: str) -> Decimal:
        """The free funds in `currency`. Raises ExchangeUnreachable; an invalid answer is never read as zero."""
        return self.exchange.fetch_balances().spendable(currency)

    def execute_buy(self, symbol: str, amount_usd: Spend) -> StartedBuy:
        """Place a market buy for `amount_usd` of the symbol's quote currency, plus the fee, with a stop.

        `finish_buys` settles it: several are sent before the first one is waited for. Raises Refused, BadValue,
        ExchangeRefused, ExchangeUnreachable. An order that may exist keeps its asset reserved until it is settled.
        """
        market = self.entry_planner.find_market(symbol)
        if not self.validate_only:
            self.review.record_surplus_before_buy()
        entry = self.entry_planner.plan(market, amount_usd)
        if self.validate_only:
            return StartedBuy(None, self._validate(Side.BUY, symbol, entry.amount))
        try:
            started = StartedBuy(self._place_entry(entry))
        except InsufficientFunds as refusal:
            raise self._with_free_funds(refusal, entry.market, entry.budget) from refusal
        if not isinstance(amount_usd, Decimal):
            amount_usd.commit(symbol, entry.amount, entry.ask)
        return started

    def finish_buys(self, started: Sequence[StartedBuy]) -> list[Bought]:
        """Settle these buys together. Each has a result or an error; one that cost too much has both."""
        errors = self.settlement.settle([buy.order for buy in started if buy.order is not None])
        bought = [self._finish_buy(buy, errors) for buy in started]
        unprotected = self.resting.place_missing({each.result.trade_id for each in bought if each.result is not None})
        return [*bought[:-1], replace(bought[-1], errors=[*bought[-1].errors, *unprotected])] if bought else []

    def _finish_buy(self, buy: StartedBuy, unsettled: Sequence[BotError]) -> Bought:
        if buy.order is None:
            return Bought(buy.validated)
        try:
            overspent = self.journal.overspending_of(buy.order)
            return Bought(self._settled_buy(buy.order, unsettled), [overspent] if overspent is not None else [])
        except BotError as error:
            return Bought(None, [error])

    def execute_sell(
        self, symbol: str, amount_token: Decimal | None = None, reason: ExitReason = ExitReason.MANUAL
    ) -> ManualSale:
        """Place a market sell of `amount_token` of the asset from its open trade, or of all of it, and settle it.

        The result is None when nothing could be sold and the trade was closed; with it come the errors of a sale of
        which a part was sold. Raises Refused without such a trade, BadValue for more than it holds, and what the order
        meets before anything is sold.
        """
        trade = self._open_trade(symbol)
        self.pre_trade_checks.check_exit(trade, reason)
        wanted = WantedExit(trade, reason, amount_token)
        wanted.amount_to_sell()  # before its resting stop is canceled for more than there is
        snapshot = self.snapshots.take_snapshot([trade.symbol])
        exits = self.execute_sells([wanted], snapshot, assets={trade.asset})
        if exits.errors and not any(result.filled for result in exits.results):
            raise most_severe(exits.errors)
        result = _add_up(exits.results) if exits.results else None
        if result is not None:
            result = replace(result, errors=[str(error) for error in exits.errors])
        return ManualSale(result, exits.errors)

    def execute_sells(
        self, wanted: Sequence[WantedExit], snapshot: Snapshot, *, assets: Collection[str] | None = None
    ) -> Exits:
        """As `execute_in_turn`, for exits that are all known at once."""
        return self.execute_in_turn([wanted], snapshot, assets=assets)

    def execute_in_turn(
        self, batches: Iterable[Sequence[WantedExit]], snapshot: Snapshot, *, assets: Collection[str] | None = None
    ) -> Exits:
        """Sell, and go on with what the exchange canceled after a part, a few times at most. Then review what the
        balances lack: of all assets, or of `assets`.

        The sells of a batch leave before the next batch is asked for, and are settled after the last one. One order
        that fails or hangs does not hold back the others.
        """
        if self.validate_only:
            valid = [each for wanted in batches for each in wanted]
            return Exits(*attempt_each(lambda each: self._validate_sell(_check_recorded(each)), valid))
        sent, free, again, blocked = SentSells(), list[WantedExit](), list[WantedExit](), list[BotError]()
        early, looked, fired, tried = EarlyPreparation(self.settlement), snapshot, list[OrderRow](), set[int]()
        for batch in batches:
            wanted, unrecorded = attempt_each(_check_recorded, batch)
            blocked += unrecorded
            tried |= {each.trade.id for each in wanted}
            busy = find_sold_before(wanted, self.journal)
            busy |= {  # their market is asked for again
                each.trade.id for each in wanted if not self.exit_planner.markets.is_listed(each.trade.symbol)
            }
            resting = find_resting(wanted) - busy
            leaving = [each for each in wanted if each.trade.id not in busy | resting]  # they don't wait for the others
            sent += self._send_sells(leaving, looked)
            free += leaving
            again += [each for each in wanted if each.trade.id in busy]
            for ready in early.prepare([each for each in wanted if each.trade.id in resting], looked):
                looked, blocked, fired = ready.snapshot, blocked + ready.errors, fired + ready.fired
                sent += self._send_sells(ready.wanted, looked)
                free += ready.wanted
        sold = self._settle_sells(sent)
        again += early.waiting + self._rests(free, sold.exits.results)
        for _ in range(FURTHER_ROUNDS):
            if not again:
                break
            self.settlement.wait_budget.renew()
            ready = prepare_exits(again, looked, self.settlement)
            looked, fired = ready.snapshot, fired + ready.fired
            done = self._settle_sells(self._send_sells(ready.wanted, ready.snapshot))
            sold += replace(done, exits=Exits(errors=ready.errors) + done.exits)
            again = self._rests(ready.wanted, done.exits.results)
        self.outranked.note_exits(sold.exits.results, snapshot.balances)
        newest = {result.trade_id: result for result in sold.exits.results}
        blocked += self.resting.place_missing(tried)  # what a part-sell, or a sell that was refused, has left
        shortfalls, unread = attempt_each(self._shortfall, newest.values())
        errors = [error for error in shortfalls if error is not None] + unread + blocked
        stopped, unread = attempt_each(self._result, fired)
        reviewed = self._review(sold, snapshot, assets, explained={base_of(order.symbol) for order in fired})
        return Exits(stopped, unread) + sold.exits + Exits(errors=errors) + reviewed

    def _review(
        self, sold: SellRound, snapshot: Snapshot, assets: Collection[str] | None, *, explained: Collection[str]
    ) -> Exits:
        """Review what the balances lack. The refusal of a trade that is written off is no error any more."""
        written_off, errors = sold.closed, list[BotError]()
        try:
            review = self.review.review(snapshot, refused=sold.short, assets=assets, explained=explained)
            written_off, errors = written_off | review.written_off, [*review.errors]
        except BotError as error:  # the results of the sells are reported all the same
            errors.append(error)
        return Exits(errors=errors + [each.error for each in sold.refused if each.sell.trade.id not in written_off])

    def _rests(self, wanted: Sequence[WantedExit], results: Sequence[OrderResult]) -> list[WantedExit]:
        """The exits of whole trades that ended when only a part was sold, or nothing because this run canceled them."""
        canceled = [each for each in results if each.state == OrderState.CANCELED]
        unsold = {each.trade_id for each in canceled if each.filled > 0 or self.settlement.has_canceled(each)}
        rests = [each for each in wanted if each.amount is None and each.trade.id in unsold]
        return [
            replace(each, trade=trade)
            for each in rests
            if (trade := self.journal.open_trade(each.trade.id)) is not None
        ]

    def _send_sells(self, wanted: Sequence[WantedExit], snapshot: Snapshot) -> SentSells:
        if not wanted:
            return SentSells()
        plan = self.exit_planner.plan(wanted, snapshot)
        return SentSells(*self._place_exits(plan.sells), plan.errors, plan.notes)

    def _settle_sells(self, sent: SentSells) -> SellRound:
        """Send again what was refused in part, settle all together, and close what the exchange refuses as dust."""
        short = [each.sell.trade for each in sent.refused if isinstance(each.error, InsufficientFunds)]
        more, refused, failed = self._place_again(sent.refused)
        orders = sent.orders + more
        unsettled = self.settlement.settle(orders)
        results, unread = attempt_each(self._result, orders)
        errors = [*sent.errors, *failed, *unsettled, *unread]
        notes, closed = sent.notes, frozenset[int]()
        try:
            dust = self.exit_planner.close_dust(refused)
            notes, closed, errors = notes + dust.notes, dust.closed, errors + dust.errors
        except BotError as error:  # the results of the sells are reported all the same
            errors.append(error)
        return SellRound(Exits(results, errors, notes), refused, short, closed)

    def _place_exits(self, sells: Sequence[Sell]) -> tuple[list[OrderRow], list[RefusedSell]]:
        orders: list[OrderRow] = []
        refused: list[RefusedSell] = []
        for sell in sells:
            try:
                orders.append(self._place_exit(sell))
            except Exception as error:  # noqa: BLE001 - that of one trade keeps no other from being sold
                refused.append(RefusedSell(sell, as_bot_error(error)))
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

    def _place_entry(self, entry: PlannedEntry) -> OrderRow:
        symbol = entry.market.symbol

        def intend(deadline: datetime, now: datetime) -> OrderRow:
            entry.check_age(now)
            check = partial(self.pre_trade_checks.check, symbol, now)  # again: the calls before took their time
            return self.journal.intend_entry(
                symbol, entry.amount, entry.atr, ask=entry.ask, check=check, deadline=deadline, now=now
            )

        return self.placement.place_market_order(intend)

    def _place_exit(self, sell: Sell) -> OrderRow:
        check = partial(self.pre_trade_checks.check_exit, sell.trade, sell.reason)

        def intend(deadline: datetime, now: datetime) -> OrderRow:
            return self.journal.intend_exit(
                sell.trade, sell.amount, sell.reason, whole=sell.whole, check=check, deadline=deadline, now=now
            )

        return self.placement.place_market_order(intend)

    def _validate(self, side: Side, symbol: str, quantity: Decimal) -> OrderResult:
        client_order_id = str(uuid.uuid4())
        deadline = self.exchange.now() + DEADLINE_AFTER
        self.exchange.add_order(OrderRequest(client_order_id, side, symbol, quantity, deadline), validate=True)
        return OrderResult(
            side, symbol, VALIDATED, quantity, Decimal(0), None, None, None, client_order_id, None,
            note="validated only: nothing was traded",
        )  # fmt: skip

    def _validate_sell(self, wanted: WantedExit) -> OrderResult:
        self.exit_planner.markets.find(wanted.trade, None)
        return self._validate(Side.SELL, wanted.trade.symbol, wanted.amount_to_sell())

    def _with_free_funds(self, refusal: InsufficientFunds, market: Market, cost: Decimal) -> InsufficientFunds:
        """The refusal with what the entry needs, and with the free funds, if they can be fetched now."""
        currency = market.quote
        needed = format_decimal(cost_with_fee(cost, self.entry_planner.fees.taker(market.symbol)))
        try:
            free = self.get_balance(currency)
        except BotError as error:
            log.warning("free funds: %s", error)
            return refusal
        return InsufficientFunds(
            f"{refusal.message}; with its fee it needs {needed} {currency}, {format_decimal(free)} {currency} is free",
            hint=refusal.hint,
        )

    def _open_trade(self, symbol: str) -> TradeRow:
        trade = self.journal.active_trade(base_of(symbol))
        if trade is None:
            raise Refused(f"there is no open trade of {base_of(symbol)}", hint="see `botctl positions`")
        if trade.status != TradeStatus.OPEN:
            raise Refused(f"trade {trade.id} is not open", hint="see `botctl positions`")
        return trade

    def _settled_buy(self, order: OrderRow, unsettled: Sequence[BotError]) -> OrderResult:
        """The result of a buy. Raises BotError unless something was traded; `unsettled` is why it may have no end."""
        if order.state in UNSETTLED:
            raise most_severe(unsettled)
        name = f"the {order.side} of {order.symbol}"
        if order.state == OrderState.ABSENT:
            raise BotError(f"{name} never reached the exchange", hint="try again")
        if order.filled == 0:
            raise ExchangeRefused(f"the exchange canceled {name} unfilled{_reason(order)}", hint="try again")
        return self._result(order)

    def _shortfall(self, result: OrderResult) -> BotError | None:
        """The error for a sell that ended before its amount was sold, while its trade is still open."""
        ended = result.state in (OrderState.CANCELED, OrderState.ABSENT)
        if not ended or result.filled == result.amount or self.journal.open_trade(result.trade_id or 0) is None:
            return None
        sold = f"{format_decimal(result.filled)} of {format_decimal(result.amount)} {result.symbol} was sold"
        why = f" ({result.note})" if result.note else ""
        return BotError(f"the sell ended {result.state}: {sold}{why}", hint="the next check sells the rest")

    def _result(self, order: OrderRow) -> OrderResult:
        trade = self.journal.trade(order.trade_id)
        note = ""
        if order.state == OrderState.CANCELED:
            note = ("filled in part: the exchange canceled the rest" if order.filled else "canceled") + _reason(order)
        return OrderResult(
            side=order.side, symbol=order.symbol, state=order.state, amount=order.amount, filled=order.filled,
            average_price=order.average_price, cost=order.cost, fee=order.fee,
            client_order_id=order.client_order_id, exchange_order_id=order.exchange_order_id, reason=order.reason,
            trade_id=trade.id, trade_status=trade.status, stop_loss_price=trade.stop_loss_price,
            atr=trade.atr, pnl=trade.pnl, note=note,
        )  # fmt: skip


def _check_recorded(wanted: WantedExit) -> WantedExit:
    """The exit. Raises Refused while the journal may lack orders of its asset."""
    check_exit(wanted.trade.asset)
    return wanted


def _add_up(results: Sequence[OrderResult]) -> OrderResult:
    """The result of one exit that took several orders: the newest one, with what all of them sold."""
    newest = results[-1]
    if len(results) == 1:
        return newest
    filled = total(each.filled for each in results)
    cost, fee = total(each.cost or Decimal(0) for each in results), total(each.fee or Decimal(0) for each in results)
    return replace(
        newest, amount=results[0].amount, filled=filled, cost=cost, fee=fee,
        average_price=price_of(cost, filled) if filled else None, note=f"sold in {len(results)} orders",
    )  # fmt: skip


def _reason(order: OrderRow) -> str:
    """The exchange's reason for a cancel, where it gave one."""
    return f": {order.error}" if order.error and order.error_class is None else ""
