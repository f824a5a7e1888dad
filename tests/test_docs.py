"""Docs that cannot lie: what the code offers is in the docs, and what the design forbids is not in the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from botctl.domain.order_states import ExitReason, OrderState, TradeStatus
from botctl.domain.schedule import Job, cron_block, find_block, service_unit, timer_unit, unit_name
from botctl.domain.settings import NAMES, SETTINGS, Mode, example_env, parse_settings
from tests.conftest import PROJECT, BotRunner
from tests.fields import (
    BACKTEST,
    BACKTEST_TRADE,
    BALANCE,
    COMMANDS,
    CONFIG,
    DEMO,
    ERROR,
    EVENT,
    EXIT_CODES,
    FETCH,
    GAP,
    NOTIFY,
    ORDER,
    RECONCILE,
    RECONCILED_ORDER,
    RECONCILED_POSITION,
    RECOVER,
    RECOVER_ACTION,
    SCHEDULE,
    STATUS,
    STORY,
    STORY_STEP,
    SWEEP,
    SWEEP_FIGURES,
    SWEEP_ROW,
    TICK,
    TRADE,
)

RECONCILED = RECONCILE | RECONCILED_ORDER | RECONCILED_POSITION
FIELDS = (
    TRADE | STATUS | ORDER | BALANCE | DEMO | TICK | RECONCILED | RECOVER | RECOVER_ACTION | BACKTEST | BACKTEST_TRADE
)
FIELDS |= SCHEDULE | CONFIG | EVENT | STORY | STORY_STEP | FETCH | GAP | SWEEP | SWEEP_ROW | SWEEP_FIGURES | NOTIFY


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def pages() -> list[Path]:
    return [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]


def all_docs() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in pages())


def test_the_example_of_settings_is_the_one_that_init_writes() -> None:
    assert read(".env.example") == example_env()


@pytest.mark.parametrize("mode", list(Mode))
def test_the_example_can_be_read_and_means_the_defaults(mode: Mode) -> None:
    lines = [line for line in example_env(mode).splitlines() if line and not line.startswith("#")]

    assert parse_settings(dict(line.split("=", 1) for line in lines)) == parse_settings({"BOTCTL_MODE": mode})


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_in_the_docs(name: str) -> None:
    assert re.search(rf"(?<!\w){name}(?!\w)", read("docs/settings.md"))


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.default], ids=lambda setting: setting.name)
def test_the_docs_name_the_default_of_a_setting(setting: object) -> None:
    name, default = setting.name, setting.default  # type: ignore[attr-defined]

    lines = [line for line in read("docs/settings.md").splitlines() if re.search(rf"(?<!\w){name}(?!\w)", line)]
    assert any(default in line for line in lines), f"no line of docs/settings.md has {name} and {default}"


def test_the_docs_name_no_setting_that_is_none() -> None:
    named = set(re.findall(r"\b(?:BOTCTL|KRAKEN)_[A-Z_]+\b", all_docs()))

    assert named <= set(NAMES)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_in_the_docs(command: str) -> None:
    assert re.search(rf"\bbotctl {command}\b|`{command}\b", all_docs())


def test_the_docs_name_no_command_that_is_none() -> None:
    blocks = re.findall(r"^```.*?^```", all_docs(), re.MULTILINE | re.DOTALL)
    examples = re.findall(r"`botctl ([a-z][a-z-]+)", all_docs())
    for block in blocks:
        examples += re.findall(r"^\s*(?:\$ )?botctl ([a-z][a-z-]+)", block, re.MULTILINE)

    assert examples
    assert set(examples) <= COMMANDS


@pytest.mark.parametrize("code", EXIT_CODES)
def test_every_exit_code_is_in_the_docs(code: int) -> None:
    assert re.search(rf"^\W*`?{code}`?\W", read("docs/exit-codes.md"), re.MULTILINE)


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_of_a_json_answer_is_in_the_docs(field: str) -> None:
    assert re.search(rf"(?<![\w]){field}(?![\w])", read("docs/json.md"))


@pytest.mark.parametrize("field", sorted(ERROR))
def test_every_field_of_a_json_error_is_in_the_docs(field: str) -> None:
    assert f"`{field}`" in all_docs() or f'"{field}"' in all_docs()


@pytest.mark.parametrize("word", [*TradeStatus, *ExitReason, *OrderState])
def test_every_word_that_a_script_may_meet_is_in_the_docs(word: str) -> None:
    assert re.search(rf"\b{word}\b", read("docs/json.md"))


def test_the_example_for_cron_goes_home_first_and_ticks_every_quarter_of_an_hour() -> None:
    lines = [
        line for line in read("crontab.example").splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]

    [tick] = [line for line in lines if "botctl" in line and "tick" in line]
    assert tick.startswith("*/15 * * * *")
    assert re.search(r"\bcd \S+ && ", tick)


def example_job(delay: int) -> Job:
    place = "/home/you/botctl/.venv/bin"
    path = ("PATH", f"{place}:/usr/local/bin:/usr/bin:/bin")
    return Job(
        home="/home/you/bot",
        command=(f"{place}/botctl", "tick"),
        environment=(path, ("BOTCTL_MODE", "live"), ("BOTCTL_HOME", "/home/you/bot")),
        timeframe="15m",
        delay_seconds=delay,
        limit_seconds=720,
        writable=("/home/you/bot",),
    )


def test_the_examples_of_a_schedule_are_what_schedule_install_writes() -> None:
    name, timer = unit_name("/home/you/bot"), example_job(120)

    assert find_block(read("crontab.example"), "/home/you/bot") == cron_block(example_job(37))
    assert read(f"systemd/{name}.service") == service_unit(timer)
    assert read(f"systemd/{name}.timer") == timer_unit(timer)
    assert len(list((PROJECT / "systemd").iterdir())) == 2


def test_every_link_in_the_docs_leads_somewhere() -> None:
    broken = []
    for page in pages():
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")

    assert broken == []


def test_the_commands_of_the_docs_are_the_commands_there_are(bot: BotRunner) -> None:
    listed = re.findall(r"^  ([a-z-]+)  ", bot.run("--help").stdout.split("Commands:")[1], re.MULTILINE)

    assert set(listed) == COMMANDS


def test_stairs_go_down_only() -> None:
    """The floor plan of the house, as contracts of import-linter in pyproject.toml."""
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=120,
    )

    assert run.returncode == 0, run.stdout
    assert "0 broken" in run.stdout
    assert re.search(r"Contracts: [1-9]\d* kept", run.stdout)


def test_only_one_door_knows_each_library() -> None:
    """One door for each library: past it there are only our own types."""
    doors = {
        "ccxt": {
            "exchange/kraken_ccxt.py",
            "exchange/kraken_line.py",
            "exchange/kraken_wire.py",
            "exchange/kraken.py",
            "exchange/kraken_markets.py",
            "exchange/kraken_errors.py",
        },
        "tenacity": {"exchange/retry.py"},
        "pandas_ta": {"market/indicators.py"},
        "rich": {"cli/render.py", "cli/render_glances.py", "cli/tables.py", "cli/output.py", "cli/setup.py"},
        "plotly": {"outside/report_page.py"},
        "matplotlib": {"outside/report_png.py"},
        "psycopg": {"store/server.py"},
        "optuna": {"outside/optuna_study.py"},
        "apprise": {"outside/courier.py"},
        "prometheus_client": {"outside/metrics.py"},
        "peewee": {f"store/{path.name}" for path in (PROJECT / "botctl" / "store").glob("*.py")},
        "dotenv": {"home.py", "wiring.py"},
        "typer": {f"cli/{path.name}" for path in (PROJECT / "botctl" / "cli").glob("*.py")},
    }
    for library, allowed in doors.items():
        known = {
            str(path.relative_to(PROJECT / "botctl"))
            for path in (PROJECT / "botctl").rglob("*.py")
            if imports(path, library)
        }
        assert known <= allowed, library


def imports(path: Path, library: str) -> bool:
    return bool(re.search(rf"^\s*(?:from|import) {library}\b", path.read_text(encoding="utf-8"), re.MULTILINE))
