"""A backtest does what the bot would have done: by hand, visit by visit, and whatever the future holds."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botctl.backtesting.backtest import align_histories, build_arrays, new_buffers, parameters_of
from botctl.backtesting.jit import Kernel, compiled, interpreted
from botctl.backtesting.performance import calculate_max_drawdown
from botctl.backtesting.results import BacktestTrade, BacktestView
from botctl.domain.candles import CandleColumns
from botctl.domain.configuration.settings import Settings, parse_settings
from botctl.domain.decisions import Stance
from botctl.domain.errors import BadValue
from botctl.domain.sentiment import FixedSentiment, SentimentHistory, SentimentSeries
from botctl.domain.symbols import Timeframe
from tests.backtesting.bar_by_bar import run_every_bar, warm_up
from tests.backtesting.histories import START, STEP, first, history_of, rising, run_backtest, walk

FEAR = FixedSentiment(Stance.FEAR)
FREE = {"FEE_RATE": "0", "SLIPPAGE": "0", "ATR_PERIOD": "2", "TRADE_AMOUNT_USD": "100"}
WARM = 114
"""Candles that an ATR of 2 periods needs."""
seeds = st.integers(0, 10**9)


def given_settings(**values: str) -> Settings:
    return parse_settings({**FREE, **values})


def after_warm_up(*rows: tuple[float, float], **values: str) -> BacktestView:
    """Warm up to a close of 200 with an ATR of 10, then candles of these opens and closes."""
    candles = [(opened, max(opened, close), min(opened, close), close) for opened, close in rows]
    return run_backtest([history_of(rising(WARM) + candles)], given_settings(**values), FEAR)


def at(bar: int) -> datetime:
    """When the bar so many after the warm-up's last closed."""
    return datetime.fromtimestamp(START + STEP * (WARM + bar), UTC)


# By hand


def test_a_trade_that_falls_ends_at_its_stop() -> None:
    """Bought at the open after the signal, 200: 0.5 for 100. Stop 200 - 2 x 10 = 180. A close of 181 holds, one of
    180 hits; sold at the next open, 179: 89.5. Lost 10.5."""
    view = after_warm_up((200, 190), (190, 181), (181, 180), (179, 170), (170, 170))

    [trade] = view.trades
    assert (trade.entry_time, trade.exit_time) == (at(0), at(3))
    assert (trade.amount, trade.entry_cost) == (Decimal("0.5"), 100)
    assert trade.atr == pytest.approx(10)
    assert trade.stop_loss_price == pytest.approx(180)
    assert (trade.exit_reason, trade.exit_proceeds, trade.pnl) == ("STOP_LOSS", Decimal("89.5"), Decimal("-10.5"))
    assert (view.equity, view.returned) == (Decimal("9989.5"), Decimal("-0.00105"))


def test_a_trade_that_rises_far_enough_trails_its_high() -> None:
    """Bought at 200. Closes of 205 and 220 leave the stop at 180: 220 is not above 200 + 2 x 10. 221 moves it to
    221 - 20 = 201; 215 holds; 201 hits. Sold at the next open, 202: 101. Won 1."""
    view = after_warm_up((200, 205), (205, 220), (220, 221), (221, 215), (215, 201), (202, 202))

    [trade] = view.trades
    assert trade.exit_time == at(5)
    assert trade.stop_loss_price == pytest.approx(201)
    assert trade.high_price == 221
    assert (trade.exit_reason, trade.pnl) == ("TRAILING_STOP", 1)


def test_a_trade_that_rises_a_little_breaks_even() -> None:
    """With BREAKEVEN_ATR = 1 a close of 211 moves the stop to the entry, since 211 - 20 lies below it. 200 hits it;
    sold at the next open, 199: 99.5."""
    view = after_warm_up((200, 211), (211, 201), (201, 200), (199, 199), BREAKEVEN_ATR="1")

    [trade] = view.trades
    assert (trade.exit_reason, trade.stop_loss_price, trade.pnl) == ("BREAKEVEN", 200, Decimal("-0.5"))


