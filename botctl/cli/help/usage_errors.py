"""What is wrong with a command line, in the words of the other errors instead of those of the parser."""

import re
from typing import Any

import typer

from botctl.cli.help.help_pages import argument_name, limits_of
from botctl.domain.errors import BadValue

NUMBERS = {"int": "a whole number", "int range": "a whole number", "float": "a number", "float range": "a number"}
"""The parser's name of a type, and ours."""


def explain_usage(error: typer.TyperException, command: str) -> BadValue:
    """The error of the parser, with the help of its command as the hint: `command` where the parser names none."""
    context, param = getattr(error, "ctx", None), getattr(error, "param", None)
    path = context.command_path if context else f"botctl {command}".strip()
    hint = f"see `{path} --help`"
    if type(error).__name__ == "MissingParameter" and param is not None and context is not None:
        usage = " ".join([path, *context.command.collect_usage_pieces(context)])
        return BadValue(f"{_name_of(param)} is missing", hint=f"write `{usage}`, {hint}")
    if param is not None:
        return BadValue(_explain_value(error.message.rstrip("."), param), hint=hint)
    return BadValue(_explain_words(error, path), hint=hint)


def _explain_value(message: str, param: Any) -> str:
    name = _name_of(param)
    if found := re.fullmatch(r"(.*) is not in the range .*", message, re.DOTALL):
        return f"{name} must be {limits_of(param)}, not {found[1]:.60}"
    if (found := re.fullmatch(r"(.*) is not a valid ([\w ]+)", message, re.DOTALL)) and found[2] in NUMBERS:
        return f"{name} must be {NUMBERS[found[2]]}, not {found[1]:.60}"
    if found := re.fullmatch(r"(.*) is not one of .*", message, re.DOTALL):
        return f"{name} must be one of {', '.join(str(param.metavar).split('|'))}, not {found[1]:.60}"
    return f"{name}: {message}"


def _explain_words(error: typer.TyperException, path: str) -> str:
    if option := getattr(error, "option_name", None):
        similar = getattr(error, "possibilities", None) or ()
        if "requires an argument" in error.message:
            return f"{option} needs a value"
        if error.message.startswith("No such option"):
            meant = f": did you mean {' or '.join(sorted(similar))}?" if similar else ""
            return f"{path} has no option {option:.60}{meant}"
    if found := re.fullmatch(r"Got unexpected extra argument\(s\) \((.*)\)", error.message, re.DOTALL):
        return f"{path} takes no more arguments, but got {found[1]:.60}"
    return error.format_message().rstrip(".")


def _name_of(param: Any) -> str:
    if param.param_type_name == "argument":
        return argument_name(param).strip("<>[].")
    return str(max(param.opts, key=len))
