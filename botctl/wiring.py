"""Settings become a running bot here: the only file that knows which adapter stands behind which port."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from botctl.domain.errors import ConfigError, Refused
from botctl.domain.settings import DEFAULT_BALANCE, Mode, Settings, missing_for_live
from botctl.home import Home, is_there, open_store
from botctl.store.database import close_database, open_database
from botctl.store.integrity import check_integrity, move_aside, name_aside
from botctl.store.lock import run_lock
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
    _check_keys(home)
    where = home.database
    if home.settings.botctl_mode is Mode.LIVE and isinstance(where, Path) and not where.exists():
        open_database(where, Mode.LIVE, create=False)  # says what is wrong, before a lock file is made
    with run_lock(where, wait_seconds), open_store(home):
        yield build_bot(home.settings, home.switch, validate_only=validate_only, backed_up=home.database_file)


@dataclass(frozen=True)
class Patient:
    """A bot for recover, and what is wrong with its database."""

    bot: "Bot"
    damage: str
    """SQLite's complaint; empty when the database is sound. Else the bot works on a fresh one."""
    aside: Path
    """Where the damaged one goes."""


@contextmanager
def open_patient(home: Home, *, apply: bool) -> Iterator[Patient]:
    """A bot that may find its database damaged: then it works on a fresh one, which with `apply` takes its place once
    the block has ended well.

    Raises ConfigError where there is no database, or where one is damaged that can't be rebuilt.
    """
    _check_keys(home)
    path, mode = home.database_file, home.settings.botctl_mode
    aside = name_aside(path, datetime.now(UTC))
    if not is_there(home):
        rebuild = "run `botctl init`, then `botctl recover --apply`"
        hint = rebuild if mode is Mode.LIVE else "restore a backup, or run `botctl init` to begin anew"
        raise ConfigError(f"there is no {mode} database at {home.database}", hint=hint)
    if home.database != path:  # a server looks after its files itself: there is nothing to move out of the way
        with open_bot(home) as bot:
            yield Patient(bot, "", aside)
        return
    with run_lock(path, WAIT_SECONDS):
        damage = check_integrity(path)
        if not damage:
            with open_store(home):
                yield Patient(build_bot(home.settings, home.switch), "", aside)
            return
        if mode is not Mode.LIVE:
            raise ConfigError(
                f"{path} is damaged ({damage}), and the paper broker's own records were in it",
                hint="restore a backup, or move it away and run `botctl init` to begin anew",
            )
        with _spare_folder(path if apply else None) as folder:
            fresh = folder / path.name
            open_database(fresh, mode, create=True)
            try:
                yield Patient(build_bot(home.settings, home.switch), damage, aside)
            finally:
                close_database()
            if apply:
                move_aside(path, aside)
                os.replace(fresh, path)


@contextmanager
def _spare_folder(beside: Path | None) -> Iterator[Path]:
    """A folder for a database that is being made: on the same disk as `beside`, or anywhere."""
    import shutil
    from tempfile import TemporaryDirectory

    if beside is None:
        with TemporaryDirectory(prefix="botctl-recover-") as name:
            yield Path(name)
        return
    folder = beside.with_name(f"{beside.name}.rebuild")
    shutil.rmtree(folder, ignore_errors=True)  # a run that died may have left it
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_keys(home: Home) -> None:
    missing = missing_for_live(home.settings)
    if missing:
        raise ConfigError(f"live mode needs {', '.join(missing)}", hint=f"set it in {home.env_file}")


