"""Checks of a fold's predictions."""

from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from model.quality_features.read import read_features
from model.store.checks import Check, CheckOutcome
from model.store.store import Store
from model.validation_predictions.artefact import ASSET, CALIBRATION, KEY, PREDICTIONS
from model.walk_forward_folds.fold import Fold

if TYPE_CHECKING:
    from model.settings.root import Settings

COVERAGE_TOLERANCE = 0.03
"""How far a share may be off although its interval leaves the level out: a long test makes intervals narrow."""


def check_coverage(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Every member of the universe on every test day has a prediction for every horizon."""
    assert partition is not None
    fold = Fold.load(store, partition)
    columns = ["Date", "Code", "InUniverse"]
    rows = read_features(store, start=fold.test_start, end=fold.test_end, columns=columns)
    wanted = rows.filter(pl.col("InUniverse")).select("Date", "Code")
    wanted = wanted.filter(pl.col("Date").is_in(fold.test_dates))
    found = _predictions(store, partition)
    missing = 0
    for horizon in settings.labels.horizons:
        of_horizon = found.filter(pl.col("horizon") == horizon)
        missing += wanted.join(of_horizon, on=["Date", "Code"], how="anti").height
        missing += of_horizon.join(wanted, on=["Date", "Code"], how="anti").height
    return CheckOutcome(
        passed=missing == 0,
        summary=f"{found.height} predictions of {wanted.height} samples; {missing} missing or without a member",
        metadata={"rows": found.height, "samples": wanted.height, "mismatched": missing},
    )


def check_no_duplicates(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """One prediction for a date, code and horizon."""
    found = _predictions(store, partition)
    repeated = found.height - found.select(KEY).n_unique()
    return CheckOutcome(passed=repeated == 0, summary=f"{repeated} repeated keys", metadata={"repeated": repeated})


def check_prediction_std(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """Predictions are finite and differ between the names of each day, on every horizon."""
    found = _predictions(store, partition)
    broken = found.filter(~pl.col("prediction").is_finite()).height
    days = found.group_by("Date", "horizon").agg(pl.col("prediction").std().alias("std"), pl.len().alias("n"))
    flat = days.filter((pl.col("n") > 1) & ~(pl.col("std") > 0)).height
    return CheckOutcome(
        passed=not broken and not flat,
        summary=f"{flat} of {days.height} days by horizon have constant predictions; {broken} are not finite",
        metadata={"constant_days": flat, "not_finite": broken},
    )


def check_quantiles(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """No quantile lies below the one before it."""
    frame = store.read_table(ASSET, PREDICTIONS, partition)
    names = sorted(
        (n for n in frame.columns if n.startswith("q") and n[1:].isdigit()), key=lambda n: float(f"0.{n[1:]}")
    )
    crossed = sum(frame.filter(pl.col(low) > pl.col(high)).height for low, high in pairwise(names))
    return CheckOutcome(
        passed=crossed == 0,
        summary=f"{crossed} pairs of neighbouring quantiles cross in {frame.height} rows",
        metadata={"crossed": crossed, "quantiles": len(names)},
    )


def check_calibration(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """On the test days the share of labels below each quantile is the quantile's level, within error or tolerance."""
    document = store.read_json(ASSET, CALIBRATION, partition)
    off, figures, measured, untold = [], {}, 0, 0
    for horizon, found in document.get("horizons", {}).items():
        for level, share in found["after"]["below"].items():
            if share is None:
                continue
            figures[f"below_{level}_{horizon}d"] = share["value"]
            if share["interval"] is None:
                untold += 1
                continue
            measured += 1
            low, high = share["interval"]
            if not low <= float(level) <= high and abs(share["value"] - float(level)) > COVERAGE_TOLERANCE:
                off.append(f"{horizon} d {float(level):.0%}: {share['value']:.1%} of the labels of {share['n']} days")
    said = f"; too far off: {', '.join(off)}" if off else ""
    said += f"; {untold} more have too few days for an interval" if untold else ""
    return CheckOutcome(
        passed=not off,
        severity="warn",
        summary=f"{measured - len(off)} of {measured} quantiles hold what they promise{said}",
        metadata=figures,
    )


def check_dates(store: Store, settings: "Settings", partition: str | None) -> CheckOutcome:
    """All predictions are dated on test days."""
    assert partition is not None
    fold = Fold.load(store, partition)
    days = set(_predictions(store, partition)["Date"].unique().to_list())
    outside = sorted(days - set(fold.test_dates))
    return CheckOutcome(
        passed=bool(days) and not outside,
        summary=f"{len(days)} of {fold.n_test} test days predicted; {len(outside)} days outside the test",
        metadata={"days": len(days), "outside": [str(day) for day in outside[:10]]},
    )


def _predictions(store: Store, partition: str | None) -> pl.DataFrame:
    return store.read_table(ASSET, PREDICTIONS, partition, ["Date", "Code", "horizon", "prediction"])


CHECKS: tuple[Check, ...] = (
    Check("coverage", "every universe member of every test day is predicted, and nobody else", check_coverage),
    Check("no_duplicates", "one prediction for a date, code and horizon", check_no_duplicates),
    Check("prediction_std", "predictions are finite and differ between the names of a day", check_prediction_std),
    Check("quantiles", "quantiles never decrease along their levels", check_quantiles),
    Check("calibration", "shares of labels below quantiles are their levels", check_calibration, blocking=False),
    Check("dates", "all predictions lie within the test days", check_dates),
)
