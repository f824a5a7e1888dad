"""Broken conditions, played for real: what the tables in docs/RELIABILITY.md promise of each is compared with a run."""

import importlib
import os
import pkgutil
import pty
import re
import resource
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

import botctl
from tests.bot_runner import PROJECT, BotRunner, Run
from tests.fake_kraken import FakeKraken
from tests.forked import become_botctl

NOBODY, STRANGER = 65534, 54321
"""Users: one without files, and one without an entry."""
HEADS = ("| condition | ", "| --- | ")
"""The first two lines of a table."""
UNUSED = ("botctl.backtesting", "botctl.reporting", "botctl.__main__", "botctl.domain.votes")
ARGUMENTS = {
    "sell": ("sell", "BTC/USD", "--yes"),
    "buy": ("buy", "ETH/USD", "100", "--yes"),
    "liquidate": ("liquidate", "--yes"),
    "liquidate --take-over": ("liquidate", "--take-over", "--yes"),
}


def arguments_of(command: str) -> tuple[str, ...]:
    """The command line of a name in the table, such as `pause --freeze`."""
    return ARGUMENTS.get(command) or tuple(command.split())


# The tables


@dataclass(frozen=True)
class Row:
    """What the page says of one condition."""

    condition: str
    works: frozenset[str]
    """The commands that do their work."""
    said: dict[str, tuple[str, ...]]
    """The words on stderr by command; none where nothing is said."""
    exit_codes: dict[str, int]


