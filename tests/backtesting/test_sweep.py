"""A sweep's figures are a backtest's, whatever was played before, by however many workers, and whatever follows."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from botctl.backtesting.optuna_study import join_study
from botctl.backtesting.parameter_grid import Axis, Point, arrange, parse_axis, points, values_at
from botctl.backtesting.ranking import rank, summarize_sweep
from botctl.backtesting.results import SweepFigures
from botctl.backtesting.sweep import Score, SweepRunner
from botctl.backtesting.sweep_pool import score_in_parallel
from botctl.domain.candles import CandleColumns
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.decisions import Stance
from botctl.domain.errors import ConfigError
from botctl.domain.sentiment import FixedSentiment, SentimentHistory
from tests.backtesting.histories import START, STEP, first, history_of, rising, run_backtest, walk

FEAR = FixedSentiment(Stance.FEAR)
BASE = {
    "FEE_RATE": "0.001",
    "SLIPPAGE": "0.0005",
    "ATR_PERIOD": "3",
    "TRADE_AMOUNT_USD": "100",
    "INITIAL_BALANCE": "350",
}
TEXTS = (
    "atr_multiple=0.7,2,5",
    "breakeven_atr=0.5,2",
    "atr_period=2,5",
    "cooldown_minutes=0,60",
    "max_open_trades=1,2",
    "trade_amount_usd=1,150",
    "max_drawdown=0.02,0.5",
    "max_drawdown_peak=0.01,0.5",
    "breakeven_fees=no,yes",
    "min_stop_costs=0,2",
    "max_trade_amount=40,1000",
    "max_exposure=0.2,0.9",
)


def grid_of(*texts: str) -> list[Axis]:
    return arrange([parse_axis(text) for text in texts])


def markets(seed: int = 5, count: int = 700) -> list[CandleColumns]:
    return [walk(seed, count, symbol, absent=0.03) for symbol in ("BTC/USD", "ETH/USD")]


def trial_of(axes: list[Axis], train: float = 1.0, histories: list[CandleColumns] | None = None) -> SweepRunner:
    return SweepRunner(histories or markets(), BASE, FEAR, axes, train)


def figures(returned: float, trades: int = 100, fall: float = 0.1, sharpe: float | None = 1.0) -> SweepFigures:
    return SweepFigures(trades, returned, fall, sharpe)


def verdict_on(scores: list[Score], by: str = "return", train: float = 0.5) -> str:
    axes = [Axis("atr_multiple", tuple(str(score.point[0]) for score in scores))]
    return summarize_sweep(axes, rank(scores, by), by, train, 10).verdict


# Against the backtest


@pytest.mark.long
def test_a_set_does_what_a_backtest_with_its_settings_does() -> None:
    histories, axes = markets(), grid_of(*TEXTS)
    trial = trial_of(axes, histories=histories)
    some = random.Random(1).sample(list(points(axes)), 15)

    for point in some:
        values = {name.upper(): value for name, value in values_at(axes, point).items()}
        view = run_backtest(histories, parse_settings({**BASE, **values}), FEAR)
        score = trial.score(point)

        assert score.test is None
        assert score.train.trades == len(view.trades)
        assert score.train.returned == pytest.approx(float(view.equity_curve[-1].equity) / 350 - 1, abs=1e-9)
        assert score.train.max_drawdown == pytest.approx(float(view.max_drawdown), abs=1e-9)
        assert score.train.sharpe == (None if view.sharpe is None else pytest.approx(view.sharpe, rel=1e-6))


@pytest.mark.long
def test_with_longer_signals_a_set_does_what_a_backtest_does() -> None:
    histories, axes = markets(), grid_of("atr_multiple=0.7,2")
    base = {**BASE, "SIGNAL_TIMEFRAME": "1h"}

    for score, multiple in zip(play_all(SweepRunner(histories, base, FEAR, axes, 1.0)), ("0.7", "2"), strict=True):
        view = run_backtest(histories, parse_settings({**base, "ATR_MULTIPLE": multiple}), FEAR)
        assert score.train.trades == len(view.trades) > 0
        assert score.train.max_drawdown == pytest.approx(float(view.max_drawdown), abs=1e-9)


@pytest.mark.long
def test_sets_sized_by_risk_do_what_a_backtest_with_their_settings_does() -> None:
    """Each set has lots of its own, so no exit of one is taken for another's."""
    base = {**BASE, "SIZING": "risk", "RISK_PER_TRADE": "0.1%", "ALLOCATION": "ETH:0.2", "MAX_DRAWDOWN": "0.5"}
    axes = grid_of("risk_per_trade=0.001,0.02,0.1", "max_exposure=0.2,0.9", "cooldown_minutes=0,60")
    histories = markets()
    trial = SweepRunner(histories, base, FEAR, axes, 1.0)

    scores = play_all(trial)

    for score in scores:
        values = {name.upper(): value for name, value in values_at(axes, score.point).items()}
        view = run_backtest(histories, parse_settings({**base, **values}), FEAR)
        assert score.train.trades == len(view.trades)
        assert score.train.returned == pytest.approx(float(view.equity_curve[-1].equity) / 350 - 1, abs=1e-9)
    assert len({score.train for score in scores}) > len(scores) / 2


