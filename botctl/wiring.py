"""Builds a bot from settings: the only module that knows which adapter implements which port."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from botctl.adapters.clock import SystemClock
from botctl.adapters.fear_greed import FearAndGreed
from botctl.adapters.paper import PaperBroker
from botctl.adapters.simulated import SimulatedMarket
from botctl.config import Config, open_store, with_last_good_settings
from botctl.domain.configuration.refused_buys import live_trading_disabled_error
from botctl.domain.configuration.setting_problems import GUARDING
from botctl.domain.configuration.settings import DEFAULT_BALANCE, Mode, Settings
from botctl.domain.errors import ConfigError, Refused
from botctl.ports import Clock, Exchange, Sentiment
from botctl.store.database import close_database, open_database
from botctl.store.journal import Journal
from botctl.store.kill_switch import Switch
from botctl.store.location import SqliteFile
from botctl.trading.account_fees import AccountFees
from botctl.trading.bot import Bot
from botctl.trading.candle_cache import CandleCache
from botctl.trading.council.council import Council
from botctl.trading.council.seats import build_master
from botctl.trading.council.sittings import Sittings
from botctl.trading.drawdown_guard import DrawdownGuard
from botctl.trading.entries import EntryPlanner
from botctl.trading.evidence.account_check import AccountCheck
from botctl.trading.evidence.api_key import KeyCheck, key_id_of
from botctl.trading.evidence.gone_markets import TradeMarkets
from botctl.trading.evidence.missing_coins import MissingCoinsReview
from botctl.trading.evidence.outranked_orders import OutrankedOrders
from botctl.trading.evidence.unpriced import UnpricedAssets
from botctl.trading.evidence.unrecorded_orders import UnrecordedOrdersCheck
from botctl.trading.execution import ExecutionService
from botctl.trading.exits import ExitPlanner
from botctl.trading.orders.placement import OrderPlacement
from botctl.trading.orders.resting_stops import RestingStops
from botctl.trading.orders.settlement import OrderSettlement
from botctl.trading.orders.wait_budget import WaitBudget
from botctl.trading.position_manager import PositionManager
from botctl.trading.pre_trade_checks import PreTradeChecks
from botctl.trading.risk import RiskService
from botctl.trading.sizing import EntrySizing
from botctl.trading.snapshot import SnapshotService
from botctl.trading.time_budget import TimeBudget

if TYPE_CHECKING:
    from botctl.adapters.kraken.exchange import KrakenExchange, KrakenMarketData
    from botctl.domain.candles import CandleColumns
    from botctl.reconciliation.damaged import Damage


@contextmanager
def open_bot(config: Config, *, wait_seconds: float | None = None, validate_only: bool = False) -> Iterator[Bot]:
    """A bot that may call the exchange: under the process lock, with its database open.

    Waits for another run up to `wait_seconds`, by default as long as `config` says.
    Raises ConfigError when a live run lacks its keys, Busy when another run holds the lock.
    """
    config.require_account()
    database = config.database
    wait_seconds = config.lock_timeouts.run if wait_seconds is None else wait_seconds
    if config.settings.botctl_mode is Mode.LIVE and database.lacks_file():
        open_database(database, Mode.LIVE, create=False)  # raises, before a lock file is created
    with database.lock(wait_seconds), _keeping_room(config), open_store(config), _remembering_run(config):
        config = with_last_good_settings(config)
        yield build_bot(
            config.settings, config.switch, validate_only=validate_only, problems=config.problems,
            council_variables=config.council_variables.values, home=config.folder,
        )  # fmt: skip


@contextmanager
def open_account(config: Config) -> Iterator[Bot | None]:
    """A bot that looks at the account and does not trade, on an existing database; None without keys.

    Raises Busy at once while another run holds the lock.
    """
    settings = config.settings
    if settings.botctl_mode is not Mode.LIVE or not (settings.kraken_api_key and settings.kraken_private_key):
        yield None
        return
    with config.database.lock(0), open_store(config), _remembering_run(config):
        yield build_bot(settings, config.switch)


@contextmanager
def open_for_recovery(config: Config, *, apply: bool) -> "Iterator[tuple[Bot, Damage | None]]":
    """A bot on its database, or on a new one when that is damaged; with `apply` the new one then replaces it.

    Raises ConfigError for a missing database, and for a damaged one that can't be rebuilt.
    """
    from botctl.reconciliation.damaged import find_damage, missing_database, open_replacement

    config.require_account()
    config.require(*GUARDING)
    path, mode = config.database_file, config.settings.botctl_mode
    if not config.database.exists():
        raise missing_database(mode, config.database)
    with config.database.lock(config.lock_timeouts.run):
        damage = find_damage(config.database, mode, datetime.now(UTC))
        store = open_store(config) if damage is None else open_replacement(path, mode, damage, apply=apply)
        with store, _remembering_run(config) if damage is None else nullcontext():
            yield build_bot(config.settings, config.switch), damage


@contextmanager
def _keeping_room(config: Config) -> Iterator[None]:
    """A full disk must not keep a live run from recording an exit. A server looks after its own disk."""
    if config.settings.botctl_mode is not Mode.LIVE or config.database.file is None:
        yield
        return
    from botctl.store.upkeep.disk_reserve import give_up_reserve, keep_reserve

    give_up_reserve(config.database.file)
    yield
    keep_reserve(config.database.file)


def _remembering_run(config: Config) -> AbstractContextManager[None]:
    """Tells a database that was put back; the records of paper money are in the database itself."""
    if config.settings.botctl_mode is not Mode.LIVE:
        return nullcontext()
    from botctl.adapters.kraken.session import load_last_nonce
    from botctl.store.evidence.last_run import remember_run

    return remember_run(config.database_file, load_last_nonce)


def build_bot(
    settings: Settings,
    switch: Switch,
    *,
    validate_only: bool = False,
    simulated: SimulatedMarket | None = None,
    problems: Sequence[ConfigError] = (),
    council_variables: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> Bot:
    """Every service with the adapters of the settings' mode, or on a `simulated` market. With `problems` nothing is
    bought. COUNCIL_COMMAND runs in `home`, and sees `council_variables` beside its usual environment."""
    exchange, clock, sentiment = _build_adapters(settings, simulated)
    rule, timeframe = settings.stop_rule, settings.timeframe
    journal = Journal(settings.botctl_mode)
    snapshots = SnapshotService(exchange, journal, clock, settings.quote_currency)
    budget = _build_time_budget(settings, simulated)
    own_fees = settings.botctl_mode is Mode.LIVE and simulated is None
    fees = AccountFees(exchange, journal, settings.symbols, settings.fee_rate, own_fees)
    settlement = OrderSettlement(exchange, journal, clock, WaitBudget(clock, budget), rule, fees)
    candles = CandleCache(exchange, clock)
    risk = RiskService(
        candles, timeframe=settings.signal_timeframe, period=settings.atr_period, rule=rule,
        as_backtest=settings.botctl_mode is Mode.REPLAY,
    )  # fmt: skip
    why_not = why_no_buys(settings, problems, validate_only=validate_only)
    pre_trade_checks = _build_pre_trade_checks(settings, switch, journal, why_not)
    planner = ExitPlanner(exchange, journal, clock, markets := TradeMarkets(exchange, journal, clock))
    key_check = _build_key_check(settings, exchange, validate_only=validate_only)
    entries = EntryPlanner(
        exchange, risk, pre_trade_checks, key_check, snapshots, clock, fees, settings.min_stop_costs, timeframe
    )  # fmt: skip
    outranked = OutrankedOrders(exchange, journal, clock)
    review = MissingCoinsReview(exchange, journal, clock, settings.quote_currency)
    placement = OrderPlacement(exchange, journal, clock)
    resting = RestingStops(exchange, journal, clock, placement, settlement, settings.resting_distance)
    execution = ExecutionService(
        exchange, journal, settlement, placement, resting, pre_trade_checks, entries, planner, review, outranked,
        snapshots, clock, validate_only=validate_only,
    )  # fmt: skip
    positions = PositionManager(
        candles, journal, execution, planner, markets, snapshots, switch, clock, budget, fees,
        rule=rule, timeframe=timeframe, atr_timeframe=settings.signal_timeframe,
    )  # fmt: skip
    guard = _build_drawdown_guard(settings, positions, journal, switch, clock, on_history=simulated is not None)
    sizing = EntrySizing(settings.size_rule, settings.trade_amount_usd, settings.slippage, guard, journal, fees)
    seen, checks = council_variables or {}, pre_trade_checks
    council = Council(
        build_master(settings, candles, sentiment, journal, clock, checks, seen, home), execution, positions, journal,
        clock, budget, Sittings(candles, clock, settings, journal, validate_only=validate_only),
        symbols=settings.symbols, sizing=sizing,
    )  # fmt: skip
    return Bot(
        settings=settings, clock=clock, exchange=exchange, switch=switch, journal=journal, snapshots=snapshots,
        risk=risk, sentiment=sentiment, settlement=settlement, resting=resting, execution=execution,
        positions=positions, drawdown=guard, council=council, key_check=key_check, fees=fees, sizing=sizing,
        time_budget=budget, problems=tuple(problems),
        unrecorded=_build_unrecorded_orders_check(settings, exchange, clock),
        unpriced=UnpricedAssets(exchange, journal, settings.quote_currency, settings.ignore_assets or ()),
    )  # fmt: skip


def _build_drawdown_guard(
    settings: Settings,
    positions: PositionManager,
    journal: Journal,
    switch: Switch,
    clock: Clock,
    *,
    on_history: bool,
) -> DrawdownGuard:
    """With a check of the account, unless prices and balances are our own: then there is nothing to doubt."""
    snapshots, account = positions.snapshots, None
    if not on_history and settings.botctl_mode is not Mode.DEMO:
        account = AccountCheck(
            snapshots.exchange, journal, clock, quote_currency=settings.quote_currency, timeframe=settings.timeframe
        )
    return DrawdownGuard(
        snapshots, positions, journal, switch, clock, account,
        initial_balance=settings.initial_balance, max_drawdown=settings.max_drawdown,
        max_drawdown_peak=settings.max_drawdown_peak,
    )  # fmt: skip


def _build_adapters(settings: Settings, simulated: SimulatedMarket | None) -> tuple[Exchange, Clock, Sentiment]:
    """Kraken with real money, or the paper broker on Kraken's prices or on simulated ones."""
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
        exit_slippage=settings.exit_slippage,
        timeframe=settings.timeframe,
    )
    return broker, clock, market if isinstance(market, SimulatedMarket) else fear_and_greed


