"""The way out of a trade: how much can be sold, and what becomes of a rest that can't."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from botctl.domain.errors import BadValue, BotError, ExchangeRefused, ExchangeUnreachable
from botctl.domain.markets import Balances, Market, below_minimum, market_of
from botctl.domain.money import floor_to, format_decimal
from botctl.domain.orders import ExitReason
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.rows import TradeRow
from botctl.trading.results import OrderResult
from botctl.trading.snapshot import SECOND_SNAPSHOT_AFTER, Snapshot

MISSING_BALANCE_TOLERANCE = Decimal("0.001")
"""A balance short by more than this fraction of the trade was touched by somebody else, and is said."""


@dataclass(frozen=True)
class WantedExit:
    """A trade that is to be sold, and why; `amount` is the part of it, or None for all of it."""

    trade: TradeRow
    reason: ExitReason
    amount: Decimal | None = None

    def amount_to_sell(self) -> Decimal:
        """What is asked for, in the asset. Raises BadValue for more than the trade holds."""
        if self.amount is None:
            return self.trade.amount
        if self.amount > self.trade.amount:
            raise BadValue(
                f"{format_decimal(self.amount)} {self.trade.asset} is more than the {format_decimal(self.trade.amount)} that trade "
                f"{self.trade.id} holds",
                hint="botctl sells only what it bought",
            )
        return self.amount


@dataclass(frozen=True)
class Sell:
    """An exit as it can be sent: how much of which trade, and why."""

    trade: TradeRow
    amount: Decimal
    reason: ExitReason
    whole: bool
    """Whether it is for all that is left of the trade."""


@dataclass(frozen=True)
class Plan:
    """What a round of exits can send, and what was found out on the way."""

    sells: list[Sell]
    notes: list[str]
    """Trades that were closed without an order, or are no longer whole."""
    errors: list[BotError]


@dataclass(frozen=True)
class Exits:
    """What a round of exits came to."""

    results: list[OrderResult] = field(default_factory=list)
    errors: list[BotError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __add__(self, later: "Exits") -> "Exits":
        return Exits(self.results + later.results, self.errors + later.errors, self.notes + later.notes)


class ExitPlanner:
    """Bounds every sell by what the trade holds and what is really there. Sends nothing."""

    def __init__(self, exchange: Exchange, journal: Journal, clock: Clock) -> None:
        self.exchange = exchange
        self.journal = journal
        self.clock = clock
        self._again: Balances | None = None

    def plan(self, wanted: Iterable[WantedExit], snapshot: Snapshot) -> Plan:
        """How much of each trade can be sold. What is too small to sell, or sold by somebody else, is closed here."""
        self._again = None
        sells: list[Sell] = []
        notes: list[str] = []
        errors: list[BotError] = []
        for each in wanted:
            try:
                sell, note = self._plan(each, snapshot)
            except BotError as error:
                errors.append(error)
                continue
            sells += [] if sell is None else [sell]
            notes += [] if note is None else [note]
        return Plan(sells, notes, errors)

    def close_dust(self, trade: TradeRow, reason: ExitReason) -> str | None:
        """Close what an earlier sell left if it is below the order minimum, and say so: nobody could sell it any more.
        None when it goes on."""
        market = self._market(trade)
        if trade.sold_amount == 0 or trade.amount >= market.min_amount:
            return None
        return self._close_as_dust(trade, reason, market)

    def close_dust_after(self, sells: Sequence[Sell], snapshot: Snapshot) -> list[str]:
        """Rests too small to sell close as dust: by the asset's minimum, or when the exchange said so as well."""
        notes: list[str] = []
        unsettled = self.journal.unsettled_trade_ids()
        for sell in sells:
            trade = self.journal.open_trade(sell.trade.id)
            if trade is None or trade.id in unsettled:
                continue
            note = self.close_dust(trade, sell.reason)
            market, quote = self._market(trade), snapshot.quotes.good.get(trade.symbol)
            too_small = quote is not None and below_minimum(trade.amount, quote.last, market)
            if note is None and too_small and self.journal.refused_below_minimum(trade):
                note = self._close_as_dust(trade, sell.reason, market)
            notes += [] if note is None else [note]
        return notes

    def _plan(self, wanted: WantedExit, snapshot: Snapshot) -> tuple[Sell | None, str | None]:
        """What to send, in whole lots, and what to say; nothing to send when the trade was closed instead.

        Only the minimum in the asset decides here. Whether it is worth enough is the exchange's own word at the
        order: a wrong price must not write a position off.
        """
        trade, market = wanted.trade, self._market(wanted.trade)
        amount, note = wanted.amount_to_sell(), None
        if trade.amount < market.min_amount:
            return None, self._close_as_dust(trade, wanted.reason, market)
        if snapshot.balances is not None:
            note = self._bound_by_balance(trade, market, snapshot.balances)
            if trade.closed_at is not None:
                return None, note
            amount = min(amount, trade.amount, snapshot.balances.spendable(trade.asset))
        amount = floor_to(amount, market.lot_decimals)
        if amount < market.min_amount:
            raise ExchangeRefused(
                f"{format_decimal(amount)} {trade.asset} can't be sold: the order minimum is {format_decimal(market.min_amount)}",
                hint="sell more, or all of it",
            )
        return Sell(trade, amount, wanted.reason, whole=wanted.amount is None or amount >= trade.amount), note

    def _bound_by_balance(self, trade: TradeRow, market: Market, balances: Balances) -> str | None:
        """Bring the trade down to what is there, or close it as EXTERNAL, when a second look says so too. Returns what
        to say of it."""
        there, free = balances.total(trade.asset), balances.spendable(trade.asset)
        if there < min(trade.amount, market.min_amount):
            again = self._fetch_balances_again().total(trade.asset)
            if again >= market.min_amount:
                raise ExchangeUnreachable(f"two looks at the {trade.asset} balance disagree: {there}, then {again}")
            why = f"{format_decimal(there)} {trade.asset} is left on the exchange: sold or moved by somebody else"
            self.journal.close_without_order(trade, ExitReason.EXTERNAL, why, self.clock.now())
            return f"trade {trade.id} ({trade.symbol}) closed as EXTERNAL: {why}"
        if free < market.min_amount:
            raise BotError(
                f"the {format_decimal(there)} {trade.asset} of trade {trade.id} is on hold or earning, and can't be sold",
                hint="cancel your own orders for it, or move it back to the spot balance",
            )
        if trade.amount - there <= MISSING_BALANCE_TOLERANCE * trade.amount:
            return None
        again = self._fetch_balances_again().total(trade.asset)
        if again != there:
            raise ExchangeUnreachable(f"two looks at the {trade.asset} balance disagree: {there}, then {again}")
        why = f"{format_decimal(there)} {trade.asset} is there, the trade says {format_decimal(trade.amount)}"
        self.journal.reduce_amount(trade, floor_to(there, market.lot_decimals), why, self.clock.now())
        return f"trade {trade.id} ({trade.symbol}): {why}; selling what is there"

    def _fetch_balances_again(self) -> Balances:
        """The balances some seconds later, asked once for all: a fresh buy may not show in the first ones."""
        if self._again is None:
            self.clock.sleep(SECOND_SNAPSHOT_AFTER)
            self._again = self.exchange.fetch_balances()
        return self._again

    def _close_as_dust(self, trade: TradeRow, reason: ExitReason, market: Market) -> str:
        why = (
            f"{format_decimal(trade.amount)} {trade.asset} is below the order minimum of {market.symbol}: left as dust"
        )
        self.journal.close_without_order(trade, reason, why, self.clock.now())
        return f"trade {trade.id} ({trade.symbol}) closed, {why}"

    def _market(self, trade: TradeRow) -> Market:
        return market_of(self.exchange.load_markets(), trade.symbol)