@pytest.mark.parametrize(("text", "sizing"), [("risk_per_trade=0.01,0.02", "fixed"), ("trade_amount_usd=1,2", "risk")])
def test_a_setting_that_changes_nothing_is_not_swept(text: str, sizing: str) -> None:
    base = {**BASE, "SIZING": sizing, "RISK_PER_TRADE": "0.01"}

    with pytest.raises(ConfigError, match=f"changes nothing with SIZING={sizing}"):
        SweepRunner(markets(), base, FEAR, grid_of(text), 1.0)


@pytest.mark.long
def test_it_plays_between_two_moments_alone() -> None:
    histories, axes = markets(), grid_of("atr_multiple=2")
    span = [datetime.fromtimestamp(START + STEP * bar, UTC) for bar in (200, 500)]

    [score] = play_all(SweepRunner(histories, BASE, FEAR, axes, 1.0, *span))

    view = run_backtest(histories, parse_settings({**BASE, "ATR_MULTIPLE": "2"}), FEAR, since=span[0], until=span[1])
    assert score.train.trades == len(view.trades)
    assert score.train.max_drawdown == pytest.approx(float(view.max_drawdown), abs=1e-9)


def play_all(trial: SweepRunner) -> list[Score]:
    return [trial.score(point) for point in points(trial.axes)]


# What must not matter


@pytest.mark.long
def test_the_order_of_sets_and_the_exits_remembered_change_nothing() -> None:
    axes = grid_of("atr_multiple=0.7,2,5", "atr_period=2,5", "trade_amount_usd=0.01,150", "max_open_trades=1,2")
    in_order = {score.point: score for score in play_all(trial_of(axes, 0.7))}
    shuffled = random.Random(3).sample(list(points(axes)), len(in_order))

    trial = trial_of(axes, 0.7)
    again = [trial.score(point) for point in shuffled]
    afresh = [trial_of(axes, 0.7).score(point) for point in shuffled]

    assert again == afresh == [in_order[point] for point in shuffled]
    assert len({score.train for score in again}) > len(again) / 2


@pytest.mark.long
def test_an_exit_found_for_one_amount_is_not_taken_for_another() -> None:
    """Bought at 200.5, break-even above 210.5. 401 buy two lots for 401: a close of 200.5 hits the stop at the entry.
    0.000007 buy 3e-8 for 0.00000601, cut to eight decimals: an entry of 200.33, which that close does not hit."""
    rows = [(200.5, 211.0), (211.0, 200.5), (200.5, 195.0), (195.0, 195.0), (195.0, 195.0)]
    candles = [(opened, max(opened, close), min(opened, close), close) for opened, close in rows]
    base = {"FEE_RATE": "0", "SLIPPAGE": "0", "ATR_PERIOD": "2", "BREAKEVEN_ATR": "1", "INITIAL_BALANCE": "1000"}
    axes, histories = grid_of("trade_amount_usd=401,0.000007"), [history_of([*rising(114), *candles])]

    trial = SweepRunner(histories, base, FEAR, axes, 1.0)
    large, small = play_all(trial)

    assert (large.train.trades, small.train.trades) == (1, 1)
    assert small == SweepRunner(histories, base, FEAR, axes, 1.0).score(small.point)


