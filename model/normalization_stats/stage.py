"""Materialise a fold's normalisation: daily statistics, clip bounds, target scales.

The daily statistics lie in month chunks, each a function of the month's features alone, so folds share them: a chunk
that this fold or another one has already made from the same values is taken over by a hard link. What is fitted on
train dates follows from the daily numbers. A fix of one day costs one month, in one fold.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from model.errors import DataError
from model.freed_memory import keep_freed_memory
from model.normalization_stats.daily import SOURCE, MonthChunks
from model.normalization_stats.load import ASSET, daily_grid
from model.normalization_stats.settings import NormalizationSettings
from model.normalization_stats.statistics import Kind, clip_bounds, fitted_in_time, pooled, robust_scale
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.walk_forward_folds.fold import Fold


def materialise(run: StageRun) -> Manifest:
    """Compute the statistics of the fold that ``run.partition`` names.

    Raises:
        StoreError: the fold or the features are not materialised.
        DataError: the fold has no universe members or no labels on its train dates.
    """
    if run.partition is None:
        raise ValueError("normalization_stats is computed for one fold at a time")
    keep_freed_memory()  # months of values come and go
    settings = run.settings.normalization
    fold = Fold.load(run.store, run.partition)
    kinds = feature_kinds(run.store)
    with run.writer(ASSET) as w:
        chunks = MonthChunks(run, w, fold, kinds)
        daily, labels = chunks.bring()
        train = daily.filter(pl.col("Date").is_in(list(fold.train_dates)))
        _require_members(train, fold, kinds)
        w.table("bounds.parquet", _bounds(train, kinds, settings), key=("feature",))
        w.table("targets.parquet", _targets(labels, fold, run.settings.labels.horizons), key=("horizon",))
        w.json(
            "normalization.json",
            {
                "features": list(kinds),
                "kinds": dict(kinds),
                "method": settings.method,
                "clip_quantiles": list(settings.clip_quantiles),
                "hard_cap": settings.hard_cap,
                "minimum_names": settings.minimum_names,
                "fitted_from": str(fold.train_dates[0]),
                "fitted_to": str(fold.train_dates[-1]),
                "fitted_days": len(fold.train_dates),
            },
        )
        w.extra["features"] = len(kinds)
        w.extra["chunks_taken_over"] = chunks.taken_over
    return w.manifest


def feature_kinds(store: Store) -> dict[str, Kind]:
    """How each feature of the catalogue is scaled, in the order of the catalogue."""
    catalogue = store.read_json(SOURCE, "catalogue.json")
    return {entry["name"]: "market" if entry["scope"] == "market" else "cross_section" for entry in catalogue}


def _require_members(train: pl.DataFrame, fold: Fold, kinds: Mapping[str, Kind]) -> None:
    empty = len(fold.train_dates) - int(daily_grid(train, "n", list(kinds)).any(axis=1).sum())
    # Few such days are an outage of the exchange; how many there may be is the fold's own check.
    if 2 * empty >= len(fold.train_dates):
        raise DataError(
            f"{empty} of {len(fold.train_dates)} train dates from {fold.train_start} to {fold.train_end} have no "
            "universe member with any feature, so nothing is there to normalise by. Start the folds later (folds), or "
            "widen the universe."
        )


def _bounds(train: pl.DataFrame, kinds: Mapping[str, Kind], settings: NormalizationSettings) -> pl.DataFrame:
    """Feature, clip bounds, kind; centre and scale of market features, which are fitted in time."""
    names = sorted(kinds)
    thin = daily_grid(train, "n", names) < settings.minimum_names
    low, high = (daily_grid(train, name, names) for name in ("low", "high"))
    robust = settings.method == "robust"
    centers = daily_grid(train, "median" if robust else "mean", names)
    scales = daily_grid(train, "std", names)
    if robust:
        scales = robust_scale(daily_grid(train, "mad", names), scales)
    scales[thin] = np.nan
    lowest, highest = clip_bounds(low, high, centers, scales, settings.hard_cap)
    center, scale = np.full((2, len(names)), np.nan)
    values = daily_grid(train, "median", names)
    for index, name in enumerate(names):
        if kinds[name] == "market":
            center[index], scale[index] = fitted_in_time(values[:, index], settings.method)
            known = values[~np.isnan(values[:, index]), index]
            ends = np.quantile(known, settings.clip_quantiles) if len(known) else np.full(2, np.nan)
            own = slice(index, index + 1)
            lowest[own], highest[own] = clip_bounds(
                ends[:1, None], ends[1:, None], center[own, None], scale[own, None], settings.hard_cap
            )
    table = pl.DataFrame(
        {
            "feature": names,
            "low": lowest,
            "high": highest,
            "kind": [kinds[name] for name in names],
            "center": center,
            "scale": scale,
        }
    )
    return table.with_columns(pl.col("center", "scale").fill_nan(None))


def _targets(labels: pl.DataFrame, fold: Fold, horizons: tuple[int, ...]) -> pl.DataFrame:
    """Centre and scale of each horizon's labels over universe members on the train dates that it is fitted on."""
    fitted: list[tuple[int, float, float]] = []
    for horizon in horizons:
        dates = fold.fitted_dates(horizon)
        own = labels.filter((pl.col("horizon") == horizon) & pl.col("Date").is_in(list(dates)))
        n, mean, squares = own["n"].cast(pl.Int64).to_numpy(), own["mean"].to_numpy(), own["squares"].to_numpy()
        center, scale = pooled(n, mean, squares)
        if not scale > 0.0:
            raise DataError(
                f"target_{horizon} has no two different labels among {int(n.sum())} rows of universe members on the "
                f"{len(dates)} train dates from {fold.train_start} on, so it has no scale. Check the labels of "
                "quality_features."
            )
        fitted.append((horizon, scale, center))
    schema = {"horizon": pl.Int32, "scale": pl.Float64, "center": pl.Float64}
    return pl.DataFrame(fitted, schema=schema, orient="row").sort("horizon")
