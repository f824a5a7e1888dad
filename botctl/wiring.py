"""Settings become a running bot here: the only file that knows which adapter stands behind which port."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from botctl.domain.errors import ConfigError
from botctl.domain.settings import DEFAULT_BALANCE, Mode, Settings, missing_for_live
from botctl.home import Home, open_store
from botctl.store.database import close_database, open_database
from botctl.store.lock import process_lock
from botctl.store.switch import Switch

if TYPE_CHECKING:
    from botctl.domain.candles import CandleColumns
    from botctl.exchange.kraken import KrakenExchange, KrakenMarketData
    from botctl.exchange.tape import Tape
    from botctl.ports import Clock, Exchange, Sentiment
    from botctl.services.bot import Bot
    from botctl.services.council.session import Decider
    from botctl.store.journal import Journal

WAIT_SECONDS = 30.0
"""How long a manual command waits for another run to end."""


@contextmanager
def open_bot(home: Home, *, wait_seconds: float = WAIT_SECONDS, validate_only: bool = False) -> Iterator["Bot"]:
    """A bot that may call the exchange: under the process lock, with its database open.

    Raises ConfigError when a live run lacks its keys or its initial balance, Busy when another run holds the lock.
    """
    missing = missing_for_live(home.settings)
    if missing:
        raise ConfigError(f"live mode needs {', '.join(missing)}", hint=f"set it in {home.env_file}")
    if home.settings.botctl_mode is Mode.LIVE and not home.database.exists():
        open_database(home.database, Mode.LIVE, create=False)  # says what is wrong, before a lock file is made
    with process_lock(home.database.with_name(f"{home.database.name}.lock"), wait_seconds), open_store(home):
        yield build_bot(home.settings, home.switch, validate_only=validate_only)


def build_bot(settings: Settings, switch: Switch, *, validate_only: bool = False) -> "Bot":
    """Every service on its port."""
    from botctl.outside.notify import LogNotifier
    from botctl.services.bot import Bot
    from botctl.services.council.session import Council
    from botctl.services.drawdown import DrawdownGuard
    from botctl.services.entry_gate import EntryGate
    from botctl.services.execution import ExecutionService
    from botctl.services.exits import ExitDesk
    from botctl.services.lookout import Lookout
    from botctl.services.position_manager import PositionManager, StopRule
    from botctl.services.recovery import Patience, Recovery
    from botctl.services.risk import RiskService
    from botctl.store.journal import Journal

    exchange, clock, sentiment = _build_outside(settings)
    timeframe, multiple = settings.timeframe, settings.atr_multiple
    journal = Journal(settings.botctl_mode, multiple)
    lookout = Lookout(exchange, clock, settings.quote_currency)
    recovery = Recovery(exchange, journal, clock, Patience(clock))
    risk = RiskService(exchange, timeframe=timeframe, period=settings.atr_period, multiple=multiple)
    cooldown = timedelta(minutes=settings.cooldown_minutes)
    gate = EntryGate(switch, journal, max_open_trades=settings.max_open_trades, cooldown=cooldown)
    execution = ExecutionService(exchange, journal, recovery, risk, gate, switch, clock, validate_only=validate_only)
    rule = StopRule(multiple, settings.breakeven_atr, timeframe)
    desk = ExitDesk(exchange, journal, execution, clock)
    positions = PositionManager(exchange, journal, desk, lookout, clock, rule)
    guard = DrawdownGuard(
        lookout,
        positions,
        journal,
        switch,
        clock,
        LogNotifier(),
        initial_balance=settings.initial_balance or DEFAULT_BALANCE,
        max_drawdown=settings.max_drawdown,
    )
    decider = _build_decider(settings, exchange, clock, sentiment, journal)
    symbols, amount = settings.symbols, settings.trade_amount_usd
    council = Council(decider, execution, positions, journal, clock, symbols=symbols, trade_amount=amount)
    return Bot(
        settings=settings,
        clock=clock,
        exchange=exchange,
        switch=switch,
        journal=journal,
        lookout=lookout,
        risk=risk,
        sentiment=sentiment,
        recovery=recovery,
        execution=execution,
        positions=positions,
        drawdown=guard,
        council=council,
        validate_only=validate_only,
    )


def _build_outside(settings: Settings) -> "tuple[Exchange, Clock, Sentiment]":
    """Kraken with our money, or the paper broker on Kraken's prices or on the tape."""
    from botctl.exchange.clock import SystemClock
    from botctl.exchange.paper import PaperBroker
    from botctl.exchange.tape import Tape
    from botctl.outside.sentiment import FearAndGreed

    system_clock = SystemClock()
    fear_and_greed = FearAndGreed(settings.sentiment_url, system_clock)
    if settings.botctl_mode is Mode.LIVE:
        return build_kraken(settings), system_clock, fear_and_greed
    market = build_market(settings)
    clock: Clock = market if isinstance(market, Tape) else system_clock
    broker = PaperBroker(
        market,
        clock,
        quote_currency=settings.quote_currency,
        opening_cash=settings.initial_balance or DEFAULT_BALANCE,
        fee_rate=settings.fee_rate,
        slippage=settings.slippage,
    )
    return broker, clock, market if isinstance(market, Tape) else fear_and_greed


