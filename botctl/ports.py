"""What trading needs of the outside world: an exchange, a clock, the market's sentiment and the Council's agents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from botctl.domain.candles import Candle
from botctl.domain.decisions import Verdict
from botctl.domain.markets import Balances, Market, Quotes
from botctl.domain.orders import Fill, OrderRecord, OrderReport, OrderRequest
from botctl.domain.symbols import Timeframe

Progress = Callable[[int, int | None], object]
"""Told how much of a long answer has come so far, and of how much, where that is known."""


class Clock(Protocol):
    """The time of this run: the machine's, or the tape's."""

    def now(self) -> datetime:
        """This moment, aware, UTC."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    def start_tick(self) -> bool:
        """A tick begins; on a tape this is what moves time on. False when there is no more time to come."""


class MarketData(Protocol):
    """Prices, candles and order rules. Every method raises ExchangeUnreachable when no usable answer came."""

    def load_markets(self) -> Mapping[str, Market]:
        """Every market by symbol."""

    def fetch_quotes(self, symbols: Sequence[str]) -> Quotes:
        """Last, bid and ask of each symbol, in one call. A symbol without a usable price is in `bad`."""

    def prefetch_quotes(self, symbols: Sequence[str]) -> None:
        """Say that `fetch_quotes` is next asked for these symbols: the call may be under way meanwhile. An adapter that
        has nothing to gain does nothing. Raises nothing."""

    def fetch_candles(self, symbol: str, timeframe: Timeframe) -> list[Candle]:
        """The newest closed candles, oldest first; at most some hundred. The running candle is not among them."""

    def count_requests(self) -> int:
        """How many requests it has sent over the network in this run."""


class Exchange(MarketData, Protocol):
    """An exchange that holds our money. Kraken and the paper broker answer alike."""

    def now(self, *, fresh: bool = False) -> datetime:
        """The exchange's own time, as well as it is known; with `fresh` asked of the exchange right now."""

    def forget_time(self) -> None:
        """The exchange disagreed about a deadline: ask it for its time before the next one is set."""

    def fetch_balances(self) -> Balances:
        """Everything it holds for us. Raises ExchangeUnreachable rather than reading a bad answer as empty."""

    def add_order(self, request: OrderRequest, *, validate: bool = False) -> str | None:
        """Send a market order once and return the exchange's id of it (None when only validated).

        Raises ExchangeRefused or ExchangeBusy when it is certain that nothing was placed, and OutcomeUnknown
        whenever it is not.
        """

    def fetch_orders(self, exchange_order_ids: Sequence[str]) -> dict[str, OrderReport]:
        """What became of orders by the exchange's ids. One that it does not name is missing from the answer."""

    def find_orders(self, client_order_ids: Sequence[str], since: datetime) -> dict[str, list[OrderReport]]:
        """For each client order id every order, open or ended, that carries it and was placed after `since`
        (exchange time). An empty list is a fact, not a failure."""

    def list_orders(self, since: datetime, progress: Progress) -> list[OrderRecord]:
        """Every order of the account that is open, or ended after `since` (exchange time), oldest first; whoever
        placed it. All of them or none: raises ExchangeUnreachable when any part of the list is not a usable answer.
        """

    def fetch_fills(self, reports: Sequence[OrderReport]) -> list[Fill]:
        """The executions of these orders, with exact figures."""


@dataclass(frozen=True)
class OpenTrade:
    """What an agent may know of the trade that is open in its symbol."""

    entry_price: float
    amount: str
    stop_loss_price: float
    high_price: float
    opened_at: datetime


@dataclass(frozen=True)
class SentimentReading:
    """A value of the Fear & Greed index, 0 to 100, and when it was measured; `index` is None when it can't be had."""

    index: int | None
    measured_at: datetime | None
    why: str


class Sentiment(Protocol):
    """Where the mood of the market is read."""

    def read(self) -> SentimentReading:
        """The index now; never raises. Asked again within a run it may answer from memory."""


@dataclass(frozen=True)
class Briefing:
    """What the Council's members are told about one symbol."""

    symbol: str
    candles: Sequence[Candle]
    sentiment: Sentiment
    trade: OpenTrade | None
    now: datetime


class Agent(Protocol):
    """A member of the Council. Found through the entry-point group `botctl.agents`; built without arguments."""

    def judge(self, briefing: Briefing) -> Verdict:
        """This agent's opinion of the symbol."""
