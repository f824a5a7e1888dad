"""schedule: cron or systemd runs the ticks, and nothing of their owner's is lost.

crontab, systemctl, systemd-run and loginctl are programs of our own here, first on PATH.
"""

import os
import pty
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from botctl.domain.errors import ConfigError
from botctl.scheduling.systemd import unit_name, write_units
from tests.bent_time import later
from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import check_error, files_in
from tests.corruption import limited_file_size
from tests.fields import SCHEDULE
from tests.quick import parametrize

CRONTAB = """#!/bin/sh
# What crontab does, with a file for the spool.
spool="$(dirname "$0")/spool"
case "$1" in
-l) if [ -f "$(dirname "$0")/refuses" ]; then cat "$(dirname "$0")/refuses" >&2; exit 1; fi
    if [ -f "$spool" ]; then cat "$spool"; else echo "no crontab for somebody" >&2; exit 1; fi ;;
-) cat > "$spool" ;;
*) exit 2 ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
# What systemctl --user does, as far as we ask it.
here="$(dirname "$0")"
echo "$*" >> "$here/asked"
[ -f "$here/no-bus" ] && { echo "Failed to connect to bus: No medium found" >&2; exit 1; }
[ "$1" = --user ] || exit 2
case "$2" in
daemon-reload) ;;
enable) [ -f "$HOME/.config/systemd/user/$3" ] || { echo "Unit file $3 does not exist." >&2; exit 1; } ;;
restart) touch "$here/active" ;;
disable) rm -f "$here/active" ;;
is-active) if [ -f "$here/active" ]; then echo active; else echo inactive; exit 3; fi ;;
*) exit 2 ;;
esac
"""
OTHERS = (
    b"MAILTO=me@example.com\n# m h  dom mon dow   command\n0 5 * * 1 tar -zcf /var/x.tgz /home \xff\n\n@daily  true\t\n"
)


