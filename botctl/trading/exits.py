"""Plans exits: how much of each trade is sold, and which rests are closed as dust because they can't be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from botctl.domain.errors import (
    BadValue,
    BelowMinimum,
    BotError,
    InsufficientFunds,
    as_bot_error,
)
from botctl.domain.markets import Balances, market_of
from botctl.domain.money import decimals_of, floor_to, format_decimal
from botctl.domain.orders import ExitReason, Side
from botctl.ports import Clock, Exchange
from botctl.store.evidence.canceled_orders import load_canceled_orders
from botctl.store.evidence.missing_coins import load_surplus
from botctl.store.journal import Journal
from botctl.store.rows import OrderRow, TradeRow
from botctl.trading.evidence.gone_markets import TradeMarkets
from botctl.trading.results import OrderResult
from botctl.trading.snapshot import SECOND_SNAPSHOT_AFTER, Snapshot

SMALL_REST = Decimal("0.01")
"""Up to this fraction of the entry, one refusal makes a rest dust. A larger one is sent twice, and is an alarm."""

MAX_CUT = Decimal("0.05")
"""A lot that cuts off more than this fraction of the entry is a wrong figure."""


@dataclass(frozen=True)
class WantedExit:
    """A trade to sell, and why. `amount` is the part to sell, None for all of it."""

    trade: TradeRow
    reason: ExitReason
    amount: Decimal | None = None

    def amount_to_sell(self) -> Decimal:
        """The amount in the asset. Raises BadValue for more than the trade holds."""
        if self.amount is None:
            return self.trade.amount
        if self.amount > self.trade.amount:
            wanted, held = format_decimal(self.amount), format_decimal(self.trade.amount)
            problem = f"{wanted} {self.trade.asset} is more than the {held} that trade {self.trade.id} holds"
            raise BadValue(problem, hint="botctl sells only what it bought")
        return self.amount


@dataclass(frozen=True)
class Sell:
    trade: TradeRow
    amount: Decimal
    reason: ExitReason
    whole: bool
    """Whether it is for all that is left of the trade."""


@dataclass(frozen=True)
class RefusedSell:
    """A sell of which nothing was placed."""

    sell: Sell
    error: BotError


@dataclass(frozen=True)
class Plan:
    sells: list[Sell]
    notes: list[str]
    """Rests that were closed without an order."""
    errors: list[BotError]


@dataclass(frozen=True)
class Dust:
    """The rests that were closed as dust."""

    closed: frozenset[int]
    notes: list[str]
    errors: list[BotError]
    """One for each that is worth mentioning twice."""


@dataclass(frozen=True)
class Exits:
    results: list[OrderResult] = field(default_factory=list)
    errors: list[BotError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __add__(self, later: "Exits") -> "Exits":
        return Exits(self.results + later.results, self.errors + later.errors, self.notes + later.notes)


@dataclass(frozen=True)
class SentSells:
    """Sells that have left, and what became of the others. None is settled yet."""

    orders: list[OrderRow] = field(default_factory=list)
    refused: list[RefusedSell] = field(default_factory=list)
    errors: list[BotError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __add__(self, later: "SentSells") -> "SentSells":
        orders, refused = self.orders + later.orders, self.refused + later.refused
        return SentSells(orders, refused, self.errors + later.errors, self.notes + later.notes)


@dataclass(frozen=True)
class SellRound:
    """What one round of sells came to."""

    exits: Exits
    refused: list[RefusedSell]
    short: list[TradeRow]
    """Trades whose sell was refused for insufficient funds, even if a smaller one was accepted then."""
    closed: frozenset[int]
    """The ids of the trades that were closed as dust."""

    def __add__(self, other: "SellRound") -> "SellRound":
        return SellRound(
            self.exits + other.exits, self.refused + other.refused, self.short + other.short, self.closed | other.closed
        )


@dataclass(frozen=True)
class ManualSale:
    result: OrderResult | None
    """None when nothing could be sold and the trade was closed."""
    errors: list[BotError]
    """Beside a result: what was not sold, or was written off."""


@dataclass
class ExitPlanner:
    """Limits every sell to what the trade holds and, of coins that are there, to those that are free. Sends nothing."""

    exchange: Exchange
    journal: Journal
    clock: Clock
    markets: TradeMarkets

    def plan(self, wanted: Iterable[WantedExit], snapshot: Snapshot) -> Plan:
        """How much of each trade to sell. A balance that lacks coins of a trade limits nothing, for it may be wrong,
        unless an earlier sell, said to be canceled, may have sold them."""
        present = snapshot.balances
        lacking = {each.asset for each in snapshot.missing}
        errors: list[BotError] = []
        sells: list[Sell] = []
        notes: list[str] = []
        for each in wanted:
            try:
                self.markets.find(each.trade, present)
                note = self.close_below_one_lot(each.trade, each.reason)
                if note is not None:
                    notes.append(note)
                    continue
                sell = self._sell_of(each)
                if present is not None and self._may_have_been_sold(sell, present):
                    sell, on_hold = self._limit_to_ours(sell, self._free_of_ours(sell, present))
                    errors += on_hold
                elif present is not None and sell.trade.asset not in lacking:
                    sell, on_hold = self._limit_to_free(sell, present)
                    errors += on_hold
                sells.append(sell)
            except Exception as error:  # noqa: BLE001 - that of one trade keeps no other from being sold
                errors.append(as_bot_error(error))
        return Plan(sells, notes, errors)

    def plan_again(self, refused: Sequence[RefusedSell]) -> list[Sell]:
        """The second sells after a refusal: of what is free, for insufficient funds; the same once more some seconds
        later, where a whole position would be too small to be sold."""
        short = [each.sell for each in refused if isinstance(each.error, InsufficientFunds)]
        doubted = [each.sell for each in refused if self._may_be_dust(each) and not self._is_small(each.sell.trade)]
        again: list[Sell] = []
        if short:
            balances = self.exchange.fetch_balances()
            free = [replace(sell, amount=min(sell.amount, self._free_of_ours(sell, balances))) for sell in short]
            again += [sell for sell in free if sell.amount > 0]
        if doubted:
            self.clock.sleep(SECOND_SNAPSHOT_AFTER)
        return again + doubted

    def close_below_one_lot(self, trade: TradeRow, reason: ExitReason) -> str | None:
        """Close a rest that no order can sell. Returns a note, None if the trade stays open."""
        if self._in_lots(trade, trade.amount) > 0:
            return None
        why = f"{format_decimal(trade.amount)} {trade.asset} is less than one lot of {trade.symbol}: left as dust"
        self.journal.close_as_dust(trade, reason, why, self.clock.now())
        return f"trade {trade.id} ({trade.symbol}) closed, {why}"

    def close_dust(self, refused: Sequence[RefusedSell]) -> Dust:
        """Close the trades whose whole rest the exchange itself refused as below its minimum."""
        closed: set[int] = set()
        notes: list[str] = []
        errors: list[BotError] = []
        for each in refused:
            trade = self.journal.open_trade(each.sell.trade.id)
            if trade is None or not self._may_be_dust(each) or not self.journal.refused_below_minimum(trade):
                continue
            small, rest = self._is_small(trade), f"{format_decimal(trade.amount)} {trade.asset}"
            why = f"{rest} is below the order minimum of {trade.symbol}: left as dust ({each.error.message})"
            self.journal.close_as_dust(trade, each.sell.reason, why, self.clock.now())
            closed.add(trade.id)
            said = f"trade {trade.id} ({trade.symbol}) closed, {why}"
            if small:
                notes.append(said)
            else:
                errors.append(BotError(said, hint="it stays in your account, unguarded: sell it at Kraken"))
        return Dust(frozenset(closed), notes, errors)

    def _sell_of(self, wanted: WantedExit) -> Sell:
        """The order in whole lots. Minimums are left to the exchange: our figures of them may be wrong or old."""
        trade = wanted.trade
        amount = self._in_lots(trade, wanted.amount_to_sell())
        if amount <= 0:
            raise BadValue(f"{wanted.amount} {trade.asset} is less than one lot of {trade.symbol}", hint="sell more")
        return Sell(trade, amount, wanted.reason, whole=wanted.amount is None or amount >= trade.amount)

    def _limit_to_free(self, sell: Sell, balances: Balances) -> tuple[Sell, list[BotError]]:
        """The sell of what is free, and an error for the rest. Raises BotError when nothing is."""
        free, asset = self._free(sell, balances), sell.trade.asset
        if free >= sell.amount:
            return sell, []
        held = f"{format_decimal(sell.amount - max(free, Decimal(0)))} of the {format_decimal(sell.amount)} {asset}"
        error = BotError(
            f"{held} to sell of trade {sell.trade.id} is on hold or earning, and can't be sold",
            hint="cancel your own orders for it, or move it back to the spot balance; the next check sells it",
        )
        if free <= 0:
            raise error
        return replace(sell, amount=free), [error]

    def _limit_to_ours(self, sell: Sell, ours: Decimal) -> tuple[Sell, list[BotError]]:
        """The sell of what an earlier one has left. Raises BotError when that is nothing."""
        asset, amount = sell.trade.asset, format_decimal(sell.amount - ours)
        error = BotError(
            f"{amount} {asset} of trade {sell.trade.id} left the balance while its last sell is said to be canceled",
            hint="the other coins there are yours and are not sold in their place; each tick asks for that sell again",
        )
        if ours <= 0:
            raise error
        return replace(sell, amount=ours), [error]

    def _may_have_been_sold(self, sell: Sell, balances: Balances) -> bool:
        """Whether coins of it are gone while a sell of it is said to have ended without its fill."""
        if self._ours(sell, balances) >= sell.amount:
            return False
        canceled = load_canceled_orders(before=self.clock.now())
        return any(order.trade_id == sell.trade.id and order.side == Side.SELL for order in canceled)

    def _free_of_ours(self, sell: Sell, balances: Balances) -> Decimal:
        """What is free and not the owner's: their coins are not sold in the place of missing ones."""
        return min(self._free(sell, balances), self._ours(sell, balances))

    def _ours(self, sell: Sell, balances: Balances) -> Decimal:
        owned, asset = load_surplus(), sell.trade.asset
        ours = balances.total(asset) - (owned[asset].amount if asset in owned else Decimal(0))
        return self._in_lots(sell.trade, max(ours, Decimal(0)))

    def _free(self, sell: Sell, balances: Balances) -> Decimal:
        return self._in_lots(sell.trade, balances.spendable(sell.trade.asset))

    def _may_be_dust(self, refused: RefusedSell) -> bool:
        """Whether an order for the whole rest was refused as too small."""
        trade = refused.sell.trade
        whole = refused.sell.amount >= self._in_lots(trade, trade.amount)
        return whole and isinstance(refused.error, BelowMinimum)

    def _is_small(self, trade: TradeRow) -> bool:
        return trade.amount <= SMALL_REST * (trade.amount + trade.sold_amount)

    def _in_lots(self, trade: TradeRow, amount: Decimal) -> Decimal:
        return in_lots(trade, amount, market_of(self.exchange.load_markets(), trade.symbol).lot_decimals)


def in_lots(trade: TradeRow, amount: Decimal, lot_decimals: int) -> Decimal:
    """`amount` in whole lots: the market's or, where those would cut off much of what was bought, the entry's. One
    wrong figure makes no dust of a position."""
    entered = trade.entry_amount or trade.amount
    whole = floor_to(amount, lot_decimals)
    if amount - whole <= MAX_CUT * entered:
        return whole
    return floor_to(amount, max(lot_decimals, decimals_of(entered)))
