"""The account's own fees: asked once a day, and anew when a fill was charged another one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from botctl.domain.errors import BotError, NoAnswer
from botctl.domain.fees import FeeRates, PairFees, differs_from
from botctl.domain.money import price_of
from botctl.domain.stops import StopRule
from botctl.domain.text import format_percent
from botctl.ports import Exchange
from botctl.store.evidence.fee_rates import LONG_AGO, AskedFees, load_asked_fees, save_asked_fees
from botctl.store.journal import Journal
from botctl.store.rows import TradeRow

log = logging.getLogger(__name__)


@dataclass
class AccountFees:
    """What the exchange takes of each trade. Nothing here stops a run: without an answer the last one counts, and
    before the first one `default`."""

    exchange: Exchange
    journal: Journal
    symbols: Sequence[str]
    """What the Council trades. The symbols of open trades are asked for with them."""
    default: Decimal
    own: bool
    """Whether the account has its own fees: paper money has not."""
    _asked: AskedFees | None = field(default=None, init=False)

    def taker(self, symbol: str) -> Decimal:
        """The rate of a market order, as a fraction of its cost. No request."""
        return self.rates().taker(symbol)

    def rates(self) -> FeeRates:
        return FeeRates(self.default, self._load().known if self.own else {})

    def refresh(self, *symbols: str) -> None:
        """Ask, at most once a day (whether that succeeds or not) unless a symbol is new. Needs the process lock."""
        if not self.own or not self._load().is_due(self._wanted(symbols), datetime.now(UTC)):
            return
        try:
            self.ask(*symbols)
        except NoAnswer as error:  # the run's next request meets the same outage, and says it
            log.info("the account's fees can't be fetched: %s", error)
        except BotError as error:
            known = self._load().known
            used = "the last ones are used" if known else f"{format_percent(self.default)} (FEE_RATE) is used"
            log.warning("the account's fees can't be fetched, %s: %s", used, error)

    def ask(self, *symbols: str) -> dict[str, PairFees]:
        """The fees, asked for now. Raises BotError."""
        wanted = self._wanted(symbols)
        before = self._load()
        # First: a request that fails, or ends the run, counts for the day too.
        self._save(replace(before, asked=before.asked.union(wanted), at=datetime.now(UTC)))
        answer = self.exchange.fetch_fees(wanted)
        self._save(replace(self._load(), known={**before.known, **answer}))
        return answer

    def note_fill(self, symbol: str, cost: Decimal, fee: Decimal) -> None:
        """A fill that was charged another fee than the known one makes the next run ask anew."""
        if not self.own or not differs_from(rate := self.taker(symbol), cost, fee):
            return
        charged = format_percent(fee / cost)
        log.info("%s: a fill was charged %s, not %s: they are fetched again", symbol, charged, format_percent(rate))
        self._save(replace(self._load(), at=LONG_AGO))

    def _wanted(self, symbols: Sequence[str]) -> list[str]:
        return list(dict.fromkeys([*self.symbols, *self.journal.open_symbols(), *symbols]))

    def _load(self) -> AskedFees:
        self._asked = self._asked or load_asked_fees()
        return self._asked

    def _save(self, asked: AskedFees) -> None:
        self._asked = asked
        save_asked_fees(asked)


def break_even_of(trade: TradeRow, rule: StopRule, fees: AccountFees) -> float:
    """The price at which selling pays for a trade's two fees, as the stop rule takes it; part sells don't change it."""
    if not rule.breakeven_fees or trade.entry_cost is None or trade.entry_fee is None or not trade.entry_amount:
        return 0.0
    unit_cost = price_of(trade.entry_cost + trade.entry_fee, trade.entry_amount)
    return rule.break_even(float(unit_cost), float(fees.taker(trade.symbol)))
