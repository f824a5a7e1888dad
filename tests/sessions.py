"""Terminal sessions of the docs: each command of a page is run, and its output is compared with the page.

A `console` block has commands after `$ `, each with its output; a line `...` matches any lines.
`cd ~/NAME` goes to a new home. The lines of an `ini` block are written into its .env.
A comment `<!-- price: BTC/USD 51500 -->` moves Kraken's price. Dates, client order ids and paths may differ.
A question gets the answer that the page has behind it. `<!-- hidden: your-key -->` has the answers, by words, that the
terminal does not show. A question that is not on the page ends the command.
"""

import io
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

from botctl.cli.app import run_command
from botctl.store.database import close_database
from tests.bot_runner import Run
from tests.fake_kraken import FakeKraken
from tests.scenarios.sentiment_service import SentimentService

BLOCK = re.compile(
    r"^<!-- price: (?P<price>[^>]+) -->$|^<!-- hidden: (?P<hidden>[^>]+) -->$|^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
CHANGING = (
    r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?",
    r"\b\d\d-\d\d \d\d:\d\d(:\d\d)?",
    r"\bb07c7[0-9a-f]{3}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r"\b\d+(?= s between)",
    r"\bon \d{4}-\d\d-\d\d",
    r"\bin \d+ min, at \d\d:\d\d",
)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
YES_OR_NO = "[y/N]: "
WITH_DEFAULT = re.compile(r"^.*\[(?!y/N\]).*\]:( \S.*)?$", re.MULTILINE)
"""A question that is asked only where stdin and stderr are a terminal: the answer behind it may be empty."""
END_OF_INPUT = "\x04"

type Answer = Callable[[str, bool], str | None]
"""What is typed at the end of this line, which may be hidden; None if the line is no question."""


@dataclass
class PageCommand:
    """A command of a page, its output there, and the result of running it."""

    command: str
    shown: str
    run: Run


@dataclass
class Session:
    """Runs the blocks of one page in order, against a fake Kraken and a fake sentiment service."""

    kraken: FakeKraken
    sentiment: SentimentService
    secrets: Mapping[str, str] = field(default_factory=dict)
    """The real keys by their placeholders in the page."""
    real: dict[str, Path] = field(default_factory=dict)
    """Homes by the path that the page shows."""
    hidden: list[str] = field(default_factory=list)
    """What is typed next where the terminal does not show it."""

    def __enter__(self) -> Self:
        self._before = os.getcwd()
        return self

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)
        for folder in self.real.values():
            shutil.rmtree(folder)

    def play(self, page: str) -> Iterator[PageCommand]:
        for block in BLOCK.finditer(page):
            if block["price"]:
                symbol, price = block["price"].split()
                self.kraken.set_price(symbol, price)
            elif block["hidden"]:
                self.hidden += [self.secrets.get(word, word) for word in block["hidden"].split()]
            elif block["kind"] == "ini":
                self._set(block["text"])
            elif block["kind"] == "console":
                yield from self._play_block(block["text"])

    def _play_block(self, text: str) -> Iterator[PageCommand]:
        code = 0
        for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, shown = piece.partition("\n")
            command = command.split("  #")[0].strip()
            if folder := re.search(r"\bcd ~/(\S+)$", command):
                self._go(f"/home/you/{folder[1]}")
            elif command == "echo $?":
                yield PageCommand(command, shown, Run(0, f"{code}\n", ""))
            elif command.startswith("botctl"):
                run = self._run(shlex.split(command)[1:], shown)
                code = run.exit_code
                yield PageCommand(command, shown, run)
            else:
                subprocess.run(["sh", "-c", command], check=True)

    def _run(self, arguments: list[str], shown: str) -> Run:
        talk = self._answers(shown)
        if arguments[0] != "init":
            return on_terminal(arguments, answer=talk)
        services = {"KRAKEN_API_URL": self.kraken.url, "SENTIMENT_URL": self.sentiment.url}
        with environment(services):
            run = on_terminal(arguments, answer=talk, stderr_too=bool(WITH_DEFAULT.search(shown)))
        assert os.path.exists(".env"), run.stdout
        self._set("\n".join(f"{name}={url}" for name, url in services.items()))
        return run

    def _answers(self, shown: str) -> Answer:
        """Those of a command's output on the page, each where its question stands."""
        lines = shown.splitlines()

        def answer(question: str, hidden: bool) -> str | None:
            if not question.endswith(": "):
                return None
            place = next((number for number, line in enumerate(lines) if f"{line} ".startswith(question)), None)
            if place is None:
                return END_OF_INPUT
            typed = lines[place].removeprefix(question.rstrip()).strip()
            del lines[: place + 1]
            return self.hidden.pop(0) if hidden else typed

        return answer

    def _go(self, shown: str) -> None:
        """Go to a home whose path is as long as the one shown, so that lines break at the same places."""
        if shown not in self.real:
            prefix = "/tmp/" + "x" * (len(shown) - len("/tmp/") - 8)  # mkdtemp adds eight characters
            self.real[shown] = Path(tempfile.mkdtemp(prefix=os.path.basename(prefix), dir="/tmp"))
        os.chdir(self.real[shown])

    def _set(self, lines: str) -> None:
        """Replace settings in the home's .env."""
        path = Path(".env")
        text = path.read_text()
        for line in lines.split("\n"):
            name, _, value = line.partition("=")
            if value:
                value = self.secrets.get(value, value)
                text, found = re.subn(rf"^#? ?{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
                assert found == 1, f"{line} of the page is not a setting of .env"
        path.write_text(text)

    def normalize(self, text: str) -> str:
        """Replace what differs from run to run by text of the same width."""
        for shown, real in self.real.items():
            text = text.replace(str(real), shown)
        text = re.sub(r"\b\d+ s ago", "just now", text)
        for changing in CHANGING:
            text = re.sub(changing, lambda found: re.sub(r"\w+", "0", found[0]), text)
        return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())

    def differs(self, command: PageCommand) -> str:
        """How a run differs from the page; empty when it does not."""
        shown, seen = self.normalize(command.shown), self.normalize(command.run.stdout)
        if not shown or fits(shown.splitlines(), seen.splitlines()):
            return ""
        return f"$ {command.command}\n--- the page\n{shown}\n--- the command\n{seen}\n"


