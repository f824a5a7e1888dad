"""Agents that judge a whole history at once, and the checks that they judge it as they would judge each bar."""

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from botctl.domain.candles import Candle, CandleColumns, from_unix
from botctl.domain.decisions import Stance, Verdict
from botctl.domain.errors import BotError
from botctl.frames import candle_frame
from botctl.ports import Briefing, OpenTrade
from botctl.trading.council.master_node import checked_verdict, ends_the_run, message_of

if TYPE_CHECKING:
    from pandas import DataFrame

SAMPLED_CHANGES = 4
"""At so many changes of an agent's verdict both bars are checked: who looks ahead mostly does so there."""
SAMPLED_BARS = 3
"""And at so many bars besides."""
ROUNDING, FADING = 1e-9, 0.02
"""How far confidences may differ: by the order of a sum, and by candles that a run does not see any more."""
ASKED_ALONE = "a run asks judge, with the newest candles: both must say the same"
GOES_BY_TRADE = "who goes by the open trade is asked bar by bar: remove its judge_history"
DIFFERENT_ROWS = "judge_history must return one Stance or Verdict for each row"


@runtime_checkable
class HistoryAgent(Protocol):
    """An agent that can also judge all candles of a history in one call, which is faster."""

    def judge(self, briefing: Briefing) -> Verdict: ...

    def judge_history(self, frame: "DataFrame") -> Sequence[Stance | Verdict]:
        """One stance for each row: what `judge` says once its candle has closed. It may use that row and earlier ones.

        The columns are open, high, low, close and volume as float64; the index `time` is when each candle opened, UTC.
        """


@dataclass(frozen=True)
class JudgedHistory:
    """An agent's verdict after each candle of each symbol; sits in the Council in its agent's place."""

    name: str
    times: dict[str, Sequence[int]]
    verdicts: dict[str, list[Verdict]]

    def judge(self, briefing: Briefing) -> Verdict:
        newest = bisect_right(self.times[briefing.symbol], briefing.candles[-1].time) - 1
        return self.verdicts[briefing.symbol][newest]


def judge_histories(name: str, agent: HistoryAgent, histories: Sequence[CandleColumns]) -> JudgedHistory:
    """Ask once for each history. Raises BotError for an agent that fails, or that has no verdict for each row."""
    verdicts = {each.symbol: judge_one(name, agent, each.symbol, history_frame(each)) for each in histories}
    return JudgedHistory(name, {each.symbol: [*map(int, each.times)] for each in histories}, verdicts)


def judge_one(name: str, agent: HistoryAgent, symbol: str, frame: "DataFrame") -> list[Verdict]:
    return [*_as_verdicts(name, symbol, _ask(name, agent, symbol, frame))]


def _ask(name: str, agent: HistoryAgent, symbol: str, frame: "DataFrame") -> list[Any]:
    """The agent's answers, one for each row."""
    try:
        with redirect_stdout(sys.stderr):  # as where a run asks it
            given = agent.judge_history(frame)
        answers = None if given is None else [*given]
    except BaseException as error:  # whatever a third-party agent raises
        if ends_the_run(error):
            raise
        raise _failed(name, symbol, error) from error
    if answers is None:
        raise BotError(f"agent {name} gave no verdicts on the candles of {symbol}", hint=DIFFERENT_ROWS)
    if len(answers) != len(frame):
        problem = f"agent {name} gave {len(answers)} verdicts on the {len(frame)} candles of {symbol}"
        raise BotError(problem, hint=DIFFERENT_ROWS)
    return answers


def _as_verdicts(name: str, symbol: str, answers: Iterable[Any]) -> Iterator[Verdict]:
    """Each answer as a verdict; a stance alone is one without a reason."""
    alone: dict[Any, Verdict] = {stance: Verdict(name, stance, "judged with the whole history") for stance in Stance}
    for answer in answers:
        try:
            yield checked_verdict(answer) if isinstance(answer, Verdict) else alone[answer]
        except (KeyError, TypeError) as error:
            what = TypeError(f"its answer is neither a Stance nor a Verdict: {answer!r:.80}")
            raise _failed(name, symbol, what if isinstance(error, KeyError) else error) from error


