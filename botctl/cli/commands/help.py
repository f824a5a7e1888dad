"""help: the same as --help, and the glossary."""

from typing import Annotated, Any

import typer

from botctl.cli.context import JsonFlag
from botctl.cli.output import show
from botctl.cli.results import HelpView
from botctl.domain.errors import BadValue

GLOSSARY_TOPIC = "glossary"


def show_help(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="A command, such as buy, or `glossary`.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the help of a command, or explain botctl's words.

    The same as `botctl COMMAND --help`. `botctl help glossary` explains tick, Council,
    switch, drawdown and the other words of botctl in a sentence each.

    \b
    Examples:
      botctl help
      botctl help schedule install
      botctl help glossary
    """
    words = command or []
    text = glossary() if words == [GLOSSARY_TOPIC] else _find(ctx.find_root(), words).get_help()
    show(ctx, HelpView(" ".join(["botctl", *words]), text), lambda view: view.text, name_mode=False)


def glossary() -> str:
    from botctl.cli.help.glossary import GLOSSARY
    from botctl.cli.tables import pairs

    return pairs([(word, meaning) for word, meaning in GLOSSARY.items()])


def _find(context: Any, words: list[str]) -> Any:
    """The context of the command that these words name. Raises BadValue."""
    for word in words:
        group = context.command
        if not hasattr(group, "list_commands"):
            raise BadValue(f"{context.command_path} has no commands", hint=f"run `botctl help {group.name}`")
        command = group.get_command(context, word)
        if command is None:
            raise group.unknown_command(context, word)
        context = type(context)(command, info_name=word, parent=context)
    return context