def why_no_buys(settings: Settings, problems: Sequence[ConfigError], *, validate_only: bool) -> ConfigError | None:
    """Why the settings allow no buys; None when they do."""
    if problems:
        hint = "correct the settings: `botctl config check` lists every problem"
        return ConfigError(f"nothing is bought while the settings are wrong: {problems[0].message}", hint=hint)
    if settings.live_trading_disabled and not validate_only:  # --validate places no order
        return live_trading_disabled_error()
    return None


def _build_pre_trade_checks(
    settings: Settings, switch: Switch, journal: Journal, no_buys: ConfigError | None
) -> PreTradeChecks:
    return PreTradeChecks(
        switch,
        journal,
        max_open_trades=settings.max_open_trades,
        cooldown=timedelta(minutes=settings.cooldown_minutes),
        no_buys=no_buys,
    )


def _build_key_check(settings: Settings, exchange: Exchange, *, validate_only: bool) -> KeyCheck:
    return KeyCheck(
        exchange, key_id_of(settings), settings.allow_withdraw_key or validate_only
    )  # --validate places no order


def _build_unrecorded_orders_check(settings: Settings, exchange: Exchange, clock: Clock) -> UnrecordedOrdersCheck:
    interval = timedelta(seconds=settings.timeframe.seconds)
    return UnrecordedOrdersCheck(exchange, clock, interval, enabled=settings.botctl_mode is Mode.LIVE)


