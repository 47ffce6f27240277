"""The stage: fit LightGBM (regression and ranking) and ridge on a fold's train dates, predict its test dates.

Nothing of a test date is read before the models are finished.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.baseline import linear, scores
from model.baseline.artefact import ASSET, NETWORK_FEATURE
from model.baseline.boosting import BoostedModel, BoostingData
from model.baseline.chain import chained_predictions
from model.baseline.data import Design, day_targets, load_design
from model.baseline.linear import RidgeFit
from model.metrics.ic import daily_ic
from model.normalization_stats.apply import Normalizer
from model.normalization_stats.load import load_normalizer
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.walk_forward_folds.fold import Fold

MODELS = ("lightgbm", "lightgbm_rank", "momentum_120d", "random", "reversal_1d", "ridge")
"""In the order of the stored rows."""
ROWS_PER_BLOCK = 8192
"""Rows of one step of ridge's sums: bounds its memory."""
KEY = ("Date", "Code", "horizon", "model")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Models:
    """The learned models, by horizon."""

    boosted: dict[int, BoostedModel]
    ranked: dict[int, BoostedModel]
    ridge: dict[int, RidgeFit]

    def predict(self, design: Design, horizon: int, seed: int, threads: int) -> dict[str, Array]:
        """Predictions [R] of every model, NaN where a model has none."""
        return {
            "lightgbm": self.boosted[horizon].predict(design.x, threads),
            "lightgbm_rank": self.ranked[horizon].predict(design.x, threads),
            "momentum_120d": scores.momentum_120d(design),
            "random": scores.random(design, seed, horizon),
            "reversal_1d": scores.reversal_1d(design),
            "ridge": self.ridge[horizon].predict(design.x),
        }


def materialise(run: StageRun) -> Manifest:
    """Fit, predict and publish the fold named by the partition.

    Raises:
        DataError: there are no labels to fit, or features and labels disagree.
        StoreError: the fold, its normalisation or the features are not materialised.
    """
    if run.partition is None:
        raise ValueError(f"{ASSET} is materialised fold by fold, and no fold was named")
    name, settings = run.partition, run.settings
    fold = Fold.load(run.store, name)
    normalizer = load_normalizer(run.store, name)
    horizons = settings.labels.horizons
    validation = load_design(run.store, name, normalizer, fold.validation_dates, horizons)
    models, rows = _fit(run, fold, normalizer, validation)
    metrics = {
        "validation": _validation_metrics(run, models, validation),
        "trees": {str(horizon): models.boosted[horizon].trees for horizon in horizons},
        "rank_trees": {str(horizon): models.ranked[horizon].trees for horizon in horizons},
        "ridge_alpha": {str(horizon): models.ridge[horizon].alpha for horizon in horizons},
        "rows": {"train": rows, "validation": len(validation.day)},
    }
    run.progress(len(horizons) + 1, len(horizons) + 2, "predicting the test dates")
    test = load_design(run.store, name, normalizer, fold.test_dates, horizons)
    table = prediction_table(
        test,
        {horizon: models.predict(test, horizon, settings.seed, settings.runtime.threads) for horizon in horizons},
    )
    chained = chained_predictions(run, fold, normalizer) if settings.baseline.network_feature else None
    with run.writer(ASSET) as w:
        w.table("predictions.parquet", table, key=KEY)
        if chained is not None:
            w.table(NETWORK_FEATURE, chained, key=("Date", "Code"))
        w.table(
            "importances.parquet",
            _importances(run, models, normalizer.features, validation),
            key=("horizon", "feature"),
        )
        for folder, boosters in (("boosters", models.boosted), ("rank_boosters", models.ranked)):
            for horizon, boosted in boosters.items():
                w.bytes(f"{folder}/{horizon}.txt", boosted.text.encode())
        w.safetensors("ridge.safetensors", _ridge_arrays(models))
        w.json("metrics.json", {**metrics, "features": list(normalizer.features)})
        w.extra.update(_headline(metrics))
    return w.manifest