class Machine:
    """Somebody's machine: its crontab and its units."""

    def __init__(self, folder: Path, home_folder: Path) -> None:
        self.folder = folder
        self.units = home_folder / ".config" / "systemd" / "user"
        folder.mkdir()
        self.program("crontab", CRONTAB)
        self.program("systemctl", SYSTEMCTL)
        self.program("systemd-run", "#!/bin/sh\nexit 0\n")
        self.program("loginctl", "#!/bin/sh\necho yes\n")

    def program(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def without(self, name: str) -> None:
        (self.folder / name).unlink()

    @property
    def crontab(self) -> bytes:
        return (self.folder / "spool").read_bytes()

    @crontab.setter
    def crontab(self, text: bytes) -> None:
        (self.folder / "spool").write_bytes(text)

    @property
    def has_crontab(self) -> bool:
        return (self.folder / "spool").exists()

    @property
    def asked(self) -> list[str]:
        """What systemctl was asked for, but for looks."""
        path = self.folder / "asked"
        said = path.read_text().splitlines() if path.exists() else []
        return [line.removeprefix("--user ") for line in said if "is-active" not in line]

    def unit(self, ending: str) -> str:
        [path] = self.units.glob(f"*.{ending}")
        return path.read_text()


@pytest.fixture
def machine(bot: BotRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """What the shell alone says is refused here: a server stands in .env, as its owner writes it."""
    bot.unset("SENTIMENT_URL", "XDG_CONFIG_HOME", "DATABASE_URL")
    if bot.server:
        write_env(bot, bot.home)
    machine = Machine(tmp_path / "programs", tmp_path)
    monkeypatch.setenv("PATH", f"{machine.folder}:/usr/bin:/bin")
    return machine


def write_env(bot: BotRunner, folder: Path, text: str = "") -> None:
    """Settings in a file, and with them the server that these tests run on."""
    server = f"DATABASE_URL={bot.url_of('demo')}\n" if bot.server else ""
    folder.joinpath(".env").write_text(text + server)
    folder.joinpath(".env").chmod(0o600)


def tick_line(text: bytes) -> str:
    [line] = [line for line in text.decode(errors="replace").splitlines() if line.endswith(" tick")]
    return line


# cron


def test_install_adds_one_block_and_leaves_every_other_byte(bot: BotRunner, machine: Machine) -> None:
    machine.crontab = OTHERS

    answer = bot.json("schedule", "install", "--yes")

    assert set(answer) == SCHEDULE
    assert (answer["kind"], answer["installed"], answer["current"], answer["changed"]) == ("cron", True, True, True)
    assert machine.crontab.startswith(OTHERS)
    assert re.match(r"\*/15 \* \* \* \* sleep \d+; cd \S+ && env PATH=", tick_line(machine.crontab))


def test_installing_twice_changes_nothing_and_keeps_the_delay(bot: BotRunner, machine: Machine) -> None:
    machine.crontab = OTHERS
    bot.json("schedule", "install", "--yes")
    once = machine.crontab

    again = [bot.json("schedule", "install", "--yes") for _ in range(5)]

    assert machine.crontab == once
    assert [answer["changed"] for answer in again] == [False] * 5


def test_an_old_block_is_brought_up_to_date_in_its_place_with_its_delay(bot: BotRunner, machine: Machine) -> None:
    machine.crontab = OTHERS
    delay = bot.json("schedule", "install", "--yes")["delay_seconds"]
    machine.crontab = machine.crontab + b"@hourly true\n"
    write_env(bot, bot.home, "TIMEFRAME=30m\n")

    shown = bot.json("schedule", "show")
    changed = bot.json("schedule", "install", "--yes")

    assert (shown["installed"], shown["current"]) == (True, False)
    assert changed["delay_seconds"] == delay
    assert tick_line(machine.crontab).startswith(f"*/30 * * * * sleep {delay};")
    assert machine.crontab.startswith(OTHERS)
    assert machine.crontab.endswith(b"\n@hourly true\n")


def test_remove_brings_back_the_crontab_of_before(bot: BotRunner, machine: Machine) -> None:
    machine.crontab = OTHERS
    bot.json("schedule", "install", "--yes")

    removed = bot.json("schedule", "remove", "--yes")

    assert machine.crontab == OTHERS
    assert (removed["installed"], removed["changed"]) == (False, True)
    assert bot.json("schedule", "remove", "--yes")["changed"] is False


def test_the_crontab_of_before_is_kept_in_the_home_for_its_owner_alone(bot: BotRunner, machine: Machine) -> None:
    machine.crontab = OTHERS

    first = bot.json("schedule", "install", "--yes")["backup"]
    second = bot.json("schedule", "remove", "--yes")["backup"]

    assert Path(first).read_bytes() == OTHERS
    assert stat.S_IMODE(Path(first).stat().st_mode) == 0o600
    assert Path(first).parent == bot.home
    assert b"botctl" in Path(second).read_bytes()


def test_one_without_a_crontab_gets_one(bot: BotRunner, machine: Machine) -> None:
    answer = bot.json("schedule", "install", "--yes")

    assert answer["backup"] is None
    assert machine.crontab.count(b" tick\n") == 1


@pytest.mark.parametrize(
    "complaint", ["You (me) are not allowed to use this program (crontab)", "crontab: spool: Permission denied"]
)
def test_a_crontab_that_can_not_be_read_is_not_taken_for_an_empty_one(
    bot: BotRunner, machine: Machine, complaint: str
) -> None:
    (machine.folder / "refuses").write_text(complaint)

    run = bot.run("schedule", "install", "--cron", "--yes")

    check_error(run, 78, complaint)
    assert not machine.has_crontab


def test_without_a_terminal_and_a_yes_nothing_is_changed(bot: BotRunner, machine: Machine) -> None:
    machine.crontab = OTHERS

    run = bot.fork_to_its_end("schedule", "install")

    check_error(run, 2, "--yes")
    assert machine.crontab == OTHERS


@pytest.mark.parametrize(("answer", "exit_code"), [(b"n\n", 3), (b"y\n", 0)])
def test_on_a_terminal_it_shows_the_line_and_asks(
    bot: BotRunner, machine: Machine, answer: bytes, exit_code: int
) -> None:
    machine.crontab = OTHERS
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "botctl", "schedule", "install"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    os.write(ours, answer)
    _, said = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)

    assert process.returncode == exit_code, said
    assert b" tick\n" in said
    assert (machine.crontab == OTHERS) is (exit_code == 3)


def test_a_tick_written_by_hand_for_this_home_comes_out_first(bot: BotRunner, machine: Machine) -> None:
    machine.crontab = f"*/15 * * * * cd {bot.home} && botctl tick\n".encode()

    run = bot.run("schedule", "install", "--yes")

    check_error(run, 3, "crontab -e")
    assert bot.json("schedule", "show")["others"]


def test_cron_runs_that_line_as_it_stands(
    bot: BotRunner, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / '100% my bot\'s $HOME "here"'
    home.mkdir()
    bot.set(BOTCTL_HOME=str(home), BOTCTL_MODE="demo")
    bot.unset("DATABASE_URL")
    write_env(bot, home, "BOTCTL_MODE=paper\nSYMBOLS=ETH/USD\nCOUNCIL=sentiment\n")  # the mode of the installation wins
    bot.json("schedule", "install", "--yes")
    machine.program("sleep", "#!/bin/sh\n[ $1 -ge 5 ] && [ $1 -le 120 ]\n")
    command = tick_line(machine.crontab).split(maxsplit=5)[5].replace(r"\%", "%")  # as cron does, before any shell

    cron = {"HOME": str(tmp_path), "PATH": f"{machine.folder}:/usr/bin:/bin", "PYTHONPATH": str(PROJECT)}
    run = subprocess.run(["/bin/sh", "-c", command], env=cron, cwd="/", capture_output=True, text=True, timeout=60)

    assert run.returncode == 0, run.stderr
    status = bot.json("status")
    assert (status["mode"], status["last_tick_ok"]) == ("demo", True)


def test_a_file_of_settings_elsewhere_goes_with_it(bot: BotRunner, machine: Machine, tmp_path: Path) -> None:
    elsewhere = tmp_path / "settings"
    elsewhere.write_text("SYMBOLS=ETH/USD\n")
    elsewhere.chmod(0o600)

    bot.json("schedule", "install", "--yes", "--env-file", str(elsewhere))

    assert f"--env-file {elsewhere} tick" in tick_line(machine.crontab)


def test_settings_of_this_shell_that_would_not_reach_the_ticks_are_refused(bot: BotRunner, machine: Machine) -> None:
    bot.set(MAX_DRAWDOWN="0.05", LOG_LEVEL="INFO")

    run = bot.run("schedule", "install", "--yes")

    check_error(run, 78, "MAX_DRAWDOWN", ".env")
    assert "LOG_LEVEL" not in run.stderr  # it is what the ticks go by anyway
    assert not machine.has_crontab


def test_show_changes_nothing(bot: BotRunner, machine: Machine) -> None:
    before = files_in(bot.home)

    run = bot.run("schedule", "show")

    assert run.exit_code == 0
    assert "schedule install" in run.stdout
    assert not machine.has_crontab
    assert files_in(bot.home) == before


# systemd


def test_a_timer_is_written_enabled_and_started(bot: BotRunner, machine: Machine) -> None:
    answer = bot.json("schedule", "install", "--systemd", "--yes")

    [timer] = machine.units.glob("*.timer")
    assert (answer["kind"], answer["installed"], answer["current"]) == ("systemd", True, True)
    assert machine.asked == ["daemon-reload", f"enable {timer.name}", f"restart {timer.name}"]
    assert set(answer["files"]) == {str(timer), str(timer.with_suffix(".service"))}
    for line in ("OnCalendar=*:0/15:05 UTC", "Persistent=true", "FixedRandomDelay=true", "RandomizedDelaySec=115"):
        assert line in machine.unit("timer").splitlines()
    for line in ("Type=oneshot", "TimeoutStartSec=810", "NoNewPrivileges=yes", "ProtectSystem=strict"):
        assert line in machine.unit("service").splitlines()
    assert not machine.has_crontab


def test_a_timer_installed_twice_is_one_and_asks_nothing_of_systemd(bot: BotRunner, machine: Machine) -> None:
    bot.json("schedule", "install", "--systemd", "--yes")
    before = machine.asked

    again = bot.json("schedule", "install", "--yes")

    assert (again["kind"], again["changed"]) == ("systemd", False)
    assert machine.asked == before


def test_a_timer_that_somebody_stopped_is_started_again(bot: BotRunner, machine: Machine) -> None:
    bot.json("schedule", "install", "--systemd", "--yes")
    (machine.folder / "active").unlink()

    assert bot.json("schedule", "show")["current"] is False
    assert bot.json("schedule", "install", "--yes")["current"] is True


def test_a_timer_that_is_removed_leaves_nothing(bot: BotRunner, machine: Machine) -> None:
    bot.json("schedule", "install", "--systemd", "--yes")
    [timer] = machine.units.glob("*.timer")

    removed = bot.json("schedule", "remove", "--yes")

    assert (removed["installed"], removed["changed"]) == (False, True)
    assert list(machine.units.iterdir()) == []
    assert machine.asked[-2:] == [f"disable --now {timer.name}", "daemon-reload"]


def test_where_users_get_no_sandbox_the_service_has_none_and_says_so(bot: BotRunner, machine: Machine) -> None:
    machine.program("systemd-run", "#!/bin/sh\necho 226/NAMESPACE >&2\nexit 226\n")

    answer = bot.json("schedule", "install", "--systemd", "--yes")

    assert any("sandbox" in note for note in answer["notes"])
    assert answer["current"] is True
    assert "ProtectSystem" not in machine.unit("service")
    assert "NoNewPrivileges=yes" in machine.unit("service")


def test_who_does_not_linger_is_told_to(bot: BotRunner, machine: Machine) -> None:
    machine.program("loginctl", "#!/bin/sh\necho no\n")

    answer = bot.json("schedule", "install", "--systemd", "--yes")

    assert any("enable-linger" in note for note in answer["notes"])


def test_a_systemd_that_serves_no_users_is_named(bot: BotRunner, machine: Machine) -> None:
    (machine.folder / "no-bus").touch()

    check_error(bot.run("schedule", "install", "--systemd", "--yes"), 78, "No medium found", "--cron")


@pytest.mark.parametrize(("first", "second"), [("--cron", "--systemd"), ("--systemd", "--cron")])
def test_one_of_them_at_a_time(bot: BotRunner, machine: Machine, first: str, second: str) -> None:
    bot.json("schedule", "install", first, "--yes")

    check_error(bot.run("schedule", "install", second, "--yes"), 3, "schedule remove")


def test_without_cron_systemd_does_it(bot: BotRunner, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.without("crontab")
    monkeypatch.setenv("PATH", str(machine.folder))
    for name in ("dirname", "touch"):
        machine.folder.joinpath(name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or name)

    assert bot.json("schedule", "show")["kind"] == "systemd"
    check_error(
        bot.run("schedule", "install", "--cron", "--yes"), 78, "the crontab command is not installed", "--systemd"
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units(bot: BotRunner, machine: Machine, tmp_path: Path) -> None:
    home = tmp_path / '100% my bot\'s $HOME "here"'
    home.mkdir()
    bot.set(BOTCTL_HOME=str(home))
    elsewhere = tmp_path / "logs of mine"
    elsewhere.mkdir()
    write_env(bot, home, f"LOG_FILE={elsewhere}/bot.log\n")
    bot.json("schedule", "install", "--systemd", "--yes")
    assert f'"-{elsewhere}"' in machine.unit("service")

    units = [str(path) for path in machine.units.iterdir()]
    run = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)

    assert (run.returncode, run.stderr) == (0, "")


def test_a_unit_that_cannot_be_written_whole_stays_as_it_was(machine: Machine) -> None:
    write_units({"botctl.service": "[Service]\n"})

    with limited_file_size(12), pytest.raises(ConfigError, match="File too large"):
        write_units({"botctl.service": "[Service]\nExecStart=/usr/bin/botctl tick\n"})

    assert files_in(machine.units) == {"botctl.service": b"[Service]\n"}


# The doctor


def asked_doctor(bot: BotRunner) -> tuple[str, str]:
    [line] = [line for line in bot.run("doctor", "--json").json() if line["name"] == "schedule"]
    return line["status"], line["detail"]


def test_the_doctor_sees_who_runs_the_ticks(bot: BotRunner, machine: Machine) -> None:
    machine.crontab = OTHERS
    nobody = asked_doctor(bot)
    bot.json("schedule", "install", "--cron", "--yes")
    cron = asked_doctor(bot)
    bot.json("schedule", "remove", "--yes")
    bot.json("schedule", "install", "--systemd", "--yes")
    timer = asked_doctor(bot)
    (machine.folder / "active").unlink()
    stopped = asked_doctor(bot)

    assert [status for status, _ in (nobody, cron, timer, stopped)] == ["warn", "ok", "ok", "warn"]
    assert "crontab" in cron[1]
    assert "systemd" in timer[1]
    assert "not active" in stopped[1]


def test_ticks_of_another_home_are_no_ticks_of_this_one(bot: BotRunner, machine: Machine) -> None:
    machine.crontab = b"*/15 * * * * cd /home/you/paper && botctl tick\n"
    elsewhere = asked_doctor(bot)
    machine.crontab = f"*/15 * * * * cd {bot.home} && botctl tick\n".encode()

    assert elsewhere[0] == "warn"
    assert asked_doctor(bot)[0] == "ok"


# Is anybody ticking?

LATE = "no tick for 24 min, expected every 15: "


def said_of_ticks(bot: BotRunner) -> tuple[str, str, str, str]:
    """What status and schedule show say, and what doctor makes of it."""
    [check] = [line for line in bot.run("doctor", "--json").json() if line["name"] == "ticks"]
    status, shown = bot.json("status"), bot.json("schedule", "show")
    return status["overdue"], shown["overdue"], check["status"], check["detail"]


@parametrize("runner", ["cron", "systemd", "nobody"], quick=1)
def test_a_tick_that_does_not_come_is_missed_by_all_who_look(
    live: BotRunner, machine: Machine, runner: str, open_trade: None
) -> None:
    if runner == "cron":
        machine.crontab = f"*/15 * * * * cd {live.home} && botctl tick\n".encode()
    elif runner == "systemd":
        machine.units.mkdir(parents=True)
        machine.units.joinpath(f"{unit_name(str(live.home))}.timer").write_text("[Timer]\n")
        machine.folder.joinpath("active").touch()
    question = {
        "cron": "is cron running?",
        "systemd": "does its service fail? `journalctl --user` tells",
        "nobody": "neither cron nor systemd runs botctl tick, `botctl schedule install` does",
    }[runner]

    in_time = said_of_ticks(live)
    with later(minutes=24):
        late = said_of_ticks(live)
        told = live.run("status")

    assert in_time[:3] == ("", "", "ok")
    assert late == (LATE + question, LATE + question, "fail", f"{LATE}{question} 1 open position is not guarded")
    assert LATE + question in told.stderr
    assert live.json("status")["scheduled_by"] == (None if runner == "nobody" else runner)


@pytest.fixture
def open_trade(live: BotRunner) -> None:
    live.run("buy", "BTC/USD", "100", "--yes")
    assert live.run("tick").exit_code == 0


def test_a_timer_that_was_stopped_is_told_before_a_tick_is_late(live: BotRunner, machine: Machine) -> None:
    machine.units.mkdir(parents=True)
    machine.units.joinpath(f"{unit_name(str(live.home))}.timer").write_text("[Timer]\n")

    assert live.json("status")["overdue"].startswith("systemd's timer is installed but not active")


@pytest.mark.long
def test_a_tick_of_the_future_asks_for_the_clock(live: BotRunner, machine: Machine) -> None:
    with later(hours=3):
        live.run("tick")

    assert "is this machine's clock right?" in live.json("status")["overdue"]


def test_remove_names_the_positions_that_nobody_guards_from_now_on(bot: BotRunner, machine: Machine) -> None:
    bot.json("schedule", "install", "--cron", "--yes")
    assert bot.run("buy", "BTC/USD", "100", "--yes").exit_code == 0
    [trade] = bot.positions()

    asked = bot.run("schedule", "remove")
    run = bot.run("schedule", "remove", "--json", "--yes")

    named = f"BTC/USD (trade 1, stop {float(trade['stop_loss_price']):.8g})"
    assert asked.exit_code == 2
    assert run.json()["unguarded"] == [named]
    assert f"no longer guarded: {named}" in run.stderr
    assert bot.json("schedule", "remove")["unguarded"] == []


def test_remove_says_that_stops_still_rest_at_kraken(bot: BotRunner, machine: Machine) -> None:
    bot.json("schedule", "install", "--cron", "--yes")
    bot.set(EXCHANGE_STOP="on")
    assert bot.run("buy", "BTC/USD", "100", "--yes").exit_code == 0

    run = bot.run("schedule", "remove", "--yes")

    said = "1 stop still rests at Kraken and no longer follows the price: `botctl resting-stops --cancel` cancels"
    assert said in run.stderr
    assert len(bot.json("resting-stops")) == 1


def test_another_line_that_ticks_goes_on_guarding(bot: BotRunner, machine: Machine) -> None:
    bot.json("schedule", "install", "--cron", "--yes")
    bot.run("buy", "BTC/USD", "100", "--yes")
    machine.crontab += f"*/15 * * * * cd {bot.home} && botctl tick\n".encode()

    assert bot.json("schedule", "remove", "--yes")["unguarded"] == []
