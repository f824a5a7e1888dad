"""The candles as an agent gets them for pandas-ta."""

from datetime import UTC, datetime

from botctl.domain.candles import Candle
from botctl.ports import Briefing, SentimentReading


class NoSentiment:
    def read(self) -> SentimentReading:
        return SentimentReading(None, None, "nobody asked")


def briefing(candles: list[Candle]) -> Briefing:
    return Briefing("BTC/USD", candles, NoSentiment(), None, datetime(2025, 1, 2, tzinfo=UTC))


def test_a_briefing_has_its_candles_as_a_frame() -> None:
    import pandas as pd  # here, as collecting the tests must not load it

    candles = [Candle(1_735_689_600 + 900 * number, 10, 12.5, 9, 11 + number, 3) for number in range(3)]

    frame = briefing(candles).frame()

    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert {str(kind) for kind in frame.dtypes} == {"float64"}
    assert (frame.index.name, str(frame.index.tz)) == ("time", "UTC")
    assert frame.index[0] == pd.Timestamp("2025-01-01 00:00", tz="UTC")
    assert [Candle(int(time.timestamp()), *row) for time, *row in frame.itertuples()] == candles


def test_what_an_agent_does_to_its_frame_no_other_agent_sees() -> None:
    shown = briefing([Candle(1_735_689_600, 10, 12, 9, 11, 3)])

    frame = shown.frame()
    frame["close"] = 0.0

    assert shown.frame()["close"].tolist() == [11.0]


def test_without_candles_the_frame_is_empty() -> None:
    assert briefing([]).frame().shape == (0, 5)