def fits(shown: list[str], seen: list[str]) -> bool:
    """Whether these are the lines of a page, where `...` matches any lines."""
    pattern = "".join(r"(?:.*\n)*" if line.strip() == "..." else re.escape(line) + "\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in seen)) is not None


class NotATerminal(io.TextIOWrapper):
    """stderr in the same window, but without the progress bars of a terminal."""

    def isatty(self) -> bool:
        return False


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables, for a while. None of them is set before."""
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def yes_or_no(answer: str | Callable[[], str]) -> Answer:
    """This answer to each question for a yes or a no."""

    def type_it(question: str, _hidden: bool) -> str | None:
        if not question.endswith(YES_OR_NO):
            return None
        return answer if isinstance(answer, str) else answer()

    return type_it


def on_terminal(
    arguments: list[str], *, answer: Answer | None = None, colours: bool = False, stderr_too: bool = False
) -> Run:
    """One command in this process, on a terminal of 80 columns. Without an `answer` a question gets a no.

    Both streams are shown there; with `stderr_too` the command also takes stderr for a terminal.
    """
    answer = answer or yes_or_no("n")
    ours, theirs = pty.openpty()
    output = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 65536):
                output.extend(piece)
                line = output.decode(errors="replace").rpartition("\n")[2]
                typed = answer(CONTROL.sub("", line), is_hidden(ours))
                if typed is not None:
                    os.write(ours, (typed if typed == END_OF_INPUT else f"{typed}\n").encode())
        except OSError:  # on Linux: the other end has closed
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with _redirect_standard_streams(theirs, io.TextIOWrapper if stderr_too else NotATerminal):
        try:
            code = run_command(arguments)
        finally:
            close_database()
    reader.join(10)
    os.close(ours)
    text = output.decode() if colours else CONTROL.sub("", output.decode())
    return Run(code, text.replace("\r\n", "\n"), "")


def is_hidden(terminal: int) -> bool:
    """Whether the terminal does not show what is typed."""
    return not termios.tcgetattr(terminal)[3] & termios.ECHO


@contextmanager
def _redirect_standard_streams(terminal: int, stderr: type[io.TextIOWrapper]) -> Iterator[None]:
    """Use this terminal as stdin, stdout and stderr, and close it at the end."""
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.FileIO(os.dup(terminal), "rb"))
    sys.stdout = io.TextIOWrapper(io.FileIO(os.dup(terminal), "wb"), line_buffering=True)
    sys.stderr = stderr(io.FileIO(terminal, "wb"), line_buffering=True)
    try:
        yield
    finally:
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.close()
        sys.stdin, sys.stdout, sys.stderr = before


@contextmanager
def market() -> Iterator[tuple[FakeKraken, SentimentService]]:
    """A Kraken where BTC has fallen to 50,000 with an ATR of 500, and an index of 37 (fear)."""
    with FakeKraken() as kraken, SentimentService(37) as sentiment:
        for symbol, price in (("BTC/USD", 50000), ("ETH/USD", 2500)):
            kraken.set_price(symbol, price)
            for minutes in (15, 240):
                kraken.set_candles(symbol, falling_to(price, price / 100), minutes)
        yield kraken, sentiment


def falling_to(price: float, true_range: float, count: int = 200) -> list[tuple[float, float, float, float]]:
    """Candles that go down in a zigzag, each with exactly this true range."""
    closes = [price + true_range * (0.02 * left + (0.1 if left % 2 else 0)) for left in reversed(range(count + 1))]
    rows = []
    for before, close in pairwise(closes):
        room = (true_range - abs(close - before)) / 2
        rows.append((before, max(before, close) + room, min(before, close) - room, close))
    return rows
