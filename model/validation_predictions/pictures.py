"""Pictures of the predictions: how well they rank through time, and whether the quantiles are honest."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from model.metrics.ic import daily_ic
from model.pictures import canvas, rank_ic
from model.store.pictures import Picture
from model.store.store import Store
from model.validation_predictions.artefact import ASSET, PREDICTIONS

if TYPE_CHECKING:
    from model.settings.root import Settings


def draw_rank_ic(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Rolling RankIC by horizon, as PNG."""
    columns = ["Date", "Code", "horizon", "prediction", "label"]
    predictions = store.read_table(ASSET, PREDICTIONS, partition, columns)
    daily = daily_ic(predictions, by=["horizon", "Date"], min_names=settings.portfolio.min_names)
    return canvas.png(rank_ic_figure(daily))


def draw_calibration(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Share of labels below each quantile, as PNG."""
    return canvas.png(calibration_figure(below_quantiles(store.read_table(ASSET, PREDICTIONS, partition))))


def below_quantiles(predictions: pl.DataFrame) -> pl.DataFrame:
    """horizon, level, share, n: how many of the known labels lie below each quantile.

    Quantiles are of the excess over the day's mean, so the labels' mean of the day is taken off first.

    Args:
        predictions: Date, horizon, label and columns such as ``q05`` (level 0.05).
    """
    names = [name for name in predictions.columns if name.startswith("q") and name[1:].isdigit()]
    excess = pl.col("label") - pl.col("label").mean().over("Date", "horizon")
    known = predictions.filter(pl.col("label").is_finite()).with_columns(excess=excess)
    below = [(pl.col("excess") < pl.col(name)).mean().alias(name) for name in names]
    shares = known.group_by("horizon").agg(pl.len().alias("n"), *below)
    return (
        shares.unpivot(names, index=["horizon", "n"], variable_name="quantile", value_name="share")
        .with_columns(level=("0." + pl.col("quantile").str.slice(1)).cast(pl.Float64))
        .select("horizon", "level", "share", "n")
        .sort("horizon", "level")
    )


def rank_ic_figure(daily: pl.DataFrame) -> Figure:
    """A line for each horizon.

    Args:
        daily: horizon, Date, rank_ic.
    """
    title = f"How well does the network rank on the test days? RankIC, mean of {rank_ic.WINDOW} days"
    figure, axes = canvas.sheet(title)
    canvas.name_axes(axes, "test day", "RankIC")
    horizons = daily["horizon"].unique().sort().to_list()
    series = {_name(h): colour for h, colour in zip(horizons, canvas.PALETTE, strict=False)}
    named = daily.with_columns(
        series=pl.col("horizon").replace_strict({h: _name(h) for h in horizons}, return_dtype=pl.String)
    )
    rank_ic.draw(axes, named.sort("series", "Date"), series, dots=len(horizons) <= 2)
    if axes.lines:
        canvas.top_legend(axes, 2)
    return figure


def calibration_figure(shares: pl.DataFrame) -> Figure:
    """Bars of the observed shares, a group for each quantile; the share it should be as a line.

    Args:
        shares: horizon, level, share, n.
    """
    figure, axes = canvas.sheet("Are the quantiles honest? Share of labels below each, test days")
    canvas.name_axes(axes, "quantile predicted (%)", "labels below it (%)")
    if shares.is_empty():
        canvas.say(axes, rank_ic.NO_LABELS)
        return figure
    levels = shares["level"].unique().sort().to_numpy()
    horizons = shares["horizon"].unique().sort().to_list()
    width = 0.8 / len(horizons)
    for number, (horizon, colour) in enumerate(zip(horizons, canvas.PALETTE, strict=False)):
        own = shares.filter(pl.col("horizon") == horizon).sort("level")
        x = np.searchsorted(levels, own["level"].to_numpy()) - 0.4 + width * (number + 0.5)
        label = f"{_name(horizon)}: {own['n'][0]:,} labels"
        heights = 100.0 * canvas.values(own["share"])
        axes.bar(x, heights, 0.92 * width, color=colour, label=label)
        for place, height, level in zip(x, heights, own["level"], strict=True):
            above = max(height, 100.0 * level)  # clear of the bar and of the line
            axes.text(place, above + 1.2, f"{height:.0f}", ha="center", va="bottom", fontsize=7.5, color=canvas.INK)
    centres = np.arange(len(levels))
    left, right = centres - 0.46, centres + 0.46
    axes.hlines(100.0 * levels, left, right, color=canvas.INK, linewidth=1.8, label="as it should be")
    axes.set_xticks(centres, [f"{100.0 * level:g}" for level in levels])
    axes.set_ylim(0.0, 108.0)
    axes.grid(False, axis="x")
    canvas.legend(axes, "upper left")
    return figure


def _name(horizon: int) -> str:
    return f"{horizon} {'day' if horizon == 1 else 'days'}"


PICTURES: tuple[Picture, ...] = (
    Picture("rank_ic", "Rolling RankIC by horizon", draw_rank_ic),
    Picture("calibration", "Share of labels below each quantile", draw_calibration),
)
