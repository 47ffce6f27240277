"""Checks of a fold's normalisation."""

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from model.normalization_stats.daily import read_members
from model.normalization_stats.load import ASSET, load_normalizer, read_daily
from model.normalization_stats.stage import feature_kinds
from model.normalization_stats.statistics import z_scores
from model.store.checks import Check, CheckOutcome
from model.store.store import Store
from model.walk_forward_folds.fold import Fold

if TYPE_CHECKING:
    from model.settings.root import Settings

_TOLERANCE = 1e-6
_SAMPLED_DAYS = 24
"""Days spread over the fold's window on which the scale is recomputed."""


def check_fitted_on_train(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Everything fitted comes from dates within the train span, and exactly market features are scaled in time."""
    fold = Fold.load(store, partition or "")
    about = store.read_json(ASSET, "normalization.json", partition)
    first, last = date.fromisoformat(about["fitted_from"]), date.fromisoformat(about["fitted_to"])
    inside = fold.train_start <= first <= last <= fold.train_end
    bounds = store.read_table(ASSET, "bounds.parquet", partition)
    wrong = bounds.filter((pl.col("kind") != "market") & pl.col("scale").is_not_null())["feature"].to_list()
    return CheckOutcome(
        inside and not wrong,
        f"Fitted on {first} to {last}, train dates are {fold.train_start} to {fold.train_end}; "
        f"{len(wrong)} features that are not the market's have a scale fitted in time.",
        metadata={"fitted_from": str(first), "fitted_to": str(last), "fitted_in_time": wrong},
    )


def check_enough_names(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Once a feature's window has filled, most train dates have the minimum number of names for it.

    A date with fewer counts as missing for that feature (statements have their seasons); a feature for which that is
    most of the time says next to nothing.
    """
    minimum = settings.normalization.minimum_names
    by_feature = (
        _on_train(store, partition)
        .with_columns(enough=pl.col("n") >= minimum)
        .with_columns(filled=pl.col("enough").cum_max().over("feature", order_by="Date"))
        .group_by("feature")
        .agg(
            thin_days=(pl.col("filled") & ~pl.col("enough")).sum(),
            filled_days=pl.col("filled").sum(),
            most=pl.col("n").max(),
        )
        .sort("thin_days", "feature", descending=[True, False])
    )
    thin = by_feature.filter(pl.col("thin_days") > 0)
    mostly = thin.filter(2 * pl.col("thin_days") > pl.col("filled_days"))["feature"].to_list()
    never = by_feature.filter(pl.col("filled_days") == 0, pl.col("most") > 0)["feature"].to_list()
    worst = dict(zip(thin["feature"].to_list(), thin["thin_days"].to_list(), strict=True))
    return CheckOutcome(
        not mostly and not never,
        f"{thin.height} features fall below {minimum} names on some train dates after their window has filled, "
        f"{len(mostly)} on most of them{_listed(mostly)}; {len(never)} have values and never for as many names"
        f"{_listed(never)}.",
        metadata={
            "minimum": minimum,
            "never": never,
            "mostly": mostly,
            **{f"thin_days_{k}": v for k, v in list(worst.items())[:20]},
        },
    )


def _listed(names: list[str]) -> str:
    return f" ({', '.join(names[:5])})" if names else ""


def check_spread(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Every feature with values has a spread on most train dates (a market feature: over them)."""
    bounds = store.read_table(ASSET, "bounds.parquet", partition)
    markets = bounds.filter(pl.col("kind") == "market")
    flat = (
        _on_train(store, partition)
        .filter((pl.col("n") > 0) & ~pl.col("feature").is_in(markets["feature"].to_list()))
        .group_by("feature")
        .agg((~(pl.col("std") > 0.0).fill_null(False)).mean().alias("share"))
        .filter(pl.col("share") > 0.5)
    )
    still = markets.filter(pl.col("center").is_not_null() & ~(pl.col("scale") > 0.0).fill_null(False))
    names = sorted([*flat["feature"].to_list(), *still["feature"].to_list()])
    return CheckOutcome(
        not names,
        f"{len(names)} features do not differ between names on most train dates"
        + (f": {', '.join(names[:10])}. They are normalised to 0." if names else "."),
        severity="warn",
        metadata={"features": names},
    )


def check_unit_scale(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Before clipping, z-scores of a day have mean 0 and standard deviation 1 across its names, on sampled days."""
    if settings.normalization.method != "zscore":
        return CheckOutcome(True, "The robust method does not make deviations of 1.", metadata={"checked": 0})
    kinds = feature_kinds(store)
    own = tuple(name for name, kind in kinds.items() if kind == "cross_section")
    normalizer = load_normalizer(store, partition or "").take(own)
    dates = Fold.load(store, partition or "").window_dates
    sampled = sorted({round(place) for place in np.linspace(0, len(dates) - 1, _SAMPLED_DAYS)})
    wrong: dict[str, float] = {}
    for position in sampled:
        members = read_members(store, (dates[position],), own)
        for index, name in enumerate(own):
            center, scale = normalizer.mean[position, index], normalizer.std[position, index]
            scores = z_scores(members.values[index].astype(np.float64), center, scale)
            scores = scores[np.isfinite(scores)]
            if len(scores):
                error = max(abs(float(scores.mean())), abs(float(scores.std()) - 1.0))
                wrong[name] = max(wrong.get(name, 0.0), error)
    wrong = {name: error for name, error in wrong.items() if error > _TOLERANCE}
    return CheckOutcome(
        not wrong,
        f"{len(wrong)} of {len(own)} features have z-scores whose mean is not 0 or whose deviation is not 1 "
        f"across the names of a day, on {len(sampled)} days sampled.",
        metadata={
            "checked": len(own),
            "days": len(sampled),
            **{f"error_{name}": error for name, error in list(wrong.items())[:20]},
        },
    )


def _on_train(store: Store, partition: str | None) -> pl.DataFrame:
    fold = Fold.load(store, partition or "")
    daily = read_daily(store, fold.name, ["n", "std"])
    return daily.filter(pl.col("Date").is_in(list(fold.train_dates)))


CHECKS: tuple[Check, ...] = (
    Check("fitted_on_train_dates", "What is fitted comes from train dates only.", check_fitted_on_train),
    Check("enough_names", "Most train dates have enough names behind each feature.", check_enough_names),
    Check("features_have_spread", "Features differ between names.", check_spread, blocking=False),
    Check("unit_scale_across_names", "z-scores have mean 0 and deviation 1 across a day's names.", check_unit_scale),
)
