"""Help: groups, usage lines, defaults, and what is said of a command that is not there."""

import re
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperArgument, TyperOption

from botctl.cli.app import app
from botctl.cli.help.glossary import GLOSSARY
from botctl.cli.help.help_pages import describe_option
from botctl.cli.registry import COMMANDS, GROUPS
from tests.bot_runner import PROJECT, BotRunner
from tests.cli.assertions import check_error, files_in
from tests.glossary import PAGE, write_glossary

SUB_COMMANDS = {"schedule": "install", "db": "check", "config": "show", "agent": "test"}
"""The groups, with one command of each."""


def every_command() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Each command by its words, those of the groups too, and botctl itself."""
    root = typer.main.get_command(app)
    yield "", root  # type: ignore[misc]
    for name in COMMANDS:
        command = root.get_command(None, name)  # type: ignore[attr-defined]
        yield name, command
        yield from ((f"{name} {below}", each) for below, each in getattr(command, "commands", {}).items())


EVERY = dict(every_command())


def params_of(name: str, kind: type) -> list[typer.core.TyperOption]:
    return [param for param in EVERY[name].params if isinstance(param, kind)]


def test_each_command_is_in_one_group_of_the_help() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)


def test_the_help_lists_every_command_in_its_group(bot: BotRunner) -> None:
    shown = bot.run("--help").stdout

    for title, names in GROUPS.items():
        [section] = re.findall(rf"^{title}:\n((?:  .*\n)+)", shown, re.MULTILINE)
        assert re.findall(r"^  ([a-z-]+) ", section, re.MULTILINE) == list(names)
        assert len(section.splitlines()) == len(names), "each has one line"


@pytest.mark.parametrize("name", EVERY)
def test_help_fits_a_terminal_and_begins_with_the_usage(bot: BotRunner, name: str) -> None:
    shown = bot.run(*name.split(), "--help").stdout

    assert max(map(len, shown.splitlines())) <= 80
    assert shown.startswith(f"Usage: botctl {name}".rstrip() + " ")
    assert re.match(r"Usage: .*\[flags\]$", " ".join(shown.split("\n\n")[0].split()))


@pytest.mark.parametrize("name", EVERY)
def test_every_option_says_what_it_means_and_what_counts_without_it(name: str) -> None:
    for option in params_of(name, TyperOption):
        assert option.help, option.opts
        assert re.match(r"[A-Z]", option.help), option.help
        if not option.is_flag:
            assert re.search(r"\((.*; )?(default: .+|required)\)\.$", describe_option(option)), option.opts
            assert option.metavar or option.help, option.opts


@pytest.mark.parametrize("name", EVERY)
def test_every_argument_says_what_it_means(name: str) -> None:
    for argument in params_of(name, TyperArgument):
        assert argument.help, argument.name
        assert argument.metavar, argument.name


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("buy", "botctl buy <SYMBOL> [AMOUNT] [flags]"),
        ("report", "botctl report [FILE]... [flags]"),
        ("fetch", "botctl fetch <SYMBOL>... [flags]"),
        ("db copy", "botctl db copy --to <URL> [flags]"),
        ("db", "botctl db <command> [flags]"),
        ("tick", "botctl tick [flags]"),
    ],
)
def test_a_usage_line_tells_what_is_required(bot: BotRunner, name: str, usage: str) -> None:
    assert bot.run(*name.split(), "--help").stdout.splitlines()[0] == f"Usage: {usage}"


@pytest.mark.parametrize("words", ["", "buy", "schedule", "schedule install"])
def test_help_is_a_command_too(bot: BotRunner, words: str) -> None:
    run = bot.run("help", *words.split())

    assert (run.exit_code, run.stderr) == (0, "")
    assert run.stdout == bot.run(*words.split(), "--help").stdout
    assert bot.json("help", *words.split())["text"] == run.stdout.rstrip("\n")


@pytest.mark.parametrize(("group", "command"), SUB_COMMANDS.items())
def test_a_group_without_a_command_shows_its_help(bot: BotRunner, group: str, command: str) -> None:
    run = bot.run(group)

    assert (run.exit_code, run.stderr) == (0, "")
    assert run.stdout == bot.run(group, "--help").stdout
    assert f"  {command} " in run.stdout


@pytest.mark.parametrize("words", [("bogus",), ("help", "bogus"), ("help", "buy", "bogus")])
def test_an_unknown_command_is_no_traceback(bot: BotRunner, words: tuple[str, ...]) -> None:
    check_error(bot.run(*words), 2, "botctl")
    assert files_in(bot.home) == {}


def test_an_unknown_command_of_a_group_is_answered_with_those_there_are(bot: BotRunner) -> None:
    check_error(bot.run("db", "bogus"), 2, "bogus", "migrate, backup, check, copy", "botctl db --help")


def test_a_mistyped_command_is_answered_with_its_likely_name(bot: BotRunner) -> None:
    check_error(bot.run("sttaus"), 2, "did you mean status?")
    check_error(bot.run("trades", "--limt"), 2, "did you mean --limit?")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("trades --limit 0", "--limit must be 1 to 1000000, not 0"),
        ("trades --limit many", "--limit must be a whole number, not 'many'"),
        ("init --mode prod", "--mode must be one of demo, paper, live, not 'prod'"),
        ("buy", "SYMBOL is missing: write `botctl buy <SYMBOL> [AMOUNT] [flags]`"),
        ("pause --reason", "--reason needs a value: see `botctl pause --help`"),
        ("tick now", "botctl tick takes no more arguments, but got now"),
    ],
)
def test_a_wrong_command_line_is_explained_in_plain_words(bot: BotRunner, words: str, told: str) -> None:
    check_error(bot.run(*words.split()), 2, told)


def test_the_glossary_is_a_page_and_a_help(bot: BotRunner) -> None:
    shown = bot.run("help", "glossary").stdout

    assert [word for word in GLOSSARY if not re.search(rf"^{re.escape(word)}  ", shown, re.MULTILINE)] == []
    assert list(GLOSSARY) == sorted(GLOSSARY, key=str.casefold)
    assert PAGE.read_text(encoding="utf-8") == write_glossary(), "run `python -m tests.glossary`"
    assert "docs/glossary.md" in (PROJECT / "README.md").read_text(encoding="utf-8")
    assert "botctl help glossary" in bot.run("--help").stdout
