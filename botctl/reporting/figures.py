"""Charts as plotly's figures: plain values, in colours that the page's style sheet names."""

from collections.abc import Sequence
from typing import Any

from botctl.reporting.model import Bars, Chart, Marker, Series, SeriesKind

DASHES = {SeriesKind.GUARD: "dash", SeriesKind.ENTRY: "dot", SeriesKind.PRICE: "dot", SeriesKind.HOLD: "dot"}
SHAPES = {SeriesKind.ENTRY: "triangle-up", SeriesKind.EXIT: "triangle-down"}
MONEY_FORMAT = ",.6~r"


def plotly_figure(chart: Chart) -> dict[str, Any]:
    """A chart as a plotly figure. Colours are CSS variables, which the page's script replaces by their values."""
    data = [_candlestick(chart.bars)] if chart.bars else []
    data += [*map(_series, chart.series), *map(_marker, chart.markers)]
    return {"data": data, "layout": _layout(chart)}


def _candlestick(bars: Bars) -> dict[str, Any]:
    """A candle's time is its opening; it is drawn over its whole length."""
    return {
        "type": "candlestick",
        "name": "candles",
        "x": _milliseconds(bars.times),
        "open": _short(bars.opens),
        "high": _short(bars.highs),
        "low": _short(bars.lows),
        "close": _short(bars.closes),
        "xperiod": 1000 * bars.seconds,
        "xperiodalignment": "middle",
        "increasing": {"line": {"color": "--up", "width": 1}, "fillcolor": "--up"},
        "decreasing": {"line": {"color": "--down", "width": 1}, "fillcolor": "--down"},
        "showlegend": False,
    }


def _series(series: Series) -> dict[str, Any]:
    plot = {
        "type": "scatter",
        "mode": "lines",
        "name": series.name,
        "x": _milliseconds(series.times),
        "y": _short(series.values),
        "line": {
            "color": f"--{series.kind}",
            "width": 1.5,
            "dash": DASHES.get(series.kind, "solid"),
            "shape": "hv" if series.stepped else "linear",
        },
    }
    if series.kind is SeriesKind.DRAWDOWN:
        plot |= {"fill": "tozeroy", "fillcolor": "--shade"}
    return plot


def _marker(marker: Marker) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": marker.name,
        "x": _milliseconds([marker.time]),
        "y": [marker.value],
        "marker": {
            "symbol": SHAPES[marker.kind],
            "size": 13,
            "color": f"--{marker.kind}",
            "line": {"color": "--paper", "width": 1},
        },
    }


def _layout(chart: Chart) -> dict[str, Any]:
    axis = {"gridcolor": "--rule", "linecolor": "--rule", "zeroline": False, "automargin": True}
    return {
        "paper_bgcolor": "--paper",
        "plot_bgcolor": "--paper",
        "font": {"color": "--ink", "size": 12, "family": "system-ui, sans-serif"},
        "margin": {"l": 64, "r": 16, "t": 28, "b": 40},
        "showlegend": len(chart.series) + len(chart.markers) > 1,
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        "hovermode": "x" if chart.bars else "x unified",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "--rule", "activecolor": "--quiet"},
        "hoverlabel": {"bgcolor": "--raised", "bordercolor": "--rule", "font": {"color": "--ink"}},
        "dragmode": "zoom",
        "uirevision": "kept",  # switching between light and dark keeps the zoom
        "xaxis": {**axis, "type": "date", "rangeslider": {"visible": False}, "nticks": 7, "tickangle": 0},
        "yaxis": {**axis, "title": {"text": chart.unit}, "tickformat": MONEY_FORMAT, "hoverformat": MONEY_FORMAT},
    }


def _milliseconds(times: Sequence[float]) -> list[int]:
    return [round(1000 * time) for time in times]


def _short(values: Sequence[float]) -> list[float]:
    """Ten significant digits: more than any chart shows, at half the size."""
    return [float(f"{value:.10g}") for value in values]
