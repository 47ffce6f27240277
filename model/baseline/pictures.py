"""Pictures of the baselines: what LightGBM looks at, and how well the models rank on the test days."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from model.baseline.artefact import ASSET
from model.metrics.ic import daily_ic
from model.pictures import canvas, rank_ic
from model.store.pictures import Picture
from model.store.store import Store
from model.walk_forward_folds.fold import Fold

if TYPE_CHECKING:
    from model.settings.root import Settings

_LABELS = "quality_features"
_MOST = 15
_MODELS = {"lightgbm": canvas.BLUE, "ridge": canvas.RED}


def draw_importances(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """The features with the largest gain, as PNG."""
    table = store.read_table(ASSET, "importances.parquet", partition)
    return canvas.png(importances_figure(table, main_horizons(settings)))


def draw_rank_ic(store: Store, settings: "Settings", partition: str | None) -> bytes:
    """RankIC of LightGBM and ridge on the test days, as PNG."""
    if partition is None:
        raise ValueError(f"{ASSET} has a picture for each fold, and no fold was named")
    fold, horizons = Fold.load(store, partition), main_horizons(settings)
    predictions = store.read_table(ASSET, "predictions.parquet", partition).filter(
        pl.col("model").is_in(list(_MODELS)) & pl.col("horizon").is_in(horizons)
    )
    columns = ["Date", "Code", *(f"target_{h}" for h in horizons)]
    labels = store.read_chunks(_LABELS, "labels", start=fold.test_start, end=fold.test_end, columns=columns)
    daily = model_rank_ic(predictions, labels, horizons, settings.portfolio.min_names)
    return canvas.png(rank_ic_figure(daily, horizons))


def main_horizons(settings: "Settings") -> tuple[int, ...]:
    """The report's headline horizon and the longest one."""
    horizons = settings.labels.horizons
    headline = settings.portfolio.headline_horizon
    return tuple(sorted({headline if headline in horizons else horizons[0], horizons[-1]}))


def model_rank_ic(
    predictions: pl.DataFrame, labels: pl.DataFrame, horizons: tuple[int, ...], min_names: int
) -> pl.DataFrame:
    """Date, horizon, series (the model), rank_ic of every test day; null where labels are not known yet."""
    long = labels.unpivot(
        [f"target_{h}" for h in horizons], index=["Date", "Code"], variable_name="target", value_name="label"
    ).select("Date", "Code", "label", horizon=pl.col("target").str.strip_prefix("target_").cast(pl.Int32))
    pairs = predictions.join(long, on=["Date", "Code", "horizon"], how="left")
    daily = daily_ic(pairs, by=["model", "horizon", "Date"], min_names=min_names)
    return daily.select("Date", "horizon", "rank_ic", series="model")


def importances_figure(importances: pl.DataFrame, horizons: tuple[int, ...]) -> Figure:
    """Bars of the largest gains, a panel for each horizon.

    Args:
        importances: horizon, feature, gain (share of the horizon's total).
    """
    figure, panels = canvas.sheet("Which features does LightGBM gain most from?", 1, len(horizons), squeeze=False)
    for axes, horizon in zip(panels[0], horizons, strict=True):
        canvas.name_axes(axes, "share of the total gain (%)", "")
        canvas.caption(axes, f"horizon {horizon} {'day' if horizon == 1 else 'days'}")
        own = importances.filter((pl.col("horizon") == horizon) & (pl.col("gain") > 0))
        if own.is_empty():
            canvas.say(axes, "no tree was grown")
            continue
        top = own.sort(["gain", "feature"], descending=[True, False]).head(_MOST)
        axes.barh(top["feature"].to_list(), 100.0 * canvas.values(top["gain"]), color=canvas.BLUE, height=0.7)
        axes.set_ylim(_MOST - 0.5, -0.5)
        axes.set_yticks(np.arange(top.height), top["feature"].to_list(), fontsize=8.5)
        axes.grid(False, axis="y")
    return figure


def rank_ic_figure(daily: pl.DataFrame, horizons: tuple[int, ...]) -> Figure:
    """Daily RankIC and its rolling mean, a panel for each horizon.

    Args:
        daily: Date, horizon, series, rank_ic.
    """
    title = f"How well do the baselines rank on the test days? RankIC, mean of {rank_ic.WINDOW} days"
    figure, panels = canvas.sheet(title, 1, len(horizons), squeeze=False, sharey=True)
    for axes, horizon in zip(panels[0], horizons, strict=True):
        canvas.name_axes(axes, "test day", "RankIC" if axes is panels[0][0] else "")
        canvas.caption(axes, f"horizon {horizon} {'day' if horizon == 1 else 'days'}")
        own = daily.filter(pl.col("horizon") == horizon).sort("series", "Date")
        rank_ic.draw(axes, own, _MODELS, ticks=5)
        if axes.lines:
            canvas.legend(axes, "lower left")
    low, high = panels[0][0].get_ylim()
    panels[0][0].set_ylim(low - 0.2 * (high - low), high)  # room for the legends
    return figure


PICTURES: tuple[Picture, ...] = (
    Picture("importances", "Features by LightGBM's gain", draw_importances),
    Picture("rank_ic", "RankIC of LightGBM and ridge on the test days", draw_rank_ic),
)
