"""Sessions at a terminal, as pages show them: each command of a page is run, and what it answers is compared.

A block marked `console` holds what a person types after `$ ` and what is seen then; a line `...` stands for any lines.
`cd ~/NAME` goes to a home of its own, made new. A block marked `ini` is lines that are written into its .env.
A comment `<!-- price: BTC/USD 51500 -->` moves Kraken's price. Dates, client order ids and paths may differ.
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
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

from botctl.cli.app import run_command
from botctl.store.database import close_database
from tests.bot_runner import Run
from tests.fake_kraken import FakeKraken
from tests.scenarios.sentiment_service import SentimentSeries

BLOCK = re.compile(
    r"^<!-- price: (?P<price>[^>]+) -->$|^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
CHANGING = (
    r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?",
    r"\b\d\d-\d\d \d\d:\d\d(:\d\d)?",
    r"\bb07c7[0-9a-f]{3}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r"\b\d+(?= s between)",
)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
QUESTION = b"[y/N]: "


@dataclass
class Said:
    """A command of a page, what it shows there, and what it said when it was run."""

    command: str
    shown: str
    run: Run


@dataclass
class Session:
    """Plays the blocks of one page in order, with this Kraken and this index at the other end."""

    kraken: FakeKraken
    mood: SentimentSeries
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What stands in the page for a key, and the key."""
    real: dict[str, Path] = field(default_factory=dict)
    """Homes by the path that the page shows."""

    def __enter__(self) -> Self:
        self._before = os.getcwd()
        return self

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)
        for folder in self.real.values():
            shutil.rmtree(folder)

    def play(self, page: str) -> Iterator[Said]:
        for block in BLOCK.finditer(page):
            if block["price"]:
                symbol, price = block["price"].split()
                self.kraken.set_price(symbol, price)
            elif block["kind"] == "ini":
                self._set(block["text"])
            elif block["kind"] == "console":
                yield from self._play_block(block["text"])

    def _play_block(self, text: str) -> Iterator[Said]:
        code = 0
        for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, shown = piece.partition("\n")
            command = command.split("  #")[0].strip()
            if place := re.search(r"\bcd ~/(\S+)$", command):
                self._go(f"/home/you/{place[1]}")
            elif command == "echo $?":
                yield Said(command, shown, Run(0, f"{code}\n", ""))
            elif command.startswith("botctl"):
                run = on_terminal(shlex.split(command)[1:], answer=("y" if "[y/N]: y" in shown else "n"))
                code = run.exit_code
                if command.startswith("botctl init"):
                    self._set(f"KRAKEN_API_URL={self.kraken.url}\nSENTIMENT_URL={self.mood.url}")
                yield Said(command, shown, run)
            else:
                subprocess.run(["sh", "-c", command], check=True)

    def _go(self, shown: str) -> None:
        """To a home whose path is as long as the one shown: lines break at the same places."""
        if shown not in self.real:
            prefix = "/tmp/" + "x" * (len(shown) - len("/tmp/") - 8)  # mkdtemp adds eight characters
            self.real[shown] = Path(tempfile.mkdtemp(prefix=os.path.basename(prefix), dir="/tmp"))
        os.chdir(self.real[shown])

    def _set(self, lines: str) -> None:
        """Write settings into the home's .env, in the place of what it says of them."""
        path = Path(".env")
        text = path.read_text()
        for line in lines.split("\n"):
            name, _, value = line.partition("=")
            if value:
                value = self.secrets.get(value, value)
                text, found = re.subn(rf"^#? ?{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
                assert found == 1, f"{line} of the page belongs to no line of .env"
        path.write_text(text)

    def format_decimal(self, text: str) -> str:
        """Without what is another one each time, and as wide as before."""
        for shown, real in self.real.items():
            text = text.replace(str(real), shown)
        for changing in CHANGING:
            text = re.sub(changing, lambda found: re.sub(r"\w", "0", found[0]), text)
        return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())

    def differs(self, said: Said) -> str:
        """How a run differs from the page; empty when it does not."""
        shown, seen = self.format_decimal(said.shown), self.format_decimal(said.run.stdout)
        if not shown or fits(shown.splitlines(), seen.splitlines()):
            return ""
        return f"$ {said.command}\n--- the page\n{shown}\n--- the command\n{seen}\n"


def fits(shown: list[str], seen: list[str]) -> bool:
    """Whether these are the lines of a page, where `...` stands for any lines."""
    pattern = "".join(r"(?:.*\n)*" if line.strip() == "..." else re.escape(line) + "\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in seen)) is not None


class Elsewhere(io.TextIOWrapper):
    """stderr of somebody who reads it in the same window, without the bars that a terminal gets."""

    def isatty(self) -> bool:
        return False


def on_terminal(arguments: list[str], *, answer: str = "n") -> Run:
    """One command in this process, on a terminal of 80 columns. A question gets this answer."""
    ours, theirs = pty.openpty()
    said = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 65536):
                said.extend(piece)
                if said.endswith(QUESTION):
                    os.write(ours, f"{answer}\n".encode())
        except OSError:  # how Linux tells that the other end has closed
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with _standing_on(theirs):
        try:
            code = run_command(arguments)
        finally:
            close_database()
    reader.join(10)
    os.close(ours)
    return Run(code, CONTROL.sub("", said.decode()).replace("\r\n", "\n"), "")


@contextmanager
def _standing_on(terminal: int) -> Iterator[None]:
    """With this terminal as stdin, stdout and stderr. It is closed at the end."""
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.FileIO(os.dup(terminal), "rb"))
    sys.stdout = io.TextIOWrapper(io.FileIO(os.dup(terminal), "wb"), line_buffering=True)
    sys.stderr = Elsewhere(io.FileIO(terminal, "wb"), line_buffering=True)
    try:
        yield
    finally:
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.close()
        sys.stdin, sys.stdout, sys.stderr = before


@contextmanager
def market() -> Iterator[tuple[FakeKraken, SentimentSeries]]:
    """A Kraken whose BTC has fallen to 50,000, with an ATR of 500, while fear is about."""
    with FakeKraken() as kraken, SentimentSeries(37) as mood:
        for symbol, price in (("BTC/USD", 50000), ("ETH/USD", 2500)):
            kraken.set_price(symbol, price)
            kraken.set_candles(symbol, falling_to(price, price / 100))
        yield kraken, mood


def falling_to(price: float, true_range: float, count: int = 200) -> list[tuple[float, float, float, float]]:
    """Candles that go down in a zigzag, each with exactly this true range."""
    closes = [price + true_range * (0.02 * left + (0.1 if left % 2 else 0)) for left in reversed(range(count + 1))]
    rows = []
    for before, close in pairwise(closes):
        room = (true_range - abs(close - before)) / 2
        rows.append((before, max(before, close) + room, min(before, close) - room, close))
    return rows