def test_breakeven_may_cover_both_fees() -> None:
    """202 paid for each at 200 with 1 %, and a sale loses 1 %: 204.04. A close of 209 leaves the stop at the entry, as
    that is less than half an ATR away; 211 raises it. 204 hits it; sold at the next open, 204: 102 less 1.02."""
    costs = {"FEE_RATE": "0.01", "BREAKEVEN_ATR": "0.5", "BREAKEVEN_FEES": "yes"}
    view = after_warm_up((200, 209), (209, 211), (211, 205), (205, 204), (204, 204), **costs)

    [trade] = view.trades
    assert trade.stop_loss_price == pytest.approx(202 / 0.99)
    assert (trade.exit_reason, trade.pnl) == ("BREAKEVEN", Decimal("-0.02"))


@pytest.mark.parametrize(("costs", "trades"), [("5", 1), ("6", 0)])
def test_no_entry_whose_stop_is_too_close_for_its_costs(costs: str, trades: int) -> None:
    """The stop is 20 below 200, and a round trip at 1 % costs 4."""
    view = after_warm_up((200, 190), (190, 195), (191, 191), FEE_RATE="0.01", MIN_STOP_COSTS=costs)

    assert len(view.trades) == trades


def test_fee_and_slippage_are_those_of_the_paper_broker() -> None:
    """Ask 200: 0.5 at 200 x 1.001 = 200.2 costs 100.1, its fee of 1 % 1.001. The stop hangs from 200.2. Bid 150:
    0.5 at 150 x 0.997 = 149.55 brings 74.775, its fee 0.74775: a sell slips three times as far."""
    view = after_warm_up((200, 190), (190, 160), (150, 150), FEE_RATE="0.01", SLIPPAGE="0.001")

    [trade] = view.trades
    assert (trade.entry_cost, trade.entry_fee) == (Decimal("100.1"), Decimal("1.001"))
    assert trade.stop_loss_price == pytest.approx(180.2)
    assert (trade.exit_proceeds, trade.exit_fee) == (Decimal("74.775"), Decimal("0.74775"))
    assert trade.pnl == Decimal("74.775") - Decimal("0.74775") - Decimal("101.101")
    assert view.equity == 10000 + trade.pnl
    assert view.fees == Decimal("1.74875")


def test_the_slippage_of_exits_is_its_own() -> None:
    """0.5 sold at 150 x 0.98 = 147 instead of 150."""
    view = after_warm_up((200, 190), (190, 160), (150, 150), SLIPPAGE="0", EXIT_SLIPPAGE="0.02")

    [trade] = view.trades
    assert (trade.entry_cost, trade.exit_proceeds) == (100, Decimal("73.5"))
    assert after_warm_up((200, 190), (190, 160), (150, 150), SLIPPAGE="0").trades[0].exit_proceeds == 75


def test_what_is_still_open_counts_at_its_last_price() -> None:
    view = after_warm_up((200, 190), (190, 195), (191, 191))

    [trade] = view.trades
    assert (trade.exit_time, trade.exit_reason, trade.pnl) == (None, None, None)
    assert view.equity == Decimal("9997.5")
    assert (view.win_rate, view.profit_factor) == (None, None)


def test_the_cool_down_keeps_out_for_its_time() -> None:
    """Sold at bar 1. Sixty minutes are four bars: the next entry is at bar 5, although every bar says BUY."""
    view = run_backtest(
        [history_of(zigzag := [*rising(WARM), (200, 200, 150, 150), *rising(12, 214)])], given_settings(), FEAR
    )
    slow = run_every_bar([history_of(zigzag)], given_settings(), FEAR)

    assert [trade.entry_time for trade in view.trades][:2] == [at(0), at(5)]
    assert view.trades[0].exit_time == at(1)
    assert len(slow.positions) == len(view.trades)


def test_the_guard_sells_everything_and_ends_all_entries() -> None:
    """100 of 100 in the market: a close of 190 is an equity of 95, below 100 x (1 - 0.04). The stop at 180 was not hit.
    Sold at the next open, 192: 96."""
    rows = [(200.0, 190.0), (192.0, 192.0), *((200.0 + place, 201.0 + place) for place in range(30))]
    view = after_warm_up(*rows, INITIAL_BALANCE="100", MAX_DRAWDOWN="0.04", COOLDOWN_MINUTES="0")

    [trade] = view.trades
    assert (trade.exit_reason, trade.exit_proceeds) == ("DRAWDOWN", 96)
    assert (trade.exit_time, view.tripped_at) == (at(1), at(1))
    assert trade.stop_loss_price == pytest.approx(180)


