"""Checks of a fold's normalisation."""

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from model.normalization_stats.load import ASSET, load_normalizer
from model.normalization_stats.stage import feature_kinds, read_members
from model.normalization_stats.statistics import z_scores
from model.store.checks import Check, CheckOutcome
from model.store.store import Store
from model.walk_forward_folds.fold import Fold

if TYPE_CHECKING:
    from model.settings.root import Settings

_TOLERANCE = 1e-6


def check_fitted_on_train(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Everything fitted comes from dates within the train span, and market rows are the same on every date."""
    fold = Fold.load(store, partition or "")
    about = store.read_json(ASSET, "normalization.json", partition)
    first, last = date.fromisoformat(about["fitted_from"]), date.fromisoformat(about["fitted_to"])
    inside = fold.train_start <= first <= last <= fold.train_end
    markets = [name for name, kind in about["kinds"].items() if kind == "market"]
    varying = (
        store.read_table(ASSET, "daily.parquet", partition)
        .filter(pl.col("feature").is_in(markets))
        .group_by("feature")
        .agg(pl.col("mean", "std").n_unique().name.suffix("_count"))
        .filter((pl.col("mean_count") > 1) | (pl.col("std_count") > 1))
    )["feature"].to_list()
    return CheckOutcome(
        inside and not varying,
        f"Fitted on {first} to {last}, train dates are {fold.train_start} to {fold.train_end}; "
        f"{len(varying)} of {len(markets)} market features change their scale within the fold.",
        metadata={"fitted_from": str(first), "fitted_to": str(last), "varying": sorted(varying)},
    )


def check_enough_names(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Once a feature's window has filled, every train date has the minimum number of names for it."""
    minimum = settings.normalization.minimum_names
    by_feature = (
        _on_train(store, partition)
        .with_columns(enough=pl.col("n") >= minimum)
        .with_columns(filled=pl.col("enough").cum_max().over("feature", order_by="Date"))
        .group_by("feature")
        .agg(
            thin_days=(pl.col("filled") & ~pl.col("enough")).sum(), ever=pl.col("filled").any(), most=pl.col("n").max()
        )
        .sort("thin_days", "feature", descending=[True, False])
    )
    thin = by_feature.filter(pl.col("thin_days") > 0)
    never = by_feature.filter(~pl.col("ever"), pl.col("most") > 0)["feature"].to_list()
    worst = dict(zip(thin["feature"].to_list(), thin["thin_days"].to_list(), strict=True))
    return CheckOutcome(
        thin.is_empty() and not never,
        f"{thin.height} features fall below {minimum} names on some train date after their window has filled; "
        f"{len(never)} have values and never for as many names.",
        metadata={"minimum": minimum, "never": never, **{f"thin_days_{k}": v for k, v in list(worst.items())[:20]}},
    )


def check_spread(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Every feature with values has a spread on most train dates (a market feature: over them)."""
    column = "mad" if settings.normalization.method == "robust" else "std"
    flat = (
        _on_train(store, partition)
        .filter(pl.col("n") > 0)
        .group_by("feature")
        .agg((~(pl.col(column) > 0.0).fill_null(False)).mean().alias("share"))
        .filter(pl.col("share") > 0.5)
        .sort("feature")
    )
    names = flat["feature"].to_list()
    return CheckOutcome(
        not names,
        f"{len(names)} features do not differ between names on most train dates"
        + (f": {', '.join(names[:10])}. They are normalised to 0." if names else "."),
        severity="warn",
        metadata={"features": names},
    )


def check_unit_scale(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Before clipping, z-scores of each day have mean 0 and standard deviation 1 across its names."""
    if settings.normalization.method != "zscore":
        return CheckOutcome(True, "The robust method does not make deviations of 1.", metadata={"checked": 0})
    kinds = feature_kinds(store)
    own = tuple(name for name, kind in kinds.items() if kind == "cross_section")
    members = read_members(store, Fold.load(store, partition or ""), own)
    normalizer = load_normalizer(store, partition or "").take(own)
    days = len(members.dates)
    wrong: dict[str, float] = {}
    for index, name in enumerate(own):
        center, scale = normalizer.mean[:, index], normalizer.std[:, index]
        scores = z_scores(members.values[name], center[members.day], scale[members.day])
        used = np.isfinite(scores)
        n = np.maximum(np.bincount(members.day[used], minlength=days), 1)
        mean = np.bincount(members.day[used], weights=scores[used], minlength=days) / n
        square = np.bincount(members.day[used], weights=np.square(scores[used]), minlength=days) / n
        varies = np.bincount(members.day[used], minlength=days) > 0
        error = np.maximum(np.abs(mean), np.abs(np.sqrt(square) - 1.0))[varies].max(initial=0.0)
        if error > _TOLERANCE:
            wrong[name] = float(error)
    return CheckOutcome(
        not wrong,
        f"{len(wrong)} of {len(own)} features have z-scores whose mean is not 0 or whose deviation is not 1 "
        "across the names of a day.",
        metadata={"checked": len(own), **{f"error_{name}": error for name, error in list(wrong.items())[:20]}},
    )


def _on_train(store: Store, partition: str | None) -> pl.DataFrame:
    fold = Fold.load(store, partition or "")
    return store.read_table(ASSET, "daily.parquet", partition).filter(pl.col("Date").is_in(list(fold.train_dates)))


CHECKS: tuple[Check, ...] = (
    Check("fitted_on_train_dates", "What is fitted comes from train dates only.", check_fitted_on_train),
    Check("enough_names", "Every train date has enough names behind its statistics.", check_enough_names),
    Check("features_have_spread", "Features differ between names.", check_spread, blocking=False),
    Check("unit_scale_across_names", "z-scores have mean 0 and deviation 1 across a day's names.", check_unit_scale),
)
