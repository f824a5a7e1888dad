"""Draws how the stop and the drawdown move, and what `status` shows: `python docs/pictures/draw.py` writes the pictures
of docs/rules.md and of the README beside this file.

A picture of a trade runs botctl's stop rule over a path of prices, one for each check, with the defaults of
ATR_MULTIPLE and BREAKEVEN_ATR unless it sets others; that of a fall between two checks runs the rule of resting stops
as well. That of an account runs the rule of its performance over what it is worth and what comes and goes. That of the
cockpit is `status` on a terminal after some ticks of the demo. Tests compare the files with this script's output.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from botctl.cli.cockpit import read_cockpit
from botctl.cli.styled import draw_lines
from botctl.cli.views.status import Screen, cockpit_lines
from botctl.config import Config, open_store
from botctl.domain.account.performance import Performance
from botctl.domain.configuration.settings import parse_settings
from botctl.domain.orders import stop_reason
from botctl.domain.stops import advance_stop, exit_at_resting, initial_stop, resting_trigger
from botctl.trading.tick import tick
from botctl.wiring import build_bot

ENTRY, ATR = 50_000.0, 500.0
WIDTH, HEIGHT = 760, 380
COCKPIT, COCKPIT_TICKS, COCKPIT_WIDTH = "cockpit.svg", 35, 96
WITHOUT_FONTS = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""rich's format without the fonts that it loads from elsewhere."""
LEFT, RIGHT, TOP, BOTTOM = 78, 150, 64, 46
INK, QUIET, GRID = "#1f2933", "#5f6c7b", "#e4e7eb"
PRICE, STOP, SOLD, RESTS = "#2563a8", "#c2410c", "#b91c1c", "#6d28d9"
type Labels = list[tuple[float, str, str, str]]
"""Where each stands from the top, its text, colour and weight."""


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
        "The price falls: the stop stays where it was, 2 ATR below the entry",
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
        labels = [
            (self.y(last.stop), f"stop {last.stop:,.0f}{' = entry' if last.stop == ENTRY else ''}", STOP, "bold"),
            (y, f"sold at {last.price:,.0f}", SOLD, "bold"),
            (y + 17, stop_reason(last.stop, ENTRY), SOLD, "normal"),
        ]
        if last.stop != ENTRY:
            labels.append((self.y(ENTRY), "entry", QUIET, "normal"))
        if self.shows_threshold:
            labels.append((self.y(self.moves_above), f"entry + {self.picture.breakeven:g} ATR", QUIET, "normal"))
        yield from self.mark_sale(x, y, labels)

    def mark_sale(self, x: float, y: float, labels: Labels) -> Iterator[str]:
        """A ring where it was sold, and the labels at the right end."""
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="#ffffff" stroke="{SOLD}" stroke-width="3"/>'
        for label_y, label, colour, weight in spread(labels):
            yield text(self.right + 14, label_y + 4, label, colour, weight=weight)


@dataclass(frozen=True)
class Fall:
    """A fall between the last two checks of a trade whose stop rests at Kraken as well."""

    picture: Picture
    low: float
    """Where the price turns again."""
    distance: float = 1.0
    """EXCHANGE_STOP_ATR."""

    @property
    def file(self) -> str:
        return self.picture.file


RESTING = Fall(
    Picture(
        "resting-stop.svg",
        "The price falls between two checks: the stop that rests at Kraken sells",
        (50_000, 50_300, 50_200, 50_700, 51_000, 51_400, 51_900, 52_400, 53_000, 52_700, 50_900),
    ),
    low=50_300,
)


