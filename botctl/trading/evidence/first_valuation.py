"""Tells a mistyped INITIAL_BALANCE from a loss, before the drawdown guard sells anything because of it.

A look that found the drawdown within its limit vouches for the setting that it was measured from. Until then a drawdown
counts only if our own orders, or a fall of the prices since then, explain it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from botctl.domain.account.equity import calculate_drawdown, value_of
from botctl.domain.errors import ConfigError
from botctl.domain.money import cents, format_decimal
from botctl.store.evidence.initial_balance import (
    load_entries,
    load_order_flows,
    load_proved_balance,
    save_proved_balance,
    was_ever_measured,
)
from botctl.store.evidence.performance import load_performance
from botctl.trading.snapshot import Snapshot


@dataclass(frozen=True)
class InitialBalance:
    """INITIAL_BALANCE, and whether the account has ever agreed with it."""

    value: Decimal
    max_drawdown: Decimal
    quote_currency: str

    def refusal(self, snapshot: Snapshot, equity: Decimal) -> ConfigError | None:
        """Why a drawdown beyond the limit, at this equity, is no loss but a wrong setting; None when it is a loss."""
        if self.is_proved():
            return None
        if self._was_too_deep(equity):
            return None
        ours = self._result_of_orders(snapshot)
        before = [equity + self._fall_of_coins(snapshot, equity), *([] if ours is None else [equity - ours])]
        if ours is None or not self._too_deep(max(before), self.value):
            return None
        return wrong_initial_balance(self.value, equity, self.quote_currency)

    def is_proved(self) -> bool:
        proved = load_proved_balance()
        return proved == self.value or (proved is None and was_ever_measured())

    def _was_too_deep(self, equity: Decimal) -> bool:
        """Whether it is a loss by the setting of before as well, with the flows since then."""
        proved, saved = load_proved_balance(), load_performance()
        if saved is not None and saved.initial_balance == proved:
            return saved.performance.drawdown_at(equity) > self.max_drawdown
        return proved is not None and self._too_deep(equity, proved)

    def prove(self, equity: Decimal) -> None:
        """Remember that a drawdown within the limit was measured from this setting."""
        if not self._too_deep(equity, self.value) and load_proved_balance() != self.value:
            save_proved_balance(self.value)

    def _too_deep(self, equity: Decimal, base: Decimal) -> bool:
        return calculate_drawdown(equity, base) > self.max_drawdown

    def _result_of_orders(self, snapshot: Snapshot) -> Decimal | None:
        """What our orders have gained or lost so far, fees included; None when it can't be valued."""
        amounts: dict[str, Decimal] = dict(load_order_flows())
        for asset, held in snapshot.expected.items():
            amounts[asset] = amounts.get(asset, Decimal(0)) + held
        return _value_in(self.quote_currency, amounts, snapshot.prices)

    def _fall_of_coins(self, snapshot: Snapshot, equity: Decimal) -> Decimal:
        """What all coins have lost if they fell as the worst of those that our orders bought: a crash is no mistake."""
        cash = Decimal(0) if snapshot.balances is None else snapshot.balances.total(self.quote_currency)
        entries = [(snapshot.prices[symbol], price) for symbol, price in load_entries() if symbol in snapshot.prices]
        rise = max((entry / now for now, entry in entries), default=Decimal(1))
        return max(Decimal(0), equity - cash) * (max(rise, Decimal(1)) - 1)


def wrong_initial_balance(initial: Decimal, equity: Decimal, quote: str) -> ConfigError:
    """The account is worth less than the limit allows, and botctl has not lost that."""
    message = (
        f"INITIAL_BALANCE is {format_decimal(initial)}, but the account is worth {cents(equity)} {quote}, and botctl "
        "has not lost the difference: stops are guarded, nothing is liquidated or bought"
    )
    return ConfigError(message, hint="set INITIAL_BALANCE to what the account is worth")


def _value_in(quote: str, amounts: Mapping[str, Decimal], prices: Mapping[str, Decimal]) -> Decimal | None:
    values = [value_of(currency, amount, quote, prices) for currency, amount in amounts.items()]
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None
