"""The baselines of a fold: reproducible, blind to test dates, and able to find a signal."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from model.baseline import boosting, checks
from model.baseline.checks import CHECKS, luck, mean_rank_ic
from model.baseline.stage import MODELS, materialise
from model.daily_quotes.settings import SimulatedSource
from model.errors import DataError
from model.lineage.graph import BY_NAME
from model.normalization_stats import stage as normalization
from model.settings.root import Settings
from model.store.manifest import Identity, Manifest
from model.store.store import Store
from model.walk_forward_folds import stage as folds
from model.walk_forward_folds.fold import Fold
from tests.model.walk_forward_folds.synthetic_store import HORIZONS, market, small_settings, stage_run, write_store

FOLD = "wf_2019q2"
SETTINGS = small_settings()
FEATURES, LABELS = market(days=150)


def built(
    home: Path,
    features: pl.DataFrame = FEATURES,
    labels: pl.DataFrame = LABELS,
    settings: Settings = SETTINGS,
    fold: str = FOLD,
) -> tuple[Store, Manifest]:
    store = write_store(home, features, labels)
    run = stage_run(store, settings, fold)
    folds.materialise(run)
    normalization.materialise(run)
    return store, materialise(run)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Manifest]:
    return built(tmp_path_factory.mktemp("baseline"))


def hashes(manifest: Manifest) -> dict[str, str]:
    return {name: entry.content_hash for name, entry in manifest.files.items()}


def test_every_member_of_every_test_date_is_predicted_by_every_model(baseline: tuple[Store, Manifest]) -> None:
    store, _ = baseline
    predictions = store.read_table("baseline", "predictions.parquet", FOLD)
    assert dict(predictions.schema) == {
        "Date": pl.Date,
        "Code": pl.String,
        "horizon": pl.Int32,
        "model": pl.String,
        "prediction": pl.Float64,
    }
    wanted = FEATURES.filter(pl.col("InUniverse") & pl.col("Date").is_in(Fold.load(store, FOLD).test_dates))
    assert predictions.height == wanted.height * len(MODELS) * len(HORIZONS)
    assert predictions["prediction"].is_finite().all()


def test_rows_stand_at_their_own_name_date_and_model(baseline: tuple[Store, Manifest]) -> None:
    store, _ = baseline
    reversal = store.read_table("baseline", "predictions.parquet", FOLD).filter(model="reversal_1d", horizon=5)
    joined = reversal.join(FEATURES, on=["Date", "Code"], how="left")
    assert (joined["prediction"] == -joined["ret_1d"].cast(pl.Float64)).all()


def test_every_check_passes_and_the_signal_is_found(baseline: tuple[Store, Manifest]) -> None:
    store, _ = baseline
    outcomes = {check.name: check.run(store, SETTINGS, FOLD) for check in CHECKS}
    assert outcomes["finite_ic"].passed, outcomes["finite_ic"].summary
    assert outcomes["prediction_spread"].passed, outcomes["prediction_spread"].summary
    means = mean_rank_ic(store, SETTINGS, FOLD)
    for model in ("lightgbm", "lightgbm_rank", "ridge"):
        assert means[model, 1][0] > 0.25
    assert abs(means["random", 1][0]) < 0.1
    importances = store.read_table("baseline", "importances.parquet", FOLD).filter(horizon=1)
    assert importances.sort("gain")["feature"].last() == "signal"
    assert importances["gain"].sum() == pytest.approx(1.0)


def test_a_rank_ic_too_good_to_be_true_is_refused_except_on_the_simulated_market(
    baseline: tuple[Store, Manifest],
) -> None:
    store, _ = baseline
    alarm = {check.name: check for check in CHECKS}["leak_alarm"]
    assert alarm.blocking
    outcome = alarm.run(store, SETTINGS, FOLD)
    assert not outcome.passed
    assert outcome.severity == "error"
    assert "lightgbm at horizon 1" in outcome.summary
    assert "random" not in outcome.summary
    assert alarm.run(store, SETTINGS.model_copy(update={"source": SimulatedSource()}), FOLD).passed


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    baseline: tuple[Store, Manifest], tmp_path: Path
) -> None:
    _, first = baseline
    _, again = built(tmp_path / "again")
    assert hashes(again) == hashes(first)
    assert {name: entry.checksum for name, entry in again.files.items()} == {
        name: entry.checksum for name, entry in first.files.items()
    }
    _, other = built(tmp_path / "other", settings=small_settings(seed=8))
    assert hashes(other)["boosters/1.txt"] != hashes(first)["boosters/1.txt"]
    assert hashes(other)["ridge.safetensors"] == hashes(first)["ridge.safetensors"]


def test_the_number_of_threads_changes_nothing(
    baseline: tuple[Store, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosting, "CELLS_PER_THREAD", 1)
    _, two = built(tmp_path, settings=small_settings(runtime={"threads": 2}))
    assert hashes(two) == hashes(baseline[1])


def test_what_happens_on_test_dates_leaves_the_models_as_they_are(
    baseline: tuple[Store, Manifest], tmp_path: Path
) -> None:
    store, before = baseline
    start = FEATURES["Date"].unique().sort().to_list().index(Fold.load(store, FOLD).test_start)
    _, after = built(tmp_path, *market(days=150, bump=(start, 0.05)))
    for name in ("boosters/1.txt", "rank_boosters/5.txt", "ridge.safetensors", "importances.parquet", "metrics.json"):
        assert hashes(after)[name] == hashes(before)[name], name
    assert hashes(after)["predictions.parquet"] != hashes(before)["predictions.parquet"]


def test_a_label_that_resolves_too_close_to_the_validation_days_trains_nothing(
    baseline: tuple[Store, Manifest], tmp_path: Path
) -> None:
    fold = Fold.load(baseline[0], FOLD)
    purged = sorted(set(fold.fitted_dates(1)) - set(fold.fitted_dates(5)))
    assert len(purged) == 4
    for name, column, days in (("long", "target_5", purged), ("short", "target_1", purged)):
        other = pl.when(pl.col("Date").is_in(days)).then(pl.col(column) * -3).otherwise(column)
        _, after = built(tmp_path / name, labels=LABELS.with_columns(other.alias(column)))
        same = {model: hashes(after)[model] == hashes(baseline[1])[model] for model in hashes(after)}
        assert same["boosters/5.txt"] and same["rank_boosters/5.txt"]
        assert same["boosters/1.txt"] is same["ridge.safetensors"] is same["predictions.parquet"] is (name == "long")


def test_the_live_fold_is_predicted_though_its_labels_are_open(tmp_path: Path) -> None:
    store, _ = built(tmp_path, fold="live")
    predictions = store.read_table("baseline", "predictions.parquet", "live")
    assert predictions["Date"].n_unique() == max(HORIZONS)
    assert predictions["Date"].max() == FEATURES["Date"].max()
    for name in ("finite_ic", "prediction_spread"):
        assert {check.name: check for check in CHECKS}[name].run(store, SETTINGS, "live").passed


def test_a_stride_trains_on_fewer_days(baseline: tuple[Store, Manifest], tmp_path: Path) -> None:
    whole = baseline[0].read_json("baseline", "metrics.json", FOLD)["rows"]["train"]
    store, _ = built(tmp_path, settings=small_settings(baseline={"train_day_stride": 3}))
    thinned = store.read_json("baseline", "metrics.json", FOLD)["rows"]["train"]
    assert thinned == pytest.approx(whole / 3, rel=0.1)


def test_a_missing_return_has_no_reversal_and_a_missing_label_trains_nothing(tmp_path: Path) -> None:
    features = FEATURES.with_columns(
        ret_1d=pl.when((pl.col("Code") == "10030") & (pl.col("Date").dt.month() == 4)).then(None).otherwise("ret_1d")
    )
    store, _ = built(tmp_path, features=features)
    gone = store.read_table("baseline", "predictions.parquet", FOLD).filter(
        pl.col("Code") == "10030", pl.col("Date").dt.month() == 4
    )
    assert set(gone["model"]) == {"lightgbm", "lightgbm_rank", "ridge", "random", "momentum_120d"}


def test_no_labels_are_refused_and_no_artefact_is_left(tmp_path: Path) -> None:
    store = write_store(tmp_path, FEATURES, LABELS)
    run = stage_run(store, SETTINGS, FOLD)
    folds.materialise(run)
    normalization.materialise(run)
    validation = Fold.load(store, FOLD).validation_dates
    missing = LABELS.with_columns(
        target_5=pl.when(pl.col("Date").is_in(validation)).then(None).otherwise(pl.col("target_5"))
    )
    write_store(tmp_path, FEATURES, missing)
    with pytest.raises(DataError, match="horizon 5"):
        materialise(run)
    assert store.manifest("baseline", FOLD) is None


def test_features_and_labels_of_different_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gogooku refresh"):
        built(tmp_path, features=FEATURES.filter(pl.col("Code") != "10030"))


def test_shap_values_find_the_feature_that_decides_and_agree_with_gain(baseline: tuple[Store, Manifest]) -> None:
    store, _ = baseline
    table = store.read_table("baseline", "importances.parquet", FOLD).filter(pl.col("horizon") == 1)
    for measure in ("gain", "shap"):
        assert table.sort(measure)["feature"][-1] == "signal"
    assert (table["shap"] >= 0.0).all()


def test_constant_predictions_are_refused(tmp_path: Path) -> None:
    store, _ = built(tmp_path, settings=small_settings(baseline={"min_data_in_leaf": 100_000}))
    outcome = {check.name: check for check in CHECKS}["prediction_spread"].run(store, SETTINGS, FOLD)
    assert not outcome.passed
    assert "lightgbm" in outcome.summary


def test_one_constant_day_of_many_is_said_and_refuses_nothing(baseline: tuple[Store, Manifest], tmp_path: Path) -> None:
    store, _ = baseline
    predictions = store.read_table("baseline", "predictions.parquet", FOLD)
    days = predictions["Date"].unique().sort()
    spread = {check.name: check for check in CHECKS}["prediction_spread"]
    for constant, passed in ((1, True), (len(days) // 10, False)):
        flat = pl.col("Date").is_in(days.head(constant).implode()) & (pl.col("model") == "lightgbm")
        value = pl.when(flat).then(0.0).otherwise("prediction").alias("prediction")
        other = Store(tmp_path / str(constant))
        with other.writer("baseline", FOLD, Identity(inputs={}, code_version="c", settings_hash="s")) as w:
            w.table("predictions.parquet", predictions.with_columns(value), key=("Date", "Code", "horizon", "model"))
        outcome = spread.run(other, SETTINGS, FOLD)
        assert outcome.passed == passed and outcome.metadata["constant"] == constant * len(HORIZONS)
        assert f"lightgbm at horizon 1 on {days[0]}" in outcome.summary
        assert ("min_data_in_leaf" in outcome.summary) != passed


def test_luck_among_few_names_raises_no_leak_alarm(
    baseline: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A lasting order of names is alone enough: no signal, twelve names, 90 days of 20-day labels.
    rng = np.random.default_rng(0)
    paths = np.cumsum(rng.normal(size=(200, 110, 12)), axis=1)
    ranks = (paths[:, 20:] - paths[:, :-20]).argsort(axis=2).argsort(axis=2) - 5.5
    own = np.arange(12) - 5.5
    means = np.abs((ranks @ own).mean(axis=1) / (own @ own))
    assert (means > 0.2).mean() > 0.1 and (means > luck(12, 90, 20)).mean() < 0.01
    assert luck(80, 183, 20) < 0.2 and luck(12, 90, 1) < 0.2 and luck(20, 183, 5) < 0.2
    alarm = {check.name: check for check in CHECKS}["leak_alarm"]
    monkeypatch.setattr(checks, "mean_rank_ic", lambda *_: {("ridge", 20): (0.3, 90), ("ridge", 1): (0.1, 90)})
    monkeypatch.setattr(checks, "_names_a_day", lambda *_: 12.0)
    assert alarm.run(baseline[0], SETTINGS, FOLD).passed
    monkeypatch.setattr(checks, "_names_a_day", lambda *_: 100.0)
    assert not alarm.run(baseline[0], SETTINGS, FOLD).passed


def test_ridge_is_stored_with_one_row_of_coefficients_a_horizon(baseline: tuple[Store, Manifest]) -> None:
    store, _ = baseline
    arrays = load_file(store.path("baseline", "ridge.safetensors", FOLD))
    assert arrays["horizons"].tolist() == list(HORIZONS)
    assert arrays["coefficients"].shape == (2, 5)
    assert np.isfinite(arrays["coefficients"]).all()


def test_a_universe_of_fewer_than_twenty_names_is_measured_where_the_setting_lets_it(tmp_path: Path) -> None:
    features, labels = market(days=150, codes=14)
    normal = {"minimum_names": 8}
    few, plain = (small_settings(normalization=normal, portfolio={"min_names": least}) for least in (8, 20))
    store, _ = built(tmp_path, features, labels, few)
    finite = {check.name: check for check in CHECKS}["finite_ic"]
    assert finite.run(store, few, FOLD).passed
    assert mean_rank_ic(store, few, FOLD)["ridge", 1][1] > mean_rank_ic(store, plain, FOLD)["ridge", 1][1]
    refused, _ = built(tmp_path / "refused", features, labels, plain)
    assert "no day has portfolio.min_names = 20 names" in finite.run(refused, plain, FOLD).summary
    assert BY_NAME["baseline"].settings_hash(few) != BY_NAME["baseline"].settings_hash(plain)
    other = few.model_copy(update={"portfolio": few.portfolio.model_copy(update={"quantile": 0.4})})
    assert BY_NAME["baseline"].settings_hash(few) == BY_NAME["baseline"].settings_hash(other)


def test_leaves_may_hold_fewer_rows_than_lightgbm_makes_its_bins_for(tmp_path: Path) -> None:
    store, _ = built(tmp_path, settings=small_settings(baseline={"min_data_in_leaf": 5}))
    assert store.read_json("baseline", "metrics.json", FOLD)["trees"].keys() == {str(h) for h in HORIZONS}
