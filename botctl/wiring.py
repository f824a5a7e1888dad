"""Settings become a running bot here: the only file that knows which adapter stands behind which port."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from botctl.config import Config, is_there, open_store
from botctl.domain.errors import ConfigError, Refused
from botctl.domain.settings import DEFAULT_BALANCE, Mode, Settings, missing_for_live
from botctl.store.database import close_database, open_database
from botctl.store.kill_switch import Switch
from botctl.store.location import SqliteFile

if TYPE_CHECKING:
    from botctl.adapters.kraken.exchange import KrakenExchange, KrakenMarketData
    from botctl.adapters.simulated import SimulatedMarket
    from botctl.domain.candles import CandleColumns
    from botctl.ports import Clock, Exchange, Sentiment
    from botctl.reconciliation.damaged import Damage
    from botctl.store.journal import Journal
    from botctl.trading.bot import Bot
    from botctl.trading.council.council import Decider


@contextmanager
def open_bot(config: Config, *, wait_seconds: float | None = None, validate_only: bool = False) -> Iterator["Bot"]:
    """A bot that may call the exchange: under the process lock, with its database open.

    Waits for another run up to `wait_seconds`; where they are not given, as long as the home says.
    Raises ConfigError when a live run lacks its keys or its initial balance, Busy when another run holds the lock.
    """
    _check_keys(config)
    where = config.database
    wait_seconds = config.lock_timeouts.run if wait_seconds is None else wait_seconds
    if config.settings.botctl_mode is Mode.LIVE and where.lacks_file():
        open_database(where, Mode.LIVE, create=False)  # says what is wrong, before a lock file is made
    with where.lock(wait_seconds), open_store(config):
        yield build_bot(config.settings, config.switch, validate_only=validate_only, backed_up=config.database_file)


@dataclass(frozen=True)
class RecoverySession:
    """A bot for recover, and what is wrong with its database."""

    bot: "Bot"
    damage: "Damage | None"
    """None when the database is sound. Else the bot works on a fresh one."""


@contextmanager
def open_for_recovery(config: Config, *, apply: bool) -> Iterator[RecoverySession]:
    """A bot that may find its database damaged: then it works on a fresh one, which with `apply` takes its place once
    the block has ended well.

    Raises ConfigError where there is no database, or where one is damaged that can't be rebuilt.
    """
    from botctl.reconciliation.damaged import find_damage, missing_database, open_replacement

    _check_keys(config)
    path, mode = config.database_file, config.settings.botctl_mode
    if not is_there(config):
        raise missing_database(mode, config.database)
    with config.database.lock(config.lock_timeouts.run):
        damage = find_damage(config.database, mode, datetime.now(UTC))
        with open_store(config) if damage is None else open_replacement(path, mode, damage, apply=apply):
            yield RecoverySession(build_bot(config.settings, config.switch), damage)


def _check_keys(config: Config) -> None:
    missing = missing_for_live(config.settings)
    if missing:
        raise ConfigError(f"live mode needs {', '.join(missing)}", hint=f"set it in {config.env_file}")


def build_bot(
    settings: Settings,
    switch: Switch,
    *,
    validate_only: bool = False,
    backed_up: Path | None = None,
    simulated: "SimulatedMarket | None" = None,
) -> "Bot":
    """Every service on its port, with a `simulated` market instead of the mode's own where there is one.

    `backed_up` is the database whose daily copies are kept, if it is to have any.
    """
    from botctl.store.journal import Journal
    from botctl.trading.bot import Bot
    from botctl.trading.council.council import Council
    from botctl.trading.drawdown_guard import DrawdownGuard
    from botctl.trading.execution import ExecutionService
    from botctl.trading.exits import ExitPlanner
    from botctl.trading.order_settlement import OrderSettlement, WaitBudget
    from botctl.trading.position_manager import PositionManager
    from botctl.trading.pre_trade_checks import PreTradeChecks
    from botctl.trading.risk import RiskService
    from botctl.trading.snapshot import SnapshotService
    from botctl.trading.time_budget import TimeBudget

    exchange, clock, sentiment = _build_outside(settings, simulated)
    on_recorded_prices = simulated is not None or settings.botctl_mode is Mode.DEMO  # its time is not this machine's
    time_budget = TimeBudget(None if on_recorded_prices else float(settings.tick_timeout))
    timeframe, rule = settings.timeframe, settings.stop_rule
    journal = Journal(settings.botctl_mode)
    snapshots = SnapshotService(exchange, clock, settings.quote_currency)
    settlement = OrderSettlement(exchange, journal, clock, WaitBudget(clock), rule)
    risk = RiskService(exchange, timeframe=timeframe, period=settings.atr_period, rule=rule)
    cooldown = timedelta(minutes=settings.cooldown_minutes)
    pre_trade_checks = PreTradeChecks(
        switch,
        journal,
        max_open_trades=settings.max_open_trades,
        cooldown=cooldown,
        live_trading_disabled=settings.live_trading_disabled and not validate_only,  # a rehearsal trades nothing
    )
    exit_planner = ExitPlanner(exchange, journal, clock)
    execution = ExecutionService(
        exchange,
        journal,
        settlement,
        risk,
        pre_trade_checks,
        exit_planner,
        snapshots,
        clock,
        validate_only=validate_only,
    )
    positions = PositionManager(
        exchange,
        journal,
        execution,
        exit_planner,
        snapshots,
        switch,
        clock,
        time_budget,
        rule=rule,
        timeframe=timeframe,
    )
    guard = DrawdownGuard(
        snapshots,
        positions,
        journal,
        switch,
        clock,
        initial_balance=settings.initial_balance or DEFAULT_BALANCE,
        max_drawdown=settings.max_drawdown,
    )
    decider = _build_decider(settings, exchange, clock, sentiment, journal)
    symbols, amount = settings.symbols, settings.trade_amount_usd
    council = Council(decider, execution, positions, journal, clock, time_budget, symbols=symbols, trade_amount=amount)
    return Bot(
        settings=settings,
        clock=clock,
        exchange=exchange,
        switch=switch,
        journal=journal,
        snapshots=snapshots,
        risk=risk,
        sentiment=sentiment,
        settlement=settlement,
        execution=execution,
        positions=positions,
        drawdown=guard,
        council=council,
        time_budget=time_budget,
        backed_up=backed_up,
    )


def _build_outside(settings: Settings, simulated: "SimulatedMarket | None") -> "tuple[Exchange, Clock, Sentiment]":
    """Kraken with our money, or the paper broker on Kraken's prices or on recorded ones."""
    from botctl.adapters.clock import SystemClock
    from botctl.adapters.fear_greed import FearAndGreed
    from botctl.adapters.paper import PaperBroker
    from botctl.adapters.simulated import SimulatedMarket

    system_clock = SystemClock()
    fear_and_greed = FearAndGreed(settings.sentiment_url, system_clock)
    if settings.botctl_mode is Mode.LIVE:
        return build_kraken(settings), system_clock, fear_and_greed
    market = simulated or build_market(settings)
    clock: Clock = market if isinstance(market, SimulatedMarket) else system_clock
    broker = PaperBroker(
        market,
        clock,
        quote_currency=settings.quote_currency,
        opening_cash=settings.initial_balance or DEFAULT_BALANCE,
        fee_rate=settings.fee_rate,
        slippage=settings.slippage,
    )
    return broker, clock, market if isinstance(market, SimulatedMarket) else fear_and_greed


