"""Daily RankIC through time: the days as dots, their rolling mean as a line."""

from collections.abc import Mapping

import polars as pl
from matplotlib.axes import Axes

from model.pictures import canvas

WINDOW = 20
"""Trading days of the rolling mean."""
_FEWEST = 5
"""Days with a RankIC that a rolling mean needs."""

NO_LABELS = "no labels yet"


def draw(axes: Axes, daily: pl.DataFrame, series: Mapping[str, str], *, dots: bool = True, ticks: int = 9) -> None:
    """Draw the series whose RankIC is known on some day; say so where there is none.

    Args:
        daily: Date, series, rank_ic (null where a day has none), sorted by Date within each series.
        series: name and colour of each series, in the order of the legend.
        dots: whether the single days are shown.
        ticks: most date ticks.
    """
    known = daily.filter(pl.col("rank_ic").is_not_null())
    if known.is_empty():
        canvas.say(axes, NO_LABELS)
        return
    axes.axhline(0.0, color=canvas.INK, linewidth=0.9)
    for name, colour in series.items():
        own = daily.filter(pl.col("series") == name)
        days = own["rank_ic"].drop_nulls()
        if days.is_empty():
            axes.plot([], [], color=colour, linewidth=1.9, label=f"{name}: {NO_LABELS}")
            continue
        x = canvas.dates(own["Date"])
        if dots:
            axes.scatter(x, canvas.values(own["rank_ic"]), s=7, color=colour, alpha=0.3, linewidths=0)
        mean = own["rank_ic"].rolling_mean(WINDOW, min_samples=min(_FEWEST, len(days)))
        mean = own.select(pl.when(pl.col("rank_ic").is_not_null()).then(mean))["rank_ic"]  # no line where no label is
        label = f"{name}: mean {days.sum() / len(days):+.3f}, {len(days)} days"
        axes.plot(x, canvas.values(mean), color=colour, linewidth=1.9, label=label)
    canvas.date_axis(axes, ticks)
