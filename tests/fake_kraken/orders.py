"""Orders and fills of the fake Kraken: how an order may be filled, what it knows, and how Kraken writes it down."""

import random
import string
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from tests.fake_kraken.markets import Market
from tests.fake_kraken.wire import JsonObject, Params, cut, fixed


@dataclass(frozen=True)
class Instant:
    """Filled whole, in one trade, before AddOrder answers."""


@dataclass(frozen=True)
class Slow:
    """Open until `seconds` have passed in Kraken's clock and `looks` look-ups have seen it open, then filled.

    `at_once` is the fraction that trades immediately: an open order may have filled in part.
    """

    seconds: float = 0
    looks: int = 0
    at_once: Decimal = Decimal(0)


@dataclass(frozen=True)
class Pieces:
    """Filled at once in `count` trades, each by `step` worse in price than the one before."""

    count: int = 3
    step: Decimal = Decimal(0)


@dataclass(frozen=True)
class PartialThenCanceled:
    """A thin book: a fraction trades, and the engine cancels the rest."""

    fraction: Decimal = Decimal("0.5")


@dataclass(frozen=True)
class Never:
    """Stays open until the test fills it or somebody cancels it. `at_once` is the fraction that trades immediately."""

    at_once: Decimal = Decimal(0)


@dataclass(frozen=True)
class Lie:
    """What the record of every order says while it is younger than `seconds`: another status, and only the fraction
    `filled` of the order's own volume. With `hides_trades` its fills are in no record and in no list."""

    status: str
    seconds: float
    filled: Decimal = Decimal(0)
    hides_trades: bool = False


type FillMode = Instant | Slow | Pieces | PartialThenCanceled | Never


@dataclass
class Order:
    """An order as the engine knows it: exact figures, volume in base."""

    txid: str
    cl_ord_id: str | None
    userref: int | None
    side: str
    symbol: str
    ordertype: str
    volume: Decimal
    limit: Decimal | None
    flags: frozenset[str]
    quote_volume: Decimal | None  # what a viqc order asked for; its record shows this as `vol`
    hold_price: Decimal
    opened_at: float
    mode: FillMode
    visible_at: float
    hidden_looks: int
    looks_left: int = 0
    status: str = "open"
    reason: str | None = None
    closed_at: float | None = None
    vol_exec: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    trade_ids: list[str] = field(default_factory=list)
    trigger: Decimal | None = None
    """Of a stop-loss: it waits, in no book, until the last price is there."""
    self_trade: str = "cancel-newest"
    fired_at: Decimal | None = None
    """The price that set a stop off."""
    amends: list[JsonObject] = field(default_factory=list)
    """What AmendOrder changed, as OrderAmends lists it."""

    @property
    def is_waiting(self) -> bool:
        """A stop that has not fired."""
        return self.is_open and self.trigger is not None and self.fired_at is None

    @property
    def misc(self) -> str:
        cut_short = self.status == "canceled" and self.vol_exec > 0
        said = {"amended": bool(self.amends), "stopped": self.fired_at is not None, "partial": cut_short}
        return ",".join(word for word, true in said.items() if true)

    @property
    def remaining(self) -> Decimal:
        return self.volume - self.vol_exec

    @property
    def is_open(self) -> bool:
        return self.status == "open"


@dataclass(frozen=True)
class Trade:
    """One fill, with the exact figures that went through the account."""

    id: str
    number: int
    order_txid: str
    symbol: str
    side: str
    ordertype: str
    price: Decimal
    volume: Decimal
    cost: Decimal
    fee: Decimal
    at: float
    maker: bool


def new_id(letter: str) -> str:
    """Like OXZOZH-UV45N-IM6I7O. Never the same in two servers: a database may outlive one of them."""
    letters = random.SystemRandom().choices(string.ascii_uppercase + string.digits, k=16)
    text = letter + "".join(letters)
    return f"{text[:6]}-{text[6:11]}-{text[11:]}"


