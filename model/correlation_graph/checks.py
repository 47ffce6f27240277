"""What must hold of a fold's graphs before the network passes messages along them."""

from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from model.correlation_graph.stage import (
    ASSET,
    FEATURES,
    RETURN,
    graph_of,
    past_of,
    rebalance_positions,
    sectors_on,
)
from model.quality_features.read import read_features
from model.store.checks import Check, CheckOutcome
from model.walk_forward_folds.fold import Fold

if TYPE_CHECKING:
    from model.settings.root import Settings
    from model.store.store import Store

MAX_ISOLATED_SHARE = 0.5


def check_only_past(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """Rebalance dates are those of the fold, and the middle graph is the same computed from its past alone."""
    fold = Fold.load(store, str(partition))
    positions = rebalance_positions(fold, settings.graph)
    names = store.read_table("walk_forward_folds", "dates.parquet", partition, ["names"])["names"]
    expected = [fold.window_dates[position] for position in positions if names[position]]
    nodes = store.read_table(ASSET, "nodes.parquet", partition)
    edges = store.read_table(ASSET, "edges.parquet", partition)
    found = nodes["rebalance"].unique().sort().to_list()
    strange = sorted(set(found) ^ set(expected)) + sorted(set(edges["rebalance"].unique()) - set(expected))
    middle = positions[len(positions) // 2]
    day = fold.window_dates[middle]
    days = fold.window_dates[past_of(middle, settings.graph)]
    columns = ["Date", "Code", "InUniverse", RETURN]
    window = read_features(store, start=days[0], end=day, columns=columns)
    labels = store.read_chunks(FEATURES, "labels", start=day, end=day, columns=["Date", "Code", "Sector"])
    again = graph_of(window, days, sectors_on(labels, day), settings.graph)
    same = again.edges.equals(edges.filter(pl.col("rebalance") == day)) and again.nodes.equals(
        nodes.filter(pl.col("rebalance") == day)
    )
    problems = [f"{len(strange)} rebalance dates differ from the fold's, the first {strange[0]}"] if strange else []
    problems += [] if same else [f"the graph of {day} is not what its past window gives"]
    return CheckOutcome(
        passed=not problems,
        summary=f"Fold {fold.name}: "
        + ("; ".join(problems) or f"{len(found)} graphs, the one of {day} recomputed from its past alone")
        + ".",
        metadata={"graphs": len(found), "recomputed": str(day)},
    )


def check_degree_cap(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """No name has more neighbours than allowed, edges run both ways, and listed degrees are the real ones."""
    cap = settings.graph.max_neighbours
    nodes = store.read_table(ASSET, "nodes.parquet", partition)
    edges = store.read_table(ASSET, "edges.parquet", partition)
    keys = ["rebalance", "source", "target", "correlation", "same_sector", "weight"]
    mirrored = edges.rename({"source": "target", "target": "source"}).select(keys).sort("rebalance", "source", "target")
    degrees = edges.group_by("rebalance", pl.col("source").alias("Code")).agg(real=pl.len())
    real = nodes.join(degrees, on=["rebalance", "Code"], how="full", coalesce=True)
    wrong = int((real["degree"].fill_null(-1) != real["real"].fill_null(0)).sum())
    largest = int(edges.height and degrees["real"].max())  # type: ignore[arg-type]
    symmetric = mirrored.equals(edges.select(keys))
    weak = int((edges["weight"] < settings.graph.threshold - 1e-6).sum())
    return CheckOutcome(
        passed=largest <= cap and symmetric and not wrong and not weak,
        summary=(
            f"Fold {partition}: largest degree {largest} of {cap}; symmetric: {symmetric}; "
            f"{wrong} nodes with a wrong degree; {weak} edges below the threshold."
        ),
        metadata={"largest_degree": largest, "cap": cap, "edges": edges.height},
    )


def check_coverage(store: "Store", settings: "Settings", partition: str | None) -> CheckOutcome:
    """Most names have a neighbour, and the first graph is there on the first train day."""
    fold = Fold.load(store, str(partition))
    nodes = store.read_table(ASSET, "nodes.parquet", partition)
    isolated = float((nodes["degree"] == 0).sum()) / max(1, nodes.height)
    first: date | None = nodes.select(pl.col("rebalance").min()).item()
    late = first is None or first > fold.train_start
    problems = [f"{isolated:.0%} of names have no neighbour"] if isolated > MAX_ISOLATED_SHARE else []
    if late:
        problems.append(
            f"the first graph is of {first}, after training starts on {fold.train_start}; folds.lookback_days should "
            f"be at least graph.min_joint ({settings.graph.min_joint})"
        )
    mean_degree = float(nodes["degree"].cast(pl.Float64).mean() or 0.0) if nodes.height else 0.0  # type: ignore[arg-type]
    return CheckOutcome(
        passed=not problems,
        severity="warn",
        summary=f"Fold {fold.name}: "
        + ("; ".join(problems) or f"{isolated:.0%} of names have no neighbour, {mean_degree:.1f} neighbours on average")
        + ".",
        metadata={"isolated_share": isolated, "mean_degree": mean_degree},
    )


CHECKS: tuple[Check, ...] = (
    Check("only_past", "Graphs come from past windows only; one is recomputed from its past alone.", check_only_past),
    Check("degree_cap", "Graphs are symmetric and no name has too many neighbours.", check_degree_cap),
    Check("coverage", "Few isolated names, and a graph from the first train day on.", check_coverage, blocking=False),
)
