"""The paper broker: an exchange simulated in the database, with cash, fees, order minimums and refusals."""

import logging
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from decimal import Decimal

from botctl.domain.candles import from_unix
from botctl.domain.costs import cost_and_fee, fill_price
from botctl.domain.errors import (
    BelowMinimum,
    BotError,
    ExchangeBusy,
    ExchangeRefused,
    ExchangeUnreachable,
    InsufficientFunds,
)
from botctl.domain.fees import PairFees
from botctl.domain.markets import Balances, Holding, below_minimum, market_of
from botctl.domain.money import format_decimal
from botctl.domain.orders import Fill, FillRecord, OrderRecord, OrderReport, OrderRequest, Side, StopRequest
from botctl.domain.stops import exit_at_resting
from botctl.domain.symbols import Timeframe, base_of
from botctl.ports import ApiKey, Clock, MarketData, Progress
from botctl.store.models import PaperHolding, PaperOrder, PaperStop, database

log = logging.getLogger(__name__)


class PaperBroker:
    """Fills every market order completely, at ask plus or bid less slippage, and charges its fee in quote.

    Stops wait for a candle that reaches their trigger."""

    def __init__(
        self,
        prices: MarketData,
        clock: Clock,
        *,
        quote_currency: str,
        opening_cash: Decimal,
        fee_rate: Decimal,
        slippage: Decimal,
        exit_slippage: Decimal,
        timeframe: Timeframe,
    ) -> None:
        """`slippage` is that of buys, `exit_slippage` that of sells; both are fractions of the price."""
        self.load_markets = prices.load_markets
        self.find_market = prices.find_market
        self.fetch_quotes = prices.fetch_quotes
        self.fetch_candles = prices.fetch_candles
        self.fetch_running_candle = prices.fetch_running_candle
        self.count_requests = prices.count_requests
        self._clock = clock
        self._fee_rate = fee_rate
        self._slippages = {Side.BUY: slippage, Side.SELL: exit_slippage}
        self._timeframe = timeframe
        if not PaperHolding.select().exists():
            PaperHolding.insert(currency=quote_currency, total=opening_cash).on_conflict_ignore().execute()

    def prefetch_quotes(self, symbols: Sequence[str]) -> None:
        """Does nothing: no other call delays the prices, because the balances are local."""

    def now(self, *, fresh: bool = False) -> datetime:
        return self._clock.now()

    def forget_time(self) -> None:
        """Does nothing: it has no clock of its own."""

    def fetch_balances(self) -> Balances:
        """The stops that the market has reached by now have sold."""
        self._fire_stops()
        held = self._on_hold()
        return Balances(
            tuple(
                Holding(row.currency, "", row.total, row.total - held.get(row.currency, Decimal(0)))
                for row in PaperHolding.select()
            )
        )

    def fetch_api_key(self) -> ApiKey | None:
        """It has none."""
        return None

    def fetch_fees(self, symbols: Sequence[str]) -> dict[str, PairFees]:
        return {symbol: PairFees(self._fee_rate, None) for symbol in symbols}

    def add_order(self, request: OrderRequest, *, validate: bool = False) -> str | None:
        """Check the order as an exchange would, and fill it in one transaction."""
        market = market_of(self.load_markets(), request.symbol)
        price = self._fill_price(request)
        cost, fee = cost_and_fee(request.amount, price, self._fee_rate)
        if too_small := below_minimum(request.amount, price, market):
            raise BelowMinimum(f"the paper broker refused the order: {too_small}", hint="raise the amount")
        if validate:
            return None
        with database.atomic("IMMEDIATE"):
            if request.side is Side.SELL:
                self._check_free(market.base, request.amount)
            if request.side is Side.BUY:
                _move(market.quote, -(cost + fee))
                _move(market.base, request.amount)
            else:
                _move(market.base, -request.amount)
                _move(market.quote, cost - fee)
            order = PaperOrder.create(
                exchange_order_id=_new_id(),
                client_order_id=request.client_order_id,
                side=request.side,
                symbol=request.symbol,
                amount=request.amount,
                cost=cost,
                fee=fee,
                at=self._clock.now(),
            )
        order_id: str = order.exchange_order_id
        return order_id

    def add_stop(self, request: StopRequest) -> str:
        """Check the stop as an exchange would, and let it wait. Its coins are on hold."""
        market = market_of(self.load_markets(), request.symbol)
        if too_small := below_minimum(request.amount, request.trigger, market):
            raise BelowMinimum(f"the paper broker refused the stop: {too_small}")
        now = self._clock.now()
        with database.atomic("IMMEDIATE"):
            self._check_free(market.base, request.amount)
            stop = PaperStop.create(
                exchange_order_id=_new_id(), client_order_id=request.client_order_id, symbol=request.symbol,
                amount=request.amount, trigger=request.trigger, opened_at=now, checked_at=now,
            )  # fmt: skip
        order_id: str = stop.exchange_order_id
        return order_id

    def amend_stop(self, client_order_id: str, trigger: Decimal, amount: Decimal) -> None:
        changed = PaperStop.update(trigger=trigger, amount=amount).where(
            PaperStop.client_order_id == client_order_id, PaperStop.ended_at.is_null()
        )
        if not changed.execute():
            raise ExchangeRefused(f"no open order {client_order_id} at the paper broker")

    def cancel_orders(self, client_order_ids: Sequence[str]) -> bool:
        open_ones = PaperStop.update(ended_at=self._clock.now()).where(
            PaperStop.client_order_id.in_(list(client_order_ids)), PaperStop.ended_at.is_null()
        )
        return bool(open_ones.execute() == len(client_order_ids))

    def in_haste(self) -> AbstractContextManager[None]:
        return nullcontext()

    def list_open_orders(self, *, urgent: bool = False) -> list[OrderRecord]:
        stops = PaperStop.select().where(PaperStop.ended_at.is_null()).order_by(PaperStop.id)
        return [OrderRecord(stop.symbol, Side.SELL, stop.amount, _stop_report(stop)) for stop in stops]

    def fetch_orders(self, exchange_order_ids: Sequence[str], *, urgent: bool = False) -> dict[str, OrderReport]:
        ids = list(exchange_order_ids)
        stops = PaperStop.select().where(PaperStop.exchange_order_id.in_(ids))
        rows = PaperOrder.select().where(PaperOrder.exchange_order_id.in_(ids))
        fired = {stop.exchange_order_id: stop for stop in stops}
        reports = {txid: _stop_report(stop) for txid, stop in fired.items()}
        return reports | {row.exchange_order_id: _report(row, fired.get(row.exchange_order_id)) for row in rows}

    def find_orders(
        self, client_order_ids: Sequence[str], since: datetime, *, urgent: bool = False
    ) -> dict[str, list[OrderReport]]:
        found: dict[str, list[OrderReport]] = {client_order_id: [] for client_order_id in client_order_ids}
        wanted = list(found)
        stops = [each.exchange_order_id for each in PaperStop.select().where(PaperStop.client_order_id.in_(wanted))]
        rows = PaperOrder.select().where(PaperOrder.client_order_id.in_(wanted))
        for report in self.fetch_orders([*stops, *(row.exchange_order_id for row in rows)]).values():
            found[str(report.client_order_id)].append(report)
        return found

    def list_orders(self, since: datetime, progress: Progress) -> list[OrderRecord]:
        rows = PaperOrder.select().where(PaperOrder.at > since).order_by(PaperOrder.id)
        return [OrderRecord(row.symbol, Side(row.side), row.amount, _report(row)) for row in rows]

    def list_newest_orders(self, *, with_open: bool) -> list[OrderRecord]:
        return self.list_orders(from_unix(0), lambda _found, _count: None)

    def list_fills(self, since: datetime) -> list[FillRecord]:
        rows = PaperOrder.select().where(PaperOrder.at >= since).order_by(PaperOrder.id)
        return [FillRecord(row.symbol, Side(row.side), _fill(row)) for row in rows]

    def fetch_fills(self, reports: Sequence[OrderReport], *, urgent: bool = False) -> list[Fill]:
        ids = [report.exchange_order_id for report in reports]
        return [_fill(row) for row in PaperOrder.select().where(PaperOrder.exchange_order_id.in_(ids))]

    def _fire_stops(self) -> None:
        """Play the candles that have closed since the last look on the stops that wait: each sells inside the first one
        that reaches its trigger, and at its end, which is when anybody hears of it."""
        for stop in PaperStop.select().where(PaperStop.ended_at.is_null()).order_by(PaperStop.id):
            try:
                candles = self.fetch_candles(stop.symbol, self._timeframe)
            except BotError as error:  # it waits on, as it would while the market can't be reached
                log.warning("resting stop of %s: %s", stop.symbol, error)
                continue
            seconds = self._timeframe.seconds
            new = [
                candle
                for candle in candles
                if candle.closed_at(seconds) > stop.checked_at and from_unix(candle.time) >= stop.opened_at
            ]
            prices = [exit_at_resting(float(stop.trigger), candle.open, candle.low) for candle in new]
            first = next((number for number, price in enumerate(prices) if price > 0), None)
            if first is not None:
                self._sell_at(stop, Decimal(repr(prices[first])), new[first].closed_at(seconds))
            elif new:
                PaperStop.update(checked_at=new[-1].closed_at(seconds)).where(PaperStop.id == stop.id).execute()

    def _sell_at(self, stop: PaperStop, price: Decimal, at: datetime) -> None:
        market = market_of(self.load_markets(), stop.symbol)
        cost, fee = cost_and_fee(stop.amount, fill_price(Side.SELL, price, self._slippages[Side.SELL]), self._fee_rate)
        with database.atomic("IMMEDIATE"):
            _move(market.base, -stop.amount)
            _move(market.quote, cost - fee)
            PaperStop.update(ended_at=at).where(PaperStop.id == stop.id).execute()
            PaperOrder.create(
                exchange_order_id=stop.exchange_order_id, client_order_id=stop.client_order_id, side=Side.SELL,
                symbol=stop.symbol, amount=stop.amount, cost=cost, fee=fee, at=at,
            )  # fmt: skip

    def _on_hold(self) -> dict[str, Decimal]:
        """What the stops that wait keep back, by asset."""
        held: dict[str, Decimal] = {}
        for stop in PaperStop.select().where(PaperStop.ended_at.is_null()):
            asset = base_of(stop.symbol)
            held[asset] = held.get(asset, Decimal(0)) + stop.amount
        return held

    def _check_free(self, asset: str, amount: Decimal) -> None:
        """Raises InsufficientFunds when a stop that waits holds what is to be sold."""
        row = PaperHolding.get_or_none(PaperHolding.currency == asset)
        free = (Decimal(0) if row is None else row.total) - self._on_hold().get(asset, Decimal(0))
        if free < amount:
            raise InsufficientFunds(
                f"insufficient funds at the paper broker: {format_decimal(amount)} {asset} needed, "
                f"{format_decimal(free)} free"
            )

    def _fill_price(self, request: OrderRequest) -> Decimal:
        """Ask plus slippage for a buy, bid less slippage for a sell. Raises ExchangeBusy."""
        try:
            quotes = self.fetch_quotes([request.symbol])
        except ExchangeUnreachable as error:
            raise ExchangeBusy(f"the paper broker has no price of {request.symbol}: {error.message}") from error
        quote = quotes.good.get(request.symbol)
        name = "ask" if request.side is Side.BUY else "bid"
        price: Decimal | None = getattr(quote, name, None)
        if price is None:
            problem = quotes.bad.get(request.symbol, f"has no {name}")
            raise ExchangeBusy(f"{request.symbol} {problem}: the paper broker can't fill it")
        return fill_price(request.side, price, self._slippages[request.side])