def test_the_guard_trips_on_what_a_sale_left_behind_too() -> None:
    """The stop sells at 150: 75 of 100 are left, so the next visit trips the guard, with nothing open to sell."""
    rows = [(200.0, 180.0), (150.0, 200.0), *((200.0 + place, 201.0 + place) for place in range(30))]
    view = after_warm_up(*rows, INITIAL_BALANCE="100", MAX_DRAWDOWN="0.2", COOLDOWN_MINUTES="0")

    [trade] = view.trades
    assert trade.exit_reason == "STOP_LOSS"
    assert view.tripped_at == at(2)


def test_the_guard_trips_below_the_peak_too() -> None:
    """0.5 bought for 100 at 200. A close of 300 makes 150 of 100; at 239 it is 119.5, more than 20 % below."""
    rows = [(200.0, 300.0), (300.0, 241.0), (240.0, 239.0), (236.0, 236.0), (236.0, 236.0)]
    wide = {"INITIAL_BALANCE": "100", "MAX_DRAWDOWN": "0.9", "ATR_MULTIPLE": "15", "BREAKEVEN_ATR": "20"}
    view = after_warm_up(*rows, **wide, MAX_DRAWDOWN_PEAK="0.2")

    [trade] = view.trades
    assert (trade.exit_reason, trade.exit_proceeds, view.tripped_at) == ("DRAWDOWN", 118, at(3))
    assert after_warm_up(*rows, **wide).tripped_at is None


def test_the_equity_of_a_bar_is_that_after_its_orders_and_the_drawdown_is_measured_from_the_start() -> None:
    """100 are spent at the first bar, and a fee of 10: 240 of 250 are left at its own price."""
    settings = given_settings(INITIAL_BALANCE="250", FEE_RATE="0.1", MAX_DRAWDOWN="0.99", SLIPPAGE="0")
    history = [history_of([*rising(WARM), (200, 200, 200, 200), (200, 200, 200, 200)])]
    _, equity, _ = playback(history, settings, FEAR)

    assert equity == [240.0, 240.0]
    assert float(run_backtest(history, settings, FEAR).max_drawdown) == pytest.approx(0.04)


def test_cash_that_runs_out_ends_entries() -> None:
    """Two symbols that both say BUY, and cash for one: the first one named gets it, fee included."""
    both = [
        history_of([*rising(WARM), (200, 200, 200, 200), (200, 200, 200, 200)], name) for name in ("A/USD", "B/USD")
    ]

    assert [t.symbol for t in run_backtest(both, given_settings(INITIAL_BALANCE="199"), FEAR).trades] == ["A/USD"]
    assert len(run_backtest(both, given_settings(INITIAL_BALANCE="200"), FEAR).trades) == 2
    assert len(run_backtest(both, given_settings(INITIAL_BALANCE="200", FEE_RATE="0.001"), FEAR).trades) == 1
    assert len(run_backtest(both, given_settings(MAX_OPEN_TRADES="1"), FEAR).trades) == 1


def test_open_trades_and_the_entries_of_a_bar_leave_less_room_for_the_next_one() -> None:
    """100 of 1000 may be in open trades. A takes them at the first bar. At the next one A is worth 90 of 990: B gets 9,
    and nothing more is left at the third."""
    fallen = [(200.0, 200.0, 180.0, 180.0), (180.0, 180.0, 180.0, 180.0), (180.0, 180.0, 180.0, 180.0)]
    calm = [(200.0, 200.0, 200.0, 200.0)] * 3
    names = {"A/USD": fallen, "B/USD": calm, "C/USD": calm}
    histories = [history_of([*rising(WARM), *rows], name) for name, rows in names.items()]
    settings = given_settings(ATR_MULTIPLE="15", INITIAL_BALANCE="1000", MAX_EXPOSURE="0.1")

    trades = run_backtest(histories, settings, FEAR).trades

    assert [(trade.symbol, trade.entry_time, trade.entry_cost) for trade in trades] == [
        ("A/USD", at(0), 100),
        ("B/USD", at(1), 9),
    ]