def build_bot(
    settings: Settings,
    switch: Switch,
    *,
    validate_only: bool = False,
    backed_up: Path | None = None,
    tape: "Tape | None" = None,
) -> "Bot":
    """Every service on its port; with a `tape` on that market instead of the mode's own. `backed_up` is the database
    whose daily copies are kept, if it is to have any."""
    from botctl.services.bot import Bot
    from botctl.services.council.session import Council
    from botctl.services.drawdown import DrawdownGuard
    from botctl.services.entry_gate import EntryGate
    from botctl.services.execution import ExecutionService
    from botctl.services.exits import ExitDesk
    from botctl.services.lookout import Lookout
    from botctl.services.position_manager import PositionManager
    from botctl.services.recovery import Patience, Recovery
    from botctl.services.risk import RiskService
    from botctl.services.tick_limit import TickLimit
    from botctl.store.journal import Journal

    exchange, clock, sentiment = _build_outside(settings, tape)
    on_tape = tape is not None or settings.botctl_mode is Mode.DEMO  # its time is not this machine's
    limit = TickLimit(None if on_tape else float(settings.tick_timeout))
    timeframe, rule = settings.timeframe, settings.stop_rule
    journal = Journal(settings.botctl_mode)
    lookout = Lookout(exchange, clock, settings.quote_currency)
    recovery = Recovery(exchange, journal, clock, Patience(clock), rule)
    risk = RiskService(exchange, timeframe=timeframe, period=settings.atr_period, rule=rule)
    cooldown = timedelta(minutes=settings.cooldown_minutes)
    gate = EntryGate(
        switch,
        journal,
        max_open_trades=settings.max_open_trades,
        cooldown=cooldown,
        lacks_yes=settings.lacks_yes and not validate_only,  # a rehearsal trades nothing
    )
    desk = ExitDesk(exchange, journal, clock)
    execution = ExecutionService(
        exchange, journal, recovery, risk, gate, desk, lookout, clock, validate_only=validate_only
    )
    positions = PositionManager(
        exchange, journal, execution, desk, lookout, switch, clock, limit, rule=rule, timeframe=timeframe
    )
    guard = DrawdownGuard(
        lookout,
        positions,
        journal,
        switch,
        clock,
        initial_balance=settings.initial_balance or DEFAULT_BALANCE,
        max_drawdown=settings.max_drawdown,
    )
    decider = _build_decider(settings, exchange, clock, sentiment, journal)
    symbols, amount = settings.symbols, settings.trade_amount_usd
    council = Council(decider, execution, positions, journal, clock, limit, symbols=symbols, trade_amount=amount)
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
        limit=limit,
        backed_up=backed_up,
    )


def _build_outside(settings: Settings, tape: "Tape | None") -> "tuple[Exchange, Clock, Sentiment]":
    """Kraken with our money, or the paper broker on Kraken's prices or on a tape."""
    from botctl.exchange.clock import SystemClock
    from botctl.exchange.paper import PaperBroker
    from botctl.exchange.tape import Tape
    from botctl.outside.sentiment import FearAndGreed

    system_clock = SystemClock()
    fear_and_greed = FearAndGreed(settings.sentiment_url, system_clock)
    if settings.botctl_mode is Mode.LIVE:
        return build_kraken(settings), system_clock, fear_and_greed
    market = tape or build_market(settings)
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
    """Where prices come from: the demo's tape, or Kraken's public side. Needs no lock.

    Raises Refused in the database that a replay kept: it has no market any more.
    """
    if settings.botctl_mode is Mode.REPLAY:
        raise Refused("a replay's database has no prices: it shows what was", hint="ask it for trades, why or orders")
    if settings.botctl_mode is Mode.DEMO:
        from botctl.exchange.demo_tape import load_demo_tape

        return load_demo_tape()
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


def key_expiry_of(bot: "Bot") -> "Callable[[], datetime | None] | None":
    """How to ask when the key in use expires; None where there is no key."""
    from botctl.exchange.kraken import KrakenExchange

    return bot.exchange.fetch_key_expiry if isinstance(bot.exchange, KrakenExchange) else None


def find_candles(home: Home, symbol: str) -> "CandleColumns | None":
    """The candles of a symbol that are at hand: the tape's in demo mode, else those that `fetch` has kept.

    Raises BadValue for a file that can't be believed.
    """
    if home.settings.botctl_mode is Mode.DEMO:
        from botctl.exchange.demo_tape import load_demo_tape

        return load_demo_tape().history(symbol)
    from botctl.store.candle_files import candle_file

    path = candle_file(home.candles, symbol, home.settings.timeframe)
    if not path.exists():
        return None
    from botctl.market.history import load_candles

    return load_candles(path, symbol)
