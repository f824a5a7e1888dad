"""Every Council is tried before it trades: a backtest asks it as the ticks of a replay do, and makes their trades."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from botctl.backtesting.council.recorded import RecordedCouncil, RecordedDecision
from botctl.backtesting.exits import BUY, HOLD, SELL
from botctl.domain.candles import CandleColumns
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.decisions import Action
from botctl.domain.errors import BotError
from botctl.market_data.timeline import align_histories
from botctl.store.database import close_database
from tests.backtesting.histories import first, run_backtest
from tests.backtesting.own_agents import Trader, install_agents
from tests.backtesting.synthetic_histories import draw_history, draw_sentiment, seasons
from tests.backtesting.test_replay_equals_backtest import Case, assert_alike, both, check
from tests.quick import parametrize

COUNT = 180
PROGRAM = """sum=$(cksum)
case $((${sum%% *} % 5)) in
    0 | 1) said=BUY ;;
    2) said=SELL ;;
    *) said=HOLD ;;
esac
echo "{\\"decision\\": \\"$said\\", \\"reason\\": \\"$sum\\"}"
"""
WIDE = {"ATR_MULTIPLE": "4", "FEE_RATE": "0.001"}


@pytest.fixture(autouse=True)
def closed_afterwards() -> Iterator[None]:
    yield
    close_database()


def case(council: str, rule: str = "majority", **settings: str) -> Case:
    """Two symbols of 15 minutes with absent candles, and a Fear & Greed index that changes often."""
    swings = seasons(0.003, -0.003, 0.006, -0.005, each=13)
    histories = [
        draw_history(19, COUNT, drift=swings, absent=0.02),
        draw_history(20, COUNT, symbol="ETH/USD", price=900, decimals=2, drift=swings, absent=0.05, later=7),
    ]
    wanted = {"COUNCIL": council, "COUNCIL_RULE": rule, "COOLDOWN_MINUTES": "30", **WIDE, **settings}
    return Case(histories, draw_sentiment(6, COUNT * 900, every=2700), wanted, trades=3, reasons=("COUNCIL",))


@parametrize("room", ["1", "5"], quick=1)
def test_an_agent_is_told_of_its_trade_as_in_a_run(room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_agents(tmp_path, monkeypatch, trader="Trader")
    Trader.told.clear()

    calculated, replayed = both(case("trader", MAX_OPEN_TRADES=room), tmp_path)

    assert_alike(calculated, replayed)
    assert {"COUNCIL", "STOP_LOSS"} <= {trade.exit_reason for trade in calculated.trades}
    backtest, replay = (told for told in Trader.told if told)
    assert len([each for each in backtest if each[-1] is not None]) > 20
    assert [each for each in replay if each in backtest] == backtest


@parametrize(
    ("council", "rule"),
    [("averages,sentiment", "story"), ("averages,trader,technical", "majority"), ("averages,technical", "weights")],
    quick=1,
)
def test_agents_that_judge_histories_sit_beside_others(
    council: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_agents(tmp_path, monkeypatch, trader="Trader", averages="Averages")

    check(case(council, rule), tmp_path)


@parametrize(
    ("council", "rule"),
    [("technical", "unanimous"), ("technical,sentiment", "majority"), ("sentiment,technical", "weights")],
    quick=1,
)
def test_the_compiled_agents_decide_by_every_rule(council: str, rule: str, tmp_path: Path) -> None:
    check(case(council, rule), tmp_path)


@parametrize(
    ("council", "every"),
    [("technical,sentiment", "1h"), ("averages,sentiment,command", ""), ("technical,sentiment", "")],
    quick=1,
)
def test_a_program_is_asked_what_a_run_asks_it(
    council: str, every: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is another one when a single letter of the question is."""
    install_agents(tmp_path, monkeypatch, averages="Averages")
    program = tmp_path / "decide.sh"
    program.write_text(PROGRAM)
    settings = {"COUNCIL_COMMAND": f"/bin/sh {program}", "COUNCIL_CANDLES": "3", "COUNCIL_EVERY": every}

    check(case(council, **settings), tmp_path)


def test_who_fails_is_unknown_and_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_agents(tmp_path, monkeypatch, failing="Failing")
    played = Case([draw_history(5, 140)], settings={"COUNCIL": "failing", "COUNCIL_RULE": "majority"})

    calculated, replayed = both(played, tmp_path)

    assert_alike(calculated, replayed)
    assert replayed.failed_ticks
    [error] = calculated.errors
    assert error.startswith("agent failing failed on BTC/USD: at 06:")
    assert error.endswith(" bars)")


@pytest.mark.parametrize(
    ("agent", "error"),
    [
        ("Prophet", "agent own looks ahead: judge_history says"),
        ("Hypocrite", "agent own contradicts itself: judge says"),
        ("Cutter", "agent own contradicts itself: judge says UNKNOWN on .* with a trade open"),
        ("Short", f"agent own gave {COUNT - 1} verdicts on the {COUNT} candles of BTC/USD"),
        ("Silent", "agent own gave no verdicts on the candles of BTC/USD"),
        ("Leaving", "agent own failed on the history of BTC/USD: SystemExit: 5"),
        ("Nameless", "agent own failed on the history of BTC/USD: KeyError: 'x'"),
    ],
)
def test_a_history_judged_otherwise_than_its_bars_is_refused(
    agent: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_agents(tmp_path, monkeypatch, own=agent)

    with pytest.raises(BotError, match=error):
        both(Case([draw_history(5, COUNT)], settings={"COUNCIL": "own", "COUNCIL_RULE": "majority"}), tmp_path)


@pytest.mark.parametrize("council", ["trader", "averages"])
def test_what_comes_later_changes_no_decision(council: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No look-ahead: on a shorter history all trades but the last one are the same."""
    install_agents(tmp_path, monkeypatch, trader="Trader", averages="Averages")
    whole = case(council)
    settings = parse_settings({**whole.settings, "QUOTE_CURRENCY": "USD"})

    known = run_backtest(whole.histories, settings, whole.sentiment).trades
    for count in (150, 160, 170):
        histories = [first(history, count) for history in whole.histories]
        cut = run_backtest(histories, settings, whole.sentiment)
        ended = [trade for trade in known if trade.exit_time and trade.exit_time < cut.until]
        assert ended
        assert cut.trades[: len(ended)] == ended


def test_a_bar_takes_the_first_decision_within_one_candle_of_its_close() -> None:
    history = draw_history(5, COUNT)
    columns = [[*column[:150], *column[160:]] for column in (history.times, *history.values)]
    gapped = CandleColumns(history.symbol, history.seconds, *columns)
    timeline = align_histories([gapped], 14, None, None)
    bar = 149
    closed, after = int(timeline.times[bar]), int(timeline.times[bar + 1])
    told = [(closed - 900, "BUY"), (closed - 1, "SELL"), (closed + 900, "SELL"), (after, "SELL"), (after + 899, "BUY")]
    recorded = RecordedCouncil("x.db", [RecordedDecision("BTC/USD", at, Action(action)) for at, action in told])

    [decided] = recorded.fill(timeline)

    assert [int(each) for each in decided[bar - 1 : bar + 3]] == [BUY, HOLD, SELL, HOLD]
    assert recorded.label == "decisions of x.db (2 used, 3 not)"
