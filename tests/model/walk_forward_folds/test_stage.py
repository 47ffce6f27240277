"""The fold's artefact changes exactly when something changes in its slice."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from model.store.day_digests import DayDigests
from model.store.hashing import merkle_root
from model.store.manifest import Manifest
from model.store.store import Store
from model.walk_forward_folds.checks import CHECKS
from model.walk_forward_folds.fold import Fold
from model.walk_forward_folds.stage import materialise
from tests.model.walk_forward_folds.synthetic_store import IDENTITY, market, small_settings, stage_run, write_store

FEATURES, LABELS = market(days=150)
SETTINGS = small_settings()


def built(home: Path, features: pl.DataFrame, labels: pl.DataFrame, fold: str = "wf_2019q2") -> tuple[Store, Manifest]:
    store = write_store(home, features, labels)
    return store, materialise(stage_run(store, SETTINGS, fold))


def changed(frame: pl.DataFrame, column: str, day: date) -> pl.DataFrame:
    return frame.with_columns(
        pl.when((pl.col("Date") == day) & (pl.col("Code") == "10030"))
        .then(0.123)
        .otherwise(pl.col(column))
        .alias(column)
    ).cast({column: frame.schema[column]})


def test_a_stored_fold_is_read_back_as_it_was(tmp_path: Path) -> None:
    store, manifest = built(tmp_path, FEATURES, LABELS)
    fold = Fold.load(store, "wf_2019q2")
    assert fold.test_start == date(2019, 4, 1)
    assert fold.test_end == date(2019, 6, 28)
    assert fold.document() == store.read_json("walk_forward_folds", "fold.json", "wf_2019q2")
    dates = store.read_table("walk_forward_folds", "dates.parquet", "wf_2019q2")
    assert dates["names"].to_list() == [28] * len(fold.window_dates)
    assert manifest.extra["n_test"] == fold.n_test


@pytest.mark.parametrize("fold", SETTINGS.folds.names())
def test_every_check_passes_on_a_sound_fold(tmp_path: Path, fold: str) -> None:
    store, _ = built(tmp_path, FEATURES, LABELS, fold)
    for check in CHECKS:
        assert check.blocking
        outcome = check.run(store, SETTINGS, fold)
        assert outcome.passed, outcome.summary


def test_the_fingerprint_changes_with_the_slice_and_with_nothing_else(tmp_path: Path) -> None:
    store, original = built(tmp_path / "original", FEATURES, LABELS)
    fold = Fold.load(store, "wf_2019q2")
    days = FEATURES["Date"].unique().sort().to_list()
    after = days[days.index(fold.window_end) + 1]
    for number, (column, day, inside) in enumerate(
        [
            ("signal", fold.window_start, True),
            ("signal", fold.window_end, True),
            ("target_5", fold.test_start, True),
            ("signal", after, False),
            ("target_5", after, False),
        ]
    ):
        features = changed(FEATURES, column, day) if column in FEATURES.columns else FEATURES
        labels = changed(LABELS, column, day) if column in LABELS.columns else LABELS
        _, manifest = built(tmp_path / str(number), features, labels)
        assert (manifest.content_hash != original.content_hash) is inside, (column, day)


def test_days_added_to_the_data_leave_a_past_fold_alone_and_change_live(tmp_path: Path) -> None:
    longer = market(days=160)
    for fold, same in (("wf_2019q2", True), ("live", False)):
        _, before = built(tmp_path / "before", FEATURES, LABELS, fold)
        _, later = built(tmp_path / "later", *longer, fold)
        assert (before.content_hash == later.content_hash) is same


def test_a_whole_month_takes_the_hash_of_its_chunk_and_a_cut_month_that_of_its_rows(tmp_path: Path) -> None:
    store, _ = built(tmp_path, FEATURES, LABELS)
    found = store.read_json("walk_forward_folds", "fingerprint.json", "wf_2019q2")
    fold = Fold.load(store, "wf_2019q2")
    inside = pl.col("Date").is_between(fold.window_start, fold.window_end)
    for table, frame in (("features", FEATURES), ("labels", LABELS)):
        months = frame.filter(inside).group_by(pl.col("Date").dt.strftime("%Y-%m"), maintain_order=True)
        for (month,), rows in months:
            own = DayDigests.of(rows).root(rows.schema)  # one band here
            assert found[table][str(month)] == (merkle_root({"features": own}) if table == "features" else own)
            assert found["band:features" if table == "features" else table][str(month)] == own


def test_checks_refuse_a_fold_whose_gap_is_too_short_for_the_labels(tmp_path: Path) -> None:
    store, _ = built(tmp_path, FEATURES, LABELS)
    longer = small_settings(labels={"horizons": (1, 5, 30)})
    failed = {
        check.name for check in CHECKS if check.name == "gap" and not check.run(store, longer, "wf_2019q2").passed
    }
    assert failed == {"gap"}


def test_checks_refuse_a_long_label_fitted_where_only_a_short_one_may_be(tmp_path: Path) -> None:
    store, _ = built(tmp_path, FEATURES, LABELS)
    dates = store.read_table("walk_forward_folds", "dates.parquet", "wf_2019q2")
    document = store.read_json("walk_forward_folds", "fold.json", "wf_2019q2")
    train = pl.col("role") == "train"
    assert dates.filter(train)["reach"].to_list()[-5:] == [5, 1, 1, 1, 1]
    with store.writer("walk_forward_folds", "wf_2019q2", IDENTITY) as w:
        w.json("fold.json", document)
        w.table("dates.parquet", dates.with_columns(reach=pl.when(train).then(5).otherwise("reach")), key=("Date",))
    failed = {check.name: check.run(store, SETTINGS, "wf_2019q2") for check in CHECKS}
    assert {name for name, outcome in failed.items() if not outcome.passed} == {"no_overlap", "gap"}
    assert failed["gap"].metadata["embargo_train_validation"] == 2 - 4


def test_checks_refuse_labels_that_resolve_in_the_next_part(tmp_path: Path) -> None:
    late = LABELS.with_columns(resolved_5=pl.col("resolved_5").dt.offset_by("20d"))
    store, _ = built(tmp_path, FEATURES, late)
    outcome = CHECKS[0].run(store, SETTINGS, "wf_2019q2")
    assert not outcome.passed
    assert "resolves" in outcome.summary


def test_checks_refuse_a_fold_with_too_many_thin_days(tmp_path: Path) -> None:
    store, _ = built(tmp_path, FEATURES, LABELS)
    thin = small_settings(folds={"min_names": 29})
    outcome = {check.name: check for check in CHECKS}["minimum_names"].run(store, thin, "wf_2019q2")
    assert not outcome.passed
    assert "fewer than 29" in outcome.summary
