"""Draws how the stop moves: `python docs/pictures/draw.py` writes the pictures of docs/rules.md beside this file.

Each picture runs botctl's stop rule over a path of prices, one for each check, with the defaults of ATR_MULTIPLE and
BREAKEVEN_ATR unless it sets others. A test compares the files with this script's output.
"""

from collections.abc import Iterator, Sequence
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
    """The price of one check, and the stop and high after it."""

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


class Drawing:
    """One picture as SVG."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.checks = follow(picture)
        self.moves_above = ENTRY + picture.breakeven * ATR
        """The price from which on the stop moves."""
        prices = [value for check in self.checks for value in (check.price, check.stop)] + [ENTRY]
        if self.checks[-1].high > self.moves_above - ATR / 2:
            prices.append(self.moves_above)
        self.low, self.high = min(prices) - 150, max(prices) + 150
        self.right = WIDTH - RIGHT

    def x(self, number: float) -> float:
        return LEFT + (self.right - LEFT) * number / (len(self.checks) - 1)

    def y(self, price: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - price) / (self.high - self.low)

    def svg(self) -> str:
        parts = (self.head, self.axes, self.levels, self.paths, self.sale)
        return "\n".join([*(element for part in parts for element in part()), "</svg>", ""])

    def head(self) -> Iterator[str]:
        right, title = self.right, self.picture.title
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="13" role="img">'
        )
        yield f"<title>{title}</title>"
        yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
        yield text(LEFT, 28, title, INK, size=16, weight="bold")
        yield text(LEFT, 48, f"BTC/USD, entry {ENTRY:,.0f}, ATR {ATR:,.0f}", QUIET)
        yield f'<circle cx="{right - 178}" cy="44" r="3.5" fill="{PRICE}"/>'
        yield text(right - 168, 48, "price at the check", PRICE)
        yield f'<path d="M{right - 52} 44h18" stroke="{STOP}" stroke-width="2.5"/>'
        yield text(right - 28, 48, "stop", STOP)

    def axes(self) -> Iterator[str]:
        step = 500 if self.high - self.low < 3_600 else 1_000
        for price in range(int(-(-self.low // step)) * step, int(self.high) + 1, step):
            yield f'<path d="M{LEFT} {self.y(price):.1f}H{self.right}" stroke="{GRID}"/>'
            yield text(LEFT - 10, self.y(price) + 4, f"{price:,}", QUIET, anchor="end")
        for number in range(len(self.checks)):
            yield text(self.x(number), HEIGHT - BOTTOM + 22, str(number), QUIET, anchor="middle")
        label = "check, one each TIMEFRAME; 0 is the entry"
        yield text((LEFT + self.right) / 2, HEIGHT - 6, label, QUIET, anchor="middle")

    @property
    def shows_threshold(self) -> bool:
        return self.low < self.moves_above < self.high

    def levels(self) -> Iterator[str]:
        yield f'<path d="M{LEFT} {self.y(ENTRY):.1f}H{self.right}" stroke="{QUIET}" stroke-dasharray="2 4"/>'
        if self.shows_threshold:
            threshold = self.y(self.moves_above)
            yield f'<path d="M{LEFT} {threshold:.1f}H{self.right}" stroke="{QUIET}" stroke-dasharray="7 5"/>'

    def paths(self) -> Iterator[str]:
        steps = f"M{self.x(0):.1f} {self.y(self.checks[0].stop):.1f}"
        for number, check in enumerate(self.checks[1:], 1):
            steps += f"H{self.x(number):.1f}V{self.y(check.stop):.1f}"
        points = [f"{self.x(number):.1f} {self.y(check.price):.1f}" for number, check in enumerate(self.checks)]
        yield f'<path d="{steps}" fill="none" stroke="{STOP}" stroke-width="2.5"/>'
        yield f'<path d="M{"L".join(points)}" fill="none" stroke="{PRICE}" stroke-width="2"/>'
        for number, check in enumerate(self.checks[:-1]):
            yield f'<circle cx="{self.x(number):.1f}" cy="{self.y(check.price):.1f}" r="3.5" fill="{PRICE}"/>'

    def sale(self) -> Iterator[str]:
        """The last check, and the labels at the right."""
        last = self.checks[-1]
        x, y = self.x(len(self.checks) - 1), self.y(last.price)
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="#ffffff" stroke="{SOLD}" stroke-width="3"/>'
        labels = [
            (self.y(last.stop), f"stop {last.stop:,.0f}{' = entry' if last.stop == ENTRY else ''}", STOP, "bold"),
            (y, f"sold at {last.price:,.0f}", SOLD, "bold"),
            (y + 17, stop_reason(last.stop, ENTRY), SOLD, "normal"),
        ]
        if last.stop != ENTRY:
            labels.append((self.y(ENTRY), "entry", QUIET, "normal"))
        if self.shows_threshold:
            labels.append((self.y(self.moves_above), f"entry + {self.picture.breakeven:g} ATR", QUIET, "normal"))
        for label_y, label, colour, weight in spread(labels):
            yield text(self.right + 14, label_y + 4, label, colour, weight=weight)


def draw(picture: Picture) -> str:
    return Drawing(picture).svg()


def spread(labels: list[tuple[float, str, str, str]]) -> list[tuple[float, str, str, str]]:
    """The labels from top to bottom, moved so that none covers another."""
    placed: list[tuple[float, str, str, str]] = []
    for y, label, colour, weight in sorted(labels, key=lambda label: label[0]):
        placed.append((max(y, placed[-1][0] + 16) if placed else y, label, colour, weight))
    return placed


def text(
    x: float, y: float, content: str, colour: str, *, anchor: str = "start", size: int = 13, weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}">{content}</text>'
    )


if __name__ == "__main__":
    for picture in PICTURES:
        (Path(__file__).parent / picture.file).write_text(draw(picture), encoding="utf-8")
