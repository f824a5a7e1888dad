"""The account of a Council that is asked bar by bar: what a journal and a broker would know, without a database."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from botctl.backtesting.exits import LOTS_PER_UNIT, STILL_OPEN, truncate_to_lot
from botctl.domain.candles import from_unix
from botctl.domain.money import floor_to, format_decimal
from botctl.domain.orders import TradeStatus
from botctl.domain.symbols import base_of
from botctl.ports import OpenTrade, PastDecision
from botctl.trading.council.master_node import PAST_DECISIONS


@dataclass
class PlayedTrade:
    """A trade as the engine has it: its symbol, its bars and its ending."""

    symbol: int
    entered: int
    exited: int
    ending: int = STILL_OPEN


@dataclass
class Position:
    """An open trade; `entry` and what follows are the engine's floats."""

    played: PlayedTrade
    id: int
    amount: Decimal
    entry_price: Decimal
    entry_time: datetime
    entry: float
    atr: float
    break_even: float
    stop: float
    high: float

    def as_told(self) -> OpenTrade:
        return OpenTrade(
            entry_price=float(self.entry_price),
            amount=format_decimal(self.amount),
            stop_loss_price=self.stop,
            high_price=self.high,
            entry_time=self.entry_time,
        )


@dataclass
class Account:
    symbols: Sequence[str]
    opening_cash: Decimal
    cooldown: timedelta
    cash: float = field(init=False)
    """In lots."""
    positions: dict[int, Position] = field(default_factory=dict)
    """Those open, by symbol."""
    trades: list[PlayedTrade] = field(default_factory=list)
    last_id: int = 0
    """Of the newest trade, one that the cash did not cover included."""
    last_exits: dict[int, int] = field(default_factory=dict)
    """By symbol: when its last trade ended, in unix seconds."""
    seen_cash: float | None = None
    """What a tick has seen at its beginning, in lots; None before the first order."""
    decisions: dict[str, list[PastDecision]] = field(default_factory=dict)
    """By symbol, the newest first, as many as agents are told of."""

    def __post_init__(self) -> None:
        self.cash = truncate_to_lot(float(self.opening_cash) * LOTS_PER_UNIT)

    # As a journal

    def active_trade(self, asset: str) -> Position | None:
        """The open trade of an asset."""
        return next(
            (each for each in self.positions.values() if base_of(self.symbols[each.played.symbol]) == asset), None
        )

    def last_exit_time(self, asset: str) -> datetime | None:
        times = [at for symbol, at in self.last_exits.items() if base_of(self.symbols[symbol]) == asset]
        return from_unix(times[0]) if times else None

    # As a broker

    def free_cash(self) -> Decimal:
        """What is free of the quote currency, as the tick's look at the balances has it."""
        return self.opening_cash if self.seen_cash is None else exact_units(self.seen_cash)

    def look(self) -> None:
        """Remember the cash as a tick does that begins."""
        if self.trades:
            self.seen_cash = self.cash

    # The Council's decisions

    def cooldown_until(self, symbol: int, now: datetime) -> datetime | None:
        """When the symbol may be bought again; None without a cool-down now."""
        last_exit = self.last_exits.get(symbol)
        until = None if last_exit is None else from_unix(last_exit) + self.cooldown
        return until if until is not None and until > now else None

    def record(self, symbol: str, decision: PastDecision) -> None:
        kept = self.decisions.setdefault(symbol, [])
        self.decisions[symbol] = [decision, *kept[: PAST_DECISIONS - 1]]

    def record_outcome(self, symbol: str, outcome: str) -> None:
        """What came of the symbol's newest decision."""
        newest, *earlier = self.decisions[symbol]
        self.decisions[symbol] = [replace(newest, outcome=outcome), *earlier]

    def already_open(self, symbol: int) -> str:
        asset, trade = base_of(self.symbols[symbol]), self.positions[symbol]
        which = f"trade {trade.id} ({self.symbols[symbol]}, {TradeStatus.OPEN})"
        return f"{asset} already has {which}"


def exact_units(lots: float) -> Decimal:
    """Whole lots as units of eight decimals."""
    return floor_to(Decimal(int(lots)) / int(LOTS_PER_UNIT), 8)
