"""Docs that cannot lie: what the code offers is in the docs, and what the design forbids is not in the code."""

import ast
import re
import runpy
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
import typer

from botctl.cli.app import app
from botctl.domain.configuration.example import example_env
from botctl.domain.configuration.settings import NAMES, SETTINGS, Mode, parse_settings
from botctl.domain.errors import BotError
from botctl.domain.orders import ExitReason, OrderState, TradeStatus
from botctl.domain.symbols import Timeframe
from botctl.monitoring.alerts import Problem
from botctl.monitoring.collect import REPORTED_EVENTS
from botctl.monitoring.metrics import METRICS
from botctl.monitoring.problems import failing_problem, key_problem, unguarded_problem, unguarded_reason
from botctl.scheduling.crontab import cron_block, find_block
from botctl.scheduling.schedule import Job
from botctl.scheduling.systemd import service_unit, timer_unit
from botctl.store.models import Trade
from tests import architecture, json_fields
from tests.bot_runner import PROJECT, BotRunner
from tests.cli.test_schedule import Machine
from tests.fields import COMMANDS, ERROR, EXIT_CODES
from tests.sessions import Session, market, on_terminal


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def pages() -> list[Path]:
    return [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")]


def all_docs() -> str:
    """All but the worked examples, which a test of their own runs: they bring a command that botctl lacks."""
    return "\n".join(page.read_text(encoding="utf-8") for page in pages() if page.name != "EXTENDING.md")


def test_the_example_of_settings_is_the_one_that_init_writes() -> None:
    assert read(".env.example") == example_env()


@pytest.mark.parametrize("mode", list(Mode))
def test_the_example_can_be_read_and_means_the_defaults_but_for_what_init_chooses(mode: Mode) -> None:
    lines = [line for line in example_env(mode).splitlines() if line and not line.startswith("#")]

    chosen = {"SIGNAL_TIMEFRAME": "4h"} if mode in (Mode.PAPER, Mode.LIVE) else {}
    chosen |= {"EXCHANGE_STOP": "on"} if mode is Mode.LIVE else {}
    assert parse_settings(dict(line.split("=", 1) for line in lines)) == parse_settings({"BOTCTL_MODE": mode, **chosen})


def test_every_setting_is_in_the_docs_with_its_default() -> None:
    lines = read("docs/settings.md").splitlines()
    documented = {
        setting.name: [line for line in lines if re.search(rf"(?<!\w){setting.name}(?!\w)", line)]
        for setting in SETTINGS
    }

    assert [name for name in NAMES if not documented[name]] == []
    assert [
        setting.name
        for setting in SETTINGS
        if setting.default and not any(setting.default in line for line in documented[setting.name])
    ] == []


def test_the_docs_name_no_setting_that_is_none() -> None:
    named = set(re.findall(r"\b(?:BOTCTL|KRAKEN)_[A-Z_]+\b", all_docs()))

    assert named <= set(NAMES)


def test_every_command_is_in_the_docs() -> None:
    text = all_docs()

    assert [name for name in COMMANDS if not re.search(rf"\bbotctl {name}\b|`{name}\b", text)] == []


def test_the_docs_name_no_command_that_is_none() -> None:
    blocks = re.findall(r"^```.*?^```", all_docs(), re.MULTILINE | re.DOTALL)
    examples = re.findall(r"`botctl ([a-z][a-z-]+)", all_docs())
    for block in blocks:
        examples += re.findall(r"^\s*(?:\$ )?botctl ([a-z][a-z-]+)", block, re.MULTILINE)

    assert examples
    assert set(examples) <= COMMANDS


PROMISED = (*EXIT_CODES, 128 + signal.SIGINT, 128 + signal.SIGTERM)


def exit_codes_of(kind: type[BotError]) -> set[int]:
    return {kind.exit_code}.union(*map(exit_codes_of, kind.__subclasses__()))


def test_no_error_has_an_exit_code_that_is_not_promised() -> None:
    assert exit_codes_of(BotError) <= set(PROMISED)


def test_every_exit_code_is_in_the_docs() -> None:
    page = read("docs/exit-codes.md")

    assert [code for code in PROMISED if not re.search(rf"^\W*`?{code}`?\W", page, re.MULTILINE)] == []


def test_the_fields_of_every_json_answer_are_in_the_docs() -> None:
    page = read("docs/json.md")

    assert page == json_fields.write_page(page), "run `python -m tests.json_fields`"


def test_every_field_of_a_json_error_is_in_the_docs() -> None:
    page = read("docs/exit-codes.md")

    assert [field for field in ERROR if f"| `{field}` |" not in page] == []


def test_every_word_that_a_script_may_meet_is_in_the_docs() -> None:
    page = read("docs/json.md")

    assert [word for word in (*TradeStatus, *ExitReason, *OrderState) if f"`{word}`" not in page] == []


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
        timeframe=Timeframe.MINUTES_15,
        delay_seconds=delay,
        limit_seconds=720,
        writable=("/home/you/bot",),
    )


