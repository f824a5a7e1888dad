"""What botctl should do when nothing goes wrong: written from its rules, and from none of its code."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Self

from tests.chaos.fund import Account, Fund
from tests.chaos.history import Candle, History

LOT, MONEY = Decimal("1e-8"), Decimal("1e-5")
FEE_RATE = Decimal("0.0080")
ATR_PERIOD = 14
ENTRY_ATRS, ENTRY_SHARE = 5, 0.05
ATR_MULTIPLE = 2.0
MAX_DRAWDOWN = Decimal("0.20")
NEARLY = Decimal("0.01")
"""So near to the limit either answer is right."""
CASH = "USD"
LATE_AFTER = 1800.0
"""Two intervals without a good check: the closes in between are caught up."""
ORDER_MINIMUMS = {"BTC/USD": Decimal("0.00005"), "ETH/USD": Decimal("0.001")}
COST_MINIMUM = Decimal("0.5")


@dataclass(frozen=True)
class Rules:
    """The settings that a world is played with."""

    initial_balance: Decimal
    trade_amount: Decimal
    max_open_trades: int
    cooldown_seconds: float
    breakeven_atr: float


@dataclass(frozen=True)
class Quote:
    last: Decimal
    bid: Decimal
    ask: Decimal


@dataclass
class Position:
    """One open trade."""

    held: Decimal
    entry: float
    atr: float
    stop: float
    high: float
    checked_at: float
    sold: Decimal = Decimal(0)
    """How much of it was sold already."""
    exiting: str = ""
    """Why its exit has begun, if it has: it goes on at every check."""


@dataclass(frozen=True)
class Sent:
    """An order that the exchange takes."""

    side: str
    symbol: str
    amount: Decimal


@dataclass
class Expected:
    """What one run does."""

    exit_code: int = 0
    sent: list[Sent] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    """Symbol and reason of each trade that ends."""
    is_a_guess: bool = False
    """It sells coins of which the owner has sold some, and bought some: how many are his own, botctl knows from its
    newest look without a doubt, and the model does not."""


@dataclass
class SimpleModel:
    """Cash, coins, open trades and the switch; all that decides what a run may do."""

    rules: Rules
    history: History
    cash: Decimal
    coins: dict[str, Decimal]
    """Everything on the account, the owner's own too; by symbol."""
    filled: dict[str, Decimal] = field(default_factory=dict)
    """What botctl's own orders have brought and taken, since ever; by symbol, and of the cash."""
    funds: list[Fund] = field(default_factory=list)
    """What the drawdown may be measured by: nobody knows at which looks of a disturbed run something was kept."""
    owners_own: set[str] = field(default_factory=set)
    """Symbols that the owner has bought."""
    owners_sales: set[str] = field(default_factory=set)
    quotes: dict[str, Quote] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    closed_at: dict[str, float] = field(default_factory=dict)
    paused: bool = False
    frozen: bool = False
    halted: bool = False
    """The file HALT lies beside the database."""
    buys: bool = True
    tripped: bool = False
    council: str = "HOLD"
    expected: Expected = field(default_factory=Expected)

    def __post_init__(self) -> None:
        self.filled = self.filled or dict.fromkeys((*self.coins, CASH), Decimal(0))
        self.funds = self.funds or [Fund(self.rules.initial_balance, {**self.coins, CASH: self.cash})]

    def twin(self) -> Self:
        """One to try things on."""
        return replace(
            self,
            coins=dict(self.coins),
            filled=dict(self.filled),
            quotes=dict(self.quotes),
            positions={symbol: copy.copy(position) for symbol, position in self.positions.items()},
            closed_at=dict(self.closed_at),
        )

    def run(self, arguments: tuple[str, ...], now: float) -> Expected:
        """What this command line does, when nothing goes wrong. From here on the model is as after it."""
        self.expected = Expected()
        command, *rest = [word for word in arguments if word != "--yes"]
        match command, rest:
            case "buy", [symbol, amount]:
                code = self.buy(symbol, Decimal(amount), now)
            case "sell", [symbol]:
                code = self.sell(symbol, None, now)
            case "sell", [symbol, amount]:
                code = self.sell(symbol, Decimal(amount), now)
            case "tick", []:
                code = self.tick(now)
            case "check-positions", []:
                code = 3 if self.frozen else self.check_positions(now)
            case "drawdown", []:
                code = self.drawdown(now)
            case "liquidate", []:
                code = self.liquidate(now)
            case "pause", _:
                self.paused, self.frozen = True, self.frozen or "--freeze" in rest
                code = 0
            case "resume", _:
                code = self.resume(enable_buys="--enable-buys" in rest)
            case _:
                raise ValueError(f"the model knows no {arguments}")
        self.expected.exit_code = code
        return self.expected

    # Entries

    def buy(self, symbol: str, amount: Decimal, now: float) -> int:
        if amount <= 0:
            return 2
        if not self.allows_entry(symbol, now):
            return 3
        ask, atr = self.quotes[symbol].ask, self.atr(symbol, now)
        close = float(self.history.candles(symbol, now)[-1][3])
        if abs(float(ask) - close) > max(ENTRY_ATRS * atr, ENTRY_SHARE * close):
            return 1
        stop = float(ask) - ATR_MULTIPLE * atr
        if stop <= 0 or stop >= self.quotes[symbol].bid:
            return 3
        size = (amount / ask).quantize(LOT, ROUND_DOWN)
        if size < ORDER_MINIMUMS[symbol] or size * Decimal(stop) < COST_MINIMUM:
            return 4
        cost = money(size * ask)
        if self.cash < cost + money(cost * FEE_RATE):
            return 4
        self._trade("buy", symbol, size, ask)
        entry = float(cost / size)
        self.positions[symbol] = Position(size, entry, atr, entry - ATR_MULTIPLE * atr, entry, now)
        return 0

    def allows_entry(self, symbol: str, now: float) -> bool:
        until, cooldown = self.closed_at.get(symbol, 0.0) + self.rules.cooldown_seconds, self.rules.cooldown_seconds
        cooled_down = until <= now or until > now + 2 * cooldown  # no exit was so late: its clock was wrong
        is_free = symbol not in self.positions and len(self.positions) < self.rules.max_open_trades
        return self.switch_allows_entries and cooled_down and is_free

    @property
    def switch_allows_entries(self) -> bool:
        return self.buys and not (self.paused or self.halted or self.tripped)

    def atr(self, symbol: str, now: float, ahead: float = 0.0) -> float:
        return average_true_range(self.history.candles(symbol, now, ahead))

    # Exits

    def sell(self, symbol: str, amount: Decimal | None, now: float) -> int:
        if amount is not None and amount <= 0:
            return 2
        if self.frozen or symbol not in self.positions:
            return 3
        if amount is not None and amount > self.positions[symbol].held:
            return 2
        return self.leave(symbol, "MANUAL", now, amount)

    def leave(self, symbol: str, reason: str, now: float, amount: Decimal | None = None) -> int:
        """Sell a trade or a part of it: its own amount, and what is there when that is refused. What the exchange finds
        too little is dust."""
        position, there = self.positions[symbol], self.coins[symbol].quantize(LOT, ROUND_DOWN)
        size = min(position.held, position.held if amount is None else amount.quantize(LOT, ROUND_DOWN))
        if size <= 0:
            return 2
        whole = size == position.held
        if self._is_too_small(symbol, size):
            return self._close_dust(symbol, reason, now) if whole else 4
        if whole and reason != "MANUAL":
            position.exiting = position.exiting or reason
        self.expected.is_a_guess |= there > 0 and symbol in self.owners_own & self.owners_sales
        if size > there:
            size = there
        code = 0
        if size > 0 and not self._is_too_small(symbol, size):
            if whole:
                position.exiting = position.exiting or reason
            self._trade("sell", symbol, size, self.quotes[symbol].bid)
            position.held, position.sold = position.held - size, position.sold + size
            code = 0 if position.held else self._close(symbol, reason, now)
        return max(code, self._find_sales(symbol, now))

    def _is_too_small(self, symbol: str, size: Decimal) -> bool:
        return size < ORDER_MINIMUMS[symbol] or size * self.quotes[symbol].bid < COST_MINIMUM

    def _close_dust(self, symbol: str, reason: str, now: float) -> int:
        """More than a hundredth of the entry is an alarm."""
        position = self.positions[symbol]
        is_small = position.held <= (position.held + position.sold) / 100
        self._close(symbol, reason, now)
        return 0 if is_small else 1

    def _find_sales(self, symbol: str, now: float) -> int:
        """What the owner has sold of a trade is taken off it; with nothing left it ends."""
        position = self.positions.get(symbol)
        if position is None or position.held <= self.coins[symbol]:
            return 0
        position.held = self.coins[symbol].quantize(LOT, ROUND_DOWN)
        if not position.held:
            self._close(symbol, (position.sold and position.exiting) or "EXTERNAL", now)
        return 1

    @property
    def lacks_coins(self) -> bool:
        return any(position.held > self.coins[symbol] for symbol, position in self.positions.items())

    def liquidate(self, now: float) -> int:
        self.buys = False
        return self._leave_all("LIQUIDATION", now)

    def _leave_all(self, reason: str, now: float) -> int:
        return max([self.leave(symbol, reason, now) for symbol in list(self.positions)], default=0)

    def _close(self, symbol: str, reason: str, now: float) -> int:
        del self.positions[symbol]
        self.closed_at[symbol] = now
        self.expected.closed.append((symbol, reason))
        return 0

    def _trade(self, side: str, symbol: str, size: Decimal, price: Decimal) -> None:
        self.expected.sent.append(Sent(side, symbol, size))
        cost = money(size * price)
        sign = 1 if side == "buy" else -1
        paid = sign * cost + money(cost * FEE_RATE)
        self.cash, self.filled[CASH] = self.cash - paid, self.filled[CASH] - paid
        self.coins[symbol] += sign * size
        self.filled[symbol] += sign * size

    # Guards

    def tick(self, now: float) -> int:
        if self.frozen:
            return 0
        if self.guard(now):
            return 3
        lacks_coins, code = self.lacks_coins, self.check_positions(now)
        return code if self.paused or self.halted else max(code, self.obey_council(now, may_buy=not lacks_coins))

    def obey_council(self, now: float, *, may_buy: bool) -> int:
        if self.council == "SELL":
            return self._leave_all("COUNCIL", now)
        buys = self.council == "BUY" and may_buy
        codes = [self.buy(symbol, self.rules.trade_amount, now) for symbol in self.quotes if buys]
        return max({0, 1, 4}.intersection(codes), default=0)

    def drawdown(self, now: float) -> int:
        if self.frozen:
            if self.tripped or self.is_too_deep(now):
                return 3
            self.look(now)
            return 69 if self.lacks_coins else 0
        return 3 if self.guard(now) else (69 if self.lacks_coins else 0)

    def guard(self, now: float) -> bool:
        """Whether the guard has tripped, now or before: then everything is sold."""
        if not self.tripped and self.is_too_deep(now):
            self.buys, self.tripped = False, True
        if self.tripped:
            self._leave_all("DRAWDOWN", now)
        else:
            self.look(now)
        return self.tripped

    def is_too_deep(self, now: float) -> bool:
        """If it is so whatever is a flow, and whatever is none."""
        return min(self.drawdowns(now)) > MAX_DRAWDOWN

    def may_be_too_deep(self, *moments: float) -> bool:
        return max(self.drawdowns(*moments)) > MAX_DRAWDOWN - NEARLY

    def is_unsure(self, now: float) -> bool:
        """Whether a look of this moment leaves open what the guard does."""
        lowest, highest = min(self.drawdowns(now)), max(self.drawdowns(now))
        was_emptied = any(fund.was_emptied for fund in self.funds_after(now))
        return was_emptied or (lowest <= MAX_DRAWDOWN + NEARLY and highest >= MAX_DRAWDOWN - NEARLY)

    def drawdowns(self, *moments: float) -> list[Decimal]:
        """All that a look of one of these moments may find."""
        account = self.account
        return [drawdown for fund in self.funds_after(*moments) for drawdown in fund.drawdowns(account)]

    def funds_after(self, *moments: float) -> Iterator[Fund]:
        account = self.account
        for at in moments:
            for fund in self.funds:
                yield from fund.looks(account, at)

    def look(self, now: float) -> None:
        """What it has found is kept."""
        self.keep(self.funds_after(now))

    def keep(self, funds: Iterable[Fund]) -> None:
        self.funds = list({fund.key: fund for fund in funds}.values())

    @property
    def account(self) -> Account:
        prices = {symbol: quote.last for symbol, quote in self.quotes.items()} | {CASH: Decimal(1)}
        there = {symbol: self.counted(symbol) for symbol in self.quotes} | {CASH: self.cash}
        return Account(prices, self.filled, {name: there[name] - self.filled[name] for name in there})

    def counted(self, symbol: str) -> Decimal:
        """The coins that count: at least what a trade holds by its own orders."""
        position = self.positions.get(symbol)
        return self.coins[symbol] if position is None else max(self.coins[symbol], position.held)

    def check_positions(self, now: float) -> int:
        codes = [0]
        for symbol, position in list(self.positions.items()):
            if position.exiting:
                codes.append(self.leave(symbol, position.exiting, now))
            elif reason := self.check_prices(position, self.prices_to_check(symbol, position, now), now):
                codes.append(self.leave(symbol, reason, now))
            else:
                codes.append(self._find_sales(symbol, now))
        return max(codes)

    def prices_to_check(self, symbol: str, position: Position, now: float) -> list[float]:
        """The last price; after a gap each close that was not checked before it."""
        is_late = now - position.checked_at > LATE_AFTER
        missed = self.history.closes(symbol, position.checked_at, now) if is_late else []
        return [float(price) for price in (*missed, self.quotes[symbol].last)]

    def check_prices(self, position: Position, prices: list[float], now: float) -> str:
        """Each price in turn; why it must be sold, or nothing."""
        position.checked_at = now
        for price in prices:
            position.high = max(position.high, price)
            position.stop = self.stop_after(position)
            if price <= position.stop:
                return name_of_exit(position)
        return ""

    def stop_after(self, position: Position) -> float:
        """Where the stop belongs once the price has been as high as `position.high`."""
        if position.high > position.entry + self.rules.breakeven_atr * position.atr:
            return max(position.stop, position.entry, position.high - ATR_MULTIPLE * position.atr)
        return position.stop

    # The switch

    def resume(self, *, enable_buys: bool) -> int:
        self.paused = self.frozen = False
        if enable_buys:
            self.buys, self.tripped = True, False
        return 3 if self.halted else 0

    @property
    def switch(self) -> Mapping[str, bool]:
        return {name: getattr(self, name) for name in ("paused", "frozen", "buys", "tripped")}


def name_of_exit(position: Position) -> str:
    if position.stop < position.entry:
        return "STOP_LOSS"
    return "BREAKEVEN" if position.stop == position.entry else "TRAILING_STOP"


def money(value: Decimal) -> Decimal:
    """Kraken's costs and fees have five decimals."""
    return value.quantize(MONEY, ROUND_HALF_UP)


def average_true_range(candles: list[Candle]) -> float:
    """Wilder's average: each true range counts for one part in fourteen."""
    average, before = 0.0, None
    for number, (_, high, low, close) in enumerate(candles):
        reach = [float(high - low)] + ([] if before is None else [abs(float(high - before)), abs(float(low - before))])
        average += (max(reach) - average) / min(number + 1, ATR_PERIOD)
        before = close
    return average
