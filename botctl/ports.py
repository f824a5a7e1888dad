"""The interfaces of everything outside trading: exchange, clock, market sentiment and the Council's agents."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from botctl.domain.candles import Candle
from botctl.domain.decisions import Verdict
from botctl.domain.fees import PairFees
from botctl.domain.markets import Balances, Market, Quote, Quotes
from botctl.domain.orders import Fill, FillRecord, OrderRecord, OrderReport, OrderRequest, StopRequest
from botctl.domain.symbols import Timeframe
from botctl.frames import candle_frame

if TYPE_CHECKING:
    from pandas import DataFrame

Progress = Callable[[int, int | None], object]
"""Called with the number of items received so far and the total, if known."""


class Clock(Protocol):
    """The time of a run: this machine's, or that of a simulated market."""

    def now(self) -> datetime:
        """The current time, aware, UTC."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    def start_tick(self) -> bool:
        """Called when a tick begins; moves simulated time on. False at the end of simulated time."""


class CandleSource(Protocol):
    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        """The newest closed candles, oldest first; at most some hundred."""


class MarketData(CandleSource, Protocol):
    """Prices, candles and order rules. Every method raises ExchangeUnreachable without a usable answer."""

    def load_markets(self) -> Mapping[str, Market]:
        """All markets by symbol."""

    def find_market(self, symbol: str) -> Market:
        """A market that may be traded: one that the list lacks or calls closed is asked for again before it is refused.

        Raises BadValue for a market that is unknown for certain.
        """

    def fetch_quotes(self, symbols: Sequence[str]) -> Quotes:
        """Last, bid and ask of each symbol, in one call. Symbols without a usable price are in `bad`."""

    def fetch_running_candle(self, symbol: str, timeframe: Timeframe) -> Candle:
        """The candle that has not closed yet: what the market did just now, whatever a quote says."""

    def prefetch_quotes(self, symbols: Sequence[str]) -> None:
        """Announce the next `fetch_quotes`, so that its call may run meanwhile. May do nothing. Raises nothing."""

    def count_requests(self) -> int:
        """The number of requests sent over the network in this run."""


@dataclass(frozen=True)
class ApiKey:
    """What the exchange says of the API key."""

    withdraw_rights: tuple[str, ...]
    expires_at: datetime | None


class Exchange(MarketData, Protocol):
    """An exchange with an account: Kraken or the paper broker.

    Look-ups for an exit are `urgent`: they are made at once. Others may wait, so that a few calls are always left.
    """

    def now(self, *, fresh: bool = False) -> datetime:
        """The best estimate of the exchange's time; with `fresh` fetched from the exchange now."""

    def forget_time(self) -> None:
        """Fetch the time again before the next deadline, because the exchange disagreed with the last one."""

    def fetch_balances(self) -> Balances:
        """All balances. Raises ExchangeUnreachable rather than reading an invalid answer as empty."""

    def fetch_api_key(self) -> ApiKey | None:
        """The rights and the expiry of the API key, by one request; None without a key. Raises ExchangeUnreachable."""

    def fetch_fees(self, symbols: Sequence[str]) -> dict[str, PairFees]:
        """The account's fees in these markets, without those that are not listed, by one request. Raises
        ExchangeUnreachable."""

    def add_order(self, request: OrderRequest, *, validate: bool = False) -> str | None:
        """Send a market order once and return the exchange's id of it (None if only validated).

        Raises ExchangeRefused or ExchangeBusy when it is certain that nothing was placed, and OutcomeUnknown
        whenever it is not.
        """

    def add_stop(self, request: StopRequest) -> str:
        """Send a stop order once and return the exchange's id of it. Raises as `add_order`."""

    def amend_stop(self, client_order_id: str, trigger: Decimal, amount: Decimal) -> None:
        """Move a resting stop in place and give it this size: nothing is repeated by doing it again.

        Raises ExchangeRefused when nothing was changed, as for a stop that has fired, and ExchangeUnreachable when
        that is not known.
        """

    def cancel_orders(self, client_order_ids: Sequence[str]) -> bool:
        """Cancel the open orders with these client order ids. Each may still fill: look up how it ended.

        Returns whether the exchange confirmed that it has canceled every one of them. Raises ExchangeRefused or
        ExchangeUnreachable.
        """

    def in_haste(self) -> AbstractContextManager[None]:
        """What is asked in the block is asked once, and given up after some seconds: the sells of others wait."""

    def list_open_orders(self, *, urgent: bool = False) -> list[OrderRecord]:
        """The open orders of the account, also those of other programs, in one request. One that can't be read is left
        out: the list proves what it has, not what it lacks. Raises ExchangeUnreachable without a list."""

    def fetch_orders(self, exchange_order_ids: Sequence[str], *, urgent: bool = False) -> dict[str, OrderReport]:
        """Reports by the exchange's ids, without orders that are missing from its answer."""

    def find_orders(
        self, client_order_ids: Sequence[str], since: datetime, *, urgent: bool = False
    ) -> dict[str, list[OrderReport]]:
        """For each client order id all orders with it, open or ended, placed after `since` (exchange time).

        An empty list proves that there is no such order.
        """

    def list_orders(self, since: datetime, progress: Progress) -> list[OrderRecord]:
        """All orders of the account, also those of other programs, that are open or ended after `since` (exchange
        time), oldest first. Raises ExchangeUnreachable rather than returning an incomplete list."""

    def list_newest_orders(self, *, with_open: bool) -> list[OrderRecord]:
        """The newest ended orders of the account, at least some dozens, also those of other programs; `with_open` all
        open ones as well. Oldest first. One request, two with the open ones. Raises ExchangeUnreachable."""

    def list_fills(self, since: datetime) -> list[FillRecord]:
        """All fills of the account since then (exchange time), also those of other programs, oldest first. Raises
        ExchangeUnreachable rather than returning an incomplete list."""

    def fetch_fills(self, reports: Sequence[OrderReport], *, urgent: bool = False) -> list[Fill]:
        """The fills of these orders, with exact amounts.

        Where those that an order names don't add up to what it filled, the account's other fills are searched too.
        """


