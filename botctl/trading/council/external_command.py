"""COUNCIL_COMMAND: an external program that sits in the Council, or decides alone."""

import json
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Protocol

from botctl.domain.configuration.child_environment import child_environment
from botctl.domain.decisions import Verdict
from botctl.domain.errors import BotError, ConfigError
from botctl.domain.text import sanitize
from botctl.ports import Briefing
from botctl.trading.council.answers import SHOWN_CHARACTERS, read_answer
from botctl.trading.council.question import write_question
from botctl.trading.council.recent_answers import RecentAnswers

COMMAND = "command"
"""The name in COUNCIL of the program that COUNCIL_COMMAND names."""
MAX_BYTES = 65_536
"""Of an answer, so that a program can't fill the memory until its time is over."""
MIN_SECRET_LENGTH = 8
"""In characters. A shorter value of a variable could be part of any answer."""
NOT_THERE = (FileNotFoundError, NotADirectoryError, PermissionError)
"""What starting a program raises that a later run would meet again."""
TERMINATING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


class Answers(Protocol):
    """Answers that programs have given before."""

    def find(self, command: str, question: str) -> str | None: ...

    def keep(self, command: str, question: str, answer: str) -> None: ...


@dataclass
class ExternalCommand:
    """A member that sends one JSON object and expects one within the time limit; anything else is an error."""

    command: str
    timeout_seconds: float
    _: KW_ONLY
    home: Path | None = None
    """Where it runs, and what a relative path in `command` belongs to; None: the working directory."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What it sees of the environment beside PATH, HOME, LANG and TZ."""
    atr_period: int = 14
    candles: int = 100
    answers: Answers | None = None
    """What is asked only once, where a history is played. A failure is asked again."""
    recent: RecentAnswers | None = None

    def judge(self, briefing: Briefing) -> Verdict:
        """The program's verdict, or one of COUNCIL_EVERY.

        Raises ConfigError when there is no such program, BotError for a failure or an answer that can't be used.
        """
        if self.recent is not None and (kept := self.recent.find(self.command, briefing)) is not None:
            return kept
        verdict = self._judge_now(self.write_question(briefing))
        if self.recent is not None:
            self.recent.keep(self.command, briefing, verdict)
        return verdict

    def write_question(self, briefing: Briefing) -> str:
        return json.dumps(write_question(briefing, atr_period=self.atr_period, candles=self.candles))

    def _judge_now(self, question: str) -> Verdict:
        kept = None if self.answers is None else self.answers.find(self.command, question)
        text = self.ask(question) if kept is None else kept
        verdict = self.read(text)
        if self.answers is not None and kept is None:
            self.answers.keep(self.command, question, text)
        return verdict

    def read(self, text: str) -> Verdict:
        """The verdict in an answer. Raises BotError that shows the answer, without the values of `variables`."""
        try:
            return read_answer(self._without_secrets(text), COMMAND)
        except ValueError as error:
            raise BotError(sanitize(str(error), 2 * SHOWN_CHARACTERS)) from error

    def _without_secrets(self, text: str) -> str:
        for value in self.variables.values():
            if len(value) >= MIN_SECRET_LENGTH:
                text = text.replace(value, "***")
        return text

    def ask(self, question: str) -> str:
        """The program's answer. Raises ConfigError when there is no such program, BotError when it fails."""
        try:
            return self._run(question)
        except NOT_THERE as error:
            raise _not_started(sanitize(str(error))) from error
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise BotError(sanitize(str(error))) from error

    def _run(self, question: str) -> str:
        """Run the program in a process group of its own, so that a time-out ends its children too."""
        environment, arguments = (
            child_environment(os.environ) | dict(self.variables),
            find_program(self.command, self.home),
        )
        process = None
        with tempfile.TemporaryFile() as question_file:  # unlike a pipe it never blocks, even if nothing reads it
            question_file.write(question.encode())
            question_file.seek(0)
            try:
                with _signals_deferred():
                    process = subprocess.Popen(
                        arguments, stdin=question_file, stdout=subprocess.PIPE,
                        cwd=self.home, env=environment, start_new_session=True,
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
        return _as_text(answer)


def _as_text(answer: bytes) -> str:
    try:
        return answer.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"its answer is not UTF-8: {answer[:40]!r}") from error


def find_program(command: str, home: Path | None) -> list[str]:
    """The words of a command line. A relative program belongs to the home: cron runs in another folder. Raises
    ConfigError for a command line that is none; a missing program is found out when it is started."""
    try:
        program, *arguments = shlex.split(command)
    except ValueError as error:
        raise _not_started(str(error), hint="close its quotes, and name a program") from error
    if home is not None and not os.path.isabs(program):
        in_home = home / program
        if "/" in program or (shutil.which(program) is None and in_home.is_file()):
            program = str(in_home)
    return [program, *arguments]


def _not_started(why: str, *, hint: str = "correct it, or the file it names") -> ConfigError:
    return ConfigError(f"COUNCIL_COMMAND can't be started: {why}", hint=hint)


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
