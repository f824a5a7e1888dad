"""Agents of anybody's, as they sit in the Councils of these tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from botctl.agents import Briefing, Stance, Verdict

PLACE = "tests.backtesting.own_agents"


def install_agents(folder: Path, monkeypatch: pytest.MonkeyPatch, **agents: str) -> None:
    """A distribution of these classes of this module, as pip leaves it."""
    info = folder / "own_agents-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-agents\nVersion: 1.0\n")
    lines = [f"{name} = {PLACE}:{of}\n" for name, of in agents.items()]
    (info / "entry_points.txt").write_text("[botctl.agents]\n" + "".join(lines))
    monkeypatch.syspath_prepend(str(folder))


class Trader:
    """Buys what rises, and sells by what the open trade has made of it. Remembers what it was told."""

    told: ClassVar[list[list[tuple[Any, ...]]]] = []
    """Of each instance."""

    def __init__(self) -> None:
        self.own: list[tuple[Any, ...]] = []
        self.told.append(self.own)

    def judge(self, briefing: Briefing) -> Verdict:
        closes, trade = [candle.close for candle in briefing.candles], briefing.trade
        reading = briefing.sentiment.read()
        self.own.append(
            (
                briefing.symbol,
                briefing.now,
                len(closes),
                briefing.candles[-1],
                reading.index,
                reading.measured_at,
                trade,
            )
        )
        if trade is None:
            rises = closes[-1] > closes[-6] and (reading.index or 0) < 60
            return Verdict("trader", Stance.BULLISH if rises else Stance.NEUTRAL, "")
        aged = briefing.candles[-1].time % 14_400 == 0
        gained = closes[-1] > 1.012 * trade.entry_price or closes[-1] < 1.002 * trade.stop_loss_price
        return Verdict("trader", Stance.BEARISH if gained or aged else Stance.BULLISH, "")


class Averages:
    """A short average over a long one; the whole history at once gives the same."""

    def judge(self, briefing: Briefing) -> Verdict:
        closes = [candle.close for candle in briefing.candles]
        short, long = sum(closes[-8:]) / 8, sum(closes[-40:]) / 40
        return Verdict("averages", Stance.BULLISH if short > long else Stance.BEARISH, "")

    def judge_history(self, frame: Any) -> Sequence[Stance | Verdict]:
        short, long = frame["close"].rolling(8).mean(), frame["close"].rolling(40).mean()
        return [Stance.BULLISH if rises else Stance.BEARISH for rises in short > long]


class Prophet(Averages):
    """Knows the next close."""

    def judge_history(self, frame: Any) -> Sequence[Stance | Verdict]:
        return [Stance.BULLISH if rises else Stance.BEARISH for rises in frame["close"].shift(-1) > frame["close"]]


class Hypocrite(Averages):
    """Judges a history in another way than a bar."""

    def judge_history(self, frame: Any) -> Sequence[Stance | Verdict]:
        return [Stance.BULLISH if rises else Stance.BEARISH for rises in frame["close"] > frame["open"]]


class Short(Averages):
    """Leaves rows out."""

    def judge_history(self, frame: Any) -> Sequence[Stance | Verdict]:
        return [Stance.NEUTRAL] * (len(frame) - 1)


class Leaving(Averages):
    """Ends the process."""

    def judge_history(self, frame: Any) -> Sequence[Stance | Verdict]:
        raise SystemExit(5)


class Nameless(Averages):
    """Fails with a word that says nothing alone."""

    def judge_history(self, frame: Any) -> Sequence[Stance | Verdict]:
        return [{}["x"]]


class Silent(Averages):
    """Forgets its return."""

    def judge_history(self, frame: Any) -> Any:
        return None


class Loud(Averages):
    """Prints wherever it is asked."""

    def __init__(self) -> None:
        print("noise of a new agent")

    def judge(self, briefing: Briefing) -> Verdict:
        print("noise of a bar")
        return super().judge(briefing)

    def judge_history(self, frame: Any) -> Sequence[Stance | Verdict]:
        print("noise of a history")
        return super().judge_history(frame)


class Failing:
    """Fails in one hour of the day."""

    def judge(self, briefing: Briefing) -> Verdict:
        if briefing.now.hour == 6:
            raise ZeroDivisionError(f"at {briefing.now:%H:%M}")
        return Verdict("failing", Stance.BULLISH, "")


class Cutter(Averages):
    """Sells what has lost, which a history can't tell."""

    def judge(self, briefing: Briefing) -> Verdict:
        trade = briefing.trade
        if trade is not None and trade.entry_price > briefing.candles[-1].close:
            return Verdict("cutter", Stance.UNKNOWN, "")
        return super().judge(briefing)