@dataclass(frozen=True)
class OpenTrade:
    """What an agent may know of the open trade in its symbol."""

    entry_price: float
    amount: str
    stop_loss_price: float
    high_price: float
    entry_time: datetime


@dataclass(frozen=True)
class SentimentReading:
    """The Fear & Greed index, 0 to 100, and when it was measured; `index` is None when it is unavailable."""

    index: int | None
    measured_at: datetime | None
    why: str


class Sentiment(Protocol):
    """A source of market sentiment."""

    def read(self) -> SentimentReading:
        """The index now. Raises nothing. May cache its answer within a run."""


@dataclass(frozen=True)
class PastDecision:
    """An earlier decision of the Council on the symbol, and what came of it."""

    decided_at: datetime
    decision: str
    reason: str
    outcome: str


@dataclass(frozen=True)
class Briefing:
    """What the Council's agents get to know about one symbol."""

    symbol: str
    candles: Sequence[Candle]
    sentiment: Sentiment
    trade: OpenTrade | None
    now: datetime
    mode: str = ""
    timeframe: Timeframe | None = None
    quote: Quote | None = None
    """Last, bid and ask; None where the price is unknown."""
    cash: Decimal | None = None
    """What is free of the symbol's quote currency; None where the balance is unknown."""
    cooldown_until: datetime | None = None
    """When the asset may be bought again after its last exit; None without a cool-down now."""
    last_decisions: Sequence[PastDecision] = ()
    """Newest first."""

    def frame(self) -> "DataFrame":
        """A new DataFrame of every closed candle the run has, oldest first, as pandas-ta takes it: columns open, high,
        low, close and volume as float64, the index `time` in UTC, when each candle opened."""
        return candle_frame(self.candles)


class Agent(Protocol):
    """A member of the Council, found through the entry-point group `botctl.agents` and built without arguments."""

    def judge(self, briefing: Briefing) -> Verdict:
        """This agent's opinion of the symbol."""