# Visit by visit


SIZES: list[dict[str, str]] = [
    {},
    {"SIZING": "risk", "RISK_PER_TRADE": "0.009"},
    {"SIZING": "risk", "RISK_PER_TRADE": "0.0099", "MAX_EXPOSURE": "0.6", "ALLOCATION": "BTC:0.5,ETH:0.3"},
    {"SIZING": "risk", "RISK_PER_TRADE": "0.005", "MAX_TRADE_AMOUNT": "60"},
    {"COMPOUND": "yes", "MAX_EXPOSURE": "0.9"},
    {"MAX_EXPOSURE": "0.5", "ALLOCATION": "ETH:0.1"},
]


@st.composite
def worlds(draw: st.DrawFn, signals: Timeframe = Timeframe.MINUTES_15) -> "World":
    """A few symbols, with or without absent candles, terms that bite, and a mood that turns."""
    each = signals.seconds // STEP
    seed, absent = draw(seeds), draw(st.sampled_from([0.0, 0.0, 0.1]))
    symbols = draw(st.sampled_from([("BTC/USD",), ("BTC/USD", "ETH/USD"), ("BTC/USD", "ETH/USD", "SOL/USD")]))
    spare = 0 if each == 1 else 20
    counts = st.integers((150 - spare) * each, (220 - 4 * spare) * each)
    histories = [walk(seed, draw(counts), symbol, absent=absent) for symbol in symbols]
    values = {
        "SIGNAL_TIMEFRAME": signals,
        "ATR_PERIOD": draw(st.sampled_from(["2", "3", "5"])),
        "ATR_MULTIPLE": draw(st.sampled_from(["0.7", "2", "20"])),
        "BREAKEVEN_ATR": draw(st.sampled_from(["0.5", "2"])),
        "FEE_RATE": draw(st.sampled_from(["0", "0.008", "0.03"])),
        "BREAKEVEN_FEES": draw(st.sampled_from(["no", "yes"])),
        "MIN_STOP_COSTS": draw(st.sampled_from(["0", "0.5", "2"])),
        "SLIPPAGE": draw(st.sampled_from(["0", "0.0005"])),
        "EXIT_SLIPPAGE": draw(st.sampled_from(["", "0", "0.01"])),
        "COOLDOWN_MINUTES": draw(st.sampled_from(["0", "15", "60"])),
        "MAX_OPEN_TRADES": draw(st.sampled_from(["1", "2", "5"])),
        "MAX_DRAWDOWN": draw(st.sampled_from(["0.01", "0.05", "0.5"])),
        "MAX_DRAWDOWN_PEAK": draw(st.sampled_from(["", "0.01", "0.05"])),
        "INITIAL_BALANCE": draw(st.sampled_from(["150", "250", "10000"])),
        **draw(st.sampled_from(SIZES)),
    }
    indices = draw(st.lists(st.sampled_from([20, 20, 80, 50]), min_size=20, max_size=20))
    measured = [START + (100 * each + 6 * place) * STEP for place in range(20)]
    sentiment = draw(st.sampled_from([FEAR, SentimentHistory(measured, indices)]))
    return histories, parse_settings(values), sentiment


World = tuple[list[CandleColumns], Settings, SentimentSeries]


@settings(max_examples=15)
@given(worlds())
def test_it_trades_as_visit_after_visit_would(world: World) -> None:
    check_against_visits(world)


@pytest.mark.long
@settings(max_examples=150)
@given(worlds())
def test_it_trades_as_visit_after_visit_would_in_many_worlds(world: World) -> None:
    check_against_visits(world)


@settings(max_examples=8)
@given(worlds(signals=Timeframe.MINUTES_30))
def test_with_longer_signals_it_trades_as_visit_after_visit_would(world: World) -> None:
    check_against_visits(world)


@pytest.mark.long
@pytest.mark.parametrize("signals", [Timeframe.MINUTES_30, Timeframe.HOUR])
@settings(max_examples=60)
@given(data=st.data())
def test_with_longer_signals_it_trades_as_visit_after_visit_would_in_many_worlds(
    signals: Timeframe, data: st.DataObject
) -> None:
    check_against_visits(data.draw(worlds(signals=signals)))


