"""The house look: one size, one small palette, thin grids, titles that say what is seen.

Figures are built with matplotlib's objects alone (no pyplot, no global settings), so drawing leaves nothing behind
and may run in any process. Colours are those of Okabe and Ito (2008), which stay apart for colour-blind readers and
on white paper.
"""

import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import matplotlib.dates as mdates
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT, DPI = 900, 420, 100
"""Pixels of a picture, and pixels of an inch of it."""

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY, INK = "#A35A86", "#56B4E9", "#8A8A8A", "#262626"
PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY)
SEQUENTIAL = "YlGnBu"
"""Colour map of shares from nothing (pale) to everything (dark)."""

ROLE_COLOURS = {
    "lookback": "#BFBFBF",
    "train": BLUE,
    "purge": RED,
    "validation": GREEN,
    "embargo": ORANGE,
    "test": PURPLE,
    "resolution": SKY,
}
"""The parts of a fold look alike in every picture."""

Place = Literal["upper left", "upper right", "lower left", "lower right", "lower center"]

_DATE_FORMATS = ["%Y", "%Y-%m", "%Y-%m-%d", "%H:%M", "%H:%M", "%S"]

_TITLE, _TEXT, _SMALL = 12.0, 9.5, 8.5


def sheet(title: str, rows: int = 1, columns: int = 1, *, height: int = HEIGHT, **layout: Any) -> tuple[Figure, Any]:
    """An empty figure and its axes, styled.

    Args:
        title: what the picture shows, in one line.
        height: pixels; the width is the same for all.
        layout: as of ``Figure.subplots`` (``sharex``, ``height_ratios``).

    Returns:
        The figure, and one ``Axes`` or, for more than one row or column, an array of them.
    """
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=_TITLE, fontweight="bold", color=INK, x=0.012, ha="left")
    axes = figure.subplots(rows, columns, **layout)
    for each in figure.axes:
        _style(each)
    return figure, axes


def png(figure: Figure) -> bytes:
    """The figure as a PNG of 256 colours, a third of the size of one of all colours; equal figures, equal bytes."""
    drawing = FigureCanvasAgg(figure)
    drawing.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(drawing.buffer_rgba())  # type: ignore[no-untyped-call]
    image = Image.fromarray(pixels).convert("RGB")
    buffer = io.BytesIO()
    few = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(buffer, format="PNG")
    return buffer.getvalue()


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Axis labels, units included; an empty text leaves the axis without."""
    axes.set_xlabel(x, fontsize=_TEXT, color=INK)
    axes.set_ylabel(y, fontsize=_TEXT, color=INK)


def caption(axes: Axes, text: str) -> None:
    """A line of small print above one panel."""
    axes.set_title(text, fontsize=_TEXT, color=INK, loc="left")


def legend(axes: Axes, place: Place, *, columns: int = 1) -> None:
    """A small legend inside the panel."""
    axes.legend(fontsize=_SMALL, ncols=columns, loc=place, framealpha=0.85, edgecolor="none")


def side_legend(axes: Axes, title: str | None = None) -> None:
    """A legend to the right of the panel, where it covers nothing."""
    axes.legend(
        fontsize=_SMALL,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.02),
        frameon=False,
        borderaxespad=0.3,
        title=title,
        title_fontsize=_SMALL,
        alignment="left",
    )


def top_legend(axes: Axes, columns: int) -> None:
    """A legend above the panel, in rows of so many entries."""
    axes.legend(
        fontsize=_SMALL,
        ncols=columns,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        frameon=False,
        borderaxespad=0.2,
        columnspacing=1.6,
    )


def say(axes: Axes, sentence: str) -> None:
    """A plain sentence in place of data that are not there."""
    axes.text(0.5, 0.5, sentence, transform=axes.transAxes, ha="center", va="center", fontsize=11, color=GREY)
    # Of this panel alone: its ticks may be shared with panels that have data.
    axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    axes.grid(False)


def date_axis(axes: Axes, most: int = 9) -> None:
    """At most about ``most`` date ticks, as years, months or days, whichever the stretch asks for."""
    locator = mdates.AutoDateLocator(minticks=most // 2, maxticks=most)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = mdates.ConciseDateFormatter(  # type: ignore[no-untyped-call]
        locator, formats=_DATE_FORMATS, zero_formats=_DATE_FORMATS, show_offset=False
    )
    axes.xaxis.set_major_formatter(formatter)


def dates(series: pl.Series) -> NDArray[np.float64]:
    """A column of dates as matplotlib's day numbers, which lines, bars and spans all take."""
    days = mdates.date2num(series.to_numpy())  # type: ignore[no-untyped-call]
    return np.asarray(days, np.float64)


def values(series: pl.Series) -> NDArray[np.float64]:
    """A column of figures, NaN where null: lines break there."""
    numbers: NDArray[np.float64] = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return numbers


def stacked(
    axes: Axes,
    x: NDArray[Any],
    parts: Sequence[tuple[str, NDArray[np.float64], str]],
    width: NDArray[Any] | float,
    **more: Any,
) -> None:
    """Bars on top of each other.

    Args:
        parts: label, heights [len(x)] and colour, from the bottom up.
    """
    floor = np.zeros(len(x))
    for label, heights, colour in parts:
        axes.bar(x, heights, width, bottom=floor, label=label, color=colour, **more)
        floor = floor + heights


def spans(axes: Axes, parts: Iterable[tuple[float, float, str, str]], *, named: bool = True) -> None:
    """Shade stretches of the x-axis and write each one's name at its top.

    Args:
        parts: first and last x, name, colour.
    """
    for left, right, name, colour in parts:
        axes.axvspan(left, right, color=colour, alpha=0.10, linewidth=0)
        if named:
            axes.text(
                (left + right) / 2,
                0.985,
                name,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="top",
                fontsize=_SMALL,
                color=INK,
            )


def _style(axes: Axes) -> None:
    axes.grid(True, color="#D9D9D9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=_SMALL, colors=INK, length=3, width=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set(color="#8A8A8A", linewidth=0.8)