@pytest.mark.long
def test_an_exit_found_for_one_limit_is_not_taken_for_another() -> None:
    """The same, with the second amount as a limit of the first."""
    rows = [(200.5, 211.0), (211.0, 200.5), (200.5, 195.0), (195.0, 195.0), (195.0, 195.0)]
    candles = [(opened, max(opened, close), min(opened, close), close) for opened, close in rows]
    base = {"FEE_RATE": "0", "SLIPPAGE": "0", "ATR_PERIOD": "2", "BREAKEVEN_ATR": "1", "TRADE_AMOUNT_USD": "401"}
    axes, histories = grid_of("max_trade_amount=401,0.000007"), [history_of([*rising(114), *candles])]

    _, small = play_all(SweepRunner(histories, base, FEAR, axes, 1.0))

    assert small == SweepRunner(histories, base, FEAR, axes, 1.0).score(small.point)


@pytest.mark.long
def test_an_exit_found_without_fees_is_not_taken_for_one_with_them() -> None:
    """Only with fees does 205 hit the stop, at 200 x 1.02 / 0.98. Sets that differ in other settings share exits."""
    rows = [(200, 215.0), (215, 205.0), (205, 212.0), (212.0, 212.0)]
    candles = [(opened, max(opened, close), min(opened, close), close) for opened, close in rows]
    base = {"FEE_RATE": "0.02", "SLIPPAGE": "0", "ATR_PERIOD": "2", "BREAKEVEN_ATR": "0.5", "COOLDOWN_MINUTES": "600"}
    axes, histories = grid_of("breakeven_fees=no,yes", "max_open_trades=1,2"), [history_of([*rising(114), *candles])]

    together = play_all(SweepRunner(histories, base, FEAR, axes, 1.0))

    afresh = [SweepRunner(histories, base, FEAR, axes, 1.0).score(score.point) for score in together]
    assert together == afresh
    assert len({score.train for score in together}) == 2


@pytest.mark.long
def test_one_worker_and_two_give_the_same_scores() -> None:
    axes = grid_of("atr_multiple=1:4:0.1", "breakeven_atr=0.5,1,2,3", "max_open_trades=1,2")
    wanted = list(points(axes))
    alone = [score for some in score_in_parallel(trial_of(axes, 0.6), wanted, 1) for score in some]
    together = [score for some in score_in_parallel(trial_of(axes, 0.6), wanted, 2) for score in some]

    assert [score.point for score in alone] == [score.point for score in together] == wanted
    assert rank(together, "return") == rank(alone, "return")


@pytest.mark.long
def test_what_follows_the_first_part_plays_no_part_in_judging() -> None:
    axes = grid_of("atr_multiple=0.7,2,5", "atr_period=3")
    histories = [walk(5, 700)]
    bars = 700 - 114  # the last candle has no next price
    split = 113 + int(bars * 0.7)
    other = [spliced(histories[0], walk(9, 700), split + 1)]

    before = play_all(trial_of(axes, 0.7, histories))
    after = play_all(trial_of(axes, 0.7, other))

    assert [score.train for score in before] == [score.train for score in after]
    assert [score.test for score in before] != [score.test for score in after]


def spliced(one: CandleColumns, other: CandleColumns, at: int) -> CandleColumns:
    """The one up to a candle, the other from it on."""
    head, tail = first(one, at), other
    names = ("times", "opens", "highs", "lows", "closes", "volumes")
    columns = ([*getattr(head, name), *list(getattr(tail, name))[at:]] for name in names)
    return CandleColumns(one.symbol, one.seconds, *columns)


@pytest.mark.long
def test_the_test_part_is_a_run_of_its_own_from_the_split_on() -> None:
    """Fresh cash and nothing held: the same as a backtest that begins there."""
    axes, histories = grid_of("atr_multiple=2", "atr_period=3"), [walk(5, 700)]
    whole = run_backtest(histories, parse_settings(BASE), FEAR)
    split = 113 + int(whole.bars * 0.7)

    [score] = play_all(trial_of(axes, 0.7, histories))

    since = datetime.fromtimestamp(START + STEP * (split + 1), UTC)
    view = run_backtest(histories, parse_settings({**BASE, "ATR_MULTIPLE": "2"}), FEAR, since=since)
    assert score.test is not None
    assert score.test.trades == len(view.trades)
    assert score.test.returned == pytest.approx(float(view.equity_curve[-1].equity) / 350 - 1, abs=1e-9)


# What it comes to


def test_the_best_comes_first_and_equals_in_the_order_of_the_grid() -> None:
    scores = [Score((place,), figures(returned), None) for place, returned in ((3, 0.1), (1, 0.3), (2, 0.1), (0, 0.1))]

    assert [score.point for score in rank(scores, "return")] == [(1,), (0,), (2,), (3,)]


