"""Sizes the entries of a run: by the account's worth at its look, with what was bought and sold since then."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property

from botctl.domain.account.equity import value_of
from botctl.domain.costs import cost_and_fee, fill_price
from botctl.domain.errors import BotError, ExchangeRefused, Refused
from botctl.domain.markets import Market
from botctl.domain.money import format_decimal, total
from botctl.domain.orders import Side
from botctl.domain.sizing import AccountFigures, Allocation, Limit, SizeRule
from botctl.domain.symbols import base_of, quote_of
from botctl.store.evidence.known_account import load_fills_since
from botctl.store.journal import Journal
from botctl.store.rows import TradeRow
from botctl.trading.account_fees import AccountFees
from botctl.trading.drawdown_guard import DrawdownGuard, GuardReport

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EntrySizing:
    """The size rule with what it needs to know of the account."""

    rule: SizeRule
    amount: Decimal
    """TRADE_AMOUNT_USD, exact."""
    slippage: Decimal
    guard: DrawdownGuard
    journal: Journal
    fees: AccountFees

    def for_run(self, report: GuardReport | None, risk: Decimal | None = None) -> "RunSizer":
        """The sizer of a run whose look is `report`; None where the rule does not go by it. With `risk` every entry
        loses that fraction of the equity at its stop, whatever the settings."""
        rule = self.rule if risk is None else replace(self.rule, risk=float(risk), compound=False)
        return RunSizer(replace(self, rule=rule), report)

    def remarks_on(self, symbol: str, cost: Decimal) -> list[str]:
        """The limits that a buy by hand is above: the owner's word counts, and is not cut.

        Takes a look at the account where a limit goes by its worth.
        """
        named = self.rule.allocation if self.rule.allocation.share(base_of(symbol)) else Allocation()
        rule = replace(self.rule, amount=float(cost), risk=0.0, compound=False, allocation=named, slippage=0.0)
        sizer = RunSizer(replace(self, rule=rule), None)
        try:
            if rule.goes_by_equity:
                sizer.report = self.guard.check_drawdown(act=False)
            limits = rule.account_limits(base_of(symbol), sizer.figures(quote_of(symbol)))
        except BotError as error:
            return [f"{symbol}: whether {format_decimal(cost)} is above a limit is not known: {error.message}"]
        above = [limit for limit in limits if float(cost) > limit.budget]
        return [f"{symbol}: {format_decimal(cost)} is above {_say(limit)}; your own word counts" for limit in above]


@dataclass
class RunSizer:
    """Sizes the entries of one run. All go by the equity of one look, and count what earlier ones take."""

    sizing: EntrySizing
    report: GuardReport | None
    _limits: list[Limit] = field(default_factory=list, init=False)
    """Of the entry that was sized last, the one that leaves least first."""
    _taken: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict, init=False)
    """By symbol the cost and the fee of entries that are under way."""

    def budget(self, market: Market, ask: Decimal, distance: float) -> Decimal:
        """What to spend at the ask, in the market's quote currency, with a stop `distance` below the entry.

        Raises Refused where too little is left, or the account's worth is not known.
        """
        rule = self.sizing.rule
        if rule.is_plain:
            return self.sizing.amount
        account, fee_rate = self.figures(market.quote), float(self.sizing.fees.taker(market.symbol))
        self._limits = rule.limits(market.base, float(ask), distance, fee_rate, account)
        spent = rule.budget(market.base, float(ask), distance, fee_rate, account)
        log.info("%s: %.8g %s to spend: %s", market.symbol, spent, market.quote, "; ".join(map(_say, self._limits)))
        if spent <= 0:
            raise self._refused(market.symbol, "too little is left for an entry")
        return self.sizing.amount if spent == rule.amount else Decimal(repr(spent))

    def too_little(self, market: Market, budget: Decimal, why: str) -> BotError:
        """The error for a `budget` that buys less than the market's minimum."""
        problem = f"{format_decimal(budget)} {market.quote} buys too little{why}"
        if budget == self.sizing.amount and not self.sizing.rule.risk:
            return ExchangeRefused(problem, hint="raise the amount")
        return self._refused(market.symbol, problem)

    def commit(self, symbol: str, amount: Decimal, ask: Decimal) -> None:
        """Count an entry of `amount` that was sent: what it costs is neither free nor open to others."""
        price = fill_price(Side.BUY, ask, self.sizing.slippage)
        self._taken[symbol] = cost_and_fee(amount, price, self.sizing.fees.taker(symbol))

    def figures(self, quote: str) -> AccountFigures:
        """The account in `quote`. Raises Refused where what the rule goes by is not known."""
        rule, report = self.sizing.rule, self.report
        if not rule.goes_by_equity:
            return AccountFigures(0.0, 0.0, 0.0, 1.0)
        equity = None if report is None else self.sizing.guard.certain_equity(report)
        if report is None or equity is None or report.performance is None:
            raise Refused("the account's worth is not known", hint="nothing was bought")
        rate = self._value(quote, Decimal(1))
        taken = total(self._value(quote_of(symbol), cost) for symbol, (cost, _) in self._taken.items())
        exposure = taken + total(map(self._worth_of, self._others())) if rule.max_exposure else Decimal(0)
        return AccountFigures(
            equity=float(equity / rate),
            exposure=float(exposure / rate),
            cash=float(self.free(quote)) if rule.risk else 0.0,
            growth=float(report.performance.unit_at(equity)),
        )

    def _others(self) -> list[TradeRow]:
        """The open trades without this run's entries. One whose buy has no answer may have been bought, and counts."""
        return [trade for trade in self.sizing.journal.active_trades() if trade.symbol not in self._taken]

    @cached_property
    def _fills(self) -> dict[str, Decimal]:
        """By currency what fills have changed since the look, this run's exits above all."""
        return {} if self.report is None else dict(load_fills_since(self.report.last_event))

    @property
    def _prices(self) -> Mapping[str, Decimal]:
        """Those that are believed, where the look doubts one."""
        return {} if self.report is None else {**self.report.snapshot.prices, **self.report.valuation.prices}

    def free(self, quote: str) -> Decimal:
        """What can be spent now. Raises Refused."""
        if self.report is None or (balances := self.report.snapshot.balances) is None:
            raise Refused("the free cash is not known", hint="nothing was bought")
        taken = total(cost + fee for symbol, (cost, fee) in self._taken.items() if quote_of(symbol) == quote)
        return balances.spendable(quote) + self._fills.get(quote, Decimal(0)) - taken

    def _worth_of(self, trade: TradeRow) -> Decimal:
        """What an open trade is worth now; where it has no price, at the highest it has had. Raises Refused."""
        try:
            return self._value(trade.asset, trade.amount)
        except Refused:
            if trade.high_price is None:
                raise
        return self._value(quote_of(trade.symbol), trade.amount * Decimal(repr(trade.high_price)))

    def _value(self, currency: str, amount: Decimal) -> Decimal:
        """An amount in the currency that equity is counted in. Raises Refused."""
        counted = self.sizing.guard.snapshots.quote_currency
        value = value_of(currency, amount, counted, self._prices)
        if value is None:
            raise Refused(f"{currency} has no price in {counted} now", hint="nothing was bought")
        return value

    def _refused(self, symbol: str, problem: str) -> Refused:
        return Refused(f"{symbol}: {problem}: {'; '.join(map(_say, self._limits))}", hint="nothing was bought")


def _say(limit: Limit) -> str:
    return f"{limit.name} allows {limit.budget:,.8g} ({limit.figures})"