class FallDrawing(Drawing):
    """The stop of the rule, the resting one below it, and a sale at its trigger."""

    def __init__(self, fall: Fall) -> None:
        super().__init__(fall.picture)
        self.fall = fall
        self.triggers = [resting_trigger(check.stop, ATR, fall.distance) for check in self.checks]
        before, self.trigger = self.checks[-2].price, self.triggers[-2]
        self.sold_at = exit_at_resting(self.trigger, before, fall.low)
        self.low = min(self.triggers) - 150
        self.turn = len(self.checks) - 1.3
        """The place of the lowest price: between the last two checks."""
        self.fired = len(self.checks) - 2 + 0.7 * (before - self.sold_at) / (before - fall.low)

    def head(self) -> Iterator[str]:
        yield from super().head()
        yield f'<path d="M{self.right - 52} 60h18" stroke="{RESTS}" stroke-width="2.5" stroke-dasharray="7 5"/>'
        yield text(self.right - 28, 64, "resting stop", RESTS)

    def paths(self) -> Iterator[str]:
        steps = f"M{self.x(0):.1f} {self.y(self.triggers[0]):.1f}"
        for number, trigger in enumerate(self.triggers[1:-1], 1):
            steps += f"H{self.x(number):.1f}V{self.y(trigger):.1f}"
        steps += f"H{self.x(self.fired):.1f}"
        yield f'<path d="{steps}" fill="none" stroke="{RESTS}" stroke-width="2.5" stroke-dasharray="7 5"/>'
        points = [(number, check.price) for number, check in enumerate(self.checks)]
        path = "L".join(
            f"{self.x(at):.1f} {self.y(price):.1f}" for at, price in [*points[:-1], (self.turn, self.fall.low)]
        )
        rest = f"L{self.x(points[-1][0]):.1f} {self.y(points[-1][1]):.1f}"
        *stops, _ = super().paths()
        yield stops[0]
        yield f'<path d="M{path}{rest}" fill="none" stroke="{PRICE}" stroke-width="2"/>'
        for at, price in points:
            yield f'<circle cx="{self.x(at):.1f}" cy="{self.y(price):.1f}" r="3.5" fill="{PRICE}"/>'

    def sale(self) -> Iterator[str]:
        x, y = self.x(self.fired), self.y(self.sold_at)
        last = self.checks[-1]
        labels = [
            (self.y(last.stop), f"stop {last.stop:,.0f}", STOP, "bold"),
            (y, f"sold at {self.sold_at:,.0f}", SOLD, "bold"),
            (y + 17, stop_reason(last.stop, ENTRY), SOLD, "normal"),
            (self.y(last.price), f"next check {last.price:,.0f}", QUIET, "normal"),
            (self.y(ENTRY), "entry", QUIET, "normal"),
            (self.y(self.moves_above), f"entry + {self.picture.breakeven:g} ATR", QUIET, "normal"),
        ]
        yield from self.mark_sale(x, y, labels)


@dataclass(frozen=True)
class Account:
    """What an account is worth at each look, and what has come (or gone, negative) since the look before."""

    file: str
    title: str
    looks: Sequence[tuple[int, int]]
    limit: Decimal = Decimal("0.20")


WITHDRAWAL = Account(
    "withdrawal.svg",
    "A withdrawal and a deposit move the base, and only the losses count",
    (
        (10_000, 0),
        (11_200, 0),
        (12_000, 0),
        (6_000, -6_000),
        (5_450, 0),
        (5_100, 0),
        (10_000, 4_900),
        (8_900, 0),
        (7_800, 0),
    ),
)


@dataclass(frozen=True)
class Look:
    """The figures of one look; `before` is the equity without its flow."""

    before: Decimal
    equity: Decimal
    base: Decimal
    drawdown: Decimal
    from_peak: Decimal


def follow_account(account: Account) -> list[Look]:
    performance, looks = Performance(Decimal(account.looks[0][0])), []
    for worth, flow in account.looks:
        equity = Decimal(worth)
        if flow:
            performance = performance.after_flow(equity - flow, equity)
        performance = performance.seen_at(equity)
        down, from_peak = performance.drawdown_at(equity), performance.drawdown_from_peak(equity)
        looks.append(Look(equity - flow, equity, performance.base, down, from_peak))
    return looks


