"""An alarm is said at once, again at growing intervals, and once more when it is over: loud, and no flood."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.health.checks import KEY_EXPIRES_SOON
from botctl.domain.text import format_duration
from botctl.monitoring.alerts import REOPEN_WINDOW, ActiveAlert, Level, Message, Problem, update_alerts
from botctl.monitoring.problems import failing_problem, key_problem, unguarded_problem, unguarded_reason
from botctl.store.models import Trade

START = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
TICK = timedelta(minutes=15)
TROUBLE = Problem("trouble", "something is wrong")


def play(course: list[bool], problem: Problem = TROUBLE, every: timedelta = TICK) -> list[tuple[int, Message]]:
    """The messages by tick; `course` has for each tick whether the problem exists."""
    alerts: list[ActiveAlert] = []
    sent: list[tuple[int, Message]] = []
    for number, present in enumerate(course):
        alerts, messages = update_alerts(alerts, [problem] if present else [], START + number * every)
        sent += [(number, message) for message in messages]
    return sent


def test_a_trouble_that_lasts_is_said_after_15_minutes_1_hour_4_hours_and_then_daily() -> None:
    sent = play([True] * (4 * 24 * 3))

    hours = [number / 4 for number, _ in sent]
    assert hours == [0, 0.25, 1.25, 5.25, 29.25, 53.25]
    assert {message.level for _, message in sent} == {Level.ALERT}
    assert sent[0][1].text == "something is wrong"
    assert sent[3][1].text == "for 5 h: something is wrong"


def test_a_trouble_that_is_over_is_said_to_be_over_once() -> None:
    sent = play([True, False, False, False])

    assert [(number, message.level) for number, message in sent] == [(0, Level.ALERT), (1, Level.RESOLVED)]
    assert sent[1][1].text == "resolved after 15 min: something is wrong"


def test_all_well_says_nothing_and_remembers_nothing() -> None:
    assert update_alerts([], [], START) == ([], [])
    alerts, _ = update_alerts([], [TROUBLE], START)
    alerts, _ = update_alerts(alerts, [], START + TICK)
    assert update_alerts(alerts, [], START + TICK + REOPEN_WINDOW) == ([], [])


def test_a_trouble_that_comes_and_goes_is_no_flood() -> None:
    sent = play([True, False] * 48)  # a whole day of it

    assert len(sent) <= 2 * 25


def test_a_trouble_that_is_back_after_its_end_was_said_is_told_within_the_hour() -> None:
    alerts = [ActiveAlert("trouble", "x", START, START, 7, 0, announced=True, resolved_at=START + TICK)]

    alerts, now = update_alerts(alerts, [TROUBLE], START + 2 * TICK)
    _, later = update_alerts(alerts, [TROUBLE], START + timedelta(hours=1))

    assert (now, [message.level for message in later]) == ([], [Level.ALERT])


def test_a_trouble_that_grows_is_said_at_once() -> None:
    alerts, _ = update_alerts([], [Problem("trouble", "one", size=1)], START)

    alerts, grown = update_alerts(alerts, [Problem("trouble", "two", size=2)], START + timedelta(minutes=1))
    _, shrunk = update_alerts(alerts, [Problem("trouble", "one", size=1)], START + timedelta(minutes=2))

    assert [message.text for message in grown] == ["for 1 min: two"]
    assert shrunk == []


def test_a_wrong_clock_that_is_set_right_silences_nothing() -> None:
    future = START + timedelta(days=2000)
    alerts, _ = update_alerts([], [TROUBLE], future)

    _, sent = update_alerts(alerts, [TROUBLE], START)

    assert [message.level for message in sent] == [Level.ALERT]


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_whatever_comes_and_goes_the_last_word_is_true_within_the_hour_or_two(course: list[bool]) -> None:
    reported, since_true = False, 0
    messages = dict(play(course))
    for number, present in enumerate(course):
        if number in messages:
            assert (messages[number].level is Level.ALERT) == present  # nothing false is ever sent
            reported = present
        since_true = since_true + 1 if reported != present else 0
        assert since_true <= 4  # ticks of 15 minutes: no trouble is hidden for longer


@given(st.lists(st.booleans(), max_size=300))
def test_beginnings_and_ends_alternate(course: list[bool]) -> None:
    levels = [message.level for _, message in play(course)]

    assert not any(pair == (Level.RESOLVED, Level.RESOLVED) for pair in itertools.pairwise(levels))
    assert not levels or levels[0] is Level.ALERT


def test_the_tick_is_failing_from_the_third_time_on_and_a_good_one_ends_it() -> None:
    bad, good = (False, "look: no answer"), (True, "")

    assert failing_problem([bad, bad]) is None
    assert failing_problem([bad, bad, good]) is None
    assert failing_problem([good, bad, bad, bad]) is None
    problem = failing_problem([bad, bad, bad])
    assert problem is not None
    assert "look: no answer" in problem.text


def open_trade(checked_at: datetime | None = START, stop: float | None = 49_000.0) -> Trade:
    return Trade(id=1, symbol="BTC/USD", checked_at=checked_at, stop_loss_price=stop)


@pytest.mark.parametrize(
    ("trade", "frozen", "why"),
    [
        (open_trade(), False, None),
        (open_trade(START - timedelta(minutes=15)), False, None),
        (open_trade(START - timedelta(minutes=30)), False, "last checked at 2026-11-25 02:30 UTC"),
        (open_trade(None), False, "never checked"),
        (open_trade(stop=None), False, "no stop"),
        (open_trade(), True, "frozen"),
    ],
)
def test_a_position_is_unguarded_when_nobody_checks_its_stop(trade: Trade, frozen: bool, why: str | None) -> None:
    assert unguarded_reason(trade, START, 900, frozen=frozen) == why


def test_all_unguarded_positions_are_one_problem_of_their_number() -> None:
    many = unguarded_problem([f"BTC/USD (trade {number}, frozen)" for number in range(12)])

    assert unguarded_problem([]) is None
    assert many is not None
    assert many.size == 12
    assert many.text.endswith("trade 9, frozen); and 2 more")


def test_with_short_candles_a_tick_that_takes_its_time_is_no_alarm() -> None:
    assert unguarded_reason(open_trade(START - timedelta(minutes=2)), START, 60, frozen=False) is None


def test_a_trade_whose_market_is_gone_is_unguarded_at_once_and_names_forget() -> None:
    trade = open_trade(START)
    trade.id = 7

    assert unguarded_reason(trade, START, 900, frozen=False, gone={7}) == "its market is gone: `botctl forget 7`"


def test_a_key_is_told_of_two_weeks_before_its_end_once_a_day_and_urgently_after_it() -> None:
    assert key_problem(None, START) is None
    assert key_problem(START + KEY_EXPIRES_SOON + TICK, START) is None
    soon, over = key_problem(START + timedelta(days=3), START), key_problem(START, START)

    assert soon is not None
    assert over is not None
    assert (soon.urgent, over.urgent) == (False, True)
    assert [number / 96 for number, _ in play([True] * 96 * 3, soon)] == [0, 1, 2]


def test_a_length_of_time_is_told_in_its_largest_unit() -> None:
    spans = [0, 15, 119, 120, 24 * 60, 48 * 60]

    assert [format_duration(timedelta(minutes=span)) for span in spans] == [
        "0 min",
        "15 min",
        "119 min",
        "2 h",
        "24 h",
        "2 d",
    ]