def money(value: Decimal, market: Market) -> Decimal:
    """Costs and fees have cost_decimals, rounded half up."""
    return value.quantize(Decimal(1).scaleb(-market.cost_decimals), rounding=ROUND_HALF_UP)


def crosses(order: Order, market: Market) -> bool:
    """Would this order trade at once? A market order always would, and so does a stop that has fired."""
    if order.is_waiting:
        return False
    if order.limit is None:
        return True
    price = market.ask if order.side == "buy" else market.bid
    if not price.is_finite():
        return False
    return order.limit >= price if order.side == "buy" else order.limit <= price


def is_named(order: Order, params: Params) -> bool:
    """Does the order pass the filters by client order id and by userref?"""
    if "cl_ord_id" in params and order.cl_ord_id != params["cl_ord_id"]:
        return False
    return "userref" not in params or str(order.userref) == params["userref"]


def describe(order: Order, market: Market) -> str:
    price = "market" if order.limit is None else f"limit {fixed(order.limit, market.pair_decimals)}"
    if order.trigger is not None:
        price = f"stop loss {fixed(order.trigger, market.pair_decimals)}"
    return f"{order.side} {fixed(order.quote_volume or order.volume, 8)} {market.altname} @ {price}"


def order_json(order: Order, market: Market) -> JsonObject:
    """Cost, fee and price are cut to the price's decimals, which loses cents: accounts belong to the trades."""
    places = market.pair_decimals
    average = order.cost / order.vol_exec if order.vol_exec else Decimal(0)
    price = order.limit or order.trigger
    record: JsonObject = {
        "refid": None,
        "userref": order.userref,
        "status": order.status,
        "opentm": round(order.opened_at, 4),
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": market.altname,
            "aclass": "forex",
            "type": order.side,
            "ordertype": order.ordertype,
            "price": fixed(price, places) if price else "0",
            "price2": "0",
            "leverage": "none",
            "order": describe(order, market),
            "close": "",
        },
        "vol": fixed(order.quote_volume or order.volume, market.lot_decimals),
        "vol_exec": fixed(order.vol_exec, market.lot_decimals),
        "cost": fixed(order.cost, places),
        "fee": fixed(order.fee, places),
        "price": fixed(average, places),
        "stopprice": fixed(order.fired_at, 5) if order.fired_at else "0.00000",
        "limitprice": "0.00000",
        "misc": order.misc,
        "oflags": ",".join(sorted(order.flags)),
        "time_in_force": "gtc",
    }
    if order.cl_ord_id:
        record["cl_ord_id"] = order.cl_ord_id
    if not order.is_open:
        record |= {"reason": order.reason, "closetm": round(order.closed_at or 0, 4)}
    return record


def lied_record(record: JsonObject, lie: Lie, order: Order, market: Market) -> JsonObject:
    """The record with the lie in it, and what follows from it: figures in proportion, the same trades."""
    filled = cut(order.volume * lie.filled, market.lot_decimals)
    share = filled / order.vol_exec if order.vol_exec else Decimal(0)
    lied = record | {
        "status": lie.status,
        "vol_exec": fixed(filled, market.lot_decimals),
        "cost": fixed(order.cost * share, market.pair_decimals),
        "fee": fixed(order.fee * share, market.pair_decimals),
    }
    if not filled or lie.hides_trades:
        lied.pop("trades", None)
    if lie.status not in ("open", "pending"):
        lied |= {"reason": None, "closetm": lied.get("closetm", round(order.opened_at, 4))}
    return lied


def trade_json(trade: Trade, market: Market) -> JsonObject:
    return {
        "ordertxid": trade.order_txid,
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": market.id,
        "aclass": "forex",
        "time": round(trade.at, 4),
        "type": trade.side,
        "ordertype": trade.ordertype,
        "price": market.price_text(trade.price),
        "cost": fixed(trade.cost, market.cost_decimals),
        "fee": fixed(trade.fee, market.cost_decimals),
        "vol": fixed(trade.volume, market.lot_decimals),
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": trade.number,
        "maker": trade.maker,
    }
