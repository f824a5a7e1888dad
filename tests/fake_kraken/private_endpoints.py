"""The private endpoints of the fake Kraken: balances, placing orders, looking them up."""

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from tests.fake_kraken.account import FakeAccount
from tests.fake_kraken.api_key import ApiKey
from tests.fake_kraken.clock import KrakenClock
from tests.fake_kraken.markets import FakeMarkets, Market
from tests.fake_kraken.open_orders import OpenOrderEndpoints, check_minimums, read_trigger
from tests.fake_kraken.orders import (
    Order,
    Trade,
    crosses,
    describe,
    is_named,
    lied_record,
    new_id,
    order_json,
    trade_json,
)
from tests.fake_kraken.public_endpoints import asked_markets
from tests.fake_kraken.wire import (
    Endpoint,
    JsonObject,
    Params,
    Refusal,
    Request,
    cut,
    fixed,
    is_between,
    is_true,
    listed,
    positive,
    whole_number,
)

PAGE_SIZE = 50
SELF_TRADE_PREVENTIONS = ("cancel-newest", "cancel-oldest", "cancel-both")
CLIENT_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[!-~]{1,18}")


class PrivateEndpoints:
    """What the wire sees of the account and of its key."""

    def __init__(self, account: FakeAccount, markets: FakeMarkets, key: ApiKey, clock: KrakenClock) -> None:
        self._account = account
        self._markets = markets
        self._key = key
        self._clock = clock

    def by_name(self) -> dict[str, Endpoint]:
        return {
            "GetApiKeyInfo": self._get_api_key_info,
            "Balance": self._balance,
            "BalanceEx": self._balance_ex,
            "TradeVolume": self._trade_volume,
            "AddOrder": self._add_order,
            "QueryOrders": self._query_orders,
            "OpenOrders": self._open_orders,
            "ClosedOrders": self._closed_orders,
            "TradesHistory": self._trades_history,
            "QueryTrades": self._query_trades,
        } | OpenOrderEndpoints(self._account, self._markets, self._clock).by_name()

    def _get_api_key_info(self, _request: Request) -> JsonObject:
        return {
            "apiKeyName": "bot",
            "apiKey": self._key.public,
            "nonce": str(self._key.last_nonce),
            "nonceWindow": self._key.nonce_window,
            "permissions": sorted(self._key.permissions),
            "iban": "AA00 N000 0000 0000",
            "validUntil": self._key.valid_until,
            "queryFrom": "0",
            "queryTo": "0",
            "createdTime": "1790000000",
            "modifiedTime": "1790000000",
            "ipAllowlist": [],
            "lastUsed": str(int(self._clock.now())),
        }

    def _decimals_of(self, asset_id: str) -> int:
        asset = self._markets.assets().get(asset_id)
        return asset.decimals if asset else 10

    def _balance(self, _request: Request) -> JsonObject:
        return {asset: fixed(amount, self._decimals_of(asset)) for asset, amount in self._account.shown.items()}

    def _balance_ex(self, _request: Request) -> JsonObject:
        holds = self._account.holds
        shown = {}
        for asset, amount in self._account.shown.items():
            places = self._decimals_of(asset)
            held = holds.get(asset, Decimal(0))
            shown[asset] = {"balance": fixed(amount, places), "hold_trade": fixed(held, places)}
        return shown

    def _trade_volume(self, request: Request) -> JsonObject:
        params = request.params
        ids = [market.id for market in asked_markets(self._markets, params)] if params.get("pair") else []
        return {
            "currency": "ZUSD",
            "asset_class": "currency",
            "volume": "46.7100",
            "inputs": {"domain_spot_volume_30d": "46.7100", "domain_futures_volume_30d": "0.0000"},
            "fees": {id: fee_json(self._account.fee_rate) for id in ids} or None,
            "fees_maker": {id: fee_json(self._account.maker_fee_rate) for id in ids} or None,
        }

    # Placing an order: everything that may be wrong with it first, the money last.

    def _add_order(self, request: Request) -> JsonObject:
        params = request.params
        market = self._markets.named(params.get("pair", ""))
        order = self._read_order(params, market)
        check_client_id(params)
        self._check_deadline(params.get("deadline"), request.at)
        self._check_mode(market, order)
        check_minimums(market, order)
        self._check_limits(order)
        if order.cl_ord_id and any(o.is_open and o.cl_ord_id == order.cl_ord_id for o in self._account.orders):
            raise Refusal("EGeneral:Invalid arguments:cl_ord_id not unique")
        descr = {"order": describe(order, market)}
        if is_true(params.get("validate")):
            return {"descr": descr}
        self._account.check_funds(order)
        self._account.prevent_self_trade(order)
        self._account.place(order)
        return {"descr": descr, "txid": [order.txid]}

    def _read_order(self, params: Params, market: Market) -> Order:
        side, ordertype = params.get("type", ""), params.get("ordertype", "")
        flags = frozenset(filter(None, params.get("oflags", "").split(",")))
        if params.get("stptype", "cancel-newest") not in SELF_TRADE_PREVENTIONS:
            raise Refusal("EGeneral:Invalid arguments:stptype")
        if side not in ("buy", "sell") or ordertype not in ("market", "limit", "stop-loss"):
            raise Refusal("EGeneral:Invalid arguments")
        if "viqc" in flags and (side, ordertype) != ("buy", "market"):
            raise Refusal("EGeneral:Invalid arguments:viqc")
        asked = positive(params, "volume")
        limit = positive(params, "price") if ordertype == "limit" else None
        trigger = read_trigger(params, "price", market) if ordertype == "stop-loss" else None
        if trigger is not None and side == "buy":
            raise NotImplementedError("the fake Kraken knows stop-loss sells only")
        price = limit or trigger or (market.ask if side == "buy" else market.bid)
        if not price.is_finite() or price <= 0:
            raise Refusal("EOrder:Invalid price")  # a test took the market away
        volume = asked / price if "viqc" in flags else asked
        return Order(
            txid=new_id("O"),
            cl_ord_id=params.get("cl_ord_id"),
            userref=whole_number(params, "userref", 0) if "userref" in params else None,
            side=side,
            symbol=market.symbol,
            ordertype=ordertype,
            volume=cut(volume, market.lot_decimals),
            limit=limit,
            trigger=trigger,
            self_trade=params.get("stptype", "cancel-newest"),
            flags=flags,
            quote_volume=asked if "viqc" in flags else None,
            hold_price=price,
            opened_at=self._clock.now(),
            mode=self._account.fill_mode,
            visible_at=self._clock.now() + self._account.closed_orders_lag,
            hidden_looks=self._account.closed_orders_lag_looks,
        )

    def _check_deadline(self, deadline: str | None, arrived_at: float) -> None:
        """Elapsed is judged now, after all delays; the window of 2 to 60 seconds by the moment of arrival."""
        if deadline is None:
            return
        try:
            moment = datetime.fromisoformat(deadline)
        except ValueError:
            raise Refusal("EGeneral:Invalid arguments:deadline") from None
        if moment.tzinfo is None:
            raise Refusal("EGeneral:Invalid arguments:deadline")
        if moment.timestamp() <= self._clock.now():
            raise Refusal("EService:Deadline elapsed")
        if not 2 <= moment.timestamp() - arrived_at <= 60:
            raise Refusal("EGeneral:Invalid arguments:deadline")

    def _check_mode(self, market: Market, order: Order) -> None:
        """A market, or the whole exchange, that doesn't take this kind of order at the moment."""
        if self._markets.system_status == "maintenance":
            raise Refusal("EService:Unavailable")
        for mode in (self._markets.system_status, market.status):
            taken = {
                "online": True,
                "limit_only": order.ordertype == "limit",
                "post_only": "post" in order.flags,
                "reduce_only": False,  # nothing to reduce on spot
            }
            if not taken.get(mode, False):
                raise Refusal(f"EService:Market in {mode} mode")
        if "post" in order.flags and (order.limit is None or crosses(order, market)):
            raise Refusal("EOrder:Post only order")

    def _check_limits(self, order: Order) -> None:
        account = self._account
        if sum(o.is_open and o.symbol == order.symbol for o in account.orders) >= account.max_open_orders:
            raise Refusal("EOrder:Orders limit exceeded")
        if order.trigger is None:
            return
        if sum(o.is_waiting for o in account.orders) >= account.max_waiting_stops:
            raise Refusal("EOrder:Scheduled orders limit exceeded")
        if account.passed_trigger == "is refused" and account.is_triggered(order):
            raise Refusal("EGeneral:Invalid arguments:price")

    # Looking orders up.

    def _query_orders(self, request: Request) -> JsonObject:
        txids = set(listed(request.params, "txid", at_most=50))
        found = self._account.look_up(order for order in self._account.orders if order.txid in txids)
        if len(found) < len(txids):
            raise Refusal("EOrder:Invalid order")
        return self._records((order for order in found if is_named(order, request.params)), request.params)

    def _open_orders(self, request: Request) -> JsonObject:
        found = self._account.look_up(order for order in self._account.orders if is_named(order, request.params))
        return {"open": self._records((order for order in found if order.is_open), request.params)}

    def _closed_orders(self, request: Request) -> JsonObject:
        params = request.params
        found = self._account.look_up(order for order in self._account.orders if is_named(order, params))
        final = []
        for order in found:
            at = order.opened_at if params.get("closetime") == "open" else order.closed_at
            if not order.is_open and at is not None and is_between(at, params):
                final.append(order)
        final.reverse()  # the newest first
        offset = whole_number(params, "ofs", 0)
        page = self._records(final[offset : offset + PAGE_SIZE], params)
        counted = self._account.counts_closed_orders and not is_true(params.get("without_count"))
        return {"closed": page, "count": len(final)} if counted else {"closed": page}

    def _trades_history(self, request: Request) -> JsonObject:
        params = request.params
        found = [trade for trade in reversed(self._shown_trades()) if is_between(trade.at, params)]
        offset = whole_number(params, "ofs", 0)
        page = found[offset : offset + PAGE_SIZE]
        return {"trades": {trade.id: self._trade_record(trade) for trade in page}, "count": len(found)}

    def _query_trades(self, request: Request) -> JsonObject:
        by_id = {trade.id: trade for trade in self._shown_trades()}
        ids = listed(request.params, "txid", at_most=20)
        if not by_id.keys() >= set(ids):
            raise Refusal("EOrder:Invalid order")
        return {id: self._trade_record(by_id[id]) for id in ids}

    def _shown_trades(self) -> list[Trade]:
        account = self._account
        if account.lie is None or not account.lie.hides_trades:
            return account.trades
        hidden = {order.txid for order in account.orders if account.is_lied_about(order)}
        return [trade for trade in account.trades if trade.order_txid not in hidden]

    # Records as Kraken writes them.

    def _records(self, orders: Iterable[Order], params: Params) -> JsonObject:
        records = {}
        for order in orders:
            records[order.txid] = order_json(order, self._markets[order.symbol])
            if is_true(params.get("trades")) and order.trade_ids:
                records[order.txid]["trades"] = list(order.trade_ids)
            if (lie := self._account.lie) is not None and self._account.is_lied_about(order):
                records[order.txid] = lied_record(records[order.txid], lie, order, self._markets[order.symbol])
        return records

    def _trade_record(self, trade: Trade) -> JsonObject:
        return trade_json(trade, self._markets[trade.symbol])


def check_client_id(params: Params) -> None:
    client_id = params.get("cl_ord_id")
    if client_id is not None and "userref" in params:
        raise Refusal("EGeneral:Invalid arguments:userref")  # the true text isn't known
    if client_id is not None and not CLIENT_ID.fullmatch(client_id):
        raise Refusal("EGeneral:Invalid arguments:cl_ord_id")


def fee_json(rate: Decimal) -> JsonObject:
    percent = fixed(rate * 100, 4)
    figures = {"fee": percent, "minfee": "0.0500", "maxfee": "0.8000", "nextfee": "0.6000"}
    return {**figures, "tiervolume": "0.0000", "nextvolume": "2500.0000"}