class AccountDrawing:
    """Equity, base and limit above, the drawdown below."""

    HEIGHT = 560
    SPLIT, GAP = 330, 46
    """The end of the upper part, and the space to the lower one."""
    TOP_VALUE, LOW, HIGH = 13_000.0, -0.30, 0.52

    def __init__(self, account: Account) -> None:
        self.account, self.looks = account, follow_account(account)
        self.right = WIDTH - RIGHT - 40

    def x(self, number: float) -> float:
        return LEFT + (self.right - LEFT) * number / (len(self.looks) - 1)

    def y(self, value: Decimal | float) -> float:
        return TOP + 10 + (self.SPLIT - TOP - 10) * (1 - float(value) / self.TOP_VALUE)

    def y_down(self, drawdown: Decimal | float) -> float:
        """More is deeper, and lower."""
        top, bottom = self.SPLIT + self.GAP, self.HEIGHT - BOTTOM
        return top + (bottom - top) * (float(drawdown) - self.LOW) / (self.HIGH - self.LOW)

    def svg(self) -> str:
        parts = (self.head, self.axes, self.flows, self.levels, self.paths, self.labels)
        return "\n".join([*(element for part in parts for element in part()), "</svg>", ""])

    def head(self) -> Iterator[str]:
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.HEIGHT}" width="{WIDTH}" '
            f'height="{self.HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="13" role="img">'
        )
        yield f"<title>{self.account.title}</title>"
        yield f'<rect width="{WIDTH}" height="{self.HEIGHT}" fill="#ffffff"/>'
        yield text(LEFT, 28, self.account.title, INK, size=16, weight="bold")
        limits = f"INITIAL_BALANCE={self.looks[0].base:f}, MAX_DRAWDOWN={self.account.limit}"
        yield text(LEFT, 48, f"{limits}; the drawdown points down", QUIET)

    def axes(self) -> Iterator[str]:
        for value in range(0, int(self.TOP_VALUE), 2_000):
            yield f'<path d="M{LEFT} {self.y(value):.1f}H{self.right}" stroke="{GRID}"/>'
            yield text(LEFT - 10, self.y(value) + 4, f"{value:,}", QUIET, anchor="end")
        for percent in range(-20, 50, 20):
            yield f'<path d="M{LEFT} {self.y_down(percent / 100):.1f}H{self.right}" stroke="{GRID}"/>'
            yield text(LEFT - 10, self.y_down(percent / 100) + 4, f"{percent} %", QUIET, anchor="end")
        for number in range(len(self.looks)):
            yield text(self.x(number), self.HEIGHT - BOTTOM + 22, str(number), QUIET, anchor="middle")
        yield text((LEFT + self.right) / 2, self.HEIGHT - 6, "look", QUIET, anchor="middle")

    def flows(self) -> Iterator[str]:
        for number, look in enumerate(self.looks):
            if flow := look.equity - look.before:
                x, word = self.x(number), "deposited" if flow > 0 else "withdrawn"
                yield f'<path d="M{x:.1f} {TOP + 26}V{self.HEIGHT - BOTTOM}" stroke="{QUIET}" stroke-dasharray="2 4"/>'
                yield text(x, TOP + 20, f"{abs(flow):,} {word}", QUIET, anchor="middle")

    def levels(self) -> Iterator[str]:
        """The base and the limit, and the limit that a fixed INITIAL_BALANCE would have."""
        fixed, limit = self.looks[0].base * (1 - self.account.limit), 1 - self.account.limit
        yield f'<path d="M{LEFT} {self.y(fixed):.1f}H{self.right}" stroke="{QUIET}" stroke-dasharray="1 5"/>'
        base, floor = (self.steps([self.y(look.base * share) for look in self.looks]) for share in (1, limit))
        yield f'<path d="{base}" fill="none" stroke="{STOP}" stroke-width="2"/>'
        yield f'<path d="{floor}" fill="none" stroke="{SOLD}" stroke-width="2" stroke-dasharray="7 5"/>'
        y = self.y_down(self.account.limit)
        yield f'<path d="M{LEFT} {y:.1f}H{self.right}" stroke="{SOLD}" stroke-width="2" stroke-dasharray="7 5"/>'

    def steps(self, heights: Sequence[float]) -> str:
        line = f"M{self.x(0):.1f} {heights[0]:.1f}"
        return line + "".join(f"H{self.x(number):.1f}V{y:.1f}" for number, y in enumerate(heights[1:], 1))

    def paths(self) -> Iterator[str]:
        start = self.looks[0].base
        fixed = [(self.y_down(1 - look.before / start), self.y_down(1 - look.equity / start)) for look in self.looks]
        yield self.path(fixed, QUIET, 'stroke-dasharray="1 5" stroke-width="2"')
        yield self.path([(self.y(look.before), self.y(look.equity)) for look in self.looks], PRICE)
        yield self.path([(self.y_down(look.drawdown),) * 2 for look in self.looks], PRICE)
        last, x = self.looks[-1], self.x(len(self.looks) - 1)
        for y in (self.y(last.equity), self.y_down(last.drawdown)):
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="#ffffff" stroke="{SOLD}" stroke-width="3"/>'

    def path(self, heights: Sequence[tuple[float, float]], colour: str, style: str = 'stroke-width="2.5"') -> str:
        """A line through the height before and after the flow of each look."""
        points = [f"{self.x(number):.1f} {y:.1f}" for number, pair in enumerate(heights) for y in dict.fromkeys(pair)]
        return f'<path d="M{"L".join(points)}" fill="none" stroke="{colour}" {style}/>'

    def labels(self) -> Iterator[str]:
        last, limit, start = self.looks[-1], self.account.limit, self.looks[0].base
        upper = [
            (self.y(last.base), f"base {last.base:,.2f}", STOP, "bold"),
            (self.y(start * (1 - limit)), f"{start * (1 - limit):,.0f}: a fixed limit", QUIET, "normal"),
            (self.y(last.base * (1 - limit)), f"base - {100 * limit:.0f} %", SOLD, "bold"),
            (self.y(last.equity), f"equity {last.equity:,}", PRICE, "bold"),
        ]
        lower = [
            (self.y_down(limit), "MAX_DRAWDOWN", SOLD, "normal"),
            (self.y_down(last.drawdown) + 1, f"drawdown {100 * last.drawdown:.2f} %", PRICE, "bold"),
            (self.y_down(last.drawdown) + 2, "the guard trips", SOLD, "bold"),
        ]
        for labels in (upper, lower):
            for y, label, colour, weight in spread(labels):
                yield text(self.right + 14, y + 4, label, colour, weight=weight)
        lowest = min(range(len(self.looks)), key=lambda number: self.looks[number].equity)
        y = (self.y_down(limit) + self.y_down(1 - self.looks[lowest].equity / start)) / 2
        yield text(self.x(lowest - 0.5), y + 4, "1 - equity / INITIAL_BALANCE", QUIET, anchor="middle")


