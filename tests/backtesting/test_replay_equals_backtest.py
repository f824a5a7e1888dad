"""A backtest and a replay are one bot: the playback on plain numbers trades as the real ticks do, to the last digit."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest

from botctl.adapters.simulated import SimulatedMarket
from botctl.backtesting.replay import run_ticks, summarize_replay
from botctl.backtesting.results import BacktestTrade, BacktestView, ReplayView
from botctl.domain.candles import CandleColumns, from_unix, to_unix
from botctl.domain.configuration.settings import Mode, parse_settings
from botctl.domain.decisions import Stance
from botctl.domain.sentiment import FixedSentiment, SentimentSeries
from botctl.domain.symbols import Timeframe, base_of, quote_of
from botctl.market_data.timeline import align_histories
from botctl.store.database import close_database, open_database
from botctl.store.kill_switch import Switch
from botctl.store.location import SqliteFile
from botctl.store.models import PaperHolding
from botctl.wiring import build_bot
from tests.backtesting.histories import history_of, rising, run_backtest
from tests.backtesting.synthetic_histories import BEGIN, COLUMNS, DAY, draw_history, draw_sentiment, seasons
from tests.quick import parametrize

FEAR = FixedSentiment(Stance.FEAR)
TO_THE_LETTER = ("symbol", "entry_time", "exit_time", "exit_reason")
TO_A_BILLIONTH = ("amount", "entry_price", "entry_cost", "entry_fee", "atr", "initial_stop_loss_price")
TO_A_BILLIONTH += ("stop_loss_price", "high_price", "exit_price", "exit_proceeds", "exit_fee", "pnl")


@dataclass(frozen=True)
class Case:
    """What is played, and what must come of it so that the case tells something."""

    histories: list[CandleColumns]
    sentiment: SentimentSeries = FEAR
    settings: dict[str, str] = field(default_factory=dict)
    since: int | None = None
    until: int | None = None
    trades: int = 1
    reasons: tuple[str, ...] = ()
    trips: bool = False


def both(case: Case, folder: Path) -> tuple[BacktestView, ReplayView]:
    """One case backtested and replayed."""
    timeframe = Timeframe.from_seconds(case.histories[0].seconds)
    symbols = [history.symbol for history in case.histories]
    base = {"SYMBOLS": ",".join(symbols), "QUOTE_CURRENCY": quote_of(symbols[0]), "TIMEFRAME": timeframe}
    settings = parse_settings({"BOTCTL_MODE": "replay", **base, **case.settings})
    since, until = (None if at is None else from_unix(at) for at in (case.since, case.until))
    calculated = run_backtest(case.histories, settings, case.sentiment, since=since, until=until)
    grid = align_histories(case.histories, settings.atr_period, since, until, settings.signal_seconds)
    open_database(SqliteFile(folder / "replay.db"), Mode.REPLAY, create=True, durable=False)
    bot = build_bot(
        settings, Switch((folder / "HALT",)), simulated=SimulatedMarket(case.histories, grid, case.sentiment)
    )
    played = run_ticks(bot, range(grid.last - grid.first + 1))
    return calculated, summarize_replay(bot, grid, case.histories, case.sentiment, played)


@pytest.fixture(autouse=True)
def closed_afterwards() -> Iterator[None]:
    yield
    close_database()


def assert_alike(calculated: BacktestView, replayed: ReplayView) -> None:
    """Symbols, times and reasons exactly, prices and money to a billionth."""
    assert [letters(trade) for trade in calculated.trades] == [letters(trade) for trade in replayed.trades]
    for one, other in zip(calculated.trades, replayed.trades, strict=True):
        for name in TO_A_BILLIONTH:
            assert close(getattr(one, name), getattr(other, name)), (name, one, other)
    assert calculated.tripped_at == replayed.tripped_at
    assert close(calculated.equity, replayed.equity)
    for point, other_point in zip(calculated.equity_curve, replayed.equity_curve, strict=True):
        assert point.at == other_point.at
        assert point.equity == pytest.approx(other_point.equity, rel=1e-12)
    assert close(calculated.max_drawdown, replayed.max_drawdown)
    for name in ("symbols", "seconds", "since", "until", "bars", "buy_and_hold", "exposure", "fees", "win_rate"):
        assert getattr(calculated, name) == getattr(replayed, name), name


def letters(trade: BacktestTrade) -> tuple[object, ...]:
    return tuple(getattr(trade, name) for name in TO_THE_LETTER)


def close(one: Decimal | float | None, other: Decimal | float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(Decimal(one) - Decimal(other)) <= Decimal("1e-9")


UPS_AND_DOWNS = seasons(0.0012, -0.0008, 0.0004, -0.0015, 0.002, each=90)
CRASH = seasons(0.001, 0.0005, -0.02, -0.002, 0.001, each=130)
BETWEEN = BEGIN + 4 * DAY, BEGIN + 7 * DAY


def several(seed: int, count: int, **options: object) -> list[CandleColumns]:
    """Three symbols that begin at different times, each with candles of its own absent."""
    return [
        draw_history(seed, count, drift=UPS_AND_DOWNS, absent=0.02, **options),  # type: ignore[arg-type]
        draw_history(
            seed + 1, count, symbol="ETH/USD", price=900, decimals=2, drift=UPS_AND_DOWNS, absent=0.05, later=7,
            **options,  # type: ignore[arg-type]
        ),
        draw_history(
            seed + 2, count, symbol="SOL/USD", price=3.5, decimals=4, drift=UPS_AND_DOWNS, later=31,
            **options,  # type: ignore[arg-type]
        ),
    ]  # fmt: skip


def cases(count: int, seed: int) -> dict[str, Case]:
    """Every kind of case on histories of `count` candles."""
    alone = [draw_history(seed, count, drift=UPS_AND_DOWNS)]
    sentiments = draw_sentiment(seed, count * 900, every=6 * 3600)
    stops = ("STOP_LOSS", "TRAILING_STOP")
    return {
         "ups and downs": Case(alone, trades=4, reasons=stops),
        "no cool-down": Case(alone, settings={"COOLDOWN_MINUTES": "0"}, trades=5, reasons=stops),
         "wide stop, early trail": Case(
            alone, settings={"ATR_MULTIPLE": "3.5", "BREAKEVEN_ATR": "0.7", "ATR_PERIOD": "21"}, trades=2
        ),
         "free of charge": Case(alone, settings={"FEE_RATE": "0", "SLIPPAGE": "0", "BREAKEVEN_ATR": "0.5"}, trades=4),
         "fees in the rules": Case(
            alone,
            settings={
                "FEE_RATE": "0.001", "BREAKEVEN_FEES": "yes", "BREAKEVEN_ATR": "0.5", "ATR_MULTIPLE": "3",
                "MIN_STOP_COSTS": "2",
            },
            trades=2,
        ),
         "a short ATR": Case(alone, settings={"ATR_PERIOD": "2", "ATR_MULTIPLE": "4"}, trades=3),
        "moods": Case(several(seed + 10, count), sentiments, {"ATR_MULTIPLE": "15"}, trades=3, reasons=("COUNCIL",)),
         "several share the cash": Case(
            several(seed + 20, count), settings={"TRADE_AMOUNT_USD": "3400", "MAX_DRAWDOWN": "0.9"}, trades=8
        ),
         "one at a time": Case(
            several(seed + 30, count), settings={"MAX_OPEN_TRADES": "1", "COOLDOWN_MINUTES": "0"}, trades=5
        ),
         "the cash runs out": Case(
            several(seed + 40, count),
            settings={"TRADE_AMOUNT_USD": "9000", "MAX_DRAWDOWN": "0.95", "COOLDOWN_MINUTES": "15"},
            trades=2,
        ),
         "a crash": Case(
            [
                draw_history(seed + 50, count, drift=CRASH),
                draw_history(seed + 51, count, symbol="ETH/USD", price=900, decimals=2, drift=CRASH, absent=0.02),
            ],
            settings={
                "TRADE_AMOUNT_USD": "4900", "MAX_DRAWDOWN": "0.1", "ATR_MULTIPLE": "40", "BREAKEVEN_ATR": "90"
            },
            trades=2,
            reasons=("DRAWDOWN",),
            trips=True,
        ),
         "a fall from the peak": Case(
            alone,
            settings={
                "TRADE_AMOUNT_USD": "8500", "MAX_DRAWDOWN": "0.9", "MAX_DRAWDOWN_PEAK": "0.02", "FEE_RATE": "0.0001",
                "ATR_MULTIPLE": "40", "BREAKEVEN_ATR": "90",
            },
            reasons=("DRAWDOWN",),
            trips=True,
        ),
         "a drawdown of fees": Case(
            alone, settings={"TRADE_AMOUNT_USD": "9000", "MAX_DRAWDOWN": "0.01"}, trips=True
        ),
         "by risk": Case(
            several(seed + 80, count),
            settings={"SIZING": "risk", "RISK_PER_TRADE": "0.02", "COOLDOWN_MINUTES": "0", "MAX_DRAWDOWN": "0.9"},
            trades=5,
        ),
         "by risk, within limits": Case(
            several(seed + 80, count),
            settings={
                "SIZING": "risk", "RISK_PER_TRADE": "0.02", "MAX_EXPOSURE": "0.6", "ALLOCATION": "BTC:0.4,SOL:0.25",
                "MAX_TRADE_AMOUNT": "3500", "COOLDOWN_MINUTES": "0", "MAX_DRAWDOWN": "0.9",
            },
            trades=5,
        ),
         "compounded": Case(
            several(seed + 90, count),
            settings={"COMPOUND": "yes", "TRADE_AMOUNT_USD": "4000", "MAX_EXPOSURE": "0.7", "MAX_DRAWDOWN": "0.9"},
            trades=5,
        ),
         "hourly candles": Case(
            [draw_history(seed + 60, count, seconds=3600, drift=UPS_AND_DOWNS, absent=0.01)],
            draw_sentiment(seed + 60, count * 3600),
            {"COOLDOWN_MINUTES": "180"},
            trades=1,
        ),
         "signals of an hour": Case(
            several(seed + 80, signalled := max(count, SIGNALLED)),
            draw_sentiment(seed + 80, signalled * 900, every=6 * 3600),
            {"SIGNAL_TIMEFRAME": "1h", "ATR_MULTIPLE": "3", "BREAKEVEN_ATR": "0.7", "COOLDOWN_MINUTES": "0"},
            trades=2,
        ),
         "signals and little cash": Case(
            several(seed + 90, signalled),
            settings={
                "SIGNAL_TIMEFRAME": "30m", "TRADE_AMOUNT_USD": "6000", "MAX_DRAWDOWN": "0.95", "COOLDOWN_MINUTES": "0"
            },
            since=BEGIN + 501 * 900,  # between two signal candles
            trades=2,
        ),
         "from here to there": Case(several(seed + 70, count), since=BETWEEN[0], until=BETWEEN[1], trades=1),
    }  # fmt: skip


SIGNALLED = 620
"""Candles of a quarter of an hour, of which 456 are the hours of the warm-up."""
SHORTEST, SHORT, SOME_THOUSAND, LONG = 230, 420, 2000, 4000


SINCE = {"by risk, within limits": 175, "signals of an hour": 540}
"""The candle from which on these are traded: a tick before it costs time and tells nothing."""
CASES = ["by risk, within limits", "signals of an hour", "moods", "a fall from the peak", "ups and downs", "a crash"]


@parametrize("name", CASES, quick=2)
def test_a_replay_makes_the_trades_of_a_backtest(name: str, tmp_path: Path) -> None:
    case = cases(SHORTEST if name.startswith("by risk") else SHORT, 1)[name]
    if name in SINCE:
        case = replace(case, since=case.histories[0].times[SINCE[name]])

    check(case, tmp_path)


KINDS = list(cases(150, 1))
IN_SHORT = ("fees in the rules", "one at a time", "a drawdown of fees", "hourly candles")
"""Those that `CASES` leaves out and whose rules no quick test has."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name in IN_SHORT else pytest.mark.soak)
        for name in KINDS
        if name not in CASES or name in SINCE
    ],
)
def test_a_replay_of_every_kind_makes_the_trades_of_a_backtest(name: str, tmp_path: Path) -> None:
    check(cases(SHORT, 1)[name], tmp_path)