def check_against_visits(world: World) -> None:
    histories, parameters, sentiment = world

    slow = run_every_bar(histories, parameters, sentiment)
    trades, equity, times = playback(histories, parameters, sentiment)
    view = run_backtest(histories, parameters, sentiment)

    assert times == slow.times
    assert [trade.symbol for trade in trades] == [position.symbol for position in slow.positions]
    for trade, position in zip(trades, slow.positions, strict=True):
        assert trade.entry_time.timestamp() == position.entry_time
        assert (trade.exit_time.timestamp() if trade.exit_time else None) == position.exit_time
        assert trade.exit_reason == position.reason
        assert trade.amount == position.amount
        assert trade.stop_loss_price == pytest.approx(position.stop, rel=1e-12)
        assert trade.high_price == pytest.approx(position.high, rel=1e-12)
    assert equity == pytest.approx([float(worth) for worth in slow.equity], abs=1e-6)
    assert (view.tripped_at and view.tripped_at.timestamp()) == slow.tripped_at
    opening = float(parameters.initial_balance or 0)
    days = slow.days()
    assert [point.at.timestamp() for point in view.equity_curve] == [time for time, _ in days]
    assert [point.equity for point in view.equity_curve] == pytest.approx([worth for _, worth in days], rel=1e-13)
    for ratio, expected in zip((view.sharpe, view.sortino), slow.ratios(opening), strict=True):
        assert ratio == (None if expected is None else pytest.approx(expected, rel=1e-6))
    deepest = calculate_max_drawdown([opening, *map(float, slow.equity)])
    assert float(view.max_drawdown) == pytest.approx(deepest, abs=1e-13)
    held = [p for p in slow.positions if p.exit_time is None]
    last = {h.symbol: Decimal(repr(h.closes[_seen(h, slow.times[-1]) - 1])) for h in histories}
    assert view.equity == slow.cash + sum(p.amount * last[p.symbol] for p in held)


def _seen(history: CandleColumns, now: int) -> int:
    return sum(time + history.seconds <= now for time in history.times)


def playback(
    histories: Sequence[CandleColumns], parameters: Settings, sentiment: SentimentSeries, code: Kernel | None = None
) -> tuple[list[BacktestTrade], list[float], list[int]]:
    """The trades, and the equity of every bar, which the view tells by the day alone."""
    view = run_backtest(histories, parameters, sentiment)
    code = code or interpreted()
    timeline = align_histories(histories, parameters.atr_period, None, None, parameters.signal_seconds)
    buffers = new_buffers(code, len(histories), len(timeline.times))
    wanted = parameters.atr_period, None, parameters.allocation
    code.simulate(build_arrays(code, timeline, histories, sentiment, *wanted), parameters_of(parameters), buffers)
    bars = slice(timeline.first, timeline.last + 1)
    return view.trades, np.asarray(buffers.equity)[bars].tolist(), timeline.times[bars].tolist()


# Whatever the future holds


@settings(max_examples=20)
@given(worlds() | worlds(signals=Timeframe.MINUTES_30), st.integers(1, 40))
def test_the_past_is_the_same_whatever_comes_after_it(
    world: tuple[list[CandleColumns], Settings, SentimentSeries], cut: int
) -> None:
    histories, parameters, sentiment = world
    now = START + STEP * (max(len(history.times) for history in histories) - cut)
    shorter = [first(h, sum(time < now for time in h.times)) for h in histories]
    try:
        known = run_backtest(shorter, parameters, sentiment)
    except BadValue:
        return  # nothing to trade before the cut

    view = run_backtest(histories, parameters, sentiment)

    before = [trade for trade in view.trades if trade.entry_time <= known.until]
    assert [trade.entry_time for trade in before] == [trade.entry_time for trade in known.trades]
    for trade, then in zip(before, known.trades, strict=True):
        assert trade.entry_price == then.entry_price
        if then.exit_time is not None:
            assert trade == then
        else:
            assert trade.exit_time is None or trade.exit_time > known.until
    assert view.equity_curve[: len(known.equity_curve) - 1] == known.equity_curve[:-1]


