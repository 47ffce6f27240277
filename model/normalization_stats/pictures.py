"""Pictures of the normalisation: where z-scores are clipped, and whether the features' spread drifts."""

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from model.normalization_stats.load import ASSET, read_daily
from model.pictures import canvas
from model.store.pictures import Picture
from model.store.store import Store
from model.walk_forward_folds.fold import Fold

if TYPE_CHECKING:
    from model.settings.root import Settings

_MOST_NAMES = 70


def draw_bounds(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Clip bounds of every feature, as PNG."""
    bounds = store.read_table(ASSET, "bounds.parquet", partition)
    return canvas.png(bounds_figure(bounds, settings.normalization.hard_cap))


def draw_drift(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """How each day's spread of the features compares with that of the train days, as PNG."""
    if partition is None:
        raise ValueError(f"{ASSET} has a picture for each fold, and no fold was named")
    fold = Fold.load(store, partition)
    roles = pl.DataFrame({"Date": fold.window_dates, "role": fold.roles}, schema={"Date": pl.Date, "role": pl.String})
    daily = read_daily(store, partition, ["std"])
    kinds = store.read_table(ASSET, "bounds.parquet", partition, ["feature", "kind"])
    own = kinds.filter(pl.col("kind") == "cross_section")["feature"].to_list()
    return canvas.png(drift_figure(daily.filter(pl.col("feature").is_in(own)), roles))


def bounds_figure(bounds: pl.DataFrame, cap: float) -> Figure:
    """A bar from low to high for each feature, narrowest first.

    Args:
        bounds: feature, low, high, kind.
        cap: largest absolute z-score that any bound may have.
    """
    figure, axes = canvas.sheet("Between which z-scores is each feature clipped?", height=500)
    canvas.name_axes(axes, "", "z-score (standard deviations)")
    if bounds.is_empty():
        canvas.say(axes, "no features")
        return figure
    ordered = bounds.sort(pl.col("high") - pl.col("low"), "feature")
    low, high = canvas.values(ordered["low"]), canvas.values(ordered["high"])
    market = (ordered["kind"] == "market").to_numpy()
    x = np.arange(ordered.height)
    for label, chosen, colour in (
        ("scaled within the day's cross-section", ~market, canvas.BLUE),
        ("one value a day for all names (market)", market, canvas.ORANGE),
    ):
        if chosen.any():
            heights = (high - low)[chosen]
            axes.bar(x[chosen], heights, 0.55, bottom=low[chosen], color=colour, label=label)
    axes.axhline(cap, color=canvas.RED, linestyle="--", linewidth=1.0, label=f"normalization.hard_cap = {cap:g}")
    axes.axhline(-cap, color=canvas.RED, linestyle="--", linewidth=1.0)
    axes.axhline(0.0, color=canvas.INK, linewidth=0.8)
    # Names that can be read: all of a few features, every second or third one of many.
    step = -(-ordered.height // _MOST_NAMES)
    axes.set_xticks(
        x[::step], ordered["feature"].to_list()[::step], rotation=90, fontsize=min(8.5, 560.0 / len(x[::step]))
    )
    axes.set_xlim(-0.8, ordered.height - 0.2)
    axes.set_ylim(-1.06 * cap, 1.06 * cap)
    axes.grid(False, axis="x")
    axes.legend(fontsize=8.5, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    return figure


def drift_figure(daily: pl.DataFrame, roles: pl.DataFrame) -> Figure:
    """Median and band, over the features, of a day's spread as a multiple of the train days' median spread.

    Args:
        daily: Date, feature, std (of the day's universe members).
        roles: Date, role; sorted.
    """
    figure, axes = canvas.sheet("Does the spread of the features drift away from the train days?")
    canvas.name_axes(axes, "trading day", "day's standard deviation\n(1 = median of the train days)")
    train = daily.join(roles.filter(pl.col("role") == "train"), on="Date", how="semi")
    usual = train.group_by("feature").agg(usual=pl.col("std").median()).filter(pl.col("usual") > 0)
    ratio = (
        daily.join(usual, on="feature")
        .with_columns(ratio=pl.col("std") / pl.col("usual"))
        .filter(pl.col("ratio") > 0)
        .group_by("Date")
        .agg(
            low=pl.col("ratio").quantile(0.1, "linear"),
            middle=pl.col("ratio").median(),
            high=pl.col("ratio").quantile(0.9, "linear"),
        )
        .sort("Date")
    )
    if ratio.is_empty():
        canvas.say(axes, "no feature has a spread on the train days")
        return figure
    x = canvas.dates(ratio["Date"])
    low, high = canvas.values(ratio["low"]), canvas.values(ratio["high"])
    axes.fill_between(x, low, high, color=canvas.BLUE, alpha=0.22, linewidth=0, label="10 % to 90 % of the features")
    axes.plot(x, canvas.values(ratio["middle"]), color=canvas.BLUE, linewidth=1.6, label="median feature")
    axes.axhline(1.0, color=canvas.INK, linewidth=0.9)
    axes.set_yscale("log", base=2)
    ticks = [2.0**power for power in range(-6, 7)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(min(0.45, float(np.nanmin(low)) / 1.1), max(2.2, float(np.nanmax(high)) * 1.4))
    canvas.spans(axes, role_spans(roles))
    canvas.date_axis(axes)
    canvas.legend(axes, "lower left", columns=2)
    return figure


def role_spans(roles: pl.DataFrame) -> list[tuple[float, float, str, str]]:
    """The stretches of the train, validation and test days, to shade."""
    x, names = canvas.dates(roles["Date"]), roles["role"].to_list()
    found = []
    for role, positions in groupby(range(len(names)), key=names.__getitem__):
        stretch = list(positions)
        if role in ("train", "validation", "test"):
            found.append((float(x[stretch[0]]), float(x[stretch[-1]]), role, canvas.ROLE_COLOURS[role]))
    return found


PICTURES: tuple[Picture, ...] = (
    Picture("clip_bounds", "Clip bounds of the z-scores by feature", draw_bounds),
    Picture("spread_drift", "Spread of the features through the window", draw_drift),
)