def _build_time_budget(settings: Settings, simulated: SimulatedMarket | None) -> TimeBudget:
    """None on simulated prices, whose time is not this machine's."""
    on_simulated_prices = simulated is not None or settings.botctl_mode is Mode.DEMO
    return TimeBudget(None if on_simulated_prices else float(settings.tick_timeout))


def build_market(settings: Settings) -> "SimulatedMarket | KrakenMarketData":
    """The prices of the demo market, or Kraken's public ones. Needs no lock.

    Raises Refused for the database of a replay, which has no market.
    """
    if settings.botctl_mode is Mode.REPLAY:
        raise Refused("a replay's database has no current prices", hint="use trades, why or orders")
    if settings.botctl_mode is Mode.DEMO:
        from botctl.adapters.demo import load_demo_market

        return load_demo_market(signals=settings.signal_timeframe)
    return build_market_data(settings)


@contextmanager
def open_market_data(settings: Settings) -> "Iterator[KrakenMarketData]":
    """Kraken's public data in every mode, with a temporary database: no key and no lock."""
    with TemporaryDirectory(prefix="botctl-fetch-") as folder:
        open_database(SqliteFile(Path(folder) / "markets.db"), Mode.PAPER, create=True, durable=False)
        try:
            yield build_market_data(settings)
        finally:
            close_database()


def build_market_data(settings: Settings) -> "KrakenMarketData":
    """Kraken's public data."""
    from botctl.adapters.kraken.exchange import KrakenMarketData
    from botctl.adapters.kraken.session import KrakenSession

    url, proxy = settings.kraken_api_url, settings.https_proxy
    return KrakenMarketData(lambda: KrakenSession(base_url=url, api_key=None, private_key=None, proxy=proxy))


def build_kraken(settings: Settings) -> "KrakenExchange":
    """Kraken with the user's keys. Its private calls belong under the process lock."""
    from botctl.adapters.kraken.exchange import KrakenExchange
    from botctl.adapters.kraken.session import KrakenSession

    url, key, secret = settings.kraken_api_url, settings.kraken_api_key, settings.kraken_private_key
    proxy = settings.https_proxy
    return KrakenExchange(lambda: KrakenSession(base_url=url, api_key=key, private_key=secret, proxy=proxy))


def kraken_of(bot: Bot) -> "KrakenExchange | None":
    """The Kraken account that a bot trades on; None for paper money."""
    from botctl.adapters.kraken.exchange import KrakenExchange

    return bot.exchange if isinstance(bot.exchange, KrakenExchange) else None


def find_candles(config: Config, symbol: str) -> "CandleColumns | None":
    """The local candles of a symbol: the demo market's, or those that `fetch` has stored. Raises BadValue."""
    if config.settings.botctl_mode is Mode.DEMO:
        from botctl.adapters.demo import load_demo_market

        return load_demo_market().history(symbol)
    from botctl.market_data.candle_files import candle_file
    from botctl.market_data.history import load_candles

    path = candle_file(config.candles, symbol, config.settings.timeframe)
    return load_candles(path, symbol) if path.exists() else None