def _fit(run: StageRun, fold: Fold, normalizer: Normalizer, validation: Design) -> tuple[Models, int]:
    """The models, and the number of train rows."""
    settings = run.settings.baseline
    horizons = run.settings.labels.horizons
    run.progress(0, len(horizons) + 2, "reading the train dates")
    train_dates = fold.train_dates[:: settings.train_day_stride]
    train = load_design(run.store, fold.name, normalizer, train_dates, horizons)
    targets, validation_targets = (
        {h: day_targets(design, h, normalizer.target_scale[h], settings.target_clip) for h in horizons}
        for design in (train, validation)
    )
    sums = linear.gather(train.x, [targets[h] for h in horizons], train.blocks(at_least=ROWS_PER_BLOCK))
    ridge = {
        h: linear.choose(total, settings.ridge_alphas, validation.x, validation_targets[h])
        for h, total in zip(horizons, sums, strict=True)
    }
    data = BoostingData(train.x, validation.x, settings, run.settings.runtime.threads)
    boosted: dict[int, BoostedModel] = {}
    ranked: dict[int, BoostedModel] = {}
    for done, h in enumerate(horizons, start=1):
        boosted[h] = data.fit(targets[h], validation_targets[h], run.settings.seed, h)
        ranked[h] = data.fit_ranking(targets[h], validation_targets[h], train.day, validation.day, run.settings.seed, h)
        run.progress(done, len(horizons) + 2, f"horizon {h}: {boosted[h].trees} and {ranked[h].trees} trees")
    return Models(boosted, ranked, ridge), len(train.day)


def prediction_table(design: Design, predictions: dict[int, dict[str, Array]]) -> pl.DataFrame:
    """Date, Code, horizon, model, prediction, sorted by ``KEY``; rows without a prediction are left out.

    Args:
        predictions: horizon -> model -> predictions [R].
    """
    horizons = sorted(predictions)
    values = np.stack([predictions[h][model] for h in horizons for model in MODELS], axis=1)
    each = values.shape[1]
    rows = np.repeat(np.arange(len(design.day)), each)
    table = pl.DataFrame(
        {
            "Date": pl.Series(design.dates, dtype=pl.Date).gather(design.day[rows]),
            "Code": design.codes.gather(rows),
            "horizon": pl.Series(np.tile(np.repeat(horizons, len(MODELS)), len(design.day)), dtype=pl.Int32),
            "model": pl.Series(MODELS, dtype=pl.String).gather(
                np.tile(np.arange(len(MODELS)), len(design.day) * len(horizons))
            ),
            "prediction": values.ravel(),
        }
    )
    return table.filter(pl.col("prediction").is_not_nan())


def _validation_metrics(run: StageRun, models: Models, design: Design) -> dict[str, dict[str, dict[str, Any]]]:
    """model -> horizon -> mean IC and RankIC over the validation dates, and the days counted."""
    metrics: dict[str, dict[str, dict[str, Any]]] = {model: {} for model in MODELS}
    date = pl.Series(design.dates, dtype=pl.Date).gather(design.day)
    for horizon in run.settings.labels.horizons:
        predictions = models.predict(design, horizon, run.settings.seed, run.settings.runtime.threads)
        for model, values in predictions.items():
            frame = pl.DataFrame({"Date": date, "prediction": values, "label": design.labels[horizon]})
            daily = daily_ic(frame, min_names=run.settings.portfolio.min_names)
            metrics[model][str(horizon)] = {
                "days": int(daily["rank_ic"].count()),
                "ic": daily.select(pl.col("ic").mean()).item(),
                "rank_ic": daily.select(pl.col("rank_ic").mean()).item(),
            }
    return metrics


def _importances(run: StageRun, models: Models, features: tuple[str, ...], validation: Design) -> pl.DataFrame:
    """horizon, feature, gain (share of the horizon's total), shap (mean absolute value on validation rows), sorted."""
    parts = []
    stride = max(1, len(validation.x) // run.settings.baseline.contribution_rows)
    sample = np.ascontiguousarray(validation.x[::stride])
    for horizon, boosted in sorted(models.boosted.items()):
        total = float(boosted.gain.sum())
        parts.append(
            pl.DataFrame(
                {
                    "feature": features,
                    "gain": boosted.gain / total if total else boosted.gain,
                    "shap": boosted.contributions(sample, run.settings.runtime.threads),
                }
            )
            .with_columns(horizon=pl.lit(horizon, pl.Int32))
            .select("horizon", "feature", "gain", "shap")
        )
    return pl.concat(parts).sort("horizon", "feature")


def _ridge_arrays(models: Models) -> dict[str, NDArray[Any]]:
    """horizons [H], coefficients [H, F], intercepts [H], alphas [H]."""
    horizons = sorted(models.ridge)
    return {
        "horizons": np.array(horizons, np.int64),
        "coefficients": np.stack([models.ridge[h].coefficients for h in horizons]),
        "intercepts": np.array([models.ridge[h].intercept for h in horizons]),
        "alphas": np.array([models.ridge[h].alpha for h in horizons]),
    }


def _headline(metrics: dict[str, Any]) -> dict[str, float]:
    return {
        f"validation_rank_ic/{model}/{horizon}": round(figures["rank_ic"], 5)
        for model, by_horizon in metrics["validation"].items()
        for horizon, figures in by_horizon.items()
        if figures["rank_ic"] is not None
    }
