"""The Typer app, and the one place where an error becomes a message and an exit code."""

import json
import signal
import sys
import traceback
from contextlib import suppress
from functools import cache, partial
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.main import get_command

from botctl.cli.context import EnvFile
from botctl.cli.core_dumps import forbid_core_dumps
from botctl.cli.help.usage_errors import explain_usage
from botctl.cli.log import error_line
from botctl.cli.registry import COMMANDS, Commands, does_work
from botctl.cli.streams import lost_output, make_streams_tolerant
from botctl.domain.errors import BotError, bug, explain_failure
from botctl.domain.serialization import to_document
from botctl.run_lock import name_this_run

if TYPE_CHECKING:
    from botctl.config import LockTimeouts

app = typer.Typer(
    name="botctl",
    cls=Commands,
    rich_markup_mode=None,  # importing rich for its help boxes would dominate the start-up time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="`botctl help <command>` explains a command, `botctl help glossary` botctl's words.\n\n"
    "Exit codes: 0 success, 1 failed, 2 usage, 3 refused by a safety rule, 4 refused by the exchange, "
    "69 unreachable or outcome unknown, 75 another run holds the lock, 78 configuration.",
)
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"botctl {version('botctl')}")
        raise typer.Exit()


class Interrupted(BotError):
    """Ctrl-C or SIGTERM ended the run; its journal is consistent."""

    exit_code = INTERRUPTED
    category = "interrupted"
    retryable = True


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    env_file: EnvFile = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything to stderr, and show tracebacks.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object per line, to stderr and LOG_FILE.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Trade spot positions on Kraken from cron, and guard them with a stop.

    `botctl` alone shows where you are and what to do next. Without any settings it is
    the demo: a simulated market, without keys and without network.
    """
    if ctx.invoked_subcommand is None:
        from botctl.cli.first_screen import show_first_screen

        show_first_screen(ctx)


def main() -> NoReturn:
    try:
        code = _run_process()
    except KeyboardInterrupt:  # before the command, or after it
        code = INTERRUPTED
    eval("None")  # Ctrl-C inside an eval, as of a namedtuple, would else make Python end by the signal itself
    sys.exit(code)


def _run_process() -> int:
    """The command line of this process, with its signals and streams."""
    forbid_core_dumps()
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _raise_again
    make_streams_tolerant()
    code = run_command(sys.argv[1:])
    lost = lost_output()
    if lost is not None and not isinstance(lost, BrokenPipeError):  # a reader that went away has read enough
        done = "the work itself is done and recorded" if code == 0 and does_work(sys.argv[1:]) else ""
        failed = _report(BotError(f"can't write the output: {lost.strerror}", hint=done), as_json=False, debug=False)
        code = code or failed
    return code


def run_command(arguments: list[str], lock_timeouts: "LockTimeouts | None" = None) -> int:
    """Run one command line, and return its exit code. Every error becomes one line, or one JSON object."""
    arguments = _global_options_first(arguments)
    command = next((word for word in arguments if word in COMMANDS), "")
    name_this_run(command)
    debug, as_json, log_json = "--debug" in arguments, "--json" in arguments, "--log-json" in arguments
    report = partial(_report, as_json=as_json, log_json=log_json)
    try:
        code = _command_line()(args=arguments, prog_name="botctl", standalone_mode=False, obj=lock_timeouts)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as ended:
        code = ended.code
    except BotError as error:
        return report(error, debug=debug)
    except typer.TyperException as error:
        return report(explain_usage(error, command), debug=debug)
    except typer.Abort:
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # below the question
        return report(Interrupted("interrupted: nothing was done"), debug=debug)
    except Exception as error:  # noqa: BLE001 - the outermost boundary: a bug, or a database that failed
        return report(_explain(error), debug=debug)
    if code in (INTERRUPTED, TERMINATED):
        report(Interrupted("interrupted", hint="the next run settles unfinished orders"), debug=False)
    return int(code or 0)


@cache
def _command_line() -> Any:
    """What Typer makes of the app, built once a process."""
    return get_command(app)


def _report(error: BotError, *, as_json: bool, debug: bool, log_json: bool = False) -> int:
    if debug:
        traceback.print_exc()
    if as_json:
        fields = {"category": error.category, "retryable": error.retryable, "hint": error.hint}
        print(json.dumps(to_document({"error": error.message, **fields})))
    else:
        print(error_line(str(error), as_json=log_json), file=sys.stderr)
    return error.exit_code


def _explain(error: Exception) -> BotError:
    with suppress(ImportError):  # of a broken installation, whose own error is told below
        from botctl.store.database import DATABASE_ERRORS, explain

        if isinstance(error, DATABASE_ERRORS):
            return explain(error)
    return explain_failure(error) or bug(error, hint="run it with --debug and report the output")


def _global_options_first(arguments: list[str]) -> list[str]:
    """Move --debug, --log-json and --env-file, which botctl itself takes, in front of the command."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument in ("--debug", "--log-json") or argument.startswith("--env-file="):
            front.append(argument)
        elif argument == "--env-file":
            front += [argument, *islice(remaining, 1)]
        else:
            rest.append(argument)
    return front + rest


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does: open transactions roll back, and the lock is released."""
    raise SystemExit(128 + number)


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Ctrl-C or SIGTERM inside a callback, where Python drops every exception, ends the run a moment later."""
    ended = lost.exc_value
    if not isinstance(ended, KeyboardInterrupt) and (not isinstance(ended, SystemExit) or ended.code != TERMINATED):
        sys.__unraisablehook__(lost)
        return

    def again(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt if isinstance(ended, KeyboardInterrupt) else SystemExit(TERMINATED)

    signal.signal(signal.SIGVTALRM, again)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.001)