def draw(picture: Picture | Fall | Account) -> str:
    if isinstance(picture, Fall):
        return FallDrawing(picture).svg()
    return Drawing(picture).svg() if isinstance(picture, Picture) else AccountDrawing(picture).svg()


def spread(labels: Labels) -> Labels:
    """The labels from top to bottom, moved so that none covers another."""
    placed: Labels = []
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


def draw_cockpit(ticks: int = COCKPIT_TICKS) -> str:
    """`botctl status` on a terminal, after so many ticks of the demo."""
    with TemporaryDirectory() as folder:
        config = Config(Path(folder), Path(folder) / ".env", parse_settings({}))
        with open_store(config, durable=False):
            bot = build_bot(config.settings, config.switch)
            for _ in range(ticks):
                tick(bot)
            view = replace(read_cockpit(config, runner=(None, True)), home="/home/you/botctl")
    lines = cockpit_lines(view, Screen(COCKPIT_WIDTH, True, timedelta(days=1)))
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COCKPIT_WIDTH, force_terminal=True, color_system="standard", file=nowhere)
        console.print(draw_lines(lines, coloured=True, room=COCKPIT_WIDTH))
    svg = console.export_svg(title="botctl status", code_format=WITHOUT_FONTS, unique_id="cockpit")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    for picture in (*PICTURES, RESTING, WITHDRAWAL):
        (Path(__file__).parent / picture.file).write_text(draw(picture), encoding="utf-8")
    (Path(__file__).parent / COCKPIT).write_text(draw_cockpit(), encoding="utf-8")
