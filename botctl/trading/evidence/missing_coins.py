"""Reviews balances that contradict our own orders: writes a trade off on positive evidence only. Sends no order."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from botctl.domain.account.holdings import (
    Missing,
    OutsideSales,
    find_missing,
    outside_sales,
    sold_between,
    sold_outside,
)
from botctl.domain.errors import BotError, CoinsMissing, NoAnswer
from botctl.domain.markets import Quotes
from botctl.domain.money import floor_to, format_decimal
from botctl.domain.orders import FillRecord
from botctl.domain.symbols import base_of, quote_of
from botctl.ports import Clock, Exchange
from botctl.store.evidence.canceled_orders import load_canceled_orders
from botctl.store.evidence.missing_coins import (
    MissingRecord,
    Surplus,
    first_seen,
    load_missing_cached,
    load_surplus,
    save_missing,
    save_surplus,
)
from botctl.store.evidence.unrecorded_orders import load_exit_block
from botctl.store.journal import Journal
from botctl.store.rows import TradeRow
from botctl.trading.snapshot import SECOND_SNAPSHOT_AFTER, Snapshot

log = logging.getLogger(__name__)

CLOCK_UNIT = timedelta(seconds=1)
"""Kraken tells its time in whole seconds: a look may have seen sales of up to so long after its own time."""
LOT_DECIMALS = 8
"""Of a market that is not listed any more."""


@dataclass(frozen=True)
class Review:
    """The outcome of a review."""

    written_off: frozenset[int] = frozenset()
    """The trades that were closed or reduced."""
    errors: list[BotError] = field(default_factory=list)


@dataclass(frozen=True)
class Evidence:
    """Why coins are gone, and how many of them it explains."""

    amount: Decimal
    why: str
    sales: OutsideSales | None = None


@dataclass
class MissingCoinsReview:
    """Compares balances with the journal, and looks for the reason where they contradict each other."""

    exchange: Exchange
    journal: Journal
    clock: Clock
    quote_currency: str
    _has_looked: bool = field(default=False, init=False)

    def review(
        self,
        snapshot: Snapshot,
        *,
        refused: Sequence[TradeRow] = (),
        assets: Collection[str] | None = None,
        explained: Collection[str] = (),
    ) -> Review:
        """Called after the sells of a run: of all assets, or of some. `refused` are the trades whose sell the exchange
        refused for insufficient funds, `explained` the assets that a resting stop had sold by the time of the look."""
        if snapshot.balances is None:
            return Review()
        reviewed = [each for each in snapshot.missing if assets is None or each.asset in assets]
        missing = {each.asset: each for each in reviewed if each.asset not in explained}
        records = self._record(missing, assets)
        if assets is None:
            self._record_surplus(snapshot)
        if not missing:
            return Review()
        lasting = {trade.asset for trade in refused if trade.asset in records and records[trade.asset].lasts()}
        evidence, errors = self._find_evidence(missing, records, lasting)
        left = self._confirm(missing, evidence)
        if assets is None:  # a command that sold what it was asked to has nothing to complain about
            errors += [_contradiction_that_ended(each) for asset, each in missing.items() if asset not in left]
        written_off: set[int] = set()
        for asset, found in evidence.items():
            trade = self.journal.active_trade(asset)
            if asset in left and trade is not None and trade.id not in self.journal.unsettled_trade_ids():
                errors.append(self._write_off(trade, min(found.amount, left.pop(asset).amount), found))
                written_off.add(trade.id)
        unresolved = {asset: each for asset, each in records.items() if asset not in missing or asset in left}
        if unresolved != records:
            save_missing(unresolved)
        gone = {base_of(symbol) for symbol in snapshot.unlisted}  # the error of their market says where the coins are
        errors += [missing_error(each) for asset, each in left.items() if asset not in gone]
        return Review(frozenset(written_off), errors)

    def _record(self, missing: Mapping[str, Missing], assets: Collection[str] | None) -> dict[str, MissingRecord]:
        """Since when each asset has been missing. Those that are there again are forgotten."""
        before, now = load_missing_cached(), self.clock.now()
        records = {asset: each for asset, each in before.items() if assets is not None and asset not in assets}
        for asset, each in missing.items():
            records[asset] = before[asset].seen_again(each, now) if asset in before else first_seen(each, now)
        if records != before:
            save_missing(records)
        return records

    def record_surplus_before_buy(self) -> None:
        """What the owner holds is not taken for what is bought now. Asks once a run, unless it has looked before."""
        if self._has_looked:
            return
        at, expected = self.clock.now(), self.journal.expected_holdings()
        try:
            balances = self.exchange.fetch_balances()
        except BotError as error:
            level = logging.INFO if isinstance(error, NoAnswer) else logging.WARNING  # the buy itself tells an outage
            log.log(level, "the amounts of your own coins are not known: %s", error)
            return
        missing = find_missing(expected, balances)
        self._record_surplus(Snapshot(Quotes({}, {}), balances, None, (), at, expected, missing))

    def _record_surplus(self, snapshot: Snapshot) -> None:
        """Keep what the owner holds beside our trades: an outside sale of that explains nothing."""
        if snapshot.balances is None:
            return
        self._has_looked = True
        before, contradicted = load_surplus(), {each.asset for each in snapshot.missing}
        doubted = [*self.journal.unsettled(), *load_canceled_orders(before=self.clock.now())]
        contradicted |= {base_of(order.symbol) for order in doubted}  # whose coins are these?
        block = load_exit_block()  # what is held beside a trade that may be sold is not known
        unreadable = self.journal.broken_assets()
        amounts = {
            asset: snapshot.balances.total(asset) - snapshot.expected.get(asset, Decimal(0))
            for asset in (snapshot.balances.currencies() | snapshot.expected.keys()) - {self.quote_currency}
        }
        changed = {
            asset: amount
            for asset, amount in amounts.items()
            if asset not in contradicted
            and not block.covers(asset)
            and asset not in unreadable
            and (asset not in before or before[asset].amount != amount or before[asset].explained)
        }
        gone = before.keys() - amounts.keys()
        if changed or gone:
            at = self.exchange.now() - (self.clock.now() - snapshot.at)
            kept = {asset: each for asset, each in before.items() if asset not in gone}
            seen = {
                asset: before[asset].followed_by(amount, at) if asset in before else Surplus(amount, at)
                for asset, amount in changed.items()
            }
            save_surplus(kept | seen)

    def _find_evidence(
        self, missing: Mapping[str, Missing], records: Mapping[str, MissingRecord], lasting: Collection[str]
    ) -> tuple[dict[str, Evidence], list[BotError]]:
        """Outside sales; else the exchange's own refusal, when the coins have been missing for long."""
        evidence = {
            asset: Evidence(
                records[asset].least,
                f"the exchange refused the sell for insufficient funds, and {records[asset].missing} since "
                f"{records[asset].since:%Y-%m-%d %H:%M} UTC",
            )
            for asset in lasting
        }
        try:
            sales = self._find_sales(missing)
        except BotError as error:
            return evidence, [error]
        return evidence | sales, []

    def _find_sales(self, missing: Mapping[str, Missing]) -> dict[str, Evidence]:
        surplus, since = load_surplus(), {}
        quotes: dict[str, str] = {}
        for asset in missing:
            trade = self.journal.active_trade(asset)
            if trade is None or trade.entry_time is None:
                continue
            seen = surplus.get(asset)
            since[asset] = max(trade.entry_time, seen.at) if seen else trade.entry_time
            quotes[asset] = quote_of(trade.symbol)
        if not since:
            return {}
        fills = self._foreign_fills(self.exchange.list_fills(min(since.values())))
        found: dict[str, Evidence] = {}
        for asset, start in since.items():
            sales = outside_sales(asset, quotes[asset], start, fills)
            own = self._own_coins(surplus[asset], asset, fills) if asset in surplus else Decimal(0)
            amount = Decimal(0) if sales is None else sold_outside(missing[asset].amount, own, sales)
            if sales is not None and amount > 0:
                why = f"{format_decimal(sales.sold)} {asset} were sold outside botctl (order {sales.order_id})"
                found[asset] = Evidence(amount, why, sales)
        return found

    def _own_coins(self, surplus: Surplus, asset: str, fills: Sequence[FillRecord]) -> Decimal:
        """How much of the sales since the look explains nothing that is missing now: the owner's own coins, what is
        written off already, and the sales of the look's own second that its balance had seen."""
        second = outside_sales(
            asset, "", surplus.at, [each for each in fills if each.fill.at < surplus.at + CLOCK_UNIT]
        )
        seen = Decimal(0)
        if second is not None and surplus.fallen > 0:
            seen = min(second.sold, surplus.fallen)
            if surplus.fallen_since is not None:
                earlier = self._foreign_fills(self.exchange.list_fills(surplus.fallen_since))
                sold = sold_between(asset, surplus.fallen_since + CLOCK_UNIT, surplus.at, earlier)
                seen = min(second.sold, max(Decimal(0), surplus.fallen - sold))
        return surplus.amount + surplus.explained + seen

    def _foreign_fills(self, fills: Sequence[FillRecord]) -> list[FillRecord]:
        own = self.journal.own_order_ids({each.fill.exchange_order_id for each in fills})
        return [each for each in fills if each.fill.exchange_order_id not in own]

    def _confirm(self, missing: Mapping[str, Missing], evidence: Mapping[str, Evidence]) -> dict[str, Missing]:
        """What is still missing after the sells of this run. With evidence the balance is fetched a second time."""
        expected = {asset: held for asset, held in self.journal.expected_holdings().items() if asset in missing}
        still = {asset: each for asset, each in missing.items() if asset in expected}
        if not evidence.keys() & still.keys():
            return still
        self.clock.sleep(SECOND_SNAPSHOT_AFTER)
        return {each.asset: each for each in find_missing(expected, self.exchange.fetch_balances())}

    def _write_off(self, trade: TradeRow, amount: Decimal, evidence: Evidence) -> BotError:
        """Close the trade, or take what is gone off it."""
        kept = floor_to(trade.amount - amount, self._lot_decimals(trade.symbol))
        name, gone = f"trade {trade.id} ({trade.symbol})", trade.amount - kept
        hint = "if you did not sell or move them, change your passwords and API keys at Kraken now"
        if kept > 0 or (trade.sold_amount > 0 and trade.exiting):
            why = f"{format_decimal(gone)} {trade.asset} are gone: {evidence.why}"
            self.journal.shrink(trade, gone, why, self.clock.now(), sold=evidence.sales is not None)
            return BotError(f"{name} shrinks to {format_decimal(kept)} {trade.asset}: {why}", hint=hint)
        sales = evidence.sales
        fraction = Decimal(1) if sales is None else min(Decimal(1), trade.amount / sales.sold)
        self.journal.close_external(trade, evidence.why, self.clock.now(), sales, fraction)
        return BotError(f"{name} closed as EXTERNAL: {evidence.why}", hint=hint)

    def _lot_decimals(self, symbol: str) -> int:
        market = self.exchange.load_markets().get(symbol)
        return LOT_DECIMALS if market is None else market.lot_decimals


def _contradiction_that_ended(missing: Missing) -> CoinsMissing:
    return CoinsMissing(str(missing), hint="they were there all the same: the balance was wrong or late")


def missing_error(missing: Missing) -> CoinsMissing:
    """The error of a contradiction that nothing has explained."""
    return CoinsMissing(
        str(missing), hint="its stop goes on; nothing is bought until the balance shows them or their sale is found"
    )
