"""agent: write an agent of one's own, and ask one once."""

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from botctl.cli.context import JsonFlag, config_from, exit_with, symbol_from
from botctl.cli.help.completion import complete_symbol
from botctl.cli.output import show
from botctl.cli.results import NewAgentView
from botctl.domain.errors import BadValue, ConfigError

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")

app = typer.Typer(
    rich_markup_mode=None,
    help="Write agents for the Council, and try them.\n\n\b\nExample:\n  botctl agent test technical",
)


@app.command("new")
def new_agent(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the agent in COUNCIL, such as trend.")],
    program: Annotated[bool, typer.Option("--program", help="Write a program that answers in JSON instead.")] = False,
    folder: Annotated[
        Path, typer.Option("--in", metavar="FOLDER", show_default="the working directory", help="Where to write it.")
    ] = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Create an agent of your own to start from.

    A folder NAME with a package: the agent, which decides by two indicators of
    pandas-ta, its test and its pyproject.toml. With --program one executable
    Python file instead, which may be rewritten in any language.

    \b
    Examples:
      botctl agent new trend
      botctl agent new trend --program
    """
    from botctl.cli.agent_files import RESERVED
    from botctl.cli.views.agent import draw_new_agent

    if not NAME.fullmatch(name):
        problem = f"NAME must be a lower-case letter, then lower-case letters, digits, _ or -, not {name!r:.60}"
        raise BadValue(problem, hint="name it like trend")
    if name in RESERVED:
        raise BadValue(f"{name} is the name of a built-in agent", hint="choose another NAME")
    if not folder.is_dir():
        raise BadValue(f"{folder} is not a folder", hint="create it, or name another with --in")
    view = _write_program(name, folder.absolute()) if program else _write_package(name, folder.absolute())
    show(ctx, view, draw_new_agent, name_mode=False)


def _write_package(name: str, folder: Path) -> NewAgentView:
    from botctl.cli.agent_files import package_files

    target = folder / name
    files = {target / path: text for path, text in package_files(name).items()}
    _write(files, made=target)
    where = shlex.quote(str(target))
    steps = [
        f"{shlex.quote(sys.executable)} -m pip install -e {where}",
        f"botctl agent test {name}",
        f"COUNCIL={name},sentiment",
    ]
    return NewAgentView(name, "agent", [str(path) for path in files], steps)


def _write_program(name: str, folder: Path) -> NewAgentView:
    from botctl.cli.agent_files import program_file

    target = folder / f"{name}.py"
    _write({target: program_file(name)}, made=target)
    _change_mode(target)
    where = shlex.quote(str(target))
    return NewAgentView(name, "program", [str(target)], [f"botctl agent test {where}", f"COUNCIL_COMMAND={where}"])


def _write(files: dict[Path, str], *, made: Path) -> None:
    """Write new files, into a folder that must not exist before. Raises BadValue and ConfigError."""
    try:
        if made not in files:
            made.mkdir()
        for path, text in files.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except FileExistsError:
        raise BadValue(f"{made} already exists", hint="choose another NAME, or another folder with --in") from None
    except OSError as error:
        raise ConfigError(f"can't write {made}: {error.strerror}", hint="choose another folder with --in") from error


def _change_mode(path: Path) -> None:
    """Executable for all who may read it."""
    mode = path.stat().st_mode
    path.chmod(mode | (mode & 0o444) >> 2)


@app.command("test")
def try_agent(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="An installed agent, `command` for COUNCIL_COMMAND, or a program.")
    ],
    symbol: Annotated[
        str | None,
        typer.Option(
            metavar="SYMBOL",
            show_default="the first of SYMBOLS",
            help="The market to ask about.",
            autocompletion=complete_symbol,
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ask one member of the Council once, as a tick would.

    Prints the question, the answer, the verdict and the time it took. Nothing is
    decided or ordered, and no earlier answer is used. Needs no network
    in demo mode. Exit code 1 for a member that fails or answers badly.

    \b
    Examples:
      botctl agent test technical --symbol BTC/USD
      botctl agent test command
      botctl agent test ./trend.py --json
    """
    from botctl.cli.views.agent import draw_trial
    from botctl.trading.agent_trial import try_member
    from botctl.wiring import open_bot

    config = config_from(ctx, account=True, looks=True)
    asked = config.settings.symbols[0] if symbol is None else symbol_from(ctx, symbol)
    with open_bot(config) as bot:
        trial = try_member(bot, name, asked, config.council_variables.values, config.folder)
    show(ctx, trial, draw_trial)
    exit_with(1 if trial.error else 0)
