"""The fake Kraken's one account: its balances, its orders, and how they come to be filled."""

import copy
import threading
from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Literal

from tests.fake_kraken.clock import KrakenClock
from tests.fake_kraken.markets import FakeMarkets, Market
from tests.fake_kraken.orders import (
    FillMode,
    Instant,
    Lie,
    Never,
    Order,
    PartialThenCanceled,
    Pieces,
    Slow,
    Trade,
    crosses,
    money,
    new_id,
)
from tests.fake_kraken.wire import Refusal, cut

type PassedTrigger = Literal["fires", "is canceled", "is refused"]
"""What becomes of a stop whose trigger is above the last price when it arrives. Kraken's documents say all three."""


@dataclass(frozen=True)
class AccountSnapshot:
    """What `FakeAccount.restore` needs to go back to this moment."""

    balances: dict[str, Decimal]
    orders: list[Order]
    trades: list[Trade]
    fee_rate: Decimal
    maker_fee_rate: Decimal
    fill_mode: FillMode
    closed_orders_lag: float
    closed_orders_lag_looks: int
    counts_closed_orders: bool
    lie: Lie | None
    stops_hold_coins: bool
    passed_trigger: PassedTrigger
    max_open_orders: int
    max_waiting_stops: int
    false_balances: dict[str, Decimal]


