"""Combinatorial splits through the whole graph: every day predicted once on each path, never by who learned it."""

from pathlib import Path

import polars as pl

from model.lineage.graph import BY_NAME
from model.settings import presets
from model.store.store import Store
from model.walk_forward_folds.fold import Fold
from tests.pipeline.support import TINY, Build

SPLITS = ("cv_2018q3_2018q4", "cv_2018q3_2019q1", "cv_2018q4_2019q1")
SMALL = (
    "folds.scheme=combinatorial",
    "folds.periods=[2018q3, 2018q4, 2019q1]",
    "folds.min_train_days=20",
    "folds.train_days=null",
    "labels.horizons=[1]",
    "source.tables=[]",
    "features.groups=[returns, technical]",
    "tensors.features=[ret_1d, ret_5d, ret_20d]",
    "training.phases=[{name: only, epochs: 1, lr: 0.001}]",
    "training.guards.degenerate=flag",
    "baseline.n_estimators=5",
)


def test_splits_run_through_the_graph_and_make_up_whole_paths(tmp_path: Path, build: Build) -> None:
    settings = presets.load(TINY, list(SMALL))
    build(tmp_path, settings)
    store = Store(tmp_path)
    assert store.partitions("walk_forward_folds") == list(SPLITS)
    tested: list[pl.DataFrame] = []
    for name in SPLITS:
        for check in BY_NAME["walk_forward_folds"].checks():
            assert check.run(store, settings, name).passed, check.name
        fold = Fold.load(store, name)
        rows = store.read_table("validation_predictions", "predictions.parquet", name)
        assert set(rows["Date"]) == set(fold.test_dates)
        assert not set(fold.test_dates) & {*fold.train_dates, *fold.validation_dates}
        tested.append(rows.select("Date").unique())
    times = pl.concat(tested)["Date"].value_counts()["count"]
    assert set(times) == {2}
    report = store.read_json("portfolio_report", "report.json")
    assert [row["path"] for row in report["paths"]["ridge"]] == [0, 1]
    days = {row["rank_ic"]["n"] for row in report["paths"]["ridge"]}
    assert days == {len(times)}
