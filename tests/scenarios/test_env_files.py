"""A .env that was damaged, or written as for another program: nobody takes it for the settings of a demo."""

import os
from collections.abc import Callable

import pytest

from botctl.domain.configuration.settings import NAMES
from tests.bot_runner import BotRunner
from tests.fake_kraken import FakeKraken
from tests.scenarios.steps import buy, output_of, requested_endpoints, sides, trade_of


def move_to_env_file(live: BotRunner, change: Callable[[str], str | bytes] = lambda text: text) -> None:
    """Write the settings of the environment to .env, changed, and remove them from the environment."""
    names = [name for name in NAMES if name in os.environ and name != "BOTCTL_HOME"]
    text = change("".join(f"{name}={os.environ[name]}\n" for name in names))
    path = live.home / ".env"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    live.unset(*names)


def instead_of(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


LOST_MODE: dict[str, Callable[[str], str | bytes]] = {
    "set, as in another shell": instead_of("BOTCTL_MODE=", "set BOTCTL_MODE="),
    "a list of YAML": instead_of("BOTCTL_MODE=", "- BOTCTL_MODE="),
    "YAML": instead_of("BOTCTL_MODE=", "  BOTCTL_MODE: "),
    "a comment": instead_of("BOTCTL_MODE=", "#BOTCTL_MODE="),
    "another program's name": instead_of("BOTCTL_MODE=", "MODE="),
    "a missing line break": instead_of("BOTCTL_MODE=live\nLIVE_TRADING=yes", "LIVE_TRADING=yes BOTCTL_MODE=live"),
    "an open quote": lambda text: f'NOTIFY_URLS="x\n{text}LOG_LEVEL="INFO"\n',
    "two bytes a letter": lambda text: text.encode("utf-16-le"),
    "two bytes a letter, and a mark": lambda text: text.encode("utf-16"),
    "a letter that is no UTF-8": lambda text: text.encode().replace(b"=live", b"=l\xefve"),
    "nothing": lambda text: "",
}


@pytest.mark.sqlite
@pytest.mark.parametrize("change", LOST_MODE.values(), ids=LOST_MODE)
def test_a_home_whose_mode_was_lost_is_no_demo(
    live: BotRunner, kraken: FakeKraken, change: Callable[[str], str | bytes]
) -> None:
    move_to_env_file(live, change)

    runs = [live.run("tick"), live.run("pause")]

    assert [run.exit_code for run in runs] == [78, 78], [output_of(run) for run in runs]
    assert "NOT PAUSED" in runs[1].stderr
    assert not (live.home / "data" / "demo.db").exists()
    assert requested_endpoints(kraken) == []
    checked = live.run("config", "check")
    assert (checked.exit_code, "BOTCTL_MODE" in output_of(checked) or ".env" in output_of(checked)) == (78, True)


@pytest.mark.sqlite
def test_a_lost_env_file_is_said_beside_a_live_database(live: BotRunner) -> None:
    move_to_env_file(live)
    (live.home / ".env").unlink()

    assert "BOTCTL_MODE is not set, but" in live.run("pause").stderr
    (live.home / ".env").symlink_to("mounted/later")
    assert "a link to a file that does not exist" in live.run("pause").stderr


def test_a_line_that_names_another_database_in_another_way_stops_all(live: BotRunner) -> None:
    (live.home / ".env").write_text("set DATABASE_URL=sqlite:///other.db\n")
    live.unset("DATABASE_URL")

    assert live.run("pause").exit_code == 78


def test_a_letter_that_is_no_utf8_costs_its_own_line(live: BotRunner, kraken: FakeKraken) -> None:
    buy(live)
    kraken.set_price("BTC/USD", 48999)
    move_to_env_file(live, lambda text: "# für\n".encode("latin-1") + text.encode() + b"LOG_FILE=caf\xe9.log\n")

    run = live.run("tick", "--json")

    assert trade_of(live)["exit_reason"] == "STOP_LOSS", output_of(run)
    assert sides(kraken) == ["buy", "sell"]
    assert run.exit_code == 78
    assert run.stderr.count("is not UTF-8") == 1


@pytest.mark.parametrize("mode", ["live", "paper", "demo"])
def test_a_home_that_env_names_must_exist(live: BotRunner, mode: str) -> None:
    live.set(BOTCTL_MODE=mode)
    (live.home / ".env").write_text(f"BOTCTL_HOME={live.home}/gone\n")
    (live.home / ".env").chmod(0o600)
    os.chdir(live.home)
    live.unset("BOTCTL_HOME")

    runs = [live.run("pause"), live.run("tick")]

    assert [run.exit_code for run in runs] == [78, 78]
    assert all("/gone does not exist" in run.stderr for run in runs)
    assert not (live.home / "gone").exists()
