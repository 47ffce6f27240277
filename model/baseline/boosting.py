"""LightGBM on one horizon after the other, as regression and as ranking, stopped early on the validation dates.

The histogram bins are made once from the train rows and shared by all fits; each then takes the rows that have its
label. The same data, settings and seed give the same trees whatever the number of threads.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.baseline import ranking
from model.baseline.settings import BaselineSettings
from model.errors import DataError

Array = NDArray[np.float64]
STREAM_ID = 0xB0057
CELLS_PER_THREAD = 10_000_000
"""Rows times features for which a thread pays: with less, threads wait for each other longer than they work."""
_LEAF_OF_BINS = 20
"""Rows of a leaf by which LightGBM drops features when it makes the bins, unless leaves are smaller."""
_THREADS_LINE = re.compile(r"^\[num_threads: \d+\]\n", re.MULTILINE)


@dataclass(frozen=True)
class BoostedModel:
    """One horizon's trees as LightGBM's own text, up to the best iteration."""

    text: str
    trees: int
    gain: Array
    """Total gain of each feature's splits [F]."""

    def contributions(self, x: NDArray[np.float32], threads: int) -> Array:
        """Mean absolute SHAP value of each feature over the rows [F] (Lundberg et al. 2020, exact for trees)."""
        import lightgbm

        booster = lightgbm.Booster(model_str=self.text)
        values = np.asarray(booster.predict(x, pred_contrib=True, num_threads=threads_for(x, threads)))
        mean: Array = np.abs(values[:, :-1]).mean(axis=0)  # the last column is the expectation
        return mean

    def predict(self, x: NDArray[np.float32], threads: int) -> Array:
        """Predictions [R] for z-scores [R, F]."""
        import lightgbm

        booster = lightgbm.Booster(model_str=self.text)
        result: Array = booster.predict(x, num_threads=threads_for(x, threads))
        return result


class BoostingData:
    """Train and validation rows, binned once."""

    def __init__(
        self, train: NDArray[np.float32], validation: NDArray[np.float32], settings: BaselineSettings, threads: int
    ) -> None:
        import lightgbm

        self._threads = threads_for(train, threads)
        binning = {
            "max_bin": settings.max_bin,
            "min_data_in_bin": 3,
            # Features that no leaf could tell apart are dropped here; no fit may ask for smaller leaves afterwards.
            "min_data_in_leaf": min(settings.min_data_in_leaf, _LEAF_OF_BINS),
            **_fixed(self._threads),
        }
        self._settings = settings
        self._train = lightgbm.Dataset(train, label=np.zeros(len(train)), params=binning).construct()
        self._validation = lightgbm.Dataset(
            validation, label=np.zeros(len(validation)), reference=self._train, params=binning
        ).construct()

    def fit(self, y_train: Array, y_validation: Array, seed: int, horizon: int) -> BoostedModel:
        """Fit one horizon; rows whose target is NaN take no part.

        Raises:
            DataError: no train or no validation row has a label.
        """
        train, validation = self._labelled(y_train, y_validation, horizon)
        own = {"objective": "regression", "metric": "l2"}
        return self._boost(own, train.data, validation.data, seed, horizon)

    def fit_ranking(
        self,
        y_train: Array,
        y_validation: Array,
        day_train: NDArray[np.int64],
        day_validation: NDArray[np.int64],
        seed: int,
        horizon: int,
    ) -> BoostedModel:
        """Fit one horizon as a ranking of each day's names (LambdaMART: Burges 2010), stopped on the RankIC by day.

        A name's relevance is its place in the day, in ``ranking.LEVELS`` steps that all count alike, so the bottom of
        the list matters as much as the top: both are traded.

        Args:
            y_train, y_validation: targets by row; rows whose target is NaN take no part.
            day_train, day_validation: position of each row's day, not decreasing.

        Raises:
            DataError: no train or no validation row has a label.
        """
        train, validation = self._labelled(y_train, y_validation, horizon)
        days = [day_train[train.rows], day_validation[validation.rows]]
        for part, day, y in zip((train, validation), days, (y_train, y_validation), strict=True):
            part.data.set_label(ranking.relevance(y[part.rows], day)).set_group(ranking.group_sizes(day))
        judge = ranking.DailyRankIC(y_validation[validation.rows], days[1])
        own = {
            "objective": "lambdarank",
            "metric": "None",
            "label_gain": list(range(ranking.LEVELS)),
            "lambdarank_truncation_level": self._settings.rank_truncation,
        }
        return self._boost(own, train.data, validation.data, seed, horizon, judge)

    def _labelled(self, y_train: Array, y_validation: Array, horizon: int) -> "tuple[_Labelled, _Labelled]":
        return (
            _rows_with_label(self._train, y_train, horizon, "train"),
            _rows_with_label(self._validation, y_validation, horizon, "validation"),
        )

    def _boost(
        self,
        own: Mapping[str, Any],
        train: Any,
        validation: Any,
        seed: int,
        horizon: int,
        judge: "ranking.DailyRankIC | None" = None,
    ) -> BoostedModel:
        import lightgbm

        booster = lightgbm.train(
            {**_parameters(self._settings, self._threads, seed, horizon), **own},
            train,
            num_boost_round=self._settings.n_estimators,
            valid_sets=[validation],
            feval=judge,
            callbacks=[lightgbm.early_stopping(self._settings.early_stopping_rounds, verbose=False)],
        )
        trees = booster.best_iteration
        text = booster.model_to_string(num_iteration=trees)
        gain = np.asarray(booster.feature_importance("gain", iteration=trees), np.float64)
        return BoostedModel(_THREADS_LINE.sub("", text), trees, gain)


def threads_for(x: NDArray[np.float32], most: int) -> int:
    """Threads worth using on rows [R, F]; the result is the same with any number."""
    return min(most, max(1, x.size // CELLS_PER_THREAD))


@dataclass(frozen=True)
class _Labelled:
    """The rows that have a label, as LightGBM's data set."""

    data: Any
    rows: NDArray[np.int32]


def _rows_with_label(data: Any, y: Array, horizon: int, where: str) -> _Labelled:
    known = np.flatnonzero(np.isfinite(y)).astype(np.int32)
    if not len(known):
        raise DataError(
            f"LightGBM: no {where} row has a label at horizon {horizon}. Check the labels of quality_features, or "
            "start the folds later (folds.periods)."
        )
    return _Labelled(data.subset(known).construct().set_label(y[known]), known)


def _fixed(threads: int) -> Mapping[str, Any]:
    return {"deterministic": True, "force_row_wise": True, "num_threads": threads, "verbosity": -1}


def _parameters(settings: BaselineSettings, threads: int, seed: int, horizon: int) -> dict[str, Any]:
    drawn = np.random.SeedSequence([seed, STREAM_ID, horizon]).generate_state(1)[0]
    return {
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.num_leaves,
        "min_data_in_leaf": settings.min_data_in_leaf,
        "feature_fraction": settings.feature_fraction,
        "bagging_fraction": settings.bagging_fraction,
        "bagging_freq": settings.bagging_freq,
        "lambda_l2": settings.lambda_l2,
        "max_bin": settings.max_bin,
        "seed": int(drawn) & 0x7FFFFFFF,
        **_fixed(threads),
    }
