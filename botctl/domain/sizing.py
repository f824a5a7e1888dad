"""What an entry may cost: one pure function on scalars for live trading, paper, demo and backtest.

`entry_budget` and what it calls use only their arguments, so that numba can compile them unchanged. Money is float64 in
one quote currency, fractions are of the equity or of a price, and 0.0 is a limit that is not set. A budget is the cost
at the ask, before slippage and fee.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from botctl.domain.money import format_decimal

GRAINS = 1e7
"""Budgets that go by the equity are whole numbers of grains, rounded down; the equity is at least so many of them. A
backtest's cash may miss the last lot of many trades, and it must buy the same lots as a replay and a tick."""
MIN_PART = 0.01
"""What cash and open trades leave of an entry is not bought below this fraction of it."""
LARGEST_SCALE = 1e22
"""The largest power of ten that a float holds exactly."""


def unit_loss(ask: float, distance: float, fee_rate: float, slippage: float, exit_slippage: float) -> float:
    """What one unit of the asset loses that is bought at the ask and sold at its stop, `distance` below the entry.

    Both fees are in it, and the slippage of both orders, fractions of their prices.
    """
    entry = ask * (1.0 + slippage)
    return entry * (1.0 + fee_rate) - (entry - distance) * (1.0 - exit_slippage) * (1.0 - fee_rate)


def risk_budget(
    risk: float,
    equity: float,
    ask: float,
    distance: float,
    fee_rate: float,
    slippage: float,
    exit_slippage: float,
) -> float:
    """The budget that loses the fraction `risk` of the equity at its stop. `distance` must be above zero."""
    return ask * (risk * equity / unit_loss(ask, distance, fee_rate, slippage, exit_slippage))


def room_below(limit: float, taken: float, slippage: float) -> float:
    """The budget whose cost, slippage included, reaches `limit` together with what is `taken` of it."""
    return max(0.0, limit - taken) / (1.0 + slippage)


def cash_budget(cash: float, fee_rate: float, slippage: float) -> float:
    """The budget that takes all of the cash, with its slippage and fee."""
    return max(0.0, cash) / ((1.0 + slippage) * (1.0 + fee_rate))


def round_down(budget: float, equity: float) -> float:
    """`budget` in whole grains, powers of ten; one just below by rounding error is not cut. Zero if negative."""
    if not budget > 0.0 or not equity > 0.0:
        return 0.0
    scale = 1.0
    while equity * scale < GRAINS and scale < LARGEST_SCALE:
        scale *= 10.0
    return float(int(budget * scale + 1e-6)) / scale


def entry_budget(
    amount: float,
    risk: float,
    equity: float,
    exposure: float,
    cash: float,
    ask: float,
    distance: float,
    fee_rate: float,
    slippage: float,
    exit_slippage: float,
    max_amount: float,
    max_exposure: float,
    share: float,
) -> float:
    """What to spend at the ask: `amount`, or by `risk` where that is set, as far as the limits and the cash allow.

    `exposure` is what open trades are worth, with the cost of entries that are under way; `share` the largest fraction
    of the equity for this asset. The cash limits a size by risk alone: where the owner names an amount, it is bought or
    refused. Zero when open trades and cash leave less than MIN_PART of it.
    Invariants: at the stop no more is lost than `risk` of the equity, and no cost is above a limit (to rounding).
    """
    budget = amount
    if risk > 0.0:
        budget = round_down(risk_budget(risk, equity, ask, distance, fee_rate, slippage, exit_slippage), equity)
    if max_amount > 0.0:
        budget = min(budget, room_below(max_amount, 0.0, slippage))
    if share > 0.0:
        budget = min(budget, round_down(room_below(share * equity, 0.0, slippage), equity))
    if max_exposure > 0.0:
        budget = min(budget, round_down(room_below(max_exposure * equity, 0.0, slippage), equity))
    left = budget
    if max_exposure > 0.0:
        left = min(left, round_down(room_below(max_exposure * equity, exposure, slippage), equity))
    if risk > 0.0:
        left = min(left, round_down(cash_budget(cash, fee_rate, slippage), equity))
    return left if left >= MIN_PART * budget else 0.0


def compounded(amount: float, growth: float, equity: float) -> float:
    """The amount that grows and shrinks with the account; `growth` is 1.0 at the start."""
    return round_down(amount * growth, equity)


class Sizing(StrEnum):
    """What an entry of the Council costs: TRADE_AMOUNT_USD, or what loses RISK_PER_TRADE at its stop."""

    FIXED = "fixed"
    RISK = "risk"


