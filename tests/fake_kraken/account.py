"""The private half of the fake Kraken: one account, its orders, and how they come to be filled."""

import random
import re
import string
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from tests.fake_kraken.markets import FakeMarkets, Market
from tests.fake_kraken.orders import (
    FillMode,
    Instant,
    Never,
    Order,
    PartialThenCanceled,
    Pieces,
    Slow,
    Trade,
    crosses,
    describe,
    is_named,
    money,
    order_json,
    trade_json,
)
from tests.fake_kraken.wire import (
    Endpoint,
    JsonObject,
    Number,
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
CLIENT_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[!-~]{1,18}")


class FakeBook(FakeMarkets):
    """An account that trades on the fake markets, with the private endpoints. The middle layer of FakeKraken."""

    def __init__(self) -> None:
        super().__init__()
        self.balances: dict[str, Decimal] = {"ZUSD": Decimal(10000)}
        self.orders: list[Order] = []
        self.trades: list[Trade] = []
        self.fee_rate = Decimal("0.0040")
        self.maker_fee_rate = Decimal("0.0025")
        self.fill_mode: FillMode = Instant()
        self.closed_orders_lag = 0.0  # seconds during which no look-up finds a fresh order
        self.closed_orders_lag_looks = 0  # the same, counted in look-ups that would have found it
        self.counts_closed_orders = True  # False: pages of ended orders come without a count
        self._chance = random.Random()

    # What tests do to it.

    @property
    def holds(self) -> dict[str, Decimal]:
        """What open orders keep back, by asset: the coins of a sell, the cost and fee of a buy."""
        with self.lock:
            holds: dict[str, Decimal] = {}
            for order in self.orders:
                if order.is_open:
                    asset, amount = self._hold_of(order)
                    holds[asset] = holds.get(asset, Decimal(0)) + amount
            return holds

    def set_price(self, symbol: str, last: Number, bid: Number | None = None, ask: Number | None = None) -> None:
        """Move the price; resting limit orders that it reaches are filled at their limit."""
        with self.lock:
            super().set_price(symbol, last, bid, ask)
            market = self.markets[symbol]
            for order in self.orders:
                if order.symbol == symbol and order.is_open and order.limit and crosses(order, market):
                    self._trade(order, order.remaining, order.limit, maker=True)

    def fill_order(self, order: Order, volume: Decimal | None = None) -> None:
        """Fill an open order now, whole or in part, at the price of now."""
        with self.lock:
            self._trade(order, order.remaining if volume is None else volume, self._engine_price(order))

    def cancel_order(self, order: Order, reason: str = "User requested") -> None:
        """What has filled stays filled; the rest of its hold is free again."""
        with self.lock:
            self._finish(order, "canceled", reason)

    # What the wire sees of it.

    def private_endpoints(self) -> dict[str, Endpoint]:
        return {
            "Balance": self._balance,
            "BalanceEx": self._balance_ex,
            "TradeVolume": self._trade_volume,
            "AddOrder": self._add_order,
            "CancelOrder": self._cancel_order,
            "QueryOrders": self._query_orders,
            "OpenOrders": self._open_orders,
            "ClosedOrders": self._closed_orders,
            "TradesHistory": self._trades_history,
            "QueryTrades": self._query_trades,
        }

    def _decimals_of(self, asset_id: str) -> int:
        asset = self.known_assets().get(asset_id)
        return asset.decimals if asset else 10

    def _balance(self, _request: Request) -> JsonObject:
        return {asset: fixed(amount, self._decimals_of(asset)) for asset, amount in self.balances.items()}

    def _balance_ex(self, _request: Request) -> JsonObject:
        holds = self.holds
        shown = {}
        for asset, amount in self.balances.items():
            places = self._decimals_of(asset)
            held = holds.get(asset, Decimal(0))
            shown[asset] = {"balance": fixed(amount, places), "hold_trade": fixed(held, places)}
        return shown

    def _trade_volume(self, request: Request) -> JsonObject:
        ids = [market.id for market in self._asked_markets(request)] if request.params.get("pair") else []
        return {
            "currency": "ZUSD",
            "volume": "0.0000",
            "fees": {id: fee_json(self.fee_rate) for id in ids} or None,
            "fees_maker": {id: fee_json(self.maker_fee_rate) for id in ids} or None,
        }

    # Placing an order: everything that may be wrong with it first, the money last.

    def _add_order(self, request: Request) -> JsonObject:
        params = request.params
        market = self.market_named(params.get("pair", ""))
        order = self._read_order(params, market)
        check_client_id(params)
        self._check_deadline(params.get("deadline"), request.at)
        self._check_mode(market, order)
        self._check_minimums(market, order)
        if order.cl_ord_id and any(o.is_open and o.cl_ord_id == order.cl_ord_id for o in self.orders):
            raise Refusal("EGeneral:Invalid arguments:cl_ord_id not unique")
        descr = {"order": describe(order, market)}
        if is_true(params.get("validate")):
            return {"descr": descr}
        self._check_funds(order)
        self._place(order, market)
        return {"descr": descr, "txid": [order.txid]}

    def _read_order(self, params: Params, market: Market) -> Order:
        side, ordertype = params.get("type", ""), params.get("ordertype", "")
        flags = frozenset(filter(None, params.get("oflags", "").split(",")))
        if side not in ("buy", "sell") or ordertype not in ("market", "limit"):
            raise Refusal("EGeneral:Invalid arguments")
        if "viqc" in flags and (side, ordertype) != ("buy", "market"):
            raise Refusal("EGeneral:Invalid arguments:viqc")
        asked = positive(params, "volume")
        limit = positive(params, "price") if ordertype == "limit" else None
        price = limit or (market.ask if side == "buy" else market.bid)
        if not price.is_finite() or price <= 0:
            raise Refusal("EOrder:Invalid price")  # a test took the market away
        volume = asked / price if "viqc" in flags else asked
        return Order(
            txid=self._new_id("O"),
            cl_ord_id=params.get("cl_ord_id"),
            userref=whole_number(params, "userref", 0) if "userref" in params else None,
            side=side,
            symbol=market.symbol,
            ordertype=ordertype,
            volume=cut(volume, market.lot_decimals),
            limit=limit,
            flags=flags,
            quote_volume=asked if "viqc" in flags else None,
            hold_price=price,
            opened_at=self.now(),
            mode=self.fill_mode,
            visible_at=self.now() + self.closed_orders_lag,
            hidden_looks=self.closed_orders_lag_looks,
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
        if moment.timestamp() <= self.now():
            raise Refusal("EService:Deadline elapsed")
        if not 2 <= moment.timestamp() - arrived_at <= 60:
            raise Refusal("EGeneral:Invalid arguments:deadline")

    def _check_mode(self, market: Market, order: Order) -> None:
        """A market, or the whole exchange, that doesn't take this kind of order at the moment."""
        if self.system_status == "maintenance":
            raise Refusal("EService:Unavailable")
        for mode in (self.system_status, market.status):
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

    def _check_minimums(self, market: Market, order: Order) -> None:
        if order.volume < market.ordermin:
            raise Refusal("EGeneral:Invalid arguments:volume minimum not met")
        if order.volume * order.hold_price < market.costmin:
            raise Refusal("EOrder:Cost minimum not met")

    def _check_funds(self, order: Order) -> None:
        asset, needed = self._hold_of(order)
        if self.balances.get(asset, Decimal(0)) - self.holds.get(asset, Decimal(0)) < needed:
            raise Refusal("EOrder:Insufficient funds")

    def _hold_of(self, order: Order) -> tuple[str, Decimal]:
        market = self.markets[order.symbol]
        if order.side == "sell":
            return market.base.id, order.remaining
        cost = money(order.remaining * order.hold_price, market)
        return market.quote.id, cost + money(cost * self.fee_rate, market)

    # From open to filled.

    def _place(self, order: Order, market: Market) -> None:
        self.orders.append(order)
        if not crosses(order, market):
            order.mode = Never()  # it rests until set_price reaches it
            return
        price = self._engine_price(order)
        match order.mode:
            case Instant():
                self._trade(order, order.remaining, price)
            case Slow(looks=looks, at_once=fraction):
                order.looks_left = looks
                self._trade(order, cut(order.volume * fraction, market.lot_decimals), price)
            case Pieces(count=count, step=step):
                self._trade_in_pieces(order, count, price, step if order.side == "buy" else -step)
            case PartialThenCanceled(fraction=fraction):
                self._trade(order, cut(order.volume * fraction, market.lot_decimals), price)
                if order.is_open:
                    self._finish(order, "canceled", "Canceled by the engine")
            case Never():
                pass

    def _engine_price(self, order: Order) -> Decimal:
        market = self.markets[order.symbol]
        return market.ask if order.side == "buy" else market.bid

    def _trade_in_pieces(self, order: Order, count: int, price: Decimal, step: Decimal) -> None:
        piece = cut(order.volume / count, self.markets[order.symbol].lot_decimals)
        for number in range(count - 1):
            self._trade(order, piece, price + number * step)
        self._trade(order, order.remaining, price + (count - 1) * step)

    def _trade(self, order: Order, volume: Decimal, price: Decimal, *, maker: bool = False) -> None:
        """One fill. The account moves by exactly the cost and fee that the trade will show."""
        if volume <= 0:
            return
        market = self.markets[order.symbol]
        cost = money(price * volume, market)
        fee = money(cost * (self.maker_fee_rate if maker else self.fee_rate), market)
        trade = Trade(
            id=self._new_id("T"),
            number=40000001 + len(self.trades),
            order_txid=order.txid,
            symbol=order.symbol,
            side=order.side,
            ordertype=order.ordertype,
            price=price,
            volume=volume,
            cost=cost,
            fee=fee,
            at=self.now(),
            maker=maker,
        )
        self.trades.append(trade)
        self._settle(order, trade, market)
        order.vol_exec += volume
        order.cost += cost
        order.fee += fee
        order.trade_ids.append(trade.id)
        if order.remaining == 0:
            self._finish(order, "closed", None)

    def _settle(self, order: Order, trade: Trade, market: Market) -> None:
        sign = 1 if trade.side == "buy" else -1
        base, quote = market.base.id, market.quote.id
        self._move(base, sign * trade.volume)
        self._move(quote, -sign * trade.cost)
        # The reference calls fcib the default for sells. It is a wish: coins that aren't there can't pay.
        wants_base = "fcib" in order.flags or (trade.side == "sell" and "fciq" not in order.flags)
        fee_in_base = cut(trade.fee / trade.price, market.base.decimals)
        if wants_base and self.balances[base] >= fee_in_base:
            self._move(base, -fee_in_base)
        else:
            self._move(quote, -trade.fee)

    def _move(self, asset: str, amount: Decimal) -> None:
        self.balances[asset] = self.balances.get(asset, Decimal(0)) + amount

    def _finish(self, order: Order, status: str, reason: str | None) -> None:
        order.status, order.reason, order.closed_at = status, reason, self.now()

    def fill_slow_orders(self) -> None:
        """Fill what was only a matter of time, whether or not somebody looks at the order."""
        for order in self.orders:
            if isinstance(order.mode, Slow) and order.mode.looks == 0:
                self._fill_if_due(order)

    def _fill_if_due(self, order: Order) -> None:
        if not isinstance(order.mode, Slow) or not order.is_open or order.looks_left:
            return
        if self.now() >= order.opened_at + order.mode.seconds:
            self._trade(order, order.remaining, self._engine_price(order))

    # Looking orders up.

    def _look(self, orders: Iterable[Order]) -> list[Order]:
        """What one look-up finds. Each look wears off a hidden order's lag or a slow order's patience by one."""
        found = []
        for order in orders:
            if self.now() < order.visible_at:
                continue
            if order.hidden_looks > 0:
                order.hidden_looks -= 1
                continue
            self._fill_if_due(order)
            order.looks_left = max(0, order.looks_left - 1)
            found.append(order)
        return found

    def _query_orders(self, request: Request) -> JsonObject:
        txids = set(listed(request.params, "txid", at_most=50))
        found = self._look(order for order in self.orders if order.txid in txids)
        if len(found) < len(txids):
            raise Refusal("EOrder:Invalid order")
        return self._records((order for order in found if is_named(order, request.params)), request.params)

    def _open_orders(self, request: Request) -> JsonObject:
        found = self._look(order for order in self.orders if is_named(order, request.params))
        return {"open": self._records((order for order in found if order.is_open), request.params)}

    def _closed_orders(self, request: Request) -> JsonObject:
        params = request.params
        found = self._look(order for order in self.orders if is_named(order, params))
        final = []
        for order in found:
            at = order.opened_at if params.get("closetime") == "open" else order.closed_at
            if not order.is_open and at is not None and is_between(at, params):
                final.append(order)
        final.reverse()  # the newest first
        offset = whole_number(params, "ofs", 0)
        page = self._records(final[offset : offset + PAGE_SIZE], params)
        counted = self.counts_closed_orders and not is_true(params.get("without_count"))
        return {"closed": page, "count": len(final)} if counted else {"closed": page}

    def _cancel_order(self, request: Request) -> JsonObject:
        params = request.params
        wanted = params.get("txid") or params.get("cl_ord_id")
        named = [order for order in self.orders if wanted in (order.txid, order.cl_ord_id, str(order.userref))]
        if not named:
            raise Refusal("EOrder:Invalid order")
        open_orders = [order for order in named if order.is_open]
        if not open_orders:
            raise Refusal("EOrder:Unknown order")
        for order in open_orders:
            self._finish(order, "canceled", "User requested")
        return {"count": len(open_orders)}

    def _trades_history(self, request: Request) -> JsonObject:
        params = request.params
        found = [trade for trade in reversed(self.trades) if is_between(trade.at, params)]
        offset = whole_number(params, "ofs", 0)
        page = found[offset : offset + PAGE_SIZE]
        return {"trades": {trade.id: self._trade_record(trade) for trade in page}, "count": len(found)}

    def _query_trades(self, request: Request) -> JsonObject:
        by_id = {trade.id: trade for trade in self.trades}
        ids = listed(request.params, "txid", at_most=20)
        if not by_id.keys() >= set(ids):
            raise Refusal("EOrder:Invalid order")
        return {id: self._trade_record(by_id[id]) for id in ids}

    # Records as Kraken writes them.

    def _records(self, orders: Iterable[Order], params: Params) -> JsonObject:
        records = {}
        for order in orders:
            records[order.txid] = order_json(order, self.markets[order.symbol])
            if is_true(params.get("trades")) and order.trade_ids:
                records[order.txid]["trades"] = list(order.trade_ids)
        return records

    def _trade_record(self, trade: Trade) -> JsonObject:
        return trade_json(trade, self.markets[trade.symbol])

    def _new_id(self, letter: str) -> str:
        """Like OXZOZH-UV45N-IM6I7O. Never the same in two servers: a database may outlive one of them."""
        letters = self._chance.choices(string.ascii_uppercase + string.digits, k=16)
        text = letter + "".join(letters)
        return f"{text[:6]}-{text[6:11]}-{text[11:]}"


def check_client_id(params: Params) -> None:
    client_id = params.get("cl_ord_id")
    if client_id is not None and "userref" in params:
        raise Refusal("EGeneral:Invalid arguments:userref")  # the true text isn't known
    if client_id is not None and not CLIENT_ID.fullmatch(client_id):
        raise Refusal("EGeneral:Invalid arguments:cl_ord_id")


def fee_json(rate: Decimal) -> JsonObject:
    percent = fixed(rate * 100, 4)
    figures = {"fee": percent, "minfee": "0.0500", "maxfee": percent, "nextfee": "0.3500"}
    return {**figures, "tiervolume": "0.0000", "nextvolume": "10000.0000"}