def _move(currency: str, change: Decimal) -> None:
    """Change a balance, inside the caller's transaction. Raises InsufficientFunds if it would fall below zero."""
    row = PaperHolding.get_or_none(PaperHolding.currency == currency)
    held = Decimal(0) if row is None else row.total
    if held + change < 0:
        raise InsufficientFunds(
            f"insufficient funds at the paper broker: {format_decimal(-change)} {currency} needed",
            hint="lower the amount",
        )
    if row is None:
        PaperHolding.create(currency=currency, total=change)
    else:
        PaperHolding.update(total=held + change).where(PaperHolding.id == row.id).execute()


def _fill(row: PaperOrder) -> Fill:
    return Fill(row.exchange_order_id, row.exchange_order_id, row.amount, row.cost, row.fee, row.at)


def _new_id() -> str:
    return f"P{uuid.uuid4().hex[:18].upper()}"


def _stop_report(stop: PaperStop) -> OrderReport:
    """Of a stop that waits, or was canceled."""
    return OrderReport(
        exchange_order_id=stop.exchange_order_id,
        client_order_id=stop.client_order_id,
        open=stop.ended_at is None,
        final=stop.ended_at is not None,
        complete=False,
        filled=Decimal(0),
        fill_ids=(),
        cost=Decimal(0),
        fee=Decimal(0),
        opened_at=stop.opened_at,
        closed_at=stop.ended_at,
        trigger=stop.trigger,
    )


def _report(row: PaperOrder, stop: PaperStop | None = None) -> OrderReport:
    return OrderReport(
        exchange_order_id=row.exchange_order_id,
        client_order_id=row.client_order_id,
        open=False,
        final=True,
        complete=True,
        filled=row.amount,
        fill_ids=(row.exchange_order_id,),
        cost=row.cost,
        fee=row.fee,
        opened_at=row.at if stop is None else stop.opened_at,
        closed_at=row.at,
        trigger=None if stop is None else stop.trigger,
        fired=stop is not None,
    )
