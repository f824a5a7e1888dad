"""COUNCIL_COMMAND: an external program decides instead of the agents."""

import json
import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from botctl.domain.configuration.child_environment import child_environment
from botctl.domain.decisions import Action, CouncilDecision, Stance, Verdict
from botctl.domain.errors import ConfigError
from botctl.domain.serialization import parse_json, to_json
from botctl.domain.text import sanitize
from botctl.ports import Briefing
from botctl.trading.council.master_node import MasterNode

MAX_BYTES = 65_536
"""Of an answer, so that a program can't fill the memory until its time is over."""
NOT_THERE = (FileNotFoundError, NotADirectoryError, PermissionError)
"""What starting a program raises that a later run would meet again."""
TERMINATING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
STANCES = {Action.BUY: Stance.BULLISH, Action.SELL: Stance.BEARISH, Action.HOLD: Stance.NEUTRAL}


@dataclass
class ExternalCommand:
    """Sends one JSON object and expects one within the time limit; anything else is HOLD and an error."""

    master: MasterNode
    command: str
    timeout_seconds: float
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What it sees of the environment beside PATH, HOME, LANG and TZ."""

    def decide(self, symbol: str) -> CouncilDecision:
        """The program's decision.

        Raises ExchangeUnreachable when the candles are unavailable, ConfigError when there is no such program.
        """
        question = _question(self.master.brief(symbol))
        try:
            decision, reason = _read_answer(self._ask(question))
        except NOT_THERE as error:
            raise ConfigError(
                f"COUNCIL_COMMAND can't be started: {sanitize(str(error))}", hint="correct it, or the file it names"
            ) from error
        except (OSError, ValueError, RecursionError, subprocess.SubprocessError) as error:
            why = sanitize(str(error))
            message = f"COUNCIL_COMMAND failed on {symbol}: {why}"
            verdict = Verdict("command", Stance.UNKNOWN, why)
            return CouncilDecision(symbol, Action.HOLD, "the command failed", (verdict,), message)
        return CouncilDecision(symbol, decision, reason, (Verdict("command", STANCES[decision], reason),))

    def _ask(self, question: str) -> str:
        """Run the program in a process group of its own, so that a time-out ends its children too."""
        environment, arguments = child_environment(os.environ) | dict(self.variables), _split(self.command)
        process = None
        with tempfile.TemporaryFile() as question_file:  # unlike a pipe it never blocks, even if nothing reads it
            question_file.write(question.encode())
            question_file.seek(0)
            try:
                with _signals_deferred():
                    process = subprocess.Popen(
                        arguments, stdin=question_file, stdout=subprocess.PIPE,
                        env=environment, start_new_session=True,
                    )  # fmt: skip
                answer = _communicate(process, self.timeout_seconds)
            except BaseException as error:
                if process is not None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise ValueError(f"no answer within {self.timeout_seconds:g} seconds") from error
                raise
        if process.returncode != 0:
            raise ValueError(f"it ended with exit code {process.returncode}")
        return answer.decode()


def _split(command: str) -> list[str]:
    """The words of a command line. Raises ConfigError."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"COUNCIL_COMMAND can't be started: {error}", hint="close its quotes") from error


def _communicate(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """The program's output until it has ended. Raises TimeoutExpired, or ValueError for too much output."""
    assert process.stdout is not None
    end = time.monotonic() + seconds
    output = b""
    with process.stdout, selectors.DefaultSelector() as readable:
        readable.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not readable.select(max(0.0, end - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, seconds)
            piece = os.read(process.stdout.fileno(), MAX_BYTES)
            if not piece:
                break
            output += piece
            if len(output) > MAX_BYTES:
                raise ValueError(f"an answer of more than {MAX_BYTES} bytes")
    process.wait(max(0.0, end - time.monotonic()))
    return output


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Deliver Ctrl-C, SIGTERM and a time limit after the block: interrupted in it, the program would not be ended."""
    received: list[int] = []
    handlers = {number: signal.signal(number, lambda got, _: received.append(got)) for number in TERMINATING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for received_number in received:
        signal.raise_signal(received_number)


def _question(briefing: Briefing) -> str:
    trade = None if briefing.trade is None else to_json(briefing.trade)
    candles = [
        {**candle._asdict(), "time": candle.closed_at(0).isoformat().replace("+00:00", "Z")}
        for candle in briefing.candles
    ]
    return json.dumps({"symbol": briefing.symbol, "candles": candles, "trade": trade})


def _read_answer(text: str) -> tuple[Action, str]:
    """The decision and its reason. Raises ValueError for anything but one JSON object with both."""
    answer = parse_json(text)
    if not isinstance(answer, dict) or answer.get("decision") not in list(Action):
        raise ValueError(f"not an answer with a decision BUY, SELL or HOLD: {text.strip()[:100]!r}")
    if not isinstance(answer.get("reason"), str):
        raise ValueError(f"an answer without a reason: {text.strip()[:100]!r}")
    return Action(answer["decision"]), sanitize(answer["reason"], 500)
