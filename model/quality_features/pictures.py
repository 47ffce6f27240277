"""Pictures of the features: where and when they are missing."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from model.pictures import canvas
from model.quality_features.coverage import read_coverage
from model.quality_features.read import ASSET
from model.quality_features.stage import LABELS
from model.store.pictures import Picture
from model.store.store import Store

if TYPE_CHECKING:
    from model.settings.root import Settings

_MONTHS = 48
"""Most months read for a picture; of a longer history they are taken at even steps, the newest among them."""
_EMPTIEST = 15
_STEPS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)
"""Percentages between which the heat map's colour changes."""


def draw_groups(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """Null share by feature group and month, as PNG."""
    return canvas.png(groups_figure(null_shares(store, _MONTHS), catalogue_groups(store)))


def draw_emptiest(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """The features with the largest null share in the newest month, as PNG."""
    return canvas.png(emptiest_figure(null_shares(store, 1), settings.features.maximum_null_share))


def catalogue_groups(store: Store) -> dict[str, str]:
    """Feature to group, in the order of the catalogue."""
    catalogue: list[dict[str, Any]] = store.read_json(ASSET, "catalogue.json")
    return {entry["name"]: entry["group"] for entry in catalogue}


def null_shares(store: Store, most: int) -> pl.DataFrame:
    """month, feature, share: share of the universe members' values that are missing, for at most ``most`` months."""
    counted = read_coverage(store).filter(pl.col("members") > 0)
    months = counted["month"].unique().sort().to_list()
    step = max(1, -(-len(months) // most))
    chosen = counted.filter(pl.col("month").is_in(months[::-1][::step]))
    features = pl.DataFrame({"column": list(catalogue_groups(store))}, schema={"column": pl.String})
    return (
        chosen.filter(pl.col("table") != LABELS)
        .join(features.with_row_index("order"), on="column")
        .sort("month", "order")
        .select("month", feature="column", share=pl.col("nulls") / pl.col("members"))
    )


def groups_figure(shares: pl.DataFrame, groups: dict[str, str]) -> Figure:
    """A heat map: feature groups by months.

    Args:
        shares: month, feature, share.
        groups: feature to group, in the order of the rows from the top.
    """
    figure, axes = canvas.sheet("What share of the features is missing? Universe members, by group and month")
    if shares.is_empty():
        canvas.say(axes, "no universe member yet")
        return figure
    rows = list(dict.fromkeys(groups.values()))
    months = shares["month"].unique().sort().to_list()
    of_group = shares.with_columns(group=pl.col("feature").replace_strict(groups)).group_by("group", "month")
    grid = np.full((len(rows), len(months)), np.nan)
    for group, month, share in of_group.agg(pl.col("share").mean()).iter_rows():
        grid[rows.index(group), months.index(month)] = 100.0 * share
    steps = BoundaryNorm(_STEPS, 256)  # uneven: a percent more matters near nothing
    image = axes.imshow(grid, aspect="auto", cmap=canvas.SEQUENTIAL, norm=steps, interpolation="nearest")
    counts = {group: list(groups.values()).count(group) for group in rows}
    axes.set_yticks(range(len(rows)), [f"{group} ({counts[group]})" for group in rows])
    step = -(-len(months) // 12)
    axes.set_xticks(range(0, len(months), step), months[::step])
    axes.grid(False)
    canvas.name_axes(axes, "month", "group (features in it)")
    bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=28, ticks=_STEPS, format="%g")
    bar.set_label("missing values (%)", fontsize=9.5)
    bar.ax.tick_params(labelsize=8.5)
    return figure


def emptiest_figure(shares: pl.DataFrame, limit: float) -> Figure:
    """Bars of the emptiest features.

    Args:
        shares: month, feature, share, of one month.
        limit: share above which the check complains.
    """
    month = "" if shares.is_empty() else f", {shares['month'][-1]}"
    figure, axes = canvas.sheet(f"Which features are the emptiest? Universe members{month}")
    canvas.name_axes(axes, "missing values (%)", "")
    found = shares.filter(pl.col("share") > 0).sort(["share", "feature"], descending=[True, False]).head(_EMPTIEST)
    if found.is_empty():
        canvas.say(axes, "no universe member yet" if shares.is_empty() else "no feature has a missing value")
        return figure
    heights = 100.0 * canvas.values(found["share"])
    bars = axes.barh(found["feature"].to_list(), heights, color=canvas.BLUE, height=0.7)
    axes.bar_label(bars, fmt="%.1f", fontsize=8.5, padding=3)
    axes.invert_yaxis()
    axes.set_xlim(0.0, min(108.0, 1.12 * max(heights.max(), 100.0 * limit)))
    label = f"features.maximum_null_share = {limit:.0%}"
    axes.axvline(100.0 * limit, color=canvas.RED, linestyle="--", linewidth=1.2, label=label)
    canvas.top_legend(axes, 1)
    axes.grid(False, axis="y")
    return figure


PICTURES: tuple[Picture, ...] = (
    Picture("missing_by_group", "Missing values by feature group and month", draw_groups),
    Picture("emptiest_features", "The emptiest features of the newest month", draw_emptiest),
)
