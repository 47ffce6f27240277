"""What must hold of a fold's baselines before anybody compares with them."""

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from model.baseline.artefact import ASSET
from model.baseline.stage import MODELS
from model.metrics.ic import daily_ic
from model.store.checks import Check, CheckOutcome
from model.walk_forward_folds.fold import Fold

if TYPE_CHECKING:
    from model.settings.root import Settings
    from model.store.store import Store

LEARNED = ("lightgbm", "ridge")
LEAST_DAYS = 20
"""Days that a mean RankIC needs before the leak alarm judges it."""
CHANCE = 3.5
"""Standard errors of what luck alone gives, within which no mean RankIC is called a leak."""
FLAT_SHARE = 0.05
"""Share of the days of a model and horizon that may be constant: among few names a small tree may tell none apart, and
such a day has no RankIC and no book."""


def check_finite_ic(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """Predictions are finite, and the learned models have a RankIC on the validation dates at every horizon."""
    predictions = store.read_table(ASSET, "predictions.parquet", partition)
    infinite = int((~predictions["prediction"].is_finite()).fill_null(True).sum())
    validation = store.read_json(ASSET, "metrics.json", partition)["validation"]
    without = [
        f"{model} at horizon {horizon}"
        for model in LEARNED
        for horizon in settings.labels.horizons
        if validation[model].get(str(horizon), {}).get("rank_ic") is None
    ]
    absent = [f"{model} at horizon {horizon}" for model, horizon in _absent(predictions, settings.labels.horizons)]
    problems = [f"{infinite} predictions are null or not finite"] if infinite else []
    least = settings.portfolio.min_names
    problems += (
        [
            f"no validation RankIC of {', '.join(without)}: no day has portfolio.min_names = {least} names with "
            "label, or predictions are constant"
        ]
        if without
        else []
    )
    problems += [f"no test prediction of {', '.join(absent)}"] if absent else []
    return CheckOutcome(
        passed=not problems,
        summary=f"Fold {partition}: " + ("; ".join(problems) or "every prediction and every RankIC is finite") + ".",
        metadata={
            f"validation_rank_ic_{model}_{horizon}": figures["rank_ic"]
            for model in LEARNED
            for horizon, figures in validation[model].items()
        },
    )


def check_prediction_spread(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """Learned predictions differ between names on (nearly) all test days, at every horizon."""
    predictions = store.read_table(ASSET, "predictions.parquet", partition).filter(pl.col("model").is_in(LEARNED))
    spread = predictions.group_by("model", "horizon", "Date").agg(std=pl.col("prediction").std()).sort(pl.all())
    spread = spread.with_columns(flat=pl.col("std").fill_null(0.0) <= 0.0)
    flat = spread.filter("flat")
    share = spread.group_by("model", "horizon").agg(share=pl.col("flat").mean())["share"].max()
    passed = not spread.is_empty() and float(share) <= FLAT_SHARE  # type: ignore[arg-type]
    first = ", ".join(f"{row['model']} at horizon {row['horizon']} on {row['Date']}" for row in flat.head(3).to_dicts())
    remedy = "" if passed else ": raise baseline.n_estimators or lower baseline.min_data_in_leaf"
    return CheckOutcome(
        passed=passed,
        summary=f"Fold {partition}: {flat.height} of {spread.height} cross-sections are constant"
        + (f" ({first} …){remedy}." if first else "."),
        metadata={"constant": flat.height, "cross_sections": spread.height},
    )


def check_leak_alarm(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """No mean RankIC over validation and test days is too good to be true (the simulated market is exempt).

    Among few names and over few days luck gives large ones at long horizons, whose labels share most of their days.
    """
    threshold = settings.baseline.leak_alarm_rank_ic
    means = mean_rank_ic(store, settings, str(partition))
    judged = {key: mean for key, (mean, days) in means.items() if days >= LEAST_DAYS}
    names = _names_a_day(store, partition)
    loud = {
        (model, horizon): mean
        for (model, horizon), mean in judged.items()
        if abs(mean) > max(threshold, luck(names, means[model, horizon][1], horizon))
    }
    exempt = settings.source.kind == "simulated"
    listed = ", ".join(f"{model} at horizon {horizon}: {mean:+.3f}" for (model, horizon), mean in sorted(loud.items()))
    summary = f"Fold {partition}: " + (
        f"RankIC beyond ±{threshold:g} ({listed}): look for a feature that knows the future, or labels that overlap it"
        if loud
        else f"{len(judged)} mean RankICs, none beyond ±{threshold:g}"
    )
    return CheckOutcome(
        passed=exempt or not loud,
        summary=summary + ("; the simulated market is exempt." if exempt else "."),
        metadata={f"rank_ic_{model}_{horizon}": mean for (model, horizon), mean in judged.items()},
    )


def luck(names: float, days: int, horizon: int) -> float:
    """Mean RankIC up to which nothing is called a leak: ``CHANCE`` standard errors of a score without knowledge.

    A day's RankIC has the variance ``1 / (names - 1)``, and ``days`` overlapping labels are ``days / horizon`` of them.
    """
    return CHANCE * math.sqrt(horizon / (days * max(names - 1.0, 1.0)))


def _names_a_day(store: "Store", partition: str | None) -> float:
    predictions = store.read_table(ASSET, "predictions.parquet", partition, ["Date", "Code"])
    found = predictions.group_by("Date").agg(pl.col("Code").n_unique())["Code"].median()
    return float(found) if isinstance(found, int | float) else 0.0


def mean_rank_ic(store: "Store", settings: "Settings", partition: str) -> dict[tuple[str, int], tuple[float, int]]:
    """(model, horizon) -> mean daily RankIC over validation and test days, and the days it is of."""
    fold = Fold.load(store, partition)
    predictions = store.read_table(ASSET, "predictions.parquet", partition)
    validation: dict[str, Any] = store.read_json(ASSET, "metrics.json", partition)["validation"]
    names = [f"target_{horizon}" for horizon in settings.labels.horizons]
    labels = store.read_chunks(
        "quality_features", "labels", start=fold.test_start, end=fold.test_end, columns=["Date", "Code", *names]
    )
    means: dict[tuple[str, int], tuple[float, int]] = {}
    for horizon in settings.labels.horizons:
        rows = predictions.filter(pl.col("horizon") == horizon).join(
            labels.select("Date", "Code", label=f"target_{horizon}"), on=["Date", "Code"], how="left"
        )
        daily = daily_ic(rows, by=["model", "Date"], min_names=settings.portfolio.min_names)
        daily = daily.filter(pl.col("rank_ic").is_not_null())
        for model in MODELS:
            test = daily.filter(pl.col("model") == model)["rank_ic"]
            before = validation[model][str(horizon)]
            days = len(test) + before["days"]
            if days:
                total = float(test.sum()) + (before["rank_ic"] or 0.0) * before["days"]
                means[model, horizon] = (total / days, days)
    return means


def _absent(predictions: pl.DataFrame, horizons: tuple[int, ...]) -> list[tuple[str, int]]:
    found = set(predictions.select("model", "horizon").unique().rows())
    return [(model, horizon) for model in MODELS for horizon in horizons if (model, horizon) not in found]


CHECKS: tuple[Check, ...] = (
    Check("finite_ic", "Predictions and validation RankIC are finite at every horizon.", check_finite_ic),
    Check("prediction_spread", "Predictions differ between names on every test day.", check_prediction_spread),
    Check("leak_alarm", "No mean RankIC is too good to be true.", check_leak_alarm),
)