def read_table() -> dict[str, Row]:
    """The rows of all tables below the heading "When something is broken", by condition."""
    page = (PROJECT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
    section = page.split("\n## When something is broken\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith(HEADS)]
    rows = [_parse_row(line.strip("|").split(" | ")) for line in lines]
    assert len({row.condition for row in rows}) == len(rows)
    return {row.condition: row for row in rows}


def _parse_row(cells: list[str]) -> Row:
    condition, works, said, codes = (cell.strip() for cell in cells)
    exit_codes = {name: int(code) for name, code in re.findall(r"`([^`]+)` (\d+)", codes)}
    words: dict[str, tuple[str, ...]] = {}
    for part in said.split("; "):
        names, colon, text = part.rpartition("`: ")
        for name in re.findall(r"`([^`]+)`", names + "`") if colon else exit_codes:
            words[name] = tuple(re.findall(r'"([^"]+)"', text))
    return Row(condition, frozenset(re.findall(r"`([^`]+)`", works)), words, exit_codes)


# How a run is started


def run_here(live: BotRunner, arguments: tuple[str, ...]) -> Run:
    """In this process: for what has nothing to do with processes."""
    return live.run(*arguments)


@dataclass(frozen=True)
class Child:
    """A process of its own, from the first instruction of Python on."""

    unset: tuple[str, ...] = ()
    shim: str = ""
    """A sitecustomize module."""
    shell: str = "exec BOTCTL"
    terminal: bool = False
    environment: tuple[tuple[str, str], ...] = ()

    def __call__(self, live: BotRunner, arguments: tuple[str, ...]) -> Run:
        shim = live.home.parent / "shim"
        shim.mkdir(exist_ok=True)
        (shim / "sitecustomize.py").write_text(self.shim)
        environment = {name: value for name, value in os.environ.items() if name not in self.unset}
        environment |= {"PYTHONPATH": f"{shim}:{PROJECT}", **dict(self.environment)}
        line = self.shell.replace("BOTCTL", '"$@"')
        command = ["bash", "-c", line, "bash", sys.executable, "-m", "botctl", *arguments]
        with ExitStack() as stack:
            out: int = subprocess.PIPE
            if self.terminal:
                master, out = pty.openpty()
                stack.callback(os.close, master)
                stack.callback(os.close, out)
            done = subprocess.run(
                command, cwd=live.home, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                text=True, timeout=60, check=False,
            )  # fmt: skip
            if self.terminal:
                os.set_blocking(master, False)  # a run that has said nothing is a failure, and not a wait
            shown = os.read(master, 65536).decode() if self.terminal else done.stdout
        return Run(done.returncode, shown, done.stderr)


@dataclass(frozen=True)
class Fork:
    """A child of this process, where all is loaded already: for another user, who may not read where Python lies."""

    processes: int | None = None
    """The limit of them; a thread counts as one."""
    user: int = NOBODY

    def __call__(self, live: BotRunner, arguments: tuple[str, ...]) -> Run:
        need_root()
        for module in pkgutil.walk_packages(botctl.__path__, "botctl."):
            if not module.name.startswith(UNUSED):
                importlib.import_module(module.name)
        for name in ("encodings.utf_8_sig", "dotenv.parser", "fractions", "rich.console", "rich.table"):
            importlib.import_module(name)
        out, err = live.home.parent / "out", live.home.parent / "err"
        with warnings.catch_warnings(action="ignore"):  # of threads: this process has one for the fake Kraken
            pid = os.fork()
        if pid == 0:
            become_botctl(arguments, lambda: self._prepare(out, err))
        _, status = os.waitpid(pid, 0)
        return Run(os.waitstatus_to_exitcode(status), out.read_text(), err.read_text())

    def _prepare(self, out: Path, err: Path) -> None:
        for number, file in ((1, out), (2, err)):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.setgroups([])
        os.setgid(self.user)
        os.setuid(self.user)
        if self.processes is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (self.processes, self.processes))


# The conditions


@dataclass(frozen=True)
class Condition:
    """What spoils a live home with an open trade, or its Kraken, and how a command is started there."""

    spoil: Callable[[BotRunner, FakeKraken], object] = lambda live, kraken: None
    start: Callable[[BotRunner, tuple[str, ...]], Run] = run_here
    mend: Callable[[BotRunner], object] = lambda live: None
    """Lets a look at the home see what was done there."""
    quick: int = 2
    """How many of its commands run at every change. Processes of their own take long: one of them."""

    def __post_init__(self) -> None:
        if isinstance(self.start, Child) and self.quick:
            object.__setattr__(self, "quick", 1)


def need_root() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")


def give_home_to(live: BotRunner, user: int, *, but: str = "") -> None:
    """Give away all files but those of that name."""
    need_root()
    for path in (live.home, *live.home.rglob("*")):
        owner = 0 if but and path.name == but else user
        os.chown(path, owner, owner)


def dot_env(text: str, bits: int = 0o600) -> Callable[[BotRunner, FakeKraken], None]:
    def write(live: BotRunner, kraken: FakeKraken) -> None:
        (live.home / ".env").write_text(text)
        (live.home / ".env").chmod(bits)

    return write


def set_to(**settings: str) -> Callable[[BotRunner, FakeKraken], None]:
    return lambda live, kraken: live.set(**settings)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of two megabytes at `folder`. Skips the test where none can be mounted."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def on_a_read_only_disk(live: BotRunner, arguments: tuple[str, ...]) -> Run:
    disk = live.home.parent / "disk"
    with small_disk(disk):
        shutil.copytree(live.home, disk / "home")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        live.set(BOTCTL_HOME=str(disk / "home"))
        try:
            return live.run(*arguments)
        finally:
            live.set(BOTCTL_HOME=str(live.home))


def on_a_full_disk(live: BotRunner, arguments: tuple[str, ...], *, reserved: bool = True) -> Run:
    """Plays there, then brings back what it left."""
    disk = live.home.parent / "disk"
    with small_disk(disk):
        shutil.copytree(live.home, disk / "home")
        if not reserved:
            (disk / "home" / "data" / "live.db.reserve").unlink()
        fill(disk)
        live.set(BOTCTL_HOME=str(disk / "home"))
        try:
            return live.run(*arguments)
        finally:
            (disk / "filler").unlink()
            shutil.copytree(disk / "home", live.home, dirs_exist_ok=True)
            live.set(BOTCTL_HOME=str(live.home))


def with_its_log_on_a_full_disk(live: BotRunner, arguments: tuple[str, ...]) -> Run:
    disk = live.home.parent / "disk"
    with small_disk(disk):
        fill(disk)
        live.set(LOG_FILE=str(disk / "bot.log"))
        return live.run(*arguments)


def in_a_nameless_folder(live: BotRunner, arguments: tuple[str, ...]) -> Run:
    folder = live.home.parent / "elsewhere"
    folder.mkdir()
    kept = {name: os.environ[name] for name in os.environ if name.startswith(("BOTCTL_", "KRAKEN_"))}
    before = Path.cwd()
    os.chdir(folder)
    live.unset(*kept)
    try:
        return live.run(*arguments)
    finally:
        live.set(**kept)
        os.chdir(before)


def by_a_link(live: BotRunner, arguments: tuple[str, ...]) -> Run:
    link = live.home.parent / "link"
    link.symlink_to(live.home)
    live.set(BOTCTL_HOME=str(link))
    return live.run(*arguments)


def in_a_home_that_is_not_there(live: BotRunner, arguments: tuple[str, ...]) -> Run:
    live.set(BOTCTL_HOME=str(live.home / "typo"))
    try:
        return live.run(*arguments)
    finally:
        live.set(BOTCTL_HOME=str(live.home))


NO_LINKS = """
import os
def link(*_, **__): raise PermissionError(1, "Operation not permitted")
os.link = link
"""
INTERRUPTED_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "typer":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""
INTERRUPTED_LATER = """
import os, signal, sys
class Lost:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
class Finder:
    def find_spec(self, name, *_):
        if name == "ccxt.kraken":
            sys.meta_path.remove(self)
            {inside}
sys.meta_path.insert(0, Finder())
"""
"""Ctrl-C when the work has begun."""
GONE = 'mkdir "$HOME/gone"; cd "$HOME/gone"; rmdir "$HOME/gone"; exec BOTCTL'
LYING_TERMINAL = {"TERM": "rubbish", "COLUMNS": "0", "LINES": "many", "LC_ALL": "C", "PYTHONUTF8": "0"}

OF_THE_MACHINE: dict[str, Condition] = {
    "no new thread": Condition(lambda live, _: give_home_to(live, NOBODY), Fork(processes=0)),
    "no hard links": Condition(start=Child(shim=NO_LINKS)),
    "no `HOME`": Condition(start=Child(unset=("HOME",)), quick=0),
    "a `HOME` that can't be written": Condition(start=Child(environment=(("HOME", "/proc/nowhere"),)), quick=0),
    "stdin, stdout and stderr are closed": Condition(start=Child(shell="BOTCTL <&- >&- 2>&-")),
    "the reader of stdout has left": Condition(start=Child(shell="exec BOTCTL --json > >(exec true)"), quick=0),
    "a full disk behind stdout": Condition(
        start=Child(shell="exec BOTCTL --json >/dev/full"), quick=0
    ),  # in test_streams
    "a terminal that lies": Condition(
        start=Child(terminal=True, environment=tuple({**LYING_TERMINAL, "PYTHONCOERCECLOCALE": "0"}.items()))
    ),
    "the working directory is gone": Condition(start=Child(shell=GONE), quick=0),
    "the working directory is gone, and no `BOTCTL_HOME`": Condition(start=Child(unset=("BOTCTL_HOME",), shell=GONE)),
    "Ctrl-C while Python still imports": Condition(start=Child(shim=INTERRUPTED_IMPORT)),
    "the disk of the home is full": Condition(start=on_a_full_disk),
    "the disk of the home is full, and so is the reserve": Condition(start=partial(on_a_full_disk, reserved=False)),
    "the disk of the home is read-only": Condition(start=on_a_read_only_disk),
    "a home reached by a symbolic link": Condition(start=by_a_link),
    "a home of another owner": Condition(lambda live, _: live.home.chmod(0o700), Fork()),
    "a database of another owner": Condition(lambda live, _: give_home_to(live, NOBODY, but="live.db"), Fork()),
    "a `.env` of another owner": Condition(
        lambda live, kraken: (dot_env("LOG_LEVEL=INFO\n")(live, kraken), give_home_to(live, NOBODY, but=".env")), Fork()
    ),
    "an unknown setting": Condition(dot_env("MAX_DRAWDWN=0.1\n"), quick=0),  # with the two below in test_wrong_settings
    "a setting that is there twice": Condition(dot_env("MAX_DRAWDOWN=0.1\nMAX_DRAWDOWN=0.2\n"), quick=0),
    "a value that can't be right": Condition(dot_env("MAX_DRAWDOWN=ten\n"), quick=0),
    "a `.env` that others may read": Condition(dot_env("LOG_LEVEL=INFO\n", 0o644), quick=0),
    "a `LOG_FILE` in a folder that is gone": Condition(set_to(LOG_FILE="/nowhere/bot.log")),
    "a `LOG_FILE` on a full disk": Condition(start=with_its_log_on_a_full_disk),
    "an agent that does not load": Condition(set_to(COUNCIL="technical,nonesuch"), quick=0),
    "a mistyped name of the mode, the keys or the database": Condition(dot_env("database_url=sqlite:///other.db\n")),
    "a folder that nothing names": Condition(start=in_a_nameless_folder),
    "a `BOTCTL_HOME` that does not exist": Condition(start=in_a_home_that_is_not_there),
}
