"""LightGBM's predictions as a feature of the network: of every day of a fold's window, each by a model of its past.

A prediction on rows that the model was fitted on says what happened on them. The network reads windows of days, so it
is not enough to leave each day out of its own fit: the day before, predicted by a model that was fitted on the day
itself, would say the same. Therefore the models form a chain over the train days (forward chaining): the k-th is fitted
on the first k blocks of them and predicts from the day on which the last of its labels has resolved, until the next
takes over. Days before the first model have no prediction. Validation and test days are predicted by the last model
before them, fitted on train days alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.baseline.boosting import BoostedModel, BoostingData
from model.baseline.data import Design, day_targets, load_design
from model.normalization_stats.apply import Normalizer
from model.store.stage import StageRun
from model.walk_forward_folds.fold import Fold

Ints = NDArray[np.int64]
STOP_SHARE = 5
"""The last fifth of a model's own days stops it early."""
FEWEST_DAYS = 20
"""Days that a model must have to be fitted, apart from those that stop it."""


@dataclass(frozen=True)
class Link:
    """One model of the chain, by horizon."""

    last_day: int
    """Position in the window of the last day that it was fitted or stopped on."""
    models: dict[int, BoostedModel]

    def predicts_from(self, horizon: int) -> int:
        """The first day on which all labels that it has seen were known."""
        return self.last_day + horizon + 1


def chained_predictions(run: StageRun, fold: Fold, normalizer: Normalizer) -> pl.DataFrame:
    """Predictions of every day that has a model of its past.

    Returns:
        Date, Code and ``lightgbm_{h}`` (Float32, z-score among the day's universe; null before the first model),
        sorted; rows without any prediction are left out.

    Raises:
        DataError: a model has rows and none of them has a label.
    """
    horizons = run.settings.labels.horizons
    chain = _fit(run, fold, normalizer, horizons)
    parts = []
    for _, days in groupby(fold.window_dates, key=lambda day: (day.year, day.month)):
        design = load_design(run.store, fold.name, normalizer, list(days), horizons)
        parts.append(_predict(design, chain, fold, horizons, run.settings.runtime.threads))
    columns = [column_of(h) for h in horizons]
    return pl.concat(parts).filter(pl.any_horizontal(pl.col(columns).is_not_null())).sort("Date", "Code")


def column_of(horizon: int) -> str:
    """The feature's name."""
    return f"lightgbm_{horizon}"


def _fit(run: StageRun, fold: Fold, normalizer: Normalizer, horizons: Sequence[int]) -> list[Link]:
    settings, threads = run.settings.baseline, run.settings.runtime.threads
    dates = fold.fitted_dates(max(horizons))[:: settings.train_day_stride]
    place = {day: number for number, day in enumerate(fold.window_dates)}
    places = np.array([place[day] for day in dates], np.int64)
    train = load_design(run.store, fold.name, normalizer, dates, horizons)
    targets = {h: day_targets(train, h, normalizer.target_scale[h], settings.target_clip) for h in horizons}
    chain = []
    ends = np.linspace(0, len(dates), settings.network_feature_blocks + 1).astype(np.int64)[1:]
    for number, end in enumerate(ends.tolist(), start=1):
        run.progress(number, len(ends), f"feature of the network: model {number}")
        own, stopping = split(places[:end], max(horizons))
        if len(own) < FEWEST_DAYS or not len(stopping):
            continue
        fitted, judged = (np.isin(train.day, part) for part in (own, stopping))
        data = BoostingData(train.x[fitted], train.x[judged], settings, threads)
        models = {h: data.fit(targets[h][fitted], targets[h][judged], run.settings.seed, h) for h in horizons}
        chain.append(Link(int(places[end - 1]), models))
    return chain


def split(places: Ints, reach: int) -> tuple[Ints, Ints]:
    """Which of a model's days it is fitted on, and which stop it: their numbers, no label of the first reaching there.

    Args:
        places: positions of the days among all trading days, rising.
        reach: trading days until the longest label resolves.
    """
    cut = len(places) - len(places) // STOP_SHARE
    if cut == len(places):
        return np.arange(0), np.arange(0)
    return np.flatnonzero(places[:cut] + reach < places[cut]), np.arange(cut, len(places))


def _predict(design: Design, chain: Sequence[Link], fold: Fold, horizons: Sequence[int], threads: int) -> pl.DataFrame:
    first = fold.window_dates.index(design.dates[0])
    place = first + design.day
    columns: dict[str, NDArray[np.float32]] = {}
    for h in horizons:
        starts = np.array([link.predicts_from(h) for link in chain], np.int64)
        of_link = np.searchsorted(starts, place, side="right") - 1
        raw = np.full(len(place), np.nan)
        for number in np.unique(of_link[of_link >= 0]).tolist():
            rows = of_link == number
            raw[rows] = chain[number].models[h].predict(design.x[rows], threads)
        columns[column_of(h)] = _scored(design, raw)
    table = pl.DataFrame({"Date": _dates(design), "Code": design.codes, **columns})
    return table.with_columns(pl.col([column_of(h) for h in horizons]).fill_nan(None))


def _scored(design: Design, raw: NDArray[np.float64]) -> NDArray[np.float32]:
    """z-scores within each day; 0 where all are alike."""
    scores = np.full(len(raw), np.nan, np.float32)
    for block in design.blocks():
        own = raw[block]
        if len(own) and np.isfinite(own).all():
            spread = own.std()
            scores[block] = (own - own.mean()) / spread if spread > 0 else 0.0
    return scores


def _dates(design: Design) -> pl.Series:
    return pl.Series(design.dates, dtype=pl.Date).gather(design.day)
