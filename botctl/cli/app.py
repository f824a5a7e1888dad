"""The Typer app, and the one place where an error becomes a sentence and an exit code."""

import io
import json
import os
import signal
import sys
import traceback
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from botctl.cli.context import EnvFile
from botctl.cli.log import error_line
from botctl.cli.registry import Commands
from botctl.domain.errors import BadValue, BotError

if TYPE_CHECKING:
    from botctl.config import LockTimeouts

app = typer.Typer(
    name="botctl",
    cls=Commands,
    rich_markup_mode=None,  # rich's help boxes cost more time at start than all else
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a safety rule, 4 refused by the exchange, "
    "69 unreachable or outcome unknown, 75 another run holds the lock, 78 configuration.",
)
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
"""Exit codes of a run that Ctrl-C or SIGTERM ended."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"botctl {version('botctl')}")
        raise typer.Exit()


class Interrupted(BotError):
    """Somebody ended the run; its journal is as consistent as after any other end."""

    exit_code = INTERRUPTED
    category = "interrupted"
    retryable = True


@app.callback()
def root(
    env_file: EnvFile = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything to stderr, and show tracebacks.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="The log as one JSON object a line, on stderr and in LOG_FILE.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Guards and trades spot positions on Kraken from cron.

    Try `botctl tick`: without any settings it plays a synthetic market, and needs neither keys nor network.
    """


def main() -> NoReturn:
    """The `botctl` command."""
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path need not be text, and must not break what is said of it
        sys.stdout.reconfigure(errors="backslashreplace")
    code = run_command(sys.argv[1:])
    try:
        if sys.stdout is not None:  # cron may have closed it
            sys.stdout.flush()
    except OSError as error:  # nobody reads on, or the disk under it is full: what was done is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            code = code or _tell(_explain(error), as_json=False, debug=False)
    sys.exit(code)


def run_command(arguments: list[str], lock_timeouts: "LockTimeouts | None" = None) -> int:
    """Run one command line, and return its exit code. Every error becomes one line here, or one JSON object.

    `lock_timeouts` is how long it waits for others, where that is not as long as always.
    """
    arguments = _global_options_first(arguments)
    debug, as_json, log_json = "--debug" in arguments, "--json" in arguments, "--log-json" in arguments
    tell = partial(_tell, as_json=as_json, log_json=log_json)
    try:
        code = app(args=arguments, prog_name="botctl", standalone_mode=False, obj=lock_timeouts)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as ended:
        code = ended.code
    except BotError as error:
        return tell(error, debug=debug)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"see `{context.command_path if context else 'botctl'} --help`"
        return tell(BadValue(error.format_message().rstrip("."), hint=hint), debug=debug)
    except typer.Abort:
        return tell(Interrupted("interrupted before anything was sent"), debug=debug)
    except Exception as error:  # noqa: BLE001 - the roof: what comes here is a bug or a database that failed
        return tell(_explain(error), debug=debug)
    if code in (INTERRUPTED, TERMINATED):
        tell(Interrupted("interrupted", hint="the next run settles what was under way"), debug=False)
    return int(code or 0)


def _tell(error: BotError, *, as_json: bool, debug: bool, log_json: bool = False) -> int:
    if debug:
        traceback.print_exc()
    if as_json:
        answer = {
            "error": error.message,
            "category": error.category,
            "retryable": error.retryable,
            "hint": error.hint,
        }
        print(json.dumps(answer))
    else:
        print(error_line(str(error), as_json=log_json), file=sys.stderr)
    return error.exit_code


def _explain(error: Exception) -> BotError:
    from botctl.store.database import DATABASE_ERRORS, explain

    if isinstance(error, DATABASE_ERRORS):
        return explain(error)
    if isinstance(error, OSError):
        return BotError(f"the output can't be written: {error.strerror}", hint="the work itself is done and recorded")
    return BotError(f"bug: {type(error).__name__}: {error}", hint="run it with --debug and report what it prints")


def _global_options_first(arguments: list[str]) -> list[str]:
    """--debug, --log-json and --env-file belong to botctl itself, and may stand behind the command as well."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in ("--debug", "--log-json") or word.startswith("--env-file="):
            front.append(word)
        elif word == "--env-file":
            front += [word, *[value for value in [next(words, None)] if value is not None]]
        else:
            rest.append(word)
    return front + rest


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does: open transactions roll back, the lock goes, the journal tells the rest."""
    raise SystemExit(128 + number)