def test_the_examples_of_a_schedule_are_what_schedule_install_writes() -> None:
    timer = example_job(120)

    assert find_block(read("crontab.example"), "/home/you/bot") == cron_block(example_job(37))
    assert read("systemd/botctl.service") == service_unit(timer)
    assert read("systemd/botctl.timer") == timer_unit(timer)
    assert {file.name for file in (PROJECT / "systemd").iterdir()} == {
        "botctl.service", "botctl.timer", "botctl-serve.service"
    }  # fmt: skip


def test_every_link_in_the_docs_leads_somewhere() -> None:
    broken = []
    for page in [*pages(), PROJECT / "CHANGELOG.md"]:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
            path = page.parent / target if target else page
            if "://" not in target and not (path.exists() and (not anchor or anchor in anchors(path))):
                broken.append(f"{page.name}: {target}#{anchor}")

    assert broken == []


def anchors(page: Path) -> set[str]:
    """Where links into a page may lead: its titles, as GitHub writes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_the_commands_of_the_docs_are_the_commands_there_are(bot: BotRunner) -> None:
    listed = re.findall(r"^  ([a-z-]+)  ", bot.run("--help").stdout.split("Options:")[0], re.MULTILINE)

    assert set(listed) == COMMANDS


# What a page shows is what the commands say.


@pytest.mark.long
def test_the_tutorial_shows_what_its_commands_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(tmp_path / "programs", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/programs:/usr/bin:/bin")
    monkeypatch.delenv("SENTIMENT_URL")

    with market() as (kraken, mood):
        keys = {"your-key": kraken.api_key, "your-private-key": kraken.secret}
        with Session(kraken, mood, keys) as session:
            said = list(session.play(read("docs/tutorial.md")))

            assert len(said) > 30
            differences = "\n".join(filter(None, map(session.differs, said)))
            assert not differences, differences


def test_the_first_page_shows_what_its_first_tick_says() -> None:
    readme = read("README.md")
    [shown] = re.findall(r"botctl tick\n```\n.*?```text\n(.*?)```", readme, re.DOTALL)

    run = on_terminal(["tick"])

    assert (run.exit_code, run.stdout.replace(str(Path.cwd()), "/home/you/botctl")) == (0, shown)


def test_the_commands_of_the_first_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its demo, its paper mode and its backtest, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", read("README.md"), re.MULTILINE | re.DOTALL)
    commands = [line.split("#")[0] for block in blocks[:4] for line in block.splitlines()]
    commands = [found[1] for line in commands if (found := re.search(r"\bbotctl (.*?)\s*$", line))]
    assert len(commands) >= 10
    with market() as (kraken, mood):
        monkeypatch.setenv("KRAKEN_API_URL", kraken.url)
        monkeypatch.setenv("SENTIMENT_URL", mood.url)
        for command in commands:
            if command.startswith("init"):  # in a folder of its own
                Path("paper").mkdir()
                monkeypatch.chdir("paper")
            if command.startswith("demo"):  # the tutorial runs it
                assert f"$ botctl {command}\n" in read("docs/tutorial.md")
                continue
            run = on_terminal(command.split())
            assert run.exit_code == 0, f"botctl {command}\n{run.stdout}"


def test_the_pictures_of_the_rules_are_what_they_draw_now() -> None:
    folder = PROJECT / "docs" / "pictures"
    drawn = runpy.run_path(str(folder / "draw.py"))
    pictures = (*drawn["PICTURES"], drawn["RESTING"], drawn["WITHDRAWAL"])
    files = {picture.file: drawn["draw"](picture) for picture in pictures}

    others = {drawn["COCKPIT"]}
    assert files == {
        path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg") if path.name not in others
    }
    assert [name for name in files if f"(pictures/{name})" not in read("docs/rules.md")] == []
    reasons = [
        reason for drawing in files.values() for reason in re.findall("STOP_LOSS|BREAKEVEN<|TRAILING_STOP", drawing)
    ]
    assert sorted(reasons) == ["BREAKEVEN<", "STOP_LOSS", "TRAILING_STOP", "TRAILING_STOP"]


def test_the_readme_shows_the_cockpit_and_the_picture_asks_for_nothing() -> None:
    picture = read("docs/pictures/cockpit.svg")

    assert "(docs/pictures/cockpit.svg)" in read("README.md")
    assert "url(http" not in picture
    assert "<image" not in picture


@pytest.mark.long
def test_the_picture_of_the_cockpit_is_what_status_shows_after_some_ticks_of_the_demo() -> None:
    drawn = runpy.run_path(str(PROJECT / "docs" / "pictures" / "draw.py"))

    assert drawn["draw_cockpit"]() == read("docs/pictures/cockpit.svg")


def test_the_numbers_of_the_rules_are_on_its_picture() -> None:
    """Each row of the table: a price, the high and the stop after it, as the rule has them on the trailing picture."""
    drawn = runpy.run_path(str(PROJECT / "docs" / "pictures" / "draw.py"))
    [trailing] = [picture for picture in drawn["PICTURES"] if picture.file == "trailing-stop.svg"]
    seen = [(check.price, check.high, check.stop) for check in drawn["follow"](trailing)]
    rows = re.findall(r"^\| (\d\d,\d{3}) \| (\d\d,\d{3}) \| (\d\d,\d{3}) \|", read("docs/rules.md"), re.MULTILINE)

    assert len(rows) == 7
    for row in rows:
        assert tuple(float(number.replace(",", "")) for number in row) in seen


def test_the_numbers_of_a_fall_between_two_checks_are_on_its_picture() -> None:
    drawn = runpy.run_path(str(PROJECT / "docs" / "pictures" / "draw.py"))
    picture = drawn["FallDrawing"](drawn["RESTING"])
    told = re.search(r"!\[(The price falls between two checks[^]]+)\]", read("docs/rules.md"))
    last, figures = picture.checks[-1], (picture.checks[-2].stop, picture.trigger, picture.fall.low, picture.sold_at)

    assert told is not None
    assert last.hit
    for figure in (*figures, last.price):
        assert f"{figure:,.0f}" in told[1]


def test_the_numbers_of_the_worked_example_are_those_of_its_picture() -> None:
    """Equity, base, drawdown and that from the peak of each row, as the rule of the performance has them."""
    drawn = runpy.run_path(str(PROJECT / "docs" / "pictures" / "draw.py"))
    looks = drawn["follow_account"](drawn["WITHDRAWAL"])
    seen = [tuple(map(float, (look.equity, look.base, 100 * look.drawdown, 100 * look.from_peak))) for look in looks]
    row = r"^\| [^|]+ \| ([\d,]+) \| ([\d,.]+) \| (-?[\d.]+) % \| ([\d.]+) %[^|]*\|$"
    rows = re.findall(row, read("docs/rules.md"), re.MULTILINE)

    assert len(rows) == 6
    for cells in rows:
        told = [float(cell.replace(",", "")) for cell in cells]
        assert any(told == pytest.approx(figures, abs=0.05) for figures in seen), cells


# Every alarm is on the page that says what to do.

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


def section(title: str) -> str:
    """A part of the page of operations, up to the next title of any size."""
    [text] = re.findall(
        rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", read("docs/operations.md"), re.MULTILINE | re.DOTALL
    )
    return str(text)


def kinds_of_trouble() -> dict[str, list[str]]:
    """The first word of each alarm's key, with the words that its text always has, from the code that makes them."""
    found = {}
    for call in ast.walk(ast.parse(read("botctl/monitoring/problems.py"))):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Problem":
            key, text = (pieces_of(argument) for argument in call.args[:2])
            found[key[0].split()[0]] = [piece for piece in text if len(piece) > 10 and "`" not in piece]
    return found