def _build_decider(
    settings: Settings, exchange: "Exchange", clock: "Clock", sentiment: "Sentiment", journal: "Journal"
) -> "Decider":
    """The agents, or the external command."""
    from botctl.trading.council.external_command import ExternalCommand
    from botctl.trading.council.master_node import MasterNode

    master = MasterNode(exchange, sentiment, journal, clock, timeframe=settings.timeframe, names=settings.council)
    if settings.council_command:
        return ExternalCommand(master, settings.council_command, float(settings.council_timeout))
    return master


def build_market(settings: Settings) -> "SimulatedMarket | KrakenMarketData":
    """Where prices come from: the demo's tape, or Kraken's public side. Needs no lock.

    Raises Refused in the database that a replay kept: it has no market any more.
    """
    if settings.botctl_mode is Mode.REPLAY:
        raise Refused("a replay's database has no prices: it shows what was", hint="ask it for trades, why or orders")
    if settings.botctl_mode is Mode.DEMO:
        from botctl.adapters.demo import load_demo_market

        return load_demo_market()
    return build_market_data(settings)


@contextmanager
def open_market_data(settings: Settings) -> "Iterator[KrakenMarketData]":
    """Kraken's public side in every mode, with a database that is thrown away: no key, no lock, nothing of the home."""
    with TemporaryDirectory(prefix="botctl-fetch-") as folder:
        open_database(SqliteFile(Path(folder) / "markets.db"), Mode.PAPER, create=True, durable=False)
        try:
            yield build_market_data(settings)
        finally:
            close_database()


def build_market_data(settings: Settings) -> "KrakenMarketData":
    """Kraken's public side."""
    from botctl.adapters.kraken.exchange import KrakenMarketData
    from botctl.adapters.kraken.session import KrakenSession

    url = settings.kraken_api_url
    return KrakenMarketData(lambda: KrakenSession(base_url=url, api_key=None, private_key=None))


def build_kraken(settings: Settings) -> "KrakenExchange":
    """Kraken with our keys. Its private calls belong under the process lock."""
    from botctl.adapters.kraken.exchange import KrakenExchange
    from botctl.adapters.kraken.session import KrakenSession

    return KrakenExchange(
        lambda: KrakenSession(
            base_url=settings.kraken_api_url,
            api_key=settings.kraken_api_key,
            private_key=settings.kraken_private_key,
        )
    )


def kraken_of(bot: "Bot") -> "KrakenExchange | None":
    """The Kraken account that a bot trades on; None where its money is paper."""
    from botctl.adapters.kraken.exchange import KrakenExchange

    return bot.exchange if isinstance(bot.exchange, KrakenExchange) else None


def key_expiry_of(bot: "Bot") -> "Callable[[], datetime | None] | None":
    """How to ask when the key in use expires; None where there is no key."""
    kraken = kraken_of(bot)
    return None if kraken is None else kraken.fetch_key_expiry


def find_candles(config: Config, symbol: str) -> "CandleColumns | None":
    """The candles of a symbol that are at hand: the tape's in demo mode, else those that `fetch` has kept.

    Raises BadValue for a file that can't be believed.
    """
    if config.settings.botctl_mode is Mode.DEMO:
        from botctl.adapters.demo import load_demo_market

        return load_demo_market().history(symbol)
    from botctl.market_data.candle_files import candle_file

    path = candle_file(config.candles, symbol, config.settings.timeframe)
    if not path.exists():
        return None
    from botctl.market_data.history import load_candles

    return load_candles(path, symbol)
