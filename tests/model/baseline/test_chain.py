"""LightGBM's predictions as a feature of the network: never in sample, never from the future."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.baseline import stage
from model.baseline.artefact import NETWORK_FEATURE
from model.baseline.chain import chained_predictions, split
from model.lineage.graph import BY_NAME, descendants
from model.metrics.ic import daily_ic
from model.normalization_stats import stage as normalization
from model.normalization_stats.load import load_normalizer
from model.settings.root import Settings
from model.store.store import Store
from model.walk_forward_folds import stage as folds
from model.walk_forward_folds.fold import Fold
from tests.model.walk_forward_folds.synthetic_store import HORIZONS, market, small_settings, stage_run, write_store

FOLD = "wf_2020q1"
ON = {"network_feature": True, "network_feature_blocks": 4}
SETTINGS = small_settings(folds={"periods": ("2020q1",), "live": False}, baseline=ON)
FEATURES, LABELS = market(days=300)


def built(home: Path, labels: pl.DataFrame = LABELS, settings: Settings = SETTINGS) -> Store:
    store = write_store(home, FEATURES, labels)
    run = stage_run(store, settings, FOLD)
    folds.materialise(run)
    normalization.materialise(run)
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return built(tmp_path_factory.mktemp("chain"))


def feature_of(store: Store, labels: pl.DataFrame, features: pl.DataFrame, home: Path) -> pl.DataFrame:
    """The feature of the store's fold and normalisation, made from other tables."""
    other = write_store(home, features, labels)
    fold, normalizer = Fold.load(store, FOLD), load_normalizer(store, FOLD)
    folds.materialise(stage_run(other, SETTINGS, FOLD))
    return chained_predictions(stage_run(other, SETTINGS, FOLD), fold, normalizer)


@pytest.fixture(scope="module")
def feature(store: Store, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return feature_of(store, LABELS, FEATURES, tmp_path_factory.mktemp("plain"))


@given(st.integers(0, 120), st.integers(1, 20), st.integers(0, 3))
def test_no_label_of_the_days_that_fit_reaches_those_that_stop(days: int, reach: int, gap: int) -> None:
    places = np.arange(days) * (1 + gap)
    own, stopping = split(places, reach)
    assert len(stopping) == (days // 5 if days >= 5 else 0)
    if len(own) and len(stopping):
        assert places[own].max() + reach < places[stopping].min()


def test_it_finds_the_signal_on_days_of_every_role(store: Store, feature: pl.DataFrame) -> None:
    fold = Fold.load(store, FOLD)
    joined = feature.join(LABELS, on=["Date", "Code"])
    for days in (fold.train_dates, fold.validation_dates, fold.test_dates):
        own = joined.filter(pl.col("Date").is_in(days))
        daily = daily_ic(own, "lightgbm_1", "target_1", min_names=10)["rank_ic"].drop_nulls()
        assert daily.mean() > 0.2
    by_day = feature.group_by("Date").agg(mean=pl.col("lightgbm_1").mean(), std=pl.col("lightgbm_1").std(ddof=0))
    known = by_day.filter(pl.col("std").is_not_null())
    assert known["mean"].abs().max() < 1e-5 and (known["std"] - 1.0).abs().max() < 1e-5


def test_the_first_days_have_none_and_each_horizon_waits_until_its_labels_have_resolved(
    store: Store, feature: pl.DataFrame
) -> None:
    fold = Fold.load(store, FOLD)
    train = fold.fitted_dates(max(HORIZONS))
    last = fold.window_dates.index(train[len(train) // 4 - 1])
    for h in HORIZONS:
        first = feature.filter(pl.col(f"lightgbm_{h}").is_not_null())["Date"].min()
        assert first == fold.window_dates[last + h + 1]


@pytest.mark.parametrize("share", [0.4, 0.7])
def test_nothing_dated_a_day_depends_on_what_became_known_after_it(
    store: Store, feature: pl.DataFrame, tmp_path: Path, share: float
) -> None:
    window = Fold.load(store, FOLD).window_dates
    cut: date = window[int(share * len(window))]
    rng = np.random.default_rng(0)
    noise = pl.Series(rng.normal(size=LABELS.height))
    labels = LABELS
    for h in HORIZONS:
        open_then = (pl.col(f"resolved_{h}") > cut).fill_null(False)
        other = pl.when(open_then).then(0.02 * noise).otherwise(pl.col(f"target_{h}"))
        labels = labels.with_columns(other.alias(f"target_{h}"))
    later = pl.col("Date") > cut
    features = FEATURES.with_columns(signal=pl.when(later).then(-pl.col("signal")).otherwise(pl.col("signal")))
    changed = feature_of(store, labels, features, tmp_path)
    assert feature.filter(~later).equals(changed.filter(~later))
    assert not feature.filter(later).equals(changed.filter(later))


def test_on_pure_noise_it_knows_nothing_of_the_train_days(store: Store, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    targets = {f"target_{h}": pl.Series(0.02 * rng.normal(size=LABELS.height)) for h in HORIZONS}
    labels = LABELS.with_columns(**targets)
    found = feature_of(store, labels, FEATURES, tmp_path).join(labels, on=["Date", "Code"])
    train = found.filter(pl.col("Date").is_in(Fold.load(store, FOLD).train_dates))
    daily = daily_ic(train, "lightgbm_1", "target_1", min_names=10)["rank_ic"].drop_nulls()
    assert len(daily) > 80
    assert abs(daily.mean()) < 4 * daily.std() / np.sqrt(len(daily))


def test_the_stage_writes_it_where_it_is_asked_for_and_the_same_again(store: Store, tmp_path: Path) -> None:
    manifest = stage.materialise(stage_run(store, SETTINGS, FOLD))
    again = stage.materialise(stage_run(built(tmp_path / "again"), SETTINGS, FOLD))
    assert manifest.files[NETWORK_FEATURE].content_hash == again.files[NETWORK_FEATURE].content_hash
    off = small_settings(folds={"periods": ("2020q1",), "live": False})
    without = stage.materialise(stage_run(built(tmp_path / "off", settings=off), off, FOLD))
    assert NETWORK_FEATURE not in without.files
    same = {name for name in without.files if name in manifest.files}
    assert all(without.files[name].content_hash == manifest.files[name].content_hash for name in same)


def test_the_tensors_read_the_baseline_only_where_it_is_asked_for() -> None:
    tensors, off = BY_NAME["atft_tensors"], SETTINGS.model_copy(update={"baseline": Settings().baseline})
    assert "baseline" in tensors.reads(SETTINGS) and "baseline" not in tensors.reads(off)
    assert "atft_tensors" in descendants("baseline", SETTINGS) and "atft_tensors" not in descendants("baseline", off)
    assert replace(tensors, feedback=()).reads(SETTINGS) == tensors.upstream