def pieces_of(text: ast.expr) -> list[str]:
    """What stands fast in a text with blanks to fill."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return [str(part.value).strip(" :;()") for part in parts if isinstance(part, ast.Constant)]


def test_every_trouble_has_its_place_on_the_page_of_operations() -> None:
    troubles, table = kinds_of_trouble(), section("Problems")

    known = (
        "unguarded",
        "unprotected",
        "drawdown",
        "order",
        "failing",
        "missed",
        "missing",
        "unrecorded",
        "backup",
        "key",
    )
    assert set(troubles) == set(known)
    for key, pieces in troubles.items():
        [row] = re.findall(rf"^\| \[`{key}`\]\(#{key}\).*$", table, re.MULTILINE)
        assert [piece for piece in pieces if piece.split("{")[0].strip() not in row] == [], row
        assert "**Means:**" in section(key)
        assert "**Do" in section(key)


@pytest.mark.parametrize(
    "problem",
    [
        unguarded_problem(["BTC/USD (trade 1, frozen)", "ETH/USD (trade 2, frozen)"]),
        failing_problem([(False, "look: Kraken is unreachable")] * 3),
        key_problem(NOW + timedelta(days=3), NOW),
        key_problem(NOW - timedelta(days=3), NOW),
    ],
    ids=["unguarded", "failing", "key expires", "key has expired"],
)
def test_the_page_of_operations_has_the_words_of_a_trouble(problem: Problem) -> None:
    [row] = re.findall(rf"^\| \[`{problem.key}`\].*$", section("Problems"), re.MULTILINE)
    shown = [re.escape(words).replace(r"\.\.\.", ".*") for words in re.findall(r"`([^`]*)`", row.split(" | ")[1])]

    assert any(re.match(words, problem.text) for words in shown), f"{problem.text}\n{row}"


def test_every_reason_for_no_guard_is_on_the_page_of_operations() -> None:
    trades = [Trade(checked_at=NOW), Trade(checked_at=NOW - timedelta(days=1), stop_loss_price=1.0)]
    reasons = {unguarded_reason(trade, NOW, 900, frozen=frozen) for trade in trades for frozen in (True, False)}

    assert len(reasons) == 3
    for reason in reasons:
        assert reason is not None
        assert f"`{reason.split(' at ')[0]}" in section("unguarded")


def test_every_step_of_a_tick_that_may_fail_is_on_the_page_of_operations() -> None:
    steps = re.findall(r'(?:_run\(bot, state, |StepView\()"([^"]+)"', read("botctl/trading/tick.py"))
    first_cells = [row.split(" | ")[0] for row in section("failing").splitlines() if row.startswith("| `")]

    assert len(steps) > 8
    named = [name for cell in first_cells for name in re.findall("`([^`]+)`", cell)]
    assert sorted(named) == sorted(set(steps))


def test_all_news_are_on_the_page_of_operations() -> None:
    rows = re.findall(r"^\| `([\w ]+)` \|", section("Events"), re.MULTILINE)

    assert set(rows) == set(REPORTED_EVENTS)
    assert [reason for reason in ExitReason if f"`{reason}`" not in section("Events")] == []


def test_every_metric_is_on_the_page_of_operations() -> None:
    page = read("docs/operations.md")

    assert [name for name in METRICS if f"`{name}`" not in page] == []


def all_commands() -> dict[str, click.Command]:
    """Every command by its words, those of the groups too."""
    group = typer.main.get_command(app)
    found: dict[str, click.Command] = {}
    with click.Context(group) as context:
        for name in group.list_commands(context):  # type: ignore[attr-defined]
            command = group.get_command(context, name)  # type: ignore[attr-defined]
            found[name] = command
            for below, part in getattr(command, "commands", {}).items():
                found[f"{name} {below}"] = part
    return found


EVERY = all_commands()


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_help_that_a_stranger_can_use(name: str) -> None:
    """What it does in a line, and an example that is a command of its own kind."""
    run = on_terminal([*name.split(), "--help"])

    assert run.exit_code == 0
    assert max(map(len, run.stdout.splitlines())) <= 80
    examples = re.findall(r"^ {4}(?:[A-Z_]+=\S+ )?(botctl .*)$", run.stdout, re.MULTILINE)
    assert [example for example in examples if example.startswith(f"botctl {name}")], run.stdout
    assert re.search(r"^  Examples?:\n    \S", run.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "name", ["tick", "check-positions", "drawdown", "buy", "sell", "liquidate", "schedule install"]
)
def test_the_help_of_what_moves_money_says_so(name: str) -> None:
    told = " ".join((EVERY[name].help or "").split())

    assert re.search(r"real money|[Aa]sks first", told)
    assert re.search(r"[Ee]xit code", told)


@pytest.mark.parametrize("name", [name for name in EVERY if not getattr(EVERY[name], "commands", None)])
def test_every_command_takes_json(name: str) -> None:
    assert "--json" in options_of(EVERY[name])


def options_of(command: click.Command) -> set[str]:
    return {option for param in command.params for option in (*param.opts, *param.secondary_opts)} | {"--help", "-h"}


def written_commands() -> list[str]:
    """Every command that a page, an example or a help text writes out, without its comment."""
    text = all_docs() + read("CHANGELOG.md")
    blocks = [*re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL), read("crontab.example")]
    lines = re.findall(r"^(?:\$ )?(?:\S*/)?botctl (.*)$", "\n".join(blocks), re.MULTILINE)
    lines += re.findall(r"`botctl ([^`]+)`", text)
    for command in EVERY.values():
        told = command.help or ""
        lines += re.findall(r"^ +(?:[A-Z_]+=\S+ )?botctl (.*)$", told, re.MULTILINE) + re.findall(
            r"`botctl ([^`]+)`", told
        )
    lines = [re.split(r"\s+#|\s&&|[;|]", line)[0].strip() for line in lines]
    return [line for line in lines if re.match(r"[a-z]", line)]


def test_every_command_that_is_written_anywhere_has_these_options() -> None:
    wrong = []
    for line in written_commands():
        words = line.split()
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in EVERY), None)
        options = [re.split(r"[=\]]", word.strip("[],.:"))[0] for word in words if re.match(r"\[?--?[a-z]", word)]
        if name is None and not words[0].startswith("-"):
            wrong.append(f"botctl {line}: no such command")
        wrong += [f"botctl {line}: no {option}" for option in options if name and option not in options_of(EVERY[name])]

    assert len(written_commands()) > 100
    assert wrong == []


def test_every_command_is_on_the_first_page() -> None:
    """In the table of commands; those of a group may stand together."""
    table = read("README.md").split("## Commands")[1].split("\n## ")[0]
    rows = [row.split(" | ")[0] for row in table.splitlines() if row.startswith("| `")]

    assert [
        name for name in EVERY if not any(all(re.search(rf"\b{word}\b", row) for word in name.split()) for row in rows)
    ] == []


def test_every_exit_code_is_in_the_help_and_on_the_first_page(bot: BotRunner) -> None:
    told = bot.run("--help").stdout.split("Exit codes:")[1]
    first = read("README.md").split("Exit codes:")[1].split("\n\n")[0]

    assert [code for code in EXIT_CODES if not re.search(rf"\b{code}\b", told)] == []
    assert [code for code in EXIT_CODES if not re.search(rf"\b{code}\b", first)] == []


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


# The tree of the package, and where its libraries are.


def test_the_page_of_the_architecture_has_the_tree_and_the_order_states_of_now() -> None:
    page = read("docs/ARCHITECTURE.md")

    assert page == architecture.write_page(page), "run `python -m tests.architecture`"


FOLDERS = ("", "botctl/", "tests/", "docs/", *(f"botctl/{path.name}/" for path in (PROJECT / "botctl").glob("*/")))
"""From where the pages name a file."""


def test_every_file_that_the_docs_name_is_there() -> None:
    """With `file.py: name` the name is in the file."""
    missing = []
    for page in [*pages(), PROJECT / "CHANGELOG.md"]:
        text = re.sub(r"<!-- tree.*?<!-- end of tree -->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for file, name in re.findall(r"(?<!file )`((?:[\w.]+/)*\w+\.py)(?:: (\w+))?`", text):
            found = [PROJECT / folder / file for folder in FOLDERS if (PROJECT / folder / file).is_file()]
            if not any(re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) for path in found):
                missing.append(f"{page.name}: {file} {name}")

    assert missing == []


def test_only_one_place_imports_each_library() -> None:
    """The table of CONTRIBUTING.md: past these places there are only our own types."""
    table = read("CONTRIBUTING.md").split("## Libraries")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \| (`.*?`) \|", table, re.MULTILINE)
    places = {
        library: re.findall(r"`([^`]+)`", where) for names, where in rows for library in re.findall(r"`(\w+)`", names)
    }

    known = imports_by_library()
    assert set(known) <= set(places)
    for library, allowed in places.items():
        files = known.get(library, set())
        assert [file for file in files if not file.startswith(tuple(allowed))] == [], library


def imports_by_library() -> dict[str, set[str]]:
    """The files of the package that import each library that Python does not bring along."""
    known: dict[str, set[str]] = {}
    for path in (PROJECT / "botctl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for library in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"botctl"}:
                known.setdefault(library, set()).add(str(path.relative_to(PROJECT / "botctl")))
    return known