class FakeAccount:
    """An account that trades on the fake markets. Tests may change any of its public attributes at any time."""

    def __init__(self, markets: FakeMarkets, clock: KrakenClock, lock: threading.RLock) -> None:
        self.balances: dict[str, Decimal] = {"ZUSD": Decimal(10000)}
        self.orders: list[Order] = []
        self.trades: list[Trade] = []
        self.fee_rate = Decimal("0.0080")
        self.maker_fee_rate = Decimal("0.0040")
        self.fill_mode: FillMode = Instant()
        self.closed_orders_lag = 0.0  # seconds during which no look-up finds a fresh order
        self.closed_orders_lag_looks = 0  # the same, counted in look-ups that would have found it
        self.counts_closed_orders = True  # False: pages of ended orders come without a count
        self.lie: Lie | None = None  # what records of fresh orders say in place of the truth
        self.stops_hold_coins = True  # whether a stop that waits keeps its coins back; of Kraken it is not known
        self.passed_trigger: PassedTrigger = "fires"
        self.max_open_orders = 60  # in one market
        self.max_waiting_stops = 100
        self.false_balances: dict[str, Decimal] = {}  # what is shown of an asset instead of the truth
        self._markets = markets
        self._clock = clock
        self._lock = lock

    def snapshot(self) -> AccountSnapshot:
        kept = {field.name: getattr(self, field.name) for field in fields(AccountSnapshot)}
        return AccountSnapshot(**copy.deepcopy(kept))

    def restore(self, kept: AccountSnapshot) -> None:
        vars(self).update(copy.deepcopy(vars(kept)))

    # What tests do to it.

    @property
    def holds(self) -> dict[str, Decimal]:
        """What open orders keep back, by asset: the coins of a sell, the cost and fee of a buy."""
        with self._lock:
            holds: dict[str, Decimal] = {}
            for order in self.orders:
                if order.is_open:
                    asset, amount = self._hold_of(order)
                    holds[asset] = holds.get(asset, Decimal(0)) + amount
            return holds

    @property
    def shown(self) -> dict[str, Decimal]:
        """The balances as the wire shows them; orders are checked against the true ones."""
        return self.balances | self.false_balances

    def fill_order(self, order: Order, volume: Decimal | None = None) -> None:
        """Fill an open order now, whole or in part, at the price of now."""
        with self._lock:
            self._trade(order, order.remaining if volume is None else volume, self._engine_price(order))

    def is_lied_about(self, order: Order) -> bool:
        return self.lie is not None and self._clock.now() < order.opened_at + self.lie.seconds

    def cancel_order(self, order: Order, reason: str = "User requested") -> None:
        """What has filled stays filled; the rest of its hold is free again."""
        with self._lock:
            self._finish(order, "canceled", reason)

    # What its orders do.

    def check_funds(self, order: Order) -> None:
        asset, needed = self._hold_of(order)
        if self.balances.get(asset, Decimal(0)) - self.holds.get(asset, Decimal(0)) < needed:
            raise Refusal("EOrder:Insufficient funds")

    def _hold_of(self, order: Order) -> tuple[str, Decimal]:
        market = self._markets[order.symbol]
        if order.side == "sell":
            held = Decimal(0) if order.is_waiting and not self.stops_hold_coins else order.remaining
            return market.base.id, held
        cost = money(order.remaining * order.hold_price, market)
        return market.quote.id, cost + money(cost * self.fee_rate, market)

    def prevent_self_trade(self, order: Order) -> None:
        """A market order, or a stop that fires, would meet the account's own limit orders at the top of the book."""
        if order.is_waiting:
            return
        market = self._markets[order.symbol]
        best = market.ask if order.side == "buy" else market.bid
        others = [o for o in self.orders if o.is_open and o.symbol == order.symbol and o.side != order.side and o.limit]
        met = [o for o in others if o.limit and (o.limit >= best if order.side == "sell" else o.limit <= best)]
        if order.limit is not None or not met:
            return
        if order.self_trade != "cancel-oldest":
            order.mode = PartialThenCanceled(Decimal(0))
        if order.self_trade != "cancel-newest":
            for each in met:
                self._finish(each, "canceled", "Self trade prevention")

    def place(self, order: Order) -> None:
        """Put it among the orders, and trade what its mode trades at once."""
        self.orders.append(order)
        if order.trigger is not None:
            self._place_stop(order)
        elif not crosses(order, self._markets[order.symbol]):
            order.mode = Never()  # it rests until set_price reaches it
        else:
            self._execute(order)

    def _place_stop(self, order: Order) -> None:
        if not self.is_triggered(order):
            return
        if self.passed_trigger == "is canceled":
            self._finish(order, "canceled", "Order would trigger immediately")
        else:
            self._fire(order)

    def is_triggered(self, order: Order) -> bool:
        """Is the last price at or below a stop's trigger, in a market that matches orders?"""
        market = self._markets[order.symbol]
        online = market.status == self._markets.system_status == "online"
        return order.trigger is not None and online and market.last <= order.trigger

    def _fire(self, order: Order) -> None:
        """The stop becomes a market order, with the same id. What it does not hold may be gone by now."""
        order.fired_at = self._markets[order.symbol].last
        self.prevent_self_trade(order)
        base = self._markets[order.symbol].base.id
        others = self.holds.get(base, Decimal(0)) - order.remaining
        free = max(self.balances.get(base, Decimal(0)) - others, Decimal(0))
        if free < order.remaining:
            self._trade(order, free, self._engine_price(order))
            self._finish(order, "canceled", "Insufficient funds")
        else:
            self._execute(order)

    def amend(self, order: Order, trigger: Decimal, volume: Decimal) -> None:
        """Change a waiting stop in place; a trigger that is passed by now sets it off."""
        order.trigger, order.volume = trigger, volume
        if order.remaining <= 0:
            self._finish(order, "canceled", "User requested")
        elif self.is_triggered(order):
            self._fire(order)

    def _execute(self, order: Order) -> None:
        """Trade what the order's mode trades at once."""
        market = self._markets[order.symbol]
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
            case Never(at_once=fraction):
                self._trade(order, cut(order.volume * fraction, market.lot_decimals), price)

    def _engine_price(self, order: Order) -> Decimal:
        market = self._markets[order.symbol]
        return market.ask if order.side == "buy" else market.bid

    def _trade_in_pieces(self, order: Order, count: int, price: Decimal, step: Decimal) -> None:
        piece = cut(order.volume / count, self._markets[order.symbol].lot_decimals)
        for number in range(count - 1):
            self._trade(order, piece, price + number * step)
        self._trade(order, order.remaining, price + (count - 1) * step)

    def _trade(self, order: Order, volume: Decimal, price: Decimal, *, maker: bool = False) -> None:
        """One fill. The account moves by exactly the cost and fee that the trade will show."""
        if volume <= 0:
            return
        market = self._markets[order.symbol]
        cost = money(price * volume, market)
        fee = money(cost * (self.maker_fee_rate if maker else self.fee_rate), market)
        trade = Trade(
            id=new_id("T"),
            number=40000001 + len(self.trades),
            order_txid=order.txid,
            symbol=order.symbol,
            side=order.side,
            ordertype=order.ordertype,
            price=price,
            volume=volume,
            cost=cost,
            fee=fee,
            at=self._clock.now(),
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
        order.status, order.reason, order.closed_at = status, reason, self._clock.now()

    def fill_resting_orders(self, symbol: str) -> None:
        """Stops that the price has reached fire; resting limit orders are filled at their limit."""
        for order in self.orders:
            if order.symbol == symbol and order.is_waiting and self.is_triggered(order):
                self._fire(order)
        for order in self.orders:
            if order.symbol == symbol and order.is_open and order.limit and crosses(order, self._markets[symbol]):
                self._trade(order, order.remaining, order.limit, maker=True)

    def fill_slow_orders(self) -> None:
        """Fill what was only a matter of time, whether or not somebody looks at the order."""
        for order in self.orders:
            if isinstance(order.mode, Slow) and order.mode.looks == 0:
                self._fill_if_due(order)

    def _fill_if_due(self, order: Order) -> None:
        if not isinstance(order.mode, Slow) or not order.is_open or order.looks_left:
            return
        if self._clock.now() >= order.opened_at + order.mode.seconds:
            self._trade(order, order.remaining, self._engine_price(order))

    def look_up(self, orders: Iterable[Order]) -> list[Order]:
        """What one look-up finds. Each look wears off a hidden order's lag or a slow order's patience by one."""
        found = []
        for order in orders:
            if self._clock.now() < order.visible_at:
                continue
            if order.hidden_looks > 0:
                order.hidden_looks -= 1
                continue
            self._fill_if_due(order)
            order.looks_left = max(0, order.looks_left - 1)
            found.append(order)
        return found
