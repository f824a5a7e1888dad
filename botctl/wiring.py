"""Settings become a running bot here: the only file that knows which adapter stands behind which port."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from botctl.domain.errors import ConfigError
from botctl.domain.settings import (
    DEFAULT_BALANCE,
    NAMES,
    Mode,
    Settings,
    missing_for_live,
    misspelled,
    parse_settings,
)
from botctl.store.database import close_database, database_path, open_database
from botctl.store.lock import process_lock
from botctl.store.switch import Switch

if TYPE_CHECKING:
    from botctl.exchange.kraken import KrakenExchange, KrakenMarketData
    from botctl.exchange.tape import Tape
    from botctl.services.bot import Bot

WAIT_SECONDS = 30.0
"""How long a manual command waits for another run to end."""


@dataclass(frozen=True)
class Home:
    """Where this run lives, and with which settings."""

    folder: Path
    env_file: Path
    settings: Settings
    warnings: tuple[str, ...] = ()

    @property
    def database(self) -> Path:
        return database_path(self.settings.database_url, self.folder)

    @property
    def halt_file(self) -> Path:
        return self.database.with_name("HALT")

    @property
    def switch(self) -> Switch:
        return Switch(self.halt_file)


def load_home(env_file: Path | None = None, overrides: Mapping[str, str] | None = None) -> Home:
    """Settings from `overrides`, then the environment, then .env in the home or `env_file`.

    Raises ConfigError that names every problem.
    """
    given = {name: value for name, value in os.environ.items() if name in NAMES}
    folder = Path(given.get("BOTCTL_HOME") or Path.cwd())
    path = env_file or folder / ".env"
    from_file = _read_env_file(path, must_exist=env_file is not None)
    problems = misspelled(os.environ, strict=False) + misspelled(from_file, strict=True)
    if problems:
        raise ConfigError("; ".join(problems), hint="correct or remove it")
    values = {**from_file, **given, **(overrides or {})}
    settings = parse_settings(values)
    folder = Path(settings.botctl_home or folder).absolute()
    return Home(folder, path, settings, _check_env_mode(path, settings.botctl_mode))


def _read_env_file(path: Path, *, must_exist: bool) -> dict[str, str]:
    """The names and values in a .env file. A line that is none is an error: it may be the one that mattered."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(f"there is no file {path}", hint="check --env-file") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}", hint="it must be a text file you may read") from error
    if not text.strip():
        return {}
    from io import StringIO

    from dotenv.parser import parse_stream

    values: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\n"))
        if binding.error or (binding.key is not None and binding.value is None):
            raise ConfigError(f"{path} line {line} is no NAME=value", hint="mend or remove it")
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _check_env_mode(path: Path, mode: Mode) -> tuple[str, ...]:
    """A .env that others may read is a warning, and in live mode, where it holds the keys, an error."""
    try:
        loose = path.stat().st_mode & 0o077
    except OSError:
        return ()
    if not loose:
        return ()
    message = f"{path} can be read by others"
    if mode is Mode.LIVE:
        raise ConfigError(message, hint=f"chmod 600 {path}")
    return (f"{message}: chmod 600 {path}",)


@contextmanager
def open_store(home: Home, *, create: bool | None = None, durable: bool = True) -> Iterator[None]:
    """The database of this home for the length of the block. Only `init` creates a live one."""
    if create is None:
        create = home.settings.botctl_mode is not Mode.LIVE
    open_database(home.database, home.settings.botctl_mode, create=create, durable=durable)
    try:
        yield
    finally:
        close_database()


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


def build_market(settings: Settings) -> "Tape | KrakenMarketData":
    """Where prices come from: the tape, or Kraken's public side. Needs no lock."""
    if settings.botctl_mode is Mode.DEMO:
        from botctl.exchange.tape import Tape

        return Tape()
    from botctl.exchange.kraken import KrakenMarketData
    from botctl.exchange.kraken_wire import KrakenWire

    url = settings.kraken_api_url
    return KrakenMarketData(lambda: KrakenWire(base_url=url, api_key=None, private_key=None))


def build_bot(settings: Settings, switch: Switch, *, validate_only: bool = False) -> "Bot":
    """Every service on its port."""
    from botctl.exchange.clock import SystemClock
    from botctl.exchange.paper import PaperBroker
    from botctl.exchange.tape import Tape
    from botctl.outside.notify import LogNotifier
    from botctl.outside.sentiment import FearAndGreed
    from botctl.ports import Clock, Exchange, Sentiment
    from botctl.services.bot import Bot
    from botctl.services.council.command import CommandNode
    from botctl.services.council.master import MasterNode
    from botctl.services.council.session import Council
    from botctl.services.drawdown import DrawdownGuard
    from botctl.services.entry_gate import EntryGate
    from botctl.services.execution import ExecutionService
    from botctl.services.lookout import Lookout
    from botctl.services.position_manager import PositionManager, StopRule
    from botctl.services.recovery import Patience, Recovery
    from botctl.services.risk import RiskService
    from botctl.store.journal import Journal

    clock: Clock = SystemClock()
    sentiment: Sentiment = FearAndGreed(settings.sentiment_url, clock)
    initial_balance = settings.initial_balance or DEFAULT_BALANCE
    exchange: Exchange
    if settings.botctl_mode is Mode.LIVE:
        exchange = build_kraken(settings)
    else:
        market = build_market(settings)
        if isinstance(market, Tape):
            clock, sentiment = market, market
        exchange = PaperBroker(
            market,
            clock,
            quote_currency=settings.quote_currency,
            opening_cash=initial_balance,
            fee_rate=settings.fee_rate,
            slippage=settings.slippage,
        )
    journal = Journal(settings.botctl_mode, settings.atr_multiple)
    lookout = Lookout(exchange, clock, settings.quote_currency)
    recovery = Recovery(exchange, journal, clock, Patience(clock))
    risk = RiskService(
        exchange, timeframe=settings.timeframe, period=settings.atr_period, multiple=settings.atr_multiple
    )
    cooldown = timedelta(minutes=settings.cooldown_minutes)
    gate = EntryGate(switch, journal, max_open_trades=settings.max_open_trades, cooldown=cooldown)
    execution = ExecutionService(exchange, journal, recovery, risk, gate, switch, clock, validate_only=validate_only)
    rule = StopRule(settings.atr_multiple, settings.breakeven_atr, settings.timeframe)
    positions = PositionManager(exchange, journal, execution, lookout, clock, rule)
    drawdown = DrawdownGuard(
        lookout,
        positions,
        journal,
        switch,
        clock,
        LogNotifier(),
        initial_balance=initial_balance,
        max_drawdown=settings.max_drawdown,
    )
    master = MasterNode(exchange, sentiment, journal, clock, timeframe=settings.timeframe, names=settings.council)
    command = settings.council_command
    council = Council(
        CommandNode(master, command, float(settings.council_timeout)) if command else master,
        execution,
        positions,
        journal,
        clock,
        symbols=settings.symbols,
        trade_amount=settings.trade_amount_usd,
    )
    return Bot(
        settings,
        clock,
        exchange,
        switch,
        journal,
        lookout,
        risk,
        sentiment,
        recovery,
        execution,
        positions,
        drawdown,
        council,
        validate_only,
    )


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


def now_offline(settings: Settings) -> datetime:
    """The time for commands that never call out: the tape's in demo mode, else this machine's."""
    if settings.botctl_mode is Mode.DEMO:
        from botctl.exchange.tape import Tape

        return Tape().now()
    from botctl.exchange.clock import SystemClock

    return SystemClock().now()
