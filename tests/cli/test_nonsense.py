"""Nonsense for every option and argument of every command: a sentence and an exit code of the list, and no bug."""

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from zlib import crc32

import pytest
from typer.core import TyperArgument, TyperOption

from tests.bot_runner import BotRunner
from tests.cli.test_help import EVERY
from tests.fields import EXIT_CODES

NONSENSE = (
    *("", " ", "nan", "inf", "-1", "1e400", "0", "9" * 30, "9" * 5000, "1,000", "1.000,50", "2024-02-30", "9999-12-31"),
    *("0001-01-01T00:00", "2999-01-01", "/proc/nowhere/file.csv", "/proc", "/dev/null", ".", "\udcff", "💥"),
    *("a\tb", "x" * 5000),
    *(
        "BTC/USD/EUR",
        "₿/USD",
        "SOLUSD",
        "--",
        "[/bold]",
        "sqlite:///.",
        "postgresql://",
        "http://[",
        "%s{0}",
        "\x1b[2J",
    ),
    *("a:b", "=", ":::", "1:2", "atr_multiple=1:0:5", "BTC:2", "BTC:0.5,BTC:0.5", "trade:99", "٣", "\ud83d"),
)
TRIED = 4
"""Of each option and argument: the next ones each time."""
FEW = "few-BTC-USD_15m.csv"
"""Too few candles for anything: a study ends where it would begin."""
WORDS = {
    "buy": ["BTC/USD", "100"],
    "sell": ["BTC/USD"],
    "why": ["BTC/USD"],
    "explain": ["1"],
    "forget": ["1"],
    "backtest": [FEW],
    "replay": [FEW],
    "report": [FEW],
    "sweep": [FEW, "--grid", "atr_multiple=1,2"],
    "fetch": ["BTC/USD", "--timeframe", "7m"],
    "agent new": ["trend", "--in", "gone"],
    "agent test": ["gone"],
    "db copy": ["--to", "sqlite:///."],
    "demo": ["--ticks", "0"],
}
"""Words with which a command is complete; of commands that take long, with one that is wrong."""
ASK_THIS_MACHINE = {"schedule show", "schedule install", "schedule remove"}


def lines_of(name: str) -> Iterator[list[str]]:
    """Command lines that are right but for one word."""
    params, words = EVERY[name].params, WORDS.get(name, [])
    turn = count(crc32(name.encode()))
    arguments = [param for param in params if isinstance(param, TyperArgument)]
    for param in params:
        for _ in range(TRIED):
            odd = NONSENSE[next(turn) % len(NONSENSE)]
            if isinstance(param, TyperOption) and not param.is_flag:
                yield [*words, f"{param.opts[0]}={odd}" if param.opts[0].startswith("--") else param.opts[0]]
            elif isinstance(param, TyperArgument):
                at = arguments.index(param)
                yield [*words[:at], odd, *islice(words, at + 1, None)]


@pytest.mark.parametrize("name", [name for name in EVERY if name and name not in ASK_THIS_MACHINE])
def test_nonsense_is_answered_with_a_sentence(bot: BotRunner, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bot.home)
    Path(FEW).write_text("time,open,high,low,close,volume\n1735689600,1,1,1,1,1\n1735690500,1,1,1,1,1\n")

    for line in lines_of(name):
        run = bot.run(*name.split(), *line)

        said = run.stdout + run.stderr
        assert run.exit_code in EXIT_CODES, line
        assert "bug:" not in said, line
        assert "Traceback" not in said, line
        assert "the system reports" not in said, line
        assert run.exit_code == 0 or run.stderr.startswith("botctl: "), line
        assert len(run.stderr) < 4100, line
