"""What a person at a terminal looks at: the cockpit of status, and status --watch."""

import os
import pty
import re
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bot_runner import BotRunner
from tests.cli.assertions import check_error
from tests.fake_kraken import FakeKraken
from tests.forked import ForkedRun
from tests.poor_machine import Child
from tests.scenarios.steps import buy, execute_sql, requested_endpoints

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str, **settings: str) -> None:
        self.ours, theirs = pty.openpty()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"TERM": "xterm", **settings}.items():
                patch.setenv(name, value)
            self.process = ForkedRun(Path(os.environ["BOTCTL_HOME"]), arguments, theirs)
        os.close(theirs)
        self.said = b""

    def read_until(self, words: str, seconds: float = 30) -> str:
        """What came, once it has these words in it; what was there before is forgotten."""
        end = time.monotonic() + seconds
        while words not in self._words():
            assert select.select([self.ours], [], [], max(0.0, end - time.monotonic()))[0], self.said
            self.said += os.read(self.ours, 65536)
        said, self.said = self._words(), b""
        return said

    def _words(self) -> str:
        """What came so far; a letter may have come in half."""
        return ESCAPE.sub("", self.said.decode(errors="replace"))

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)[0]

    def all_of_it(self) -> str:
        """Everything it says until it has ended."""
        try:
            while piece := os.read(self.ours, 65536):
                self.said += piece
        except OSError:  # how a terminal says that nobody is there any more
            pass
        self.process.wait(20)
        return self._words()


@pytest.fixture
def watched(live: BotRunner, kraken: FakeKraken) -> Iterator[Terminal]:
    """status --watch on a position bought at 50000 with its stop at 49000."""
    buy(live)
    kraken.clear_requests()
    terminal = Terminal("status", "--watch", "1")
    yield terminal
    terminal.process.kill()
    terminal.process.wait()


@pytest.mark.waits
def test_watching_shows_how_far_the_stop_is_and_keeps_up(
    watched: Terminal, live: BotRunner, kraken: FakeKraken
) -> None:
    first = watched.read_until("Ctrl-C ends it")
    kraken.set_price("BTC/USD", 51000)
    watched.read_until("51,000.0")
    execute_sql(live, "UPDATE trade SET stop_loss_price = 50490")
    nearer = watched.read_until("1.00 %")

    assert "stop 49,000.0 (2.00 % below)" in first
    assert "live mode" in first
    assert "├" in first  # the bar has the letters of the terminal, though rich stands before stdout
    assert "50,490.0" in nearer
    assert watched.end() == 0


def test_watching_asks_for_public_prices_alone(watched: Terminal, kraken: FakeKraken) -> None:
    watched.read_until("Ctrl-C ends it")
    watched.read_until("Ctrl-C ends it")
    watched.end()

    assert set(requested_endpoints(kraken)) == {"Ticker"}


def test_a_tick_goes_on_beside_it(watched: Terminal, live: BotRunner, kraken: FakeKraken) -> None:
    watched.read_until("49,000.0")
    kraken.set_price("BTC/USD", 40000)

    assert live.run("check-positions").exit_code == 0

    watched.read_until("none open")
    assert watched.end() == 0


@pytest.mark.waits
def test_ages_grow_while_an_answer_is_waited_for(watched: Terminal, kraken: FakeKraken) -> None:
    watched.read_until("Ctrl-C ends it")
    kraken.fault("Ticker", "hang_before", seconds=60)

    said = "".join(watched.read_until("Ctrl-C ends it") for _ in range(4))  # one each second

    assert max(int(age) for age in re.findall(r"\(([0-9]+) s ago\)", said)) >= 2
    assert said.count("stop 49,000.0 (2.00 % below)") >= 3  # nothing is blank meanwhile
    kraken.release()
    watched.end()


@pytest.mark.long
def test_prices_that_can_not_be_had_are_said_and_watching_goes_on(watched: Terminal, kraken: FakeKraken) -> None:
    watched.read_until("2.00 %")
    kraken.fault("Ticker", "status", times=4)
    watched.read_until("prices are unavailable", 60)

    assert "2.00 %" in watched.read_until("2.00 %", 60)
    assert watched.end() == 0


def test_a_price_below_the_stop_is_said_in_words(watched: Terminal, kraken: FakeKraken) -> None:
    kraken.set_price("BTC/USD", 48000)

    watched.read_until("HIT: the next check sells")
    watched.end()


@pytest.mark.long
def test_watching_the_demo_moves_on_with_its_ticks(veteran: BotRunner) -> None:
    veteran.run("buy", "BTC/USD", "100")
    terminal = Terminal("positions", "--watch", "--every", "1")
    before = terminal.read_until("Ctrl-C ends it")
    veteran.run("check-positions")
    for _ in range(4):
        veteran.run("tick")
    now = next(row["price"] for row in veteran.json("positions", "--live"))

    try:
        terminal.read_until(f"price {float(now):,.1f} ")
    except AssertionError:
        terminal.process.kill()
        raise

    assert "demo mode" in before
    assert terminal.end() == 0


def test_watching_needs_a_terminal(veteran: BotRunner) -> None:
    check_error(veteran.run("positions", "--watch"), 2, "--live")
    check_error(veteran.run("status", "--watch", "5"), 2, "--live")
    assert veteran.run("positions", "--watch", "--json").exit_code == 2


# status


def test_status_on_a_terminal_is_a_cockpit_with_the_whole_curve_of_equity(veteran: BotRunner) -> None:
    said = Terminal("status", LANG="C.UTF-8", PYTHONIOENCODING="utf-8", COLUMNS="80").all_of_it()

    lines = said.splitlines()
    assert " DEMO " in lines[0]
    assert any(re.search(r"[▁▂▃▄▅▆▇█]{60}", line) for line in lines)
    assert all(len(line) <= 80 for line in lines)
    for name in ("Positions", "equity", "drawdown", "cash", "last", "next", "missed", "Alarms"):
        assert re.search(rf"(?m)^{name}", said)


@pytest.mark.long
def test_a_terminal_without_such_letters_gets_no_curve(veteran: BotRunner) -> None:
    ascii_only = Child(terminal=True, environment=(("PYTHONIOENCODING", "ascii"), ("LC_ALL", "C"), ("TERM", "xterm")))
    said = ESCAPE.sub("", ascii_only(veteran, ("status",)).stdout)

    assert "drawdown" in said
    assert said.isascii()


def test_a_freeze_stands_out(veteran: BotRunner) -> None:
    veteran.run("pause", "--freeze", "--reason", "a very long reason " * 8)

    said = Terminal("status").all_of_it()

    assert "FROZEN since" in said
    assert "No stop is checked and no order is sent" in " ".join(said.split())
    assert all(len(line) <= 80 for line in said.splitlines())


def test_status_elsewhere_is_plain_words(veteran: BotRunner) -> None:
    run = veteran.run("status")

    assert run.stdout.isascii()
    assert run.stdout.startswith(" DEMO ")
    assert "Active. Buys are allowed. Each tick checks the stops." in run.stdout


def test_a_home_without_ticks_has_a_cockpit_too(bot: BotRunner) -> None:
    said = Terminal("status").all_of_it()

    assert "never" in said
    assert "not known yet; it starts from 10,000.00 USD" in said


def test_seconds_without_watch_are_no_silent_nothing(bot: BotRunner) -> None:
    check_error(bot.run("status", "5"), 2, "--watch 5")