@dataclass(frozen=True)
class Allocation:
    """The largest fraction of the equity for each named asset. An asset without a name has no limit of its own."""

    shares: tuple[tuple[str, Decimal], ...] = ()

    def share(self, asset: str) -> float:
        """0.0 where there is none."""
        return next((float(share) for name, share in self.shares if name == asset), 0.0)

    def __str__(self) -> str:
        return ",".join(f"{asset}:{format_decimal(share)}" for asset, share in self.shares)


@dataclass(frozen=True)
class Limit:
    """One limit of an entry: the budget that it leaves, and its figures as a text."""

    name: str
    budget: float
    figures: str


@dataclass(frozen=True)
class AccountFigures:
    """What an entry is sized by, in its quote currency."""

    equity: float
    exposure: float
    """What open trades are worth, with the cost of entries that are under way."""
    cash: float
    """What is free, without what entries under way take."""
    growth: float
    """The equity by its base: 1.0 at the start, whatever was paid in or out since then."""


@dataclass(frozen=True)
class SizeRule:
    """The rule with its settings. Money is in quote currency, 0.0 is a limit that is not set."""

    amount: float
    risk: float = 0.0
    """0.0 where entries cost `amount`."""
    compound: bool = False
    max_amount: float = 0.0
    max_exposure: float = 0.0
    allocation: Allocation = Allocation()
    slippage: float = 0.0
    exit_slippage: float = 0.0

    @property
    def goes_by_equity(self) -> bool:
        """Whether a limit of an entry, or its size, depends on what the account is worth."""
        return bool(self.risk or self.compound or self.max_exposure or self.allocation.shares)

    @property
    def is_plain(self) -> bool:
        """Whether every entry costs `amount`."""
        return not (self.goes_by_equity or self.max_amount)

    def budget(self, asset: str, ask: float, distance: float, fee_rate: float, account: AccountFigures) -> float:
        """What to spend at the ask; see `entry_budget`."""
        return entry_budget(
            compounded(self.amount, account.growth, account.equity) if self.compound else self.amount,
            self.risk, account.equity, account.exposure, account.cash, ask, distance, fee_rate,
            self.slippage, self.exit_slippage, self.max_amount, self.max_exposure, self.allocation.share(asset),
        )  # fmt: skip

    def limits(self, asset: str, ask: float, distance: float, fee_rate: float, account: AccountFigures) -> list[Limit]:
        """Everything that limits an entry, the one that leaves least first."""
        wanted = self._by_risk(ask, distance, fee_rate, account) if self.risk else [self._by_amount(account)]
        return sorted([*wanted, *self.account_limits(asset, account)], key=lambda limit: limit.budget)

    def _by_amount(self, account: AccountFigures) -> Limit:
        if not self.compound:
            return Limit("TRADE_AMOUNT_USD", self.amount, "the setting")
        figures = f"{_shown(self.amount)}, and the account is worth {account.growth:.6g} times its base"
        return Limit("TRADE_AMOUNT_USD", compounded(self.amount, account.growth, account.equity), figures)

    def _by_risk(self, ask: float, distance: float, fee_rate: float, account: AccountFigures) -> list[Limit]:
        costs = fee_rate, self.slippage, self.exit_slippage
        lost = unit_loss(ask, distance, *costs) / ask
        budget = risk_budget(self.risk, account.equity, ask, distance, *costs)
        figures = (
            f"{100 * self.risk:.4g} % of the equity of {_shown(account.equity)}, {100 * lost:.4g} % lost at the stop"
        )
        cash = f"{_shown(account.cash)}, with a fee of {100 * fee_rate:.3g} %"
        return [
            Limit("RISK_PER_TRADE", budget, figures),
            Limit("the free cash", cash_budget(account.cash, fee_rate, self.slippage), cash),
        ]

    def account_limits(self, asset: str, account: AccountFigures) -> list[Limit]:
        """The limits that are set, whatever size is wanted."""
        found, share, equity = list[Limit](), self.allocation.share(asset), f"the equity of {_shown(account.equity)}"
        if self.max_amount:
            room = room_below(self.max_amount, 0.0, self.slippage)
            found.append(Limit("MAX_TRADE_AMOUNT", room, f"{_shown(self.max_amount)} with its slippage"))
        if share:
            room = room_below(share * account.equity, 0.0, self.slippage)
            found.append(Limit("ALLOCATION", room, f"{100 * share:.4g} % of {equity} for {asset}"))
        if self.max_exposure:
            limit, taken = self.max_exposure * account.equity, account.exposure
            figures = f"{100 * self.max_exposure:.4g} % of {equity}, of which {_shown(taken)} is in open trades"
            found.append(Limit("MAX_EXPOSURE", room_below(limit, taken, self.slippage), figures))
        return found


def _shown(figure: float) -> str:
    return f"{figure:,.8g}"
