"""For which signal candle of a symbol the Council decided last, kept between runs."""

from botctl.store import key_value

KEY = "council.decided.{}"


def load_decided(symbol: str) -> int | None:
    """When that candle closed, in unix seconds; None before the first decision, and when it can't be read."""
    saved = key_value.load_parsed(KEY.format(symbol), int)
    return None if saved is None else saved[0]


def save_decided(symbol: str, closed: int) -> None:
    """Without it the next tick decides again."""
    key_value.save_cached(KEY.format(symbol), str(closed))
