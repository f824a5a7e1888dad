"""What the owner moved into the account or out of it, and for how long botctl may doubt that it is so.

A balance that no order explains is believed when it has been shown for a quarter of an hour. Until then the drawdown
guard judges only where both figures say the same; in between it says that it does not know.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from tests.chaos.facts import orders_of_botctl
from tests.chaos.history import QUARTER
from tests.chaos.simple_model import MAX_DRAWDOWN, SimpleModel
from tests.chaos.world import World

CASH = "USD"
NEARLY = Decimal("0.01")
"""So near to the limit either answer is right."""


@dataclass
class OwnerFlows:
    """Of one account. A flow is a balance without what botctl's own orders changed in it."""

    world: World
    symbols: tuple[str, ...]
    _possible: dict[str, list[Decimal]] = field(default_factory=dict, init=False)
    """For each currency the flows that botctl may count on: the one it believed last, and all seen since."""
    _differs_since: dict[str, float] = field(default_factory=dict, init=False)
    """At which good look a currency was first seen to differ."""

    def __post_init__(self) -> None:
        self._possible = {currency: [flow] for currency, flow in self._flows().items()}

    def leave_the_guard_unsure(self, model: SimpleModel) -> bool:
        """Whether the drawdown trips with some of the possible figures and not with others."""
        lowest, highest = self._worth(model, min), self._worth(model, max)
        limit = model.rules.initial_balance
        return lowest <= limit * (1 - MAX_DRAWDOWN + NEARLY) and highest >= limit * (1 - MAX_DRAWDOWN - NEARLY)

    def _worth(self, model: SimpleModel, choose: Callable[[Iterable[Decimal]], Decimal]) -> Decimal:
        flows = self._flows()
        change = {
            currency: choose([flow - flows[currency] for flow in (*possible, flows[currency])])
            for currency, possible in self._possible.items()
        }
        coins = {symbol: model.counted(symbol) + change[symbol] for symbol in model.quotes}
        return model.cash + change[CASH] + sum(coins[symbol] * quote.last for symbol, quote in model.quotes.items())

    def note_look(self, at: float) -> None:
        """A run valued the account in peace at this moment."""
        for currency, flow in self._flows().items():
            possible = self._possible[currency]
            since = self._differs_since.get(currency)
            if since is not None and at - since >= QUARTER:
                self._possible[currency] = [flow]
                del self._differs_since[currency]
            elif flow not in possible:
                possible.append(flow)
                self._differs_since.setdefault(currency, at)

    def _flows(self) -> dict[str, Decimal]:
        markets, balances = self.world.kraken.markets, self.world.kraken.balances
        flows = {symbol: balances.get(markets[symbol].base.id, Decimal(0)) for symbol in self.symbols}
        flows[CASH] = balances["ZUSD"]
        for order in orders_of_botctl(self.world):
            sign = 1 if order.side == "buy" else -1
            flows[order.symbol] -= sign * order.vol_exec
            flows[CASH] += sign * order.cost + order.fee
        return flows
