"""The safe training pipeline's summary."""

from datetime import timedelta
from pathlib import Path

import polars as pl

from model.portfolio_report.safe_report import final_report
from model.store.manifest import Identity
from model.store.store import Store
from tests.model.portfolio.markets import trading_days

FOLD = "wf_2019h1"
FIGURE = {"value": 0.02, "n": 9, "interval": None}
REPORT = {
    "coverage": {"rows": {"common": 900}, "names": 30},
    "folds": [{"fold": FOLD, "embargo_days": 4}],
    "models": {"lightgbm": {"1": {"ic": FIGURE, "rank_ic": FIGURE | {"value": 0.03}}}},
}


IDENTITY = Identity(inputs={}, code_version="c0de", settings_hash="5e77")


def written(root: Path, roles: list[str], reach: list[int] | None = None) -> Store:
    """One fold of these roles, with its graph and its normalisation.

    Without ``reach`` all labels of train and validation days are used.
    """
    store = Store(root)
    days = trading_days(len(roles))
    with store.writer("walk_forward_folds", FOLD, IDENTITY) as w:
        w.json("fold.json", {"fold": FOLD, "purge_days": 3})
        used = reach or [3 if role in ("train", "validation", "test") else 0 for role in roles]
        w.table("dates.parquet", pl.DataFrame({"Date": days, "role": roles, "reach": used}), key=("Date",))
    with store.writer("baseline", FOLD, IDENTITY) as w:
        w.json("metrics.json", {"features": ["a", "b"]})
    with store.writer("normalization_stats", FOLD, IDENTITY) as w:
        bounds = pl.DataFrame({"feature": ["a", "b", "c"], "low": [-1.0, None, -2.0], "high": [1.0, None, 2.0]})
        w.table("bounds.parquet", bounds, key=("feature",))
    with store.writer("correlation_graph", FOLD, IDENTITY) as w:
        both = [days[0], days[0] + timedelta(7)]
        edges = pl.DataFrame({"rebalance": both * 2, "source": ["a", "a", "b", "b"], "target": ["b", "b", "a", "a"]})
        w.table("edges.parquet", edges.sort("rebalance", "source"), key=("rebalance", "source"))
        nodes = pl.DataFrame({"rebalance": both * 3, "Code": ["a", "a", "b", "b", "c", "c"]})
        w.table("nodes.parquet", nodes.sort("rebalance", "Code"), key=("rebalance", "Code"))
        w.extra["graphs"] = 2
    return store


def test_the_old_names_hold_what_the_artefacts_say(tmp_path: Path) -> None:
    roles = ["train"] * 5 + ["purge"] * 2 + ["validation"] * 3 + ["embargo"] * 2 + ["test"] * 4
    found = final_report(written(tmp_path, roles), (FOLD, "live"), REPORT)
    assert found["pipeline_summary"]["data_processed"] == {"samples": 900, "features": 2, "stocks": 30}
    assert found["safety_validation"] == {
        "walk_forward_splits": 1,
        "embargo_days": 4,
        "overlaps_detected": 0,
        "normalization_warnings": 1,
    }
    assert found["model_performance"] == {"1d": {"mean_ic": 0.02, "mean_rank_ic": 0.03}}
    assert found["graph_structure"] == {"nodes": 3.0, "edges": 1.0}


def test_learned_days_whose_labels_reach_the_test_are_counted_on_either_side(tmp_path: Path) -> None:
    roles = ["train"] * 4 + ["purge"] + ["test"] * 3 + ["embargo"] * 2 + ["train"] * 2
    found = final_report(written(tmp_path, roles), (FOLD,), REPORT)
    # labels of three days: the train day two before the first test day; those three and four after the last do not
    assert found["safety_validation"]["overlaps_detected"] == 1
    close = ["train"] * 4 + ["test"] * 3 + ["train"] * 3
    found = final_report(written(tmp_path / "close", close), (FOLD,), REPORT)
    assert found["safety_validation"]["overlaps_detected"] == 4


def test_a_train_day_whose_long_labels_are_not_fitted_counts_by_those_that_are(tmp_path: Path) -> None:
    roles = ["train"] * 4 + ["purge"] + ["test"] * 3
    for name, reach, expected in (("short", [3, 3, 2, 1, 0, 3, 3, 3], 0), ("long", [3, 3, 3, 3, 0, 3, 3, 3], 1)):
        found = final_report(written(tmp_path / name, roles, reach), (FOLD,), REPORT)
        assert found["safety_validation"]["overlaps_detected"] == expected
