"""The texts for cron and systemd: our own lines come and go, those of others stay byte for byte."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botctl.domain.errors import ConfigError
from botctl.domain.symbols import Timeframe
from botctl.scheduling.crontab import (
    cron_block,
    cron_line,
    find_block,
    find_manual_ticks,
    parse_delay,
    with_block,
    without_block,
)
from botctl.scheduling.schedule import INTERVALS, Job, max_delay
from botctl.scheduling.systemd import service_unit, unit_name

HOME = "/home/you/bot"
LINES = st.lists(st.text(st.characters(blacklist_characters="\n", blacklist_categories=()), max_size=40), max_size=8)


def job(home: str = HOME, timeframe: Timeframe = Timeframe.MINUTES_15, delay: int = 37) -> Job:
    return Job(home, ("/opt/botctl", "tick"), (("PATH", "/bin"), ("BOTCTL_HOME", home)), timeframe, delay, 720)


@given(LINES, LINES)
def test_what_others_wrote_stays_when_a_block_comes_and_goes(above: list[str], below: list[str]) -> None:
    text = "".join(f"{line}\n" for line in above)
    installed = with_block(text, HOME, cron_block(job())) + "".join(f"{line}\n" for line in below)

    assert installed.startswith(text)
    assert find_block(installed, HOME) == cron_block(job())
    assert without_block(installed, HOME) == text + "".join(f"{line}\n" for line in below)


@given(LINES, LINES)
def test_a_new_block_takes_the_place_of_the_old_one(above: list[str], below: list[str]) -> None:
    head, tail = ("".join(f"{line}\n" for line in lines) for lines in (above, below))
    old, new = cron_block(job(delay=5)), cron_block(job(delay=90))

    changed = with_block(f"{head}{old}\n{tail}", HOME, new)

    assert changed == f"{head}{new}\n{tail}"
    assert with_block(changed, HOME, new) == changed


def test_a_last_line_without_an_end_gets_one() -> None:
    assert with_block("0 0 * * * true", HOME, "block") == "0 0 * * * true\nblock\n"


def test_two_homes_have_a_block_each() -> None:
    other = "/home/you/bot2"
    both = with_block(with_block("", HOME, cron_block(job())), other, cron_block(job(other)))

    assert find_block(both, HOME) == cron_block(job())
    assert without_block(both, HOME) == cron_block(job(other)) + "\n"
    assert unit_name(HOME) != unit_name(other) != unit_name("/srv/bot2")


@pytest.mark.parametrize(
    "broken",
    [
        lambda first, last: f"{first}\n",
        lambda first, last: f"{last}\n",
        lambda first, last: f"{last}\n{first}\n",
        lambda first, last: f"{first}\n{first}\n{last}\n",
    ],
)
def test_marks_that_do_not_match_are_left_to_their_owner(broken: object) -> None:
    first, *_, last = cron_block(job()).split("\n")
    text = broken(first, last)  # type: ignore[operator]

    with pytest.raises(ConfigError, match="crontab -e"):
        without_block(text, HOME)


def test_a_percent_sign_does_not_end_the_line_for_cron() -> None:
    assert r"cd '/home/100\% you'" in cron_line(job("/home/100% you"))


@pytest.mark.parametrize("delay", [5, 37, 120])
def test_the_delay_can_be_read_back(delay: int) -> None:
    assert parse_delay(cron_block(job(delay=delay))) == delay


def test_a_line_that_cron_may_refuse_is_not_written() -> None:
    with pytest.raises(ConfigError, match="too long"):
        cron_line(job("/home/" + "x" * 500))


@pytest.mark.parametrize("place", ["/home/a\nb", "/home/a\rb", "/home/\x00"])
def test_no_path_brings_in_a_line_of_its_own(place: str) -> None:
    with pytest.raises(ConfigError, match="control"):
        job(place)


@pytest.mark.parametrize("place", ["/home/bot\\", "/home/bot "])
def test_a_home_that_a_unit_can_not_name_is_refused_by_systemd_alone(place: str) -> None:
    with pytest.raises(ConfigError, match="use --cron"):
        service_unit(job(place))

    assert cron_block(job(place))


@pytest.mark.parametrize("timeframe", Timeframe)
def test_every_timeframe_has_its_times_and_a_delay_that_leaves_the_tick_its_time(timeframe: Timeframe) -> None:
    assert timeframe in INTERVALS
    assert 5 < max_delay(timeframe) <= min(120, timeframe.seconds / 4)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"*/15 * * * * cd {HOME} && /opt/botctl tick", True),
        (f"*/15 * * * * BOTCTL_HOME='{HOME}' botctl tick --json", True),
        (f"#*/15 * * * * cd {HOME} && /opt/botctl tick", False),
        (f"*/15 * * * * cd {HOME}2 && /opt/botctl tick", False),
        (f"*/5 * * * * cd {HOME} && /opt/botctl check-positions", False),
    ],
)
def test_a_tick_that_was_written_by_hand_is_found(line: str, found: bool) -> None:
    assert find_manual_ticks(f"{line}\n{cron_block(job())}\n", HOME) == ([line] if found else [])


def test_systemd_reads_each_word_as_it_is() -> None:
    home = """/home/100% my "bot" $HOME \\ it"""
    lines = service_unit(replace(job(home), command=("/opt/bot ctl", "tick"), writable=(home,))).splitlines()

    escaped = r"""/home/100%% my \"bot\" $HOME \\ it"""
    assert f"WorkingDirectory={home.replace('%', '%%')}" in lines
    assert f'Environment=PATH=/bin "BOTCTL_HOME={escaped}"' in lines
    assert f'ReadWritePaths="-{escaped}" -%C/botctl' in lines
    assert 'ExecStart="/opt/bot ctl" tick' in lines
    dollars = service_unit(replace(job(), command=("/opt/$x", "%h"))).splitlines()
    assert 'ExecStart="/opt/$$x" "%%h"' in dollars