@pytest.mark.parametrize(("by", "best"), [("return", 0), ("sharpe", 1), ("drawdown", 2)])
def test_sets_are_judged_by_what_was_asked(by: str, best: int) -> None:
    scores = [
        Score((0,), figures(0.5, sharpe=None, fall=0.3), None),
        Score((1,), figures(0.2, sharpe=2.0, fall=0.2), None),
        Score((2,), figures(0.1, sharpe=1.0, fall=0.1), None),
    ]

    assert rank(scores, by)[0].point == (best,)


def test_each_row_tells_the_spread_of_its_neighbours() -> None:
    axes = grid_of("atr_multiple=1,2,3", "breakeven_atr=1,2")
    scores = [Score(point, figures(point[0] + point[1] / 10), None) for point in points(axes)]

    view = summarize_sweep(axes, rank(scores, "return"), "return", 1.0, 2)

    assert [row.settings for row in view.best] == [
        {"atr_multiple": "3", "breakeven_atr": "2"},
        {"atr_multiple": "3", "breakeven_atr": "1"},
    ]
    assert [(row.neighbours, row.neighbours_low, row.neighbours_high) for row in view.best] == [
        (2, 1.1, 2.0),
        (2, 1.0, 2.1),
    ]
    assert view.sets == 6


def test_a_set_without_a_sharpe_ratio_is_no_endless_figure() -> None:
    axes = grid_of("atr_multiple=1,2")
    scores = [Score((0,), figures(0.1), figures(0.1, sharpe=None)), Score((1,), figures(0.0, sharpe=None), figures(0))]

    view = summarize_sweep(axes, rank(scores, "sharpe"), "sharpe", 0.5, 2)

    assert (view.best[0].neighbours, view.best[0].neighbours_low) == (1, None)


def test_a_choice_that_failed_its_test_is_called_fitted() -> None:
    good = [Score((0,), figures(0.2), figures(0.15)), Score((1,), figures(0.1), figures(0.05))]
    bad = [Score((0,), figures(0.2), figures(-0.1)), Score((1,), figures(0.1), figures(0.05))]

    assert "number 1 of 2" in verdict_on(good)
    assert "fitted" not in verdict_on(good)
    assert "number 2 of 2" in verdict_on(bad)
    assert "overfitted" in verdict_on(bad)


def test_a_shorter_test_part_promises_less() -> None:
    """0.9 of the history returned 18 %: 2 % are what the rest should bring."""
    assert "fitted" not in verdict_on([Score((0,), figures(0.18), figures(0.019))], train=0.9)
    assert "fitted" in verdict_on([Score((0,), figures(0.18), figures(0.009))], train=0.9)


def test_a_loss_that_grew_no_larger_is_not_called_fitted() -> None:
    less = figures(-0.1, fall=0.1), figures(-0.08, fall=0.06)

    assert "fitted" not in verdict_on([Score((0,), *less)])
    assert "fitted" not in verdict_on([Score((0,), *less)], by="drawdown")
    assert "fitted" in verdict_on([Score((0,), less[0], figures(0, fall=0.2))], by="drawdown")


def test_the_verdict_is_one_sentence_that_says_one_thing() -> None:
    """The best of both parts may still bring far less on the second: no praise beside the doubt."""
    best = [Score((0,), figures(0.4, trades=7), figures(0.05)), Score((1,), figures(-0.1), figures(-0.1))]
    losing = [Score((0,), figures(-0.1), figures(-0.05)), Score((1,), figures(-0.2), figures(-0.1))]
    sound = [Score((0,), figures(0.2), figures(0.15)), Score((1,), figures(0.1), figures(0.05))]

    assert verdict_on(best) == (
        "Don't trust the best set: a small step away from it loses, so it is a peak, not a plateau; "
        "it made only 7 trades, too few to tell skill from chance; "
        "it is overfitted, number 1 of 2 on the test part but far below its result on the first."
    )
    assert verdict_on(losing) == "Don't trust the best set: it loses even on the part where it was chosen."
    assert (
        verdict_on(sound)
        == "The best set also does well where it was not chosen: on the test part it is number 1 of 2."
    )


def test_a_peak_few_trades_and_no_test_are_said() -> None:
    scores = [Score((0,), figures(-0.1), None), Score((1,), figures(0.2, trades=7), None)]

    words = verdict_on(scores, train=1.0)

    assert "peak, not a plateau" in words
    assert "only 7 trades" in words
    assert "nothing was kept aside" in words
    view = summarize_sweep([Axis("atr_multiple", ("0", "1"))], rank(scores, "return"), "return", 1.0, 10)
    assert "fits any past" in " ".join(view.warnings)


