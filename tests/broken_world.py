"""What is broken on a sound machine, played for real: settings that lie, other runs, rows, clocks, Kraken's answers."""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from botctl.config import LockTimeouts
from tests.bent_time import later
from tests.bot_runner import BotRunner, Run
from tests.fake_kraken import FakeKraken
from tests.poor_machine import NOBODY, OF_THE_MACHINE, Condition, Fork, dot_env, give_home_to, run_here, set_to
from tests.scenarios.steps import buy, execute_sql
from tests.scenarios.test_hung_runs import change_note, holder_of, lock_file
from tests.scenarios.test_moved_clocks import wrong_clock
from tests.scenarios.test_outages import cut_off
from tests.scenarios.test_outside import ANSWERS, link_at_the_end

Start = Callable[[BotRunner, tuple[str, ...]], Run]


def while_nobody_sleeps(live: BotRunner, arguments: tuple[str, ...]) -> Run:
    with later():
        return live.run(*arguments)


# Settings


def database_elsewhere_and_halt_at_home(live: BotRunner, kraken: FakeKraken) -> None:
    elsewhere = live.home.parent / "elsewhere.db"
    live.database.rename(elsewhere)
    live.set(DATABASE_URL=f"sqlite:///{elsewhere}")
    (live.home / "data" / "HALT").touch()


def log_file_of_another(live: BotRunner, kraken: FakeKraken) -> None:
    """A link that leads to a file of the owner's, in a folder that others can write."""
    shared = live.home.parent / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    live.set(LOG_FILE=str(link_at_the_end(shared, live.home.parent / "victim")))


# Other runs


def beside_a_run(*, hung: bool = True, start: Start = run_here) -> Start:
    """Another run holds the lock, by a process that is stopped, as by SIGSTOP or Ctrl-Z: since years, or just so."""

    def play(live: BotRunner, arguments: tuple[str, ...]) -> Run:
        live.wait_for_others(LockTimeouts(run=0.1))
        with ExitStack() as stack:
            holder = stack.enter_context(holder_of(lock_file(live)))
            holder.send_signal(signal.SIGSTOP)
            if hung:
                change_note(lock_file(live), since="2020-01-01T00:00:00+00:00")
            return start(live, arguments)

    return play


# The journal


def break_another_trade(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live, "ETH/USD")
    execute_sql(live, "UPDATE trade SET stop_loss_price = 'abc' WHERE id = 2")


def mend_that_trade(live: BotRunner) -> None:
    execute_sql(live, "UPDATE trade SET stop_loss_price = 2450 WHERE id = 2")


def break_all_caches(live: BotRunner, kraken: FakeKraken) -> None:
    execute_sql(live, "UPDATE memory SET value = 'garbage {'")


# Clocks


def clock_was_wrong_by(by: timedelta) -> Callable[[BotRunner, FakeKraken], None]:
    """At a tick before the stop was hit, which was locked out."""

    def play(live: BotRunner, kraken: FakeKraken) -> None:
        kraken.set_price("BTC/USD", 50000)
        kraken.fault("BalanceEx", "error", error="EGeneral:Temporary lockout")
        with wrong_clock(lambda: datetime.now(UTC), kraken, by):
            assert live.run("tick").exit_code == 69
        kraken.clear_faults()
        kraken.set_price("BTC/USD", 48999)

    return play


# Kraken


def answers_too_long(live: BotRunner, kraken: FakeKraken) -> None:
    spoil = ANSWERS["a bomb"]
    kraken.alter_reply = lambda request, reply: spoil(reply) if request.endpoint == "Ticker" else reply


OF_SETTINGS: dict[str, Condition] = {
    "an `INITIAL_BALANCE` that the account never had": Condition(
        set_to(INITIAL_BALANCE="100000"), while_nobody_sleeps, quick=1
    ),
    "the mode, the keys or the database are there twice": Condition(
        dot_env("BOTCTL_MODE=live\nBOTCTL_MODE=demo\n"), quick=0
    ),
    "a `LOG_FILE` by a link in a folder that others can write": Condition(log_file_of_another, quick=0),
    "a proxy that can't be used": Condition(set_to(HTTPS_PROXY="socks5://127.0.0.1:1"), quick=0),
    "a `METRICS_FILE` in a folder that is gone": Condition(set_to(METRICS_FILE="/nowhere/bot.prom"), quick=0),
    "a heartbeat that reaches nobody": Condition(set_to(HEALTHCHECK_URL="http://127.0.0.1:9/"), quick=0),
    "`HALT` in the home's `data/`, and the database elsewhere": Condition(database_elsewhere_and_halt_at_home),
}
OF_THE_WORLD: dict[str, Condition] = {
    "another run is at work": Condition(start=beside_a_run(hung=False), quick=0),
    "another run hangs, or was stopped": Condition(start=beside_a_run()),
    "a run of another user hangs": Condition(
        lambda live, _: give_home_to(live, NOBODY), beside_a_run(start=Fork()), quick=1
    ),
    "a trade that can't be read, beside this one": Condition(break_another_trade, mend=mend_that_trade, quick=1),
    "a cache that can't be read": Condition(break_all_caches, quick=1),
    "the clock was a year ahead at an earlier run, which Kraken locked out": Condition(
        clock_was_wrong_by(timedelta(days=365)), quick=1
    ),
    "the clock was a year behind at an earlier run, which Kraken locked out": Condition(
        clock_was_wrong_by(timedelta(days=-365)), quick=1
    ),
    "Kraken refuses connections": Condition(lambda live, _: cut_off(live), while_nobody_sleeps),
    "Kraken's name can't be resolved": Condition(
        lambda live, _: cut_off(live, "https://kraken.invalid"), while_nobody_sleeps, quick=0
    ),
    "prices in answers that are too long": Condition(answers_too_long, while_nobody_sleeps, quick=1),
}
CONDITIONS = {**OF_THE_MACHINE, **OF_SETTINGS, **OF_THE_WORLD}
"""In the order of the page."""