@given(seeds, st.sampled_from(["0.001", "0.01", "0.1"]))
def test_fees_only_lower_what_comes_out(seed: int, fee: str) -> None:
    history, rich = walk(seed, 220), {"MAX_DRAWDOWN": "0.99", "INITIAL_BALANCE": "1000000", "SLIPPAGE": "0.001"}

    free, free_equity, _ = playback([history], given_settings(**rich), FEAR)
    taxed, taxed_equity, _ = playback([history], given_settings(**rich, FEE_RATE=fee), FEAR)

    assert [(t.entry_time, t.exit_time) for t in free] == [(t.entry_time, t.exit_time) for t in taxed]
    assert all(less <= more for less, more in zip(taxed_equity, free_equity, strict=True))


@given(seeds, st.integers(2, 30))
def test_nothing_is_traded_before_the_atr_is_warm(seed: int, period: int) -> None:
    view = run_backtest([walk(seed, 260)], given_settings(ATR_PERIOD=str(period)), FEAR)

    warm = datetime.fromtimestamp(START + STEP * warm_up(period), UTC)
    assert view.since == warm
    assert all(trade.entry_time >= warm for trade in view.trades)


@given(seeds)
def test_a_symbol_that_never_trades_changes_nothing_for_another(seed: int) -> None:
    history = walk(seed, 220)
    flat = history_of([(50.0, 50.0, 50.0, 50.0)] * 220, "FLAT/USD")

    alone = run_backtest([history], given_settings(), FEAR)
    together = run_backtest([history, flat], given_settings(), FEAR)

    assert together.trades == alone.trades
    assert together.equity_curve == alone.equity_curve
    assert together.max_drawdown == alone.max_drawdown


@pytest.mark.long
def test_compiled_code_gives_the_very_same_figures() -> None:
    sentiment = SentimentHistory(
        [START + place * 20 * STEP for place in range(60)], [place * 37 % 101 for place in range(60)]
    )
    usual = {"INITIAL_BALANCE": "350", "MAX_OPEN_TRADES": "2", "FEE_RATE": "0.004", "MAX_DRAWDOWN": "0.3"}
    for seed, sizes in ((0, {}), (1, {}), (0, SIZES[2]), (1, SIZES[4])):
        parameters = given_settings(**usual, **sizes)
        histories = [walk(seed, 900, symbol, absent=0.05) for symbol in ("BTC/USD", "ETH/USD", "SOL/USD")]
        books = []
        for code in (interpreted(), compiled()):
            timeline = align_histories(histories, 2, None, None)
            buffers = new_buffers(code, 3, len(timeline.times))
            played = code.simulate(
                build_arrays(code, timeline, histories, sentiment, 2, None, parameters.allocation),
                parameters_of(parameters),
                buffers,
            )
            books.append((played, [np.asarray(column).tolist() for column in buffers]))
        assert books[0] == books[1]
        assert books[0][0][0] > 5
    for lots in (0.1, 1e7, 3333333333.9, 2e20):  # the last one is more than an integer holds
        assert compiled().truncate_to_lot(lots) == interpreted().truncate_to_lot(lots) == pytest.approx(lots, abs=1.0)


# What can't be traded, and when


def test_only_the_time_between_is_traded() -> None:
    history = walk(7, 400)
    since, until = at(20) + timedelta(minutes=5), at(200)

    view = run_backtest([history], given_settings(), FEAR, since=since, until=until)

    assert (view.since, view.until) == (at(21), at(200))
    assert all(at(21) <= trade.entry_time <= at(200) for trade in view.trades)


@pytest.mark.parametrize(
    ("histories", "words"),
    [
        ([], "no history"),
        ([walk(1, 114)], "nothing to trade"),
        ([walk(1, 1)], "nothing to trade"),
        ([walk(1, 200), walk(2, 200)], "of one asset"),
        ([walk(1, 200), walk(1, 200, "BTC/EUR")], "different quote currencies"),
        ([walk(1, 200), CandleColumns("ETH/USD", 3600, [0], [1.0], [1.0], [1.0], [1.0], [1.0])], "different lengths"),
    ],
)
def test_histories_that_cant_be_traded_say_why(histories: list[CandleColumns], words: str) -> None:
    with pytest.raises(BadValue, match=words):
        run_backtest(histories, given_settings(), FEAR)
