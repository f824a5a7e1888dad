"""What can be done to open orders of the fake Kraken: cancel them, one or many, and amend a stop in place."""

import json
from datetime import datetime
from decimal import Decimal

from tests.fake_kraken.account import FakeAccount
from tests.fake_kraken.clock import KrakenClock
from tests.fake_kraken.markets import FakeMarkets, Market
from tests.fake_kraken.orders import Order, new_id
from tests.fake_kraken.wire import Endpoint, JsonObject, Params, Refusal, Request, fixed, positive

MAX_BATCH = 50


class OpenOrderEndpoints:
    """CancelOrder, CancelOrderBatch, AmendOrder and OrderAmends."""

    def __init__(self, account: FakeAccount, markets: FakeMarkets, clock: KrakenClock) -> None:
        self._account = account
        self._markets = markets
        self._clock = clock

    def by_name(self) -> dict[str, Endpoint]:
        return {
            "CancelOrder": self._cancel_order,
            "CancelOrderBatch": self._cancel_batch,
            "AmendOrder": self._amend_order,
            "OrderAmends": self._order_amends,
        }

    def _cancel_order(self, request: Request) -> JsonObject:
        params = request.params
        wanted = params.get("txid") or params.get("cl_ord_id")
        if not wanted:
            raise Refusal("EGeneral:Invalid arguments")
        named = [order for order in self._account.orders if wanted in (order.txid, order.cl_ord_id, str(order.userref))]
        if not named:
            raise Refusal("EOrder:Invalid order")
        open_orders = [order for order in named if order.is_open]
        if not open_orders:
            raise Refusal("EOrder:Unknown order")
        for order in open_orders:
            self._account.cancel_order(order)
        return {"count": len(open_orders)}

    def _cancel_batch(self, request: Request) -> JsonObject:
        """A count, and nothing about any one of them; those that are not open are not counted."""
        wanted = {*read_list(request.params, "orders"), *(_client_id(each) for each in _client_ids(request.params))}
        if not 1 <= len(wanted) <= MAX_BATCH:
            raise Refusal("EGeneral:Invalid arguments:orders")
        found = [each for each in self._account.orders if each.is_open and not wanted.isdisjoint(names_of(each))]
        for order in found:
            self._account.cancel_order(order)
        return {"count": len(found)}

    def _amend_order(self, request: Request) -> JsonObject:
        params = request.params
        order = self._find(params)
        market = self._markets[order.symbol]
        self._check_deadline(params.get("deadline"))
        if self._markets.system_status != "online" or market.status not in ("online", "limit_only"):
            raise Refusal(f"EService:Market in {market.status} mode")
        if order.trigger is None or order.fired_at is not None:
            raise Refusal("EOrder:Unknown order")  # what Kraken says of a stop that has fired isn't known
        trigger = read_trigger(params, "trigger_price", market) if "trigger_price" in params else order.trigger
        volume = positive(params, "order_qty") if "order_qty" in params else order.volume
        if (trigger, volume) == (order.trigger, order.volume):
            raise Refusal("EOrder:No amendable parameters specified")
        if volume < market.ordermin and volume > order.vol_exec:
            raise Refusal("EGeneral:Invalid arguments:volume minimum not met")
        self._check_coins(order, volume - order.volume)
        if not order.amends:
            order.amends.append(self._amendment("original", order, order.opened_at))
        self._account.amend(order, trigger, volume)
        order.amends.append(self._amendment("user", order, self._clock.now()))
        return {"amend_id": order.amends[-1]["amend_id"]}

    def _check_coins(self, order: Order, more: Decimal) -> None:
        base = self._markets[order.symbol].base.id
        free = self._account.balances.get(base, Decimal(0)) - self._account.holds.get(base, Decimal(0))
        if more > 0 and self._account.stops_hold_coins and free < more:
            raise Refusal("EOrder:Insufficient funds")

    def _amendment(self, kind: str, order: Order, at: float) -> JsonObject:
        market = self._markets[order.symbol]
        return {
            "amend_id": new_id("T"),
            "amend_type": kind,
            "order_qty": fixed(order.volume, market.lot_decimals),
            "remaining_qty": fixed(order.remaining, market.lot_decimals),
            "trigger_price": fixed(order.trigger or Decimal(0), market.pair_decimals),
            "timestamp": int(1000 * at),
        }

    def _order_amends(self, request: Request) -> JsonObject:
        named = [order for order in self._account.orders if order.txid == request.params.get("order_id")]
        if not named:
            raise Refusal("EOrder:Invalid order")
        return {"count": len(named[0].amends), "amends": named[0].amends}

    def _find(self, params: Params) -> Order:
        wanted = params.get("txid") or params.get("cl_ord_id")
        if not wanted:
            raise Refusal("EGeneral:Invalid arguments")
        named = [order for order in self._account.orders if wanted in (order.txid, order.cl_ord_id)]
        for order in named:
            if order.is_open:
                return order
        if named or "cl_ord_id" in params:
            raise Refusal("EOrder:Unknown order")
        raise Refusal("EOrder:Invalid order")

    def _check_deadline(self, deadline: str | None) -> None:
        if deadline is not None and datetime.fromisoformat(deadline).timestamp() <= self._clock.now():
            raise Refusal("EService:Deadline elapsed")


def check_minimums(market: Market, order: Order) -> None:
    if order.volume < market.ordermin:
        raise Refusal("EGeneral:Invalid arguments:volume minimum not met")
    if order.volume * order.hold_price < market.costmin:
        raise Refusal("EOrder:Cost minimum not met")


def read_trigger(params: Params, name: str, market: Market) -> Decimal:
    """An absolute price with no more decimals than the market's."""
    price = positive(params, name)
    if price != price.quantize(Decimal(1).scaleb(-market.pair_decimals)):
        places = market.pair_decimals
        raise Refusal(f"EOrder:Invalid price:{market.altname} price can only be specified up to {places} decimals.")
    if price % market.price_tick:
        raise Refusal("EOrder:Tick size check failed")
    return price


def names_of(order: Order) -> set[str]:
    return {name for name in (order.txid, order.cl_ord_id) if name}


def read_list(params: Params, name: str) -> list[str]:
    """A list as JSON text, as ccxt writes it in a form."""
    try:
        entries = json.loads(params.get(name, "[]"))
    except ValueError:
        raise Refusal(f"EGeneral:Invalid arguments:{name}") from None
    if not isinstance(entries, list):
        raise Refusal(f"EGeneral:Invalid arguments:{name}")
    return entries


def _client_ids(params: Params) -> list[JsonObject]:
    return read_list(params, "cl_ord_ids")  # type: ignore[return-value]


def _client_id(entry: JsonObject) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("cl_ord_id"), str):
        raise Refusal("EGeneral:Invalid arguments:cl_ord_ids")
    return str(entry["cl_ord_id"])
