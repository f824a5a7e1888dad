"""The one place that calls matplotlib: draws a chart as a PNG, without a browser or a screen."""

from io import BytesIO
from typing import TYPE_CHECKING, Any

from botctl.domain.candles import from_unix
from botctl.domain.errors import ConfigError
from botctl.reporting.model import Bars, Chart, Series, SeriesKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    SeriesKind.EQUITY: "#1f5fbf",
    SeriesKind.PERFORMANCE: "#2a8a5f",
    SeriesKind.HOLD: "#5b6470",
    SeriesKind.DRAWDOWN: "#b3403a",
    SeriesKind.GUARD: "#b3403a",
    SeriesKind.PRICE: "#5b6470",
    SeriesKind.STOP: "#c07a00",
    SeriesKind.ENTRY: "#1f5fbf",
    SeriesKind.EXIT: "#7a3fb0",
}
RISING, FALLING = "#2a8a5f", "#b3403a"
SHAPES = {SeriesKind.ENTRY: "^", SeriesKind.EXIT: "v"}
DASHED = (SeriesKind.GUARD, SeriesKind.ENTRY, SeriesKind.PRICE, SeriesKind.HOLD)
SECONDS_PER_DAY = 86_400.0
"""matplotlib counts time in days."""


def check_installed() -> None:
    """Raises ConfigError without matplotlib."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ConfigError("a PNG needs matplotlib", hint="pip install 'botctl[report]'") from None


def draw_png(chart: Chart) -> bytes:
    """The chart as a PNG of 1500 by 750 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    if chart.bars:
        _draw_bars(axes, chart.bars)
    for series in chart.series:
        _draw_series(axes, series)
    for marker in chart.markers:
        shape: dict[str, Any] = {"marker": SHAPES[marker.kind], "color": COLOURS[marker.kind], "edgecolors": "white"}
        axes.scatter(_days(marker.time), marker.value, s=90, zorder=5, label=marker.name, **shape)
    _label_axes(axes, chart)
    if len(chart.series) + len(chart.markers) > 1:
        figure.legend(frameon=False, loc="outside lower left", ncols=4)
    if not chart.series:
        axes.text(0.5, 0.5, "no data yet", transform=axes.transAxes, ha="center")
    picture = BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    return picture.getvalue()


def _draw_series(axes: "Axes", series: Series) -> None:
    days, colour = [_days(time) for time in series.times], COLOURS[series.kind]
    axes.plot(
        days,
        series.values,
        label=series.name,
        color=colour,
        linewidth=1.3,
        linestyle="--" if series.kind in DASHED else "-",
        drawstyle="steps-post" if series.stepped else "default",
    )
    if series.kind is SeriesKind.DRAWDOWN:
        axes.fill_between(days, series.values, color=colour, alpha=0.2)


def _label_axes(axes: "Axes", chart: Chart) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.set_ylabel(chart.unit)
    axes.set_xlabel("UTC")
    axes.set_title(f"{chart.title}, {chart.note}" if chart.note else chart.title, loc="left", parse_math=False)
    axes.grid(color="#d9dde2", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_bars(axes: "Axes", bars: Bars) -> None:
    """Candles: a thin line from low to high, a thick one from open to close."""
    middles = [_days(time + bars.seconds / 2) for time in bars.times]
    colours = [RISING if close >= open_ else FALLING for open_, close in zip(bars.opens, bars.closes, strict=True)]
    axes.vlines(middles, bars.lows, bars.highs, colors=colours, linewidth=0.7)
    heights = [close - open_ for open_, close in zip(bars.opens, bars.closes, strict=True)]
    width = 0.7 * bars.seconds / SECONDS_PER_DAY
    body: dict[str, Any] = {"bottom": bars.opens, "color": colours, "edgecolor": colours, "linewidth": 0.7}
    axes.bar(middles, heights, width, **body)


def _days(seconds: float) -> float:
    from matplotlib.dates import date2num

    return float(date2num(from_unix(seconds)))
