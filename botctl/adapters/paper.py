"""The paper broker: an exchange simulated in the database, with cash, fees, order minimums and refusals."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from botctl.domain.candles import from_unix
from botctl.domain.costs import cost_and_fee, fill_price
from botctl.domain.errors import BelowMinimum, ExchangeBusy, ExchangeUnreachable, InsufficientFunds
from botctl.domain.fees import PairFees
from botctl.domain.markets import Balances, Holding, below_minimum, market_of
from botctl.domain.money import format_decimal
from botctl.domain.orders import Fill, FillRecord, OrderRecord, OrderReport, OrderRequest, Side
from botctl.ports import ApiKey, Clock, MarketData, Progress
from botctl.store.models import PaperHolding, PaperOrder, database


class PaperBroker:
    """Fills every order completely, at ask plus or bid less slippage, and charges its fee in quote."""

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
        if not PaperHolding.select().exists():
            PaperHolding.insert(currency=quote_currency, total=opening_cash).on_conflict_ignore().execute()

    def prefetch_quotes(self, symbols: Sequence[str]) -> None:
        """Does nothing: no other call delays the prices, because the balances are local."""

    def now(self, *, fresh: bool = False) -> datetime:
        return self._clock.now()

    def forget_time(self) -> None:
        """Does nothing: it has no clock of its own."""

    def fetch_balances(self) -> Balances:
        return Balances(tuple(Holding(row.currency, "", row.total, row.total) for row in PaperHolding.select()))

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
            if request.side is Side.BUY:
                _move(market.quote, -(cost + fee))
                _move(market.base, request.amount)
            else:
                _move(market.base, -request.amount)
                _move(market.quote, cost - fee)
            order = PaperOrder.create(
                exchange_order_id=f"P{uuid.uuid4().hex[:18].upper()}",
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

    def cancel_order(self, client_order_id: str) -> None:
        """Does nothing: no order stays open."""

    def fetch_orders(self, exchange_order_ids: Sequence[str], *, urgent: bool = False) -> dict[str, OrderReport]:
        rows = PaperOrder.select().where(PaperOrder.exchange_order_id.in_(list(exchange_order_ids)))
        return {row.exchange_order_id: _report(row) for row in rows}

    def find_orders(
        self, client_order_ids: Sequence[str], since: datetime, *, urgent: bool = False
    ) -> dict[str, list[OrderReport]]:
        found: dict[str, list[OrderReport]] = {client_order_id: [] for client_order_id in client_order_ids}
        for row in PaperOrder.select().where(PaperOrder.client_order_id.in_(list(found))):
            found[row.client_order_id].append(_report(row))
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


def _report(row: PaperOrder) -> OrderReport:
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
        opened_at=row.at,
        closed_at=row.at,
    )
