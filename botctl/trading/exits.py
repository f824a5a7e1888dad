"""Plans exits: how much of each trade can be sold, and which trades are closed because nothing can."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from botctl.domain.errors import BadValue, BotError, ExchangeRefused, ExchangeUnreachable, attempt_each
from botctl.domain.markets import Balances, Market, below_minimum, market_of
from botctl.domain.money import floor_to, format_decimal
from botctl.domain.orders import ExitReason
from botctl.ports import Clock, Exchange
from botctl.store.journal import Journal
from botctl.store.rows import TradeRow
from botctl.trading.results import OrderResult
from botctl.trading.snapshot import SECOND_SNAPSHOT_AFTER, Snapshot

MISSING_BALANCE_TOLERANCE = Decimal("0.001")
"""A balance that lacks more than this fraction of the trade's amount was changed outside botctl, and is reported."""


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
class Plan:
    sells: list[Sell]
    notes: list[str]
    """Trades that were closed without an order, or reduced to the balance."""
    errors: list[BotError]


@dataclass(frozen=True)
class Exits:
    results: list[OrderResult] = field(default_factory=list)
    errors: list[BotError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __add__(self, later: "Exits") -> "Exits":
        return Exits(self.results + later.results, self.errors + later.errors, self.notes + later.notes)


@dataclass
class ExitPlanner:
    """Limits every sell to what the trade and the account hold. Sends nothing."""

    exchange: Exchange
    journal: Journal
    clock: Clock
    _second_balances: Balances | None = field(default=None, init=False)

    def plan(self, wanted: Iterable[WantedExit], snapshot: Snapshot) -> Plan:
        """How much of each trade to sell. Trades that are too small to sell, or sold outside botctl, are closed."""
        self._second_balances = None
        planned, errors = attempt_each(lambda each: self._plan(each, snapshot), wanted)
        sells = [sell for sell, _ in planned if sell is not None]
        return Plan(sells, [note for _, note in planned if note is not None], errors)

    def close_dust(self, trade: TradeRow, reason: ExitReason) -> str | None:
        """Close what an earlier sell left if it is below the order minimum. Returns a note, None if it stays open."""
        market = self._market(trade)
        if trade.sold_amount == 0 or trade.amount >= market.min_amount:
            return None
        return self._close_as_dust(trade, reason, market)

    def close_dust_after(self, sells: Sequence[Sell], snapshot: Snapshot) -> list[str]:
        """Close what these sells left if it is below the asset's minimum, or also refused by the exchange as such."""
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
        """The order in whole lots, None if the trade was closed instead, and a note.

        Only the minimum amount is checked here. The minimum value is left to the exchange: a wrong price must not
        write a position off.
        """
        trade, market = wanted.trade, self._market(wanted.trade)
        amount, note = wanted.amount_to_sell(), None
        if trade.amount < market.min_amount:
            return None, self._close_as_dust(trade, wanted.reason, market)
        if snapshot.balances is not None:
            note = self._limit_to_balance(trade, market, snapshot.balances)
            if trade.closed_at is not None:
                return None, note
            amount = min(amount, trade.amount, snapshot.balances.spendable(trade.asset))
        amount = floor_to(amount, market.lot_decimals)
        if amount < market.min_amount:
            minimum = format_decimal(market.min_amount)
            problem = f"{format_decimal(amount)} {trade.asset} can't be sold: the order minimum is {minimum}"
            raise ExchangeRefused(problem, hint="sell more, or all of it")
        return Sell(trade, amount, wanted.reason, whole=wanted.amount is None or amount >= trade.amount), note

    def _limit_to_balance(self, trade: TradeRow, market: Market, balances: Balances) -> str | None:
        """Reduce the trade to the balance, or close it as EXTERNAL, once a second check confirms it. Returns a note."""
        balance, asset = balances.total(trade.asset), trade.asset
        if balance < min(trade.amount, market.min_amount):
            second = self._fetch_second_balance(asset)
            if second >= market.min_amount:
                raise _balances_disagree(asset, balance, second)
            why = f"{format_decimal(balance)} {asset} is left on the exchange: sold or moved outside botctl"
            self.journal.close_without_order(trade, ExitReason.EXTERNAL, why, self.clock.now())
            return f"trade {trade.id} ({trade.symbol}) closed as EXTERNAL: {why}"
        if balances.spendable(asset) < market.min_amount:
            held = f"the {format_decimal(balance)} {asset} of trade {trade.id}"
            hint = "cancel your own orders for it, or move it back to the spot balance"
            raise BotError(f"{held} is on hold or earning, and can't be sold", hint=hint)
        if trade.amount - balance <= MISSING_BALANCE_TOLERANCE * trade.amount:
            return None
        second = self._fetch_second_balance(asset)
        if second != balance:
            raise _balances_disagree(asset, balance, second)
        why = f"the balance is {format_decimal(balance)} {asset}, less than the trade's {format_decimal(trade.amount)}"
        self.journal.reduce_amount(trade, floor_to(balance, market.lot_decimals), why, self.clock.now())
        return f"trade {trade.id} ({trade.symbol}): {why}; selling the balance"

    def _fetch_second_balance(self, asset: str) -> Decimal:
        """The balance some seconds later, fetched once a round: the first answer may not include a fresh buy."""
        if self._second_balances is None:
            self.clock.sleep(SECOND_SNAPSHOT_AFTER)
            self._second_balances = self.exchange.fetch_balances()
        return self._second_balances.total(asset)

    def _close_as_dust(self, trade: TradeRow, reason: ExitReason, market: Market) -> str:
        rest = f"{format_decimal(trade.amount)} {trade.asset}"
        why = f"{rest} is below the order minimum of {market.symbol}: left as dust"
        self.journal.close_without_order(trade, reason, why, self.clock.now())
        return f"trade {trade.id} ({trade.symbol}) closed, {why}"

    def _market(self, trade: TradeRow) -> Market:
        return market_of(self.exchange.load_markets(), trade.symbol)


def _balances_disagree(asset: str, first: Decimal, second: Decimal) -> ExchangeUnreachable:
    return ExchangeUnreachable(f"two checks of the {asset} balance disagree: {first}, then {second}")