# What machines have in common


@pytest.mark.long
def test_terms_of_a_study_leave_out_what_is_swept_and_name_all_else() -> None:
    axes = grid_of("atr_multiple=1,2")
    parameters = trial_of(axes).study_parameters()

    assert SweepRunner(markets(), {**BASE, "ATR_MULTIPLE": "7"}, FEAR, axes, 1.0).study_parameters() == parameters
    sentiment = SentimentHistory([START], [20])
    until = datetime.fromtimestamp(START + 500 * STEP, UTC)
    for others, key in (
        (SweepRunner(markets(), {**BASE, "FEE_RATE": "0"}, FEAR, axes, 1.0), "settings"),
        (SweepRunner(markets(), {**BASE, "SIGNAL_TIMEFRAME": "1h"}, FEAR, axes, 1.0), "signal_seconds"),
        (SweepRunner(markets(6), BASE, FEAR, axes, 1.0), "candles"),
        *((SweepRunner(with_another(column), BASE, FEAR, axes, 1.0), "candles") for column in COLUMNS),
        (SweepRunner(markets(), BASE, sentiment, axes, 1.0), "mood"),
        (SweepRunner(markets(), BASE, FEAR, axes, 1.0, None, until), "span"),
        (SweepRunner(markets(), BASE, FEAR, axes, 0.7), "train"),
        (SweepRunner(markets(), BASE, FEAR, grid_of("atr_multiple=1,3"), 1.0), "grid"),
    ):
        assert [name for name, value in others.study_parameters().items() if value != parameters.get(name)] == [key]


COLUMNS = ("opens", "highs", "lows", "closes", "volumes")


def with_another(column: str) -> list[CandleColumns]:
    """The same markets but for one number in the middle."""
    btc, eth = markets()
    values = list(getattr(btc, column))
    values[350] *= 1.0000001
    return [replace(btc, **{column: values}), eth]


@pytest.mark.long
def test_a_study_has_one_mood_for_all_machines() -> None:
    """Readings of the same days that differ in one value alone."""
    one, other = SentimentHistory([START, START + 900], [20, 80]), SentimentHistory([START, START + 900], [20, 20])
    axes = grid_of("atr_multiple=1,2")

    assert trial_of(axes).study_parameters()["mood"] == ["FEAR"]
    assert (
        SweepRunner(markets(), BASE, one, axes, 1.0).study_parameters()["mood"]
        != SweepRunner(markets(), BASE, other, axes, 1.0).study_parameters()["mood"]
    )


@pytest.mark.long
def test_sets_of_every_atr_period_are_judged_on_the_same_bars() -> None:
    """Those from the warm-up of the longest one on, as if a backtest began there."""
    histories = [walk(5, 700)]
    axes = grid_of("atr_period=3,60")

    short, long = play_all(SweepRunner(histories, BASE, FEAR, axes, 1.0))

    whole = run_backtest(histories, parse_settings({**BASE, "ATR_PERIOD": "60"}), FEAR)
    same_bars = run_backtest(histories, parse_settings(BASE), FEAR, since=whole.since)
    assert long.train.trades == len(whole.trades)
    assert short.train.trades == len(same_bars.trades)
    assert short.train.returned == pytest.approx(float(same_bars.returned), abs=1e-12)
    assert len(run_backtest(histories, parse_settings(BASE), FEAR).trades) > len(same_bars.trades)


@pytest.mark.long
@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143)])
def test_ctrl_c_ends_a_study_as_itself_and_says_nothing(
    end: BaseException, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A compiler that is interrupted may fail on its own while it cleans up: that is no failure of the storage."""
    pytest.importorskip("optuna")

    def measure(_: Point) -> float:
        try:
            raise end
        finally:
            raise UnboundLocalError("cannot access local variable")

    with pytest.raises(type(end)):
        join_study(
            grid_of("atr_multiple=1,2"),
            measure,
            storage=f"sqlite:///{tmp_path / 'study.db'}",
            name="stops",
            parameters={},
            trials=3,
            after_each=lambda: None,
        )

    assert capfd.readouterr().err == ""


def test_points_are_tuples_of_places() -> None:
    point: Point = (1, 0)

    assert values_at(grid_of("atr_multiple=1,2", "breakeven_atr=3"), point) == {
        "atr_multiple": "2",
        "breakeven_atr": "3",
    }