@pytest.mark.parametrize(("factor", "bought"), [(2.0, 1), (2.001, 0), (0.5, 1), (0.499, 0)])
def test_nothing_is_bought_beyond_half_or_twice_the_last_price(factor: float, bought: int, tmp_path: Path) -> None:
    """A tick does not believe such an ask, as in live mode, and says so; a backtest leaves the entry out."""
    price = 200.0 * factor
    history = history_of([*rising(114), *[(price, price + 1, price - 1, price)] * 3])

    calculated, replayed = both(Case([history], settings={"ATR_PERIOD": "2"}), tmp_path)

    assert_alike(calculated, replayed)
    assert len(calculated.trades) == bought
    assert replayed.failed_ticks == 1 - bought
    refused = ["is not between half and twice its last price" in error for error in replayed.errors]
    assert refused == [True] * (1 - bought)


@pytest.mark.long
def test_a_long_average_feels_no_candle_that_a_run_is_not_shown(tmp_path: Path) -> None:
    """Kraken shows 720 candles, and an ATR of 90 would feel the older ones of a history: a calm before a storm."""
    calm = draw_history(7, 500, volatility=0.0005)
    storm = draw_history(8, 500, price=calm.closes[-1], later=500)
    columns = {name: [*getattr(calm, name), *getattr(storm, name)] for name in COLUMNS}
    history = CandleColumns(symbol="BTC/USD", seconds=900, **columns)  # type: ignore[arg-type]
    settings = {"ATR_PERIOD": "90", "ATR_MULTIPLE": "1"}

    check(Case([history], settings=settings, since=history.times[800], trades=4), tmp_path)


