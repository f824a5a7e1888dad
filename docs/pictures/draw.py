"""Draws the stop as it moves: `python docs/pictures/draw.py` writes the pictures of docs/rules.md beside this file.

Each picture is a path of prices, one for each check, put through the very rule that botctl trades by. The defaults of
ATR_MULTIPLE and BREAKEVEN_ATR hold where a picture does not say otherwise. A test compares the files with this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from botctl.domain.orders import stop_reason
from botctl.domain.stops import advance_stop, initial_stop

ENTRY, ATR = 50_000.0, 500.0
WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 78, 150, 64, 46
INK, QUIET, GRID = "#1f2933", "#5f6c7b", "#e4e7eb"
PRICE, STOP, SOLD = "#2563a8", "#c2410c", "#b91c1c"


@dataclass(frozen=True)
class Picture:
    """One trade from its entry to its sale."""

    file: str
    title: str
    prices: Sequence[float]
    """One for each check; the first is the entry."""
    multiple: float = 2.0
    breakeven: float = 2.0


PICTURES = (
    Picture(
        "stop-loss.svg",
        "The price falls: the stop rests where it was, 2 ATR below the entry",
        (50_000, 50_250, 50_100, 50_450, 50_300, 50_500, 50_150, 49_900, 50_050, 49_700, 49_450, 49_250, 48_900),
    ),
    Picture(
        "breakeven.svg",
        "BREAKEVEN_ATR=1: the stop moves to the entry once the price was 1 ATR up",
        (50_000, 50_200, 50_100, 50_350, 50_600, 50_800, 50_650, 50_900, 50_700, 50_400, 50_500, 50_150, 49_950),
        breakeven=1.0,
    ),
    Picture(
        "trailing-stop.svg",
        "The price rises: the stop follows 2 ATR below the high, and never falls",
        (
            50_000,
            50_300,
            49_700,
            50_200,
            50_700,
            51_000,
            51_400,
            51_900,
            51_600,
            52_400,
            53_000,
            52_500,
            52_700,
            51_950,
        ),
    ),
)


@dataclass(frozen=True)
class Check:
    """What one check saw, and left."""

    price: float
    stop: float
    high: float
    hit: bool


def follow(picture: Picture) -> list[Check]:
    """Every check from the entry to the sale."""
    stop, high = initial_stop(ENTRY, ATR, picture.multiple), ENTRY
    checks = [Check(ENTRY, stop, high, False)]
    for price in picture.prices[1:]:
        stop, high, hit = advance_stop(price, stop, high, ENTRY, ATR, picture.multiple, picture.breakeven)
        checks.append(Check(price, stop, high, hit))
        if hit:
            break
    return checks


def draw(picture: Picture) -> str:
    """The picture as SVG."""
    checks = follow(picture)
    arms = ENTRY + picture.breakeven * ATR
    seen = [value for check in checks for value in (check.price, check.stop)] + [ENTRY]
    if checks[-1].high > arms - ATR / 2:
        seen.append(arms)
    low, high = min(seen) - 150, max(seen) + 150
    right = WIDTH - RIGHT

    def x(number: float) -> float:
        return LEFT + (right - LEFT) * number / (len(checks) - 1)

    def y(price: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - price) / (high - low)

    series = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="13" role="img">',
        f"<title>{picture.title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        text(LEFT, 28, picture.title, INK, size=16, weight="bold"),
        text(LEFT, 48, f"BTC/USD, entry {ENTRY:,.0f}, ATR {ATR:,.0f}", QUIET),
        f'<circle cx="{right - 178}" cy="44" r="3.5" fill="{PRICE}"/>',
        text(right - 168, 48, "price at the check", PRICE),
        f'<path d="M{right - 52} 44h18" stroke="{STOP}" stroke-width="2.5"/>',
        text(right - 28, 48, "stop", STOP),
    ]
    step = 500 if high - low < 3_600 else 1_000
    for tick in range(int(-(-low // step)) * step, int(high) + 1, step):
        series.append(f'<path d="M{LEFT} {y(tick):.1f}H{right}" stroke="{GRID}"/>')
        series.append(text(LEFT - 10, y(tick) + 4, f"{tick:,}", QUIET, anchor="end"))
    for number in range(len(checks)):
        series.append(text(x(number), HEIGHT - BOTTOM + 22, str(number), QUIET, anchor="middle"))
    series.append(
        text((LEFT + right) / 2, HEIGHT - 6, "check, one each TIMEFRAME; 0 is the entry", QUIET, anchor="middle")
    )

    series.append(f'<path d="M{LEFT} {y(ENTRY):.1f}H{right}" stroke="{QUIET}" stroke-dasharray="2 4"/>')
    if low < arms < high:
        series.append(f'<path d="M{LEFT} {y(arms):.1f}H{right}" stroke="{QUIET}" stroke-dasharray="7 5"/>')

    stairs = f"M{x(0):.1f} {y(checks[0].stop):.1f}"
    for number, check in enumerate(checks[1:], 1):
        stairs += f"H{x(number):.1f}V{y(check.stop):.1f}"
    path = "L".join(f"{x(number):.1f} {y(check.price):.1f}" for number, check in enumerate(checks))
    series.append(f'<path d="{stairs}" fill="none" stroke="{STOP}" stroke-width="2.5"/>')
    series.append(f'<path d="M{path}" fill="none" stroke="{PRICE}" stroke-width="2"/>')
    for number, check in enumerate(checks[:-1]):
        series.append(f'<circle cx="{x(number):.1f}" cy="{y(check.price):.1f}" r="3.5" fill="{PRICE}"/>')

    last = checks[-1]
    at, level = x(len(checks) - 1), y(last.price)
    series.append(f'<circle cx="{at:.1f}" cy="{level:.1f}" r="6" fill="#ffffff" stroke="{SOLD}" stroke-width="3"/>')
    notes = [
        (y(last.stop), f"stop {last.stop:,.0f}{' = entry' if last.stop == ENTRY else ''}", STOP, "bold"),
        (level, f"sold at {last.price:,.0f}", SOLD, "bold"),
        (level + 17, stop_reason(last.stop, ENTRY), SOLD, "normal"),
    ]
    if last.stop != ENTRY:
        notes.append((y(ENTRY), "entry", QUIET, "normal"))
    if low < arms < high:
        notes.append((y(arms), f"entry + {picture.breakeven:g} ATR", QUIET, "normal"))
    for place, words, colour, weight in apart(notes):
        series.append(text(right + 14, place + 4, words, colour, weight=weight))
    return "\n".join([*series, "</svg>", ""])


def apart(notes: list[tuple[float, str, str, str]]) -> list[tuple[float, str, str, str]]:
    """The notes at the right, top down, moved so far that none covers another."""
    placed: list[tuple[float, str, str, str]] = []
    for place, *rest in sorted(notes, key=lambda note: note[0]):
        words, colour, weight = rest
        placed.append((max(place, placed[-1][0] + 16) if placed else place, words, colour, weight))
    return placed


def text(
    x: float, y: float, words: str, colour: str, *, anchor: str = "start", size: int = 13, weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}">{words}</text>'
    )


if __name__ == "__main__":
    for each in PICTURES:
        (Path(__file__).parent / each.file).write_text(draw(each), encoding="utf-8")
