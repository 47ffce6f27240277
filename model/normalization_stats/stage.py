"""Materialise a fold's normalisation: daily statistics, clip bounds, target scales."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.errors import DataError
from model.normalization_stats.load import ASSET
from model.normalization_stats.settings import NormalizationSettings
from model.normalization_stats.statistics import (
    Array,
    Daily,
    Kind,
    clip_bounds,
    daily_statistics,
    target_scale,
)
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.walk_forward_folds.fold import Fold

SOURCE = "quality_features"


@dataclass(frozen=True)
class Members:
    """Feature rows of the universe members of a fold's window."""

    dates: tuple[Any, ...]
    """Every date of the window, in order."""
    day: NDArray[np.int64]
    """Position of each row's date."""
    train: NDArray[np.bool_]
    """Which of the dates are train dates."""
    values: dict[str, Array]
    """Feature name to values ``[rows]``, NaN for missing, in the order of the catalogue."""


def materialise(run: StageRun) -> Manifest:
    """Compute the statistics of the fold that ``run.partition`` names.

    Raises:
        StoreError: the fold or the features are not materialised.
        DataError: the fold has no universe members or no labels on its train dates.
    """
    if run.partition is None:
        raise ValueError("normalization_stats is computed for one fold at a time")
    settings = run.settings.normalization
    fold = Fold.load(run.store, run.partition)
    kinds = feature_kinds(run.store)
    members = read_members(run.store, fold, tuple(kinds))
    run.progress(1, 3, f"{len(members.day)} rows of {len(members.dates)} days")
    daily = daily_statistics(members.values, kinds, members.day, members.train)
    run.progress(2, 3, "clip bounds")
    with run.writer(ASSET) as w:
        w.table("daily.parquet", daily_table(members, daily), key=("Date", "feature"))
        w.table("bounds.parquet", _bounds(members, daily, kinds, settings), key=("feature",))
        w.table("targets.parquet", _targets(run.store, fold, run.settings.labels.horizons), key=("horizon",))
        w.json(
            "normalization.json",
            {
                "features": list(kinds),
                "kinds": dict(kinds),
                "method": settings.method,
                "clip_quantiles": list(settings.clip_quantiles),
                "hard_cap": settings.hard_cap,
                "fitted_from": str(fold.train_dates[0]),
                "fitted_to": str(fold.train_dates[-1]),
                "fitted_days": len(fold.train_dates),
            },
        )
        w.extra["features"] = len(kinds)
        w.extra["rows"] = len(members.day)
    run.progress(3, 3, "done")
    return w.manifest


def feature_kinds(store: Store) -> dict[str, Kind]:
    """How each feature of the catalogue is scaled, in the order of the catalogue."""
    catalogue = store.read_json(SOURCE, "catalogue.json")
    return {entry["name"]: "market" if entry["scope"] == "market" else "cross_section" for entry in catalogue}


def read_members(store: Store, fold: Fold, features: tuple[str, ...]) -> Members:
    """The fold's slice of the features, universe members only.

    Raises:
        DataError: a train date has no universe member.
    """
    rows = store.read_chunks(
        SOURCE,
        "features",
        start=fold.window_start,
        end=fold.window_end,
        columns=["Date", "InUniverse", *features],
    ).filter("InUniverse")
    dates = tuple(fold.window_dates)
    numbers = pl.Series(dates, dtype=pl.Date).to_physical().to_numpy()
    own = rows["Date"].to_physical().to_numpy()
    known = np.isin(own, numbers)
    day = np.searchsorted(numbers, own[known]).astype(np.int64)
    train = np.isin(numbers, pl.Series(tuple(fold.train_dates), dtype=pl.Date).to_physical().to_numpy())
    empty = int((np.bincount(day, minlength=len(dates))[train] == 0).sum())
    if empty or not train.any():
        raise DataError(
            f"{empty} of {int(train.sum())} train dates from {fold.train_start} to {fold.train_end} have no universe "
            "member, so features cannot be normalised there. Start the folds later (folds), or widen the universe."
        )
    values = {name: rows[name].cast(pl.Float64).to_numpy()[known] for name in features}
    return Members(dates, day, train, values)


def daily_table(members: Members, daily: Mapping[str, Daily]) -> pl.DataFrame:
    """Date, feature, n, mean, std, median, mad for every date and feature, sorted; null where there is no value."""
    names = sorted(daily)
    days = len(members.dates)

    def column(statistic: str) -> NDArray[Any]:
        return np.stack([getattr(daily[name], statistic) for name in names], axis=1).ravel()

    return pl.DataFrame(
        {
            "Date": pl.Series(members.dates, dtype=pl.Date).gather(np.repeat(np.arange(days), len(names))),
            "feature": pl.Series(names * days, dtype=pl.String),
            "n": pl.Series(column("n"), dtype=pl.Int32),
            **{
                name: pl.Series(column(name), dtype=pl.Float64, nan_to_null=True)
                for name in ("mean", "std", "median", "mad")
            },
        }
    )


def _bounds(
    members: Members, daily: Mapping[str, Daily], kinds: Mapping[str, Kind], settings: NormalizationSettings
) -> pl.DataFrame:
    names = sorted(daily)
    bounds = [
        clip_bounds(
            members.values[name],
            members.day,
            daily[name],
            members.train,
            settings.method,
            settings.clip_quantiles,
            settings.hard_cap,
        )
        for name in names
    ]
    return pl.DataFrame(
        {
            "feature": names,
            "low": [low for low, _ in bounds],
            "high": [high for _, high in bounds],
            "kind": [kinds[name] for name in names],
        },
        schema={"feature": pl.String, "low": pl.Float64, "high": pl.Float64, "kind": pl.String},
    )


def _targets(store: Store, fold: Fold, horizons: tuple[int, ...]) -> pl.DataFrame:
    """Centre and scale of each horizon's labels over universe members on train dates."""
    columns = [f"target_{h}" for h in horizons]
    rows = store.read_chunks(
        SOURCE,
        "labels",
        start=fold.train_dates[0],
        end=fold.train_dates[-1],
        columns=["Date", "InUniverse", *columns],
    ).filter(pl.col("InUniverse") & pl.col("Date").is_in(list(fold.train_dates)))
    fitted = [target_scale(rows[name].to_numpy()) for name in columns]
    for name, (_, scale) in zip(columns, fitted, strict=True):
        if not scale > 0.0:
            raise DataError(
                f"{name} has no two different labels among {rows.height} rows of universe members on the train dates, "
                f"{fold.train_start} to {fold.train_end}, so it has no scale. Check the labels of quality_features."
            )
    return pl.DataFrame(
        {
            "horizon": pl.Series(horizons, dtype=pl.Int32),
            "scale": [scale for _, scale in fitted],
            "center": [center for center, _ in fitted],
        }
    )
