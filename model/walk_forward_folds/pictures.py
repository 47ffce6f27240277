"""The picture of a fold: which days play which part."""

from itertools import groupby
from typing import TYPE_CHECKING

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model.pictures import canvas
from model.store.pictures import Picture
from model.store.store import Store
from model.walk_forward_folds.fold import ASSET

if TYPE_CHECKING:
    from model.settings.root import Settings


def draw_timeline(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """The fold's timeline, as PNG."""
    days = store.read_table(ASSET, "dates.parquet", partition, ["Date", "role"])
    return canvas.png(timeline_figure(str(partition), days))


def timeline_figure(name: str, days: pl.DataFrame) -> Figure:
    """A lane with one bar for each stretch of days of one role, from the top down in the order of time.

    Args:
        days: Date, role; sorted.
    """
    figure, axes = canvas.sheet(f"Fold {name}: which trading days play which part?")
    canvas.name_axes(axes, "date", "")
    if days.is_empty():
        canvas.say(axes, "no trading day yet")
        return figure
    x = canvas.dates(days["Date"])
    dates, roles = days["Date"].to_list(), days["role"].to_list()
    span = float(x[-1] - x[0]) + 1.0
    lanes = []
    for lane, (role, positions) in enumerate(groupby(range(len(roles)), key=roles.__getitem__)):
        stretch = list(positions)
        first, last = stretch[0], stretch[-1]
        left, right = float(x[first]), float(x[last]) + 1.0
        axes.barh(lane, right - left, left=left, height=0.66, color=canvas.ROLE_COLOURS[role])
        text = f"{dates[first]} to {dates[last]}, {len(stretch)} {'day' if len(stretch) == 1 else 'days'}"
        _label(axes, text, lane, (left, right), (float(x[0]), span))
        lanes.append(role)
    axes.set_yticks(range(len(lanes)), lanes, fontsize=9.5)
    axes.invert_yaxis()
    axes.set_xlim(x[0] - 0.01 * span, x[-1] + 0.02 * span)
    axes.grid(False, axis="y")
    canvas.date_axis(axes)
    return figure


def _label(axes: Axes, text: str, lane: int, bar: tuple[float, float], window: tuple[float, float]) -> None:
    """Write inside a long bar, else beside it on the side that has room (the text takes under a third of the width)."""
    left, right = bar
    start, span = window
    if right - left > 0.33 * span:
        x, shift, side, colour = (left + right) / 2, 0, "center", "white"
    elif right < start + 0.66 * span:
        x, shift, side, colour = right, 5, "left", canvas.INK
    else:
        x, shift, side, colour = left, -5, "right", canvas.INK
    axes.annotate(
        text,
        (x, lane),
        xytext=(shift, 0),
        textcoords="offset points",
        ha=side,
        va="center",
        fontsize=8.5,
        color=colour,
    )


PICTURES: tuple[Picture, ...] = (Picture("timeline", "Timeline of the fold", draw_timeline),)