def _build_decider(
    settings: Settings, exchange: "Exchange", clock: "Clock", sentiment: "Sentiment", journal: "Journal"
) -> "Decider":
    """The agents, or the external command."""
    from botctl.services.council.command import CommandNode
    from botctl.services.council.master import MasterNode

    master = MasterNode(exchange, sentiment, journal, clock, timeframe=settings.timeframe, names=settings.council)
    if settings.council_command:
        return CommandNode(master, settings.council_command, float(settings.council_timeout))
    return master


def build_market(settings: Settings) -> "Tape | KrakenMarketData":
    """Where prices come from: the tape, or Kraken's public side. Needs no lock."""
    if settings.botctl_mode is Mode.DEMO:
        from botctl.exchange.tape import Tape

        return Tape()
    return _build_market_data(settings)


@contextmanager
def open_market_data(settings: Settings) -> "Iterator[KrakenMarketData]":
    """Kraken's public side in every mode, with a database that is thrown away: no key, no lock, nothing of the home."""
    with TemporaryDirectory(prefix="botctl-fetch-") as folder:
        open_database(Path(folder) / "markets.db", Mode.PAPER, create=True, durable=False)
        try:
            yield _build_market_data(settings)
        finally:
            close_database()


def _build_market_data(settings: Settings) -> "KrakenMarketData":
    from botctl.exchange.kraken import KrakenMarketData
    from botctl.exchange.kraken_wire import KrakenWire

    url = settings.kraken_api_url
    return KrakenMarketData(lambda: KrakenWire(base_url=url, api_key=None, private_key=None))


def build_kraken(settings: Settings) -> "KrakenExchange":
    """Kraken with our keys. Its private calls belong under the process lock."""
    from botctl.exchange.kraken import KrakenExchange
    from botctl.exchange.kraken_wire import KrakenWire

    return KrakenExchange(
        lambda: KrakenWire(
            base_url=settings.kraken_api_url,
            api_key=settings.kraken_api_key,
            private_key=settings.kraken_private_key,
        )
    )


def find_candles(home: Home, symbol: str) -> "CandleColumns | None":
    """The candles of a symbol that are at hand: the tape's in demo mode, else those that `fetch` has kept.

    Raises BadValue for a file that can't be believed.
    """
    if home.settings.botctl_mode is Mode.DEMO:
        from botctl.exchange.tape import Tape

        return Tape().history(symbol)
    from botctl.store.candle_files import candle_file

    path = candle_file(home.candles, symbol, home.settings.timeframe)
    if not path.exists():
        return None
    from botctl.market.history import load_candles

    return load_candles(path, symbol)


def now_offline(settings: Settings) -> datetime:
    """The time for commands that never call out: the tape's in demo mode, else this machine's."""
    if settings.botctl_mode is Mode.DEMO:
        from botctl.exchange.tape import Tape

        return Tape().now()
    from botctl.exchange.clock import SystemClock

    return SystemClock().now()