@pytest.mark.long
def test_the_guard_trips_without_an_open_trade_too(tmp_path: Path) -> None:
    """A last sale whose price and fee go below the limit: nothing is left to sell, and nothing is bought any more."""
    settings = {"TRADE_AMOUNT_USD": "9000", "FEE_RATE": "0.01", "COOLDOWN_MINUTES": "0", "MAX_DRAWDOWN": "0.0985"}
    case = Case([draw_history(1, SHORT, drift=UPS_AND_DOWNS)], settings=settings, trades=2, trips=True)

    check(case, tmp_path)


def test_what_the_first_tick_pays_is_a_drawdown_already(tmp_path: Path) -> None:
    """An entry at the very first tick, whose fee is never earned back: the drawdown counts from the cash before it."""
    history = draw_history(1, 280, drift=UPS_AND_DOWNS)
    entered = to_unix(run_backtest([history], parse_settings({"QUOTE_CURRENCY": "USD"}), FEAR).trades[0].entry_time)

    case = Case([history], settings={"TRADE_AMOUNT_USD": "5000"}, since=entered, until=entered + 10 * history.seconds)

    check(case, tmp_path)


@pytest.mark.long
def test_a_replay_far_into_a_history_makes_the_trades_of_a_backtest(tmp_path: Path) -> None:
    """Kraken shows 720 candles: long histories in full are soak."""
    case = cases(SOME_THOUSAND, 200)["several share the cash"]

    check(replace(case, since=case.histories[0].times[SOME_THOUSAND - 300]), tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [100, 200])
@pytest.mark.parametrize("name", KINDS)
def test_a_replay_of_long_histories_makes_the_trades_of_a_backtest(name: str, seed: int, tmp_path: Path) -> None:
    check(cases(LONG, seed)[name], tmp_path)


def check(case: Case, folder: Path) -> None:
    calculated, replayed = both(case, folder)

    assert_alike(calculated, replayed)
    assert replayed.ticks == replayed.bars
    assert len(calculated.trades) >= case.trades
    assert set(case.reasons) <= {trade.exit_reason for trade in calculated.trades}
    assert (calculated.tripped_at is not None) == case.trips
    held = {row.currency: row.total for row in PaperHolding.select()}
    for history in case.histories:
        held[base_of(history.symbol)] = held.get(base_of(history.symbol), Decimal(0)) * last_price(history, replayed)
    assert sum(held.values()) == replayed.equity


def last_price(history: CandleColumns, view: ReplayView) -> Decimal:
    """The newest close that was known at the end of a run."""
    end = view.until.timestamp() - history.seconds
    known = [price for time, price in zip(history.times, history.closes, strict=True) if time <= end]
    return Decimal(repr(known[-1]))
