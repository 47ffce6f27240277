"""The summary of data, folds, baseline and graph that the safe training pipeline before this one ended with.

Names are those of its ``final_report``, so that whoever read the old file reads this one; the figures follow the
definitions used here. Seconds and memory depend on the machine and are kept in the manifests: their keys are null.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from model.store.store import Store
from model.walk_forward_folds.settings import LIVE

BASELINE = "lightgbm"


def final_report(store: Store, folds: Sequence[str], report: dict[str, Any]) -> dict[str, Any]:
    """The summary of a report over these folds."""
    names = [name for name in folds if name != LIVE]
    features = {feature for name in names for feature in store.read_json("baseline", "metrics.json", name)["features"]}
    return {
        "pipeline_summary": {
            "total_duration_seconds": None,
            "memory_usage_gb": None,
            "data_processed": {
                "samples": report["coverage"]["rows"]["common"],
                "features": len(features),
                "stocks": report["coverage"]["names"],
            },
        },
        "safety_validation": {
            "walk_forward_splits": len(names),
            "embargo_days": min(int(fold["embargo_days"]) for fold in report["folds"]),
            "overlaps_detected": sum(_overlaps(store, name) for name in names),
            "normalization_warnings": _normalization_warnings(store, names),
        },
        "model_performance": _performance(report),
        "graph_structure": _graph(store, names),
    }


def _performance(report: dict[str, Any]) -> dict[str, Any]:
    """Mean IC and RankIC of LightGBM by horizon (``1d``, ``5d``, …)."""
    return {
        f"{h}d": {"mean_ic": found["ic"]["value"], "mean_rank_ic": found["rank_ic"]["value"]}
        for h, found in report["models"].get(BASELINE, {}).items()
    }


def _overlaps(store: Store, fold: str) -> int:
    """Train and validation days of which a label that is used shares a day with a test day's longest one."""
    longest = int(store.read_json("walk_forward_folds", "fold.json", fold)["purge_days"])
    days = store.read_table("walk_forward_folds", "dates.parquet", fold, ["role", "reach"])
    test = np.flatnonzero((days["role"] == "test").to_numpy())
    learned = np.flatnonzero(days["role"].is_in(["train", "validation"]).to_numpy())
    if not len(test) or not len(learned):
        return 0
    following = np.searchsorted(test, learned)
    ahead = np.append(test, np.iinfo(np.int64).max)[following] - learned
    behind = learned - np.append(test, np.iinfo(np.int64).min // 2)[following - 1]
    return int(((ahead < days["reach"].to_numpy()[learned]) | (behind < longest)).sum())


def _normalization_warnings(store: Store, folds: Sequence[str]) -> int:
    """Features that no train day gave bounds for, over all folds."""
    count = 0
    for fold in folds:
        bounds = store.read_table("normalization_stats", "bounds.parquet", fold)
        count += bounds.filter(
            pl.any_horizontal(pl.col("low", "high").is_null() | pl.col("low", "high").is_nan())
        ).height
    return count


def _graph(store: Store, folds: Sequence[str]) -> dict[str, float]:
    """Nodes and (undirected) edges of a mean graph."""
    nodes, edges, graphs = 0, 0, 0
    for fold in folds:
        manifest = store.require("correlation_graph", fold)
        nodes += manifest.files["nodes.parquet"].rows or 0
        edges += (manifest.files["edges.parquet"].rows or 0) // 2  # an edge is stored in both directions
        graphs += int(manifest.extra["graphs"])
    return {"nodes": nodes / graphs, "edges": edges / graphs}