def _failed(name: str, symbol: str, error: BaseException) -> BotError:
    problem = f"agent {name} failed on the history of {symbol}: {message_of(error)}"
    return BotError(problem, hint="correct its judge_history")


def history_frame(history: CandleColumns) -> "DataFrame":
    """A history as `Briefing.frame` shows candles."""
    import numpy as np

    rows = np.column_stack([np.asarray(column, dtype=float) for column in (history.times, *history.values)])
    return candle_frame(cast("Sequence[Candle]", rows))


# The checks


def check_for_look_ahead(
    name: str, agent: HistoryAgent, history: CandleColumns, verdicts: Sequence[Verdict], rows: Iterable[int]
) -> None:
    """At each of these rows the verdict must be the same when the history ends there. Raises BotError."""
    frame = history_frame(history)
    for row in rows:
        newest = _ask(name, agent, history.symbol, frame.iloc[: row + 1].copy())[-1:]
        [cut] = _as_verdicts(name, history.symbol, newest)
        if not _alike(cut, verdicts[row], ROUNDING):
            at = from_unix(int(history.times[row]) + history.seconds)
            raise BotError(
                f"agent {name} looks ahead: judge_history says {verdicts[row].stance} on {history.symbol} at "
                f"{at:%Y-%m-%d %H:%M} UTC, and {cut.stance} when the history ends there",
                hint="row i may use only rows up to i",
            )


def check_by_briefing(name: str, agent: HistoryAgent, symbol: str, sampled: Iterable[tuple[Briefing, Verdict]]) -> None:
    """`judge` must say of each briefing, and whatever trade is open, what judge_history has said. Raises BotError."""
    for briefing, verdict in sampled:
        for trade in (None, *made_up_trades(briefing)):
            try:
                with redirect_stdout(sys.stderr):
                    own = checked_verdict(agent.judge(replace(briefing, trade=trade)))
            except BaseException as error:  # whatever a third-party agent raises
                if ends_the_run(error):
                    raise
                problem = f"agent {name} failed on {symbol}: {message_of(error)}"
                raise BotError(problem, hint="correct its judge") from error
            if not _alike(own, verdict, FADING):
                at = f"{briefing.now:%Y-%m-%d %H:%M} UTC" + ("" if trade is None else " with a trade open")
                problem = f"judge says {own.stance} on {symbol} at {at}, and judge_history {verdict.stance}"
                hint = ASKED_ALONE if trade is None else GOES_BY_TRADE
                raise BotError(f"agent {name} contradicts itself: {problem}", hint=hint)


def made_up_trades(briefing: Briefing) -> list[OpenTrade]:
    """One that has gained and one that has lost: who goes by the open trade says something else with one of them."""
    close, since = briefing.candles[-1].close, from_unix(briefing.candles[0].time)
    gained = OpenTrade(close / 1.2, "1", close / 1.05, close, since)
    lost = OpenTrade(close * 1.1, "1", close / 1.001, close * 1.1, since)
    return [gained, lost]


def _alike(one: Verdict, other: Verdict, tolerance: float) -> bool:
    return one.stance is other.stance and abs(one.confidence - other.confidence) <= tolerance


def sample_rows(verdicts: Sequence[Verdict], first: int, last: int) -> list[int]:
    """Some rows from `first` to `last` that tell most: on both sides of changes of the verdict, and evenly spread."""
    stances = [verdict.stance for verdict in verdicts[first : last + 1]]
    changes = [first + at for at, (one, other) in enumerate(pairwise(stances), 1) if one is not other]
    chosen = [row for change in _spread(changes, SAMPLED_CHANGES) for row in (change - 1, change)]
    return sorted({*chosen, *_spread(range(first, last + 1), SAMPLED_BARS)})


def _spread(rows: Sequence[int], count: int) -> list[int]:
    """At most `count` of these, evenly spread, the last one included."""
    count = min(count, len(rows))
    return [rows[(at + 1) * len(rows) // count - 1] for at in range(count)]
