"""What `botctl agent new` writes: a package with an agent and its test, or a program."""

from botctl.trading.council.external_command import COMMAND

RESERVED = frozenset({COMMAND, "technical", "sentiment"})

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}-agent"
version = "0.1.0"
description = "An agent for the Council of botctl."
requires-python = ">=3.12"
# It is installed into botctl's own environment, which has pandas and pandas-ta.
dependencies = []

[project.entry-points."botctl.agents"]
{name} = "{module}:{agent}"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]

[tool.hatch.build]
dev-mode-dirs = ["."]
"""

AGENT = '''\
"""{name}: an agent for the Council of botctl."""

from botctl.agents import Briefing, Stance, Verdict

CANDLES_NEEDED = 150
"""Until so many candles have closed the averages below are not settled."""
TREND_FROM = 20.0
"""An ADX below it is no trend."""


class {agent}:
    """BULLISH in an upward trend, BEARISH in a downward one: EMA(20) against EMA(50), where ADX(14) says it is one."""

    stances = (Stance.BULLISH, Stance.BEARISH, Stance.NEUTRAL, Stance.UNKNOWN)
    """What it may say: `botctl doctor` tells whether a Council can decide with that."""

    def judge(self, briefing: Briefing) -> Verdict:
        import pandas_ta as ta  # here: only a tick that asks this agent takes the time to load it

        candles = briefing.frame()
        if len(candles) < CANDLES_NEEDED:
            return Verdict("{name}", Stance.UNKNOWN, f"{{len(candles)}} candles are too few")
        high, low, close = candles["high"], candles["low"], candles["close"]
        fast = float(ta.ema(close, length=20, talib=False).iloc[-1])
        slow = float(ta.ema(close, length=50, talib=False).iloc[-1])
        adx = float(ta.adx(high, low, close, length=14, talib=False)["ADX_14"].iloc[-1])
        reason = f"EMA(20) {{fast:.6g}}, EMA(50) {{slow:.6g}}, ADX(14) {{adx:.1f}}"
        if not adx >= TREND_FROM:  # also where a market that stands still has none
            return Verdict("{name}", Stance.NEUTRAL, reason)
        stance = Stance.BULLISH if fast > slow else Stance.BEARISH
        return Verdict("{name}", stance, reason, confidence=min(1.0, adx / 50))
'''

TEST = '''\
"""The {name} agent on markets that are made up."""

from botctl.agents import Stance, briefing_of
from {module} import {agent}


def stance_on(closes: list[float]) -> Stance:
    return {agent}().judge(briefing_of(closes)).stance


def test_a_rising_market_is_bullish() -> None:
    assert stance_on([100.0 + number for number in range(200)]) is Stance.BULLISH


def test_a_falling_market_is_bearish() -> None:
    assert stance_on([400.0 - number for number in range(200)]) is Stance.BEARISH


def test_a_market_that_stands_still_is_neutral() -> None:
    assert stance_on([100.0] * 200) is Stance.NEUTRAL


def test_too_few_candles_are_unknown() -> None:
    assert stance_on([100.0] * 20) is Stance.UNKNOWN
'''

PROGRAM = '''\
#!/usr/bin/env python3
"""{name}: a program for the Council of botctl. It reads one JSON object and prints one."""

import json
import sys
from statistics import fmean

FAST, SLOW = 20, 50
"""Closes in each mean."""
MARGIN = 0.002
"""How far apart the means must be, as a fraction."""


def decide(question: dict) -> dict:
    """The answer to a question, which also has `trade`, `quote`, `sentiment`, `indicators`, `cash` and more."""
    closes = [candle["close"] for candle in question["candles"]]
    if len(closes) < SLOW:
        return {{"stance": "UNKNOWN", "reason": f"{{len(closes)}} candles are too few"}}
    distance = fmean(closes[-FAST:]) / fmean(closes[-SLOW:]) - 1
    decision = "BUY" if distance > MARGIN else "SELL" if distance < -MARGIN else "HOLD"
    reason = f"the mean of {{FAST}} closes is {{100 * distance:+.2f}} % from that of {{SLOW}}"
    return {{"decision": decision, "reason": reason, "confidence": min(1.0, abs(distance) / (5 * MARGIN))}}


if __name__ == "__main__":
    print(json.dumps(decide(json.load(sys.stdin))))
'''


def package_files(name: str) -> dict[str, str]:
    """The files of a package with an agent, by their path in its folder."""
    module = f"{name.replace('-', '_')}_agent"
    words = {"name": name, "module": module, "agent": _class_name(module)}
    return {
        "pyproject.toml": PYPROJECT.format(**words),
        f"{module}.py": AGENT.format(**words),
        f"test_{module}.py": TEST.format(**words),
    }


def program_file(name: str) -> str:
    return PROGRAM.format(name=name)


def _class_name(module: str) -> str:
    return "".join(part.capitalize() for part in module.split("_"))
