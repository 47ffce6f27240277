"""Graphs of a fold: from the past only, with every member listed, and they find planted clusters."""

from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from model.correlation_graph.checks import CHECKS
from model.correlation_graph.correlation import chance, weights
from model.correlation_graph.settings import GraphSettings
from model.correlation_graph.stage import graph_of, materialise, past_of, rebalance_positions
from model.errors import DataError
from model.store.store import Store
from model.walk_forward_folds import stage as folds
from model.walk_forward_folds.fold import Fold
from tests.model.walk_forward_folds.synthetic_store import market, small_settings, stage_run, weekdays, write_store

SETTINGS = small_settings()
FOLD = "wf_2019q2"
FEATURES, LABELS = market(days=150)


def built(home: Path, features: pl.DataFrame = FEATURES, labels: pl.DataFrame = LABELS) -> Store:
    store = write_store(home, features, labels)
    folds.materialise(stage_run(store, SETTINGS, FOLD))
    materialise(stage_run(store, SETTINGS, FOLD))
    return store


def tables(store: Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    return (
        store.read_table("correlation_graph", "edges.parquet", FOLD),
        store.read_table("correlation_graph", "nodes.parquet", FOLD),
    )


def clustered(days: int, clusters: int, each: int, seed: int = 3) -> tuple[pl.DataFrame, list[date], np.ndarray]:
    """Returns with a market, a common move of each cluster, and one name in each cluster that moves against it."""
    rng = np.random.Generator(np.random.PCG64(seed))
    member = np.arange(clusters * each) % clusters
    sign = np.where(np.arange(clusters * each) < clusters, -1.0, 1.0)
    common = rng.normal(size=(days, clusters))[:, member] * sign
    grid = 0.01 * (rng.normal(size=(days, 1)) + common + 0.4 * rng.normal(size=(days, clusters * each)))
    axis = weekdays(days)
    frame = pl.DataFrame(
        {
            "Date": pl.Series(axis).gather(np.repeat(np.arange(days), clusters * each)),
            "Code": [f"{1000 + name}A" for name in range(clusters * each)] * days,
            "InUniverse": True,
            "ret_1d": pl.Series(grid.ravel(), dtype=pl.Float32),
        }
    )
    return frame, axis, member


def test_every_check_passes_on_a_sound_graph(tmp_path: Path) -> None:
    store = built(tmp_path)
    for check in CHECKS:
        outcome = check.run(store, SETTINGS, FOLD)
        assert outcome.passed, outcome.summary


def test_a_graph_every_rebalance_from_the_first_train_day_to_the_last_test_day(tmp_path: Path) -> None:
    store = built(tmp_path)
    fold = Fold.load(store, FOLD)
    _, nodes = tables(store)
    found = nodes["rebalance"].unique().sort().to_list()
    assert found[0] == fold.train_start
    assert all(fold.window_dates.index(b) - fold.window_dates.index(a) == 5 for a, b in pairwise(found))
    assert fold.window_dates.index(fold.test_end) - fold.window_dates.index(found[-1]) < 5


def test_every_member_is_a_node_and_isolated_ones_have_degree_zero(tmp_path: Path) -> None:
    store = built(tmp_path)
    edges, nodes = tables(store)
    members = FEATURES.filter("InUniverse").select("Code").n_unique()
    assert nodes.group_by("rebalance").len()["len"].unique().to_list() == [members]
    degrees = edges.group_by("rebalance", Code="source").agg(real=pl.len())
    joined = nodes.join(degrees, on=["rebalance", "Code"], how="left").with_columns(pl.col("real").fill_null(0))
    assert (joined["degree"] == joined["real"]).all()
    lonely = small_settings(graph={"threshold": 0.99})
    materialise(stage_run(store, lonely, FOLD))
    edges, nodes = tables(store)
    assert nodes.group_by("rebalance").len()["len"].unique().to_list() == [members]
    assert (nodes["degree"] == 0).mean() > 0.5
    coverage = {check.name: check for check in CHECKS}["coverage"].run(store, lonely, FOLD)
    assert (coverage.passed, coverage.severity) == (False, "warn")


def test_the_future_changes_no_graph_to_the_bit(tmp_path: Path) -> None:
    position = 85
    bumped = market(days=150, bump=(position, 0.05))
    day = FEATURES["Date"].unique().sort()[position]
    before = tables(built(tmp_path / "a"))
    after = tables(built(tmp_path / "b", *bumped))
    for ours, theirs in zip(before, after, strict=True):
        past = pl.col("rebalance") < day
        assert ours.filter(past).height > 0
        assert ours.filter(past).equals(theirs.filter(past))
    assert not before[0].equals(after[0])


def test_days_and_names_added_later_move_no_earlier_graph() -> None:
    frame, axis, _ = clustered(80, 4, 5)
    settings = GraphSettings(window_days=60, min_joint=40)
    none = pl.DataFrame(schema={"Code": pl.String, "Sector": pl.String})
    first = graph_of(frame.filter(pl.col("Date") <= axis[59]), axis[:60], none, settings)
    newcomer = frame.filter(pl.col("Date") > axis[59]).with_columns(Code=pl.lit("0999A")).unique("Date")
    grown = pl.concat([frame, newcomer]).sort("Date", "Code")
    again = graph_of(grown.filter(pl.col("Date") <= axis[59]), axis[:60], none, settings)
    assert first.edges.equals(again.edges)
    assert first.nodes.equals(again.nodes)


def test_planted_clusters_are_found_with_the_sign_of_the_contrarian() -> None:
    frame, axis, member = clustered(60, clusters=5, each=8)
    codes = frame["Code"].unique().sort().to_list()
    cluster = dict(zip(codes, member.tolist(), strict=True))
    contrarian = set(codes[:5])
    sectors = pl.DataFrame({"Code": codes, "Sector": ["A" if number % 2 else None for number in range(len(codes))]})
    graph = graph_of(frame, axis, sectors, GraphSettings(max_neighbours=7))
    rows = graph.edges.to_dicts()
    inside = [row for row in rows if cluster[row["source"]] == cluster[row["target"]]]
    assert len(inside) == len(rows) == 5 * 8 * 7  # every pair of a cluster, both ways, and no other
    for row in inside:
        assert (row["correlation"] < 0) == ((row["source"] in contrarian) != (row["target"] in contrarian))
    for row in rows:
        odd = int(row["source"][3]) % 2 == 1 and int(row["target"][3]) % 2 == 1
        assert row["same_sector"] == odd  # a missing sector is nobody's sector
        assert row["weight"] == abs(row["correlation"])


def test_without_the_residuals_the_market_itself_makes_edges() -> None:
    frame, axis, member = clustered(60, clusters=8, each=4)
    codes = frame["Code"].unique().sort().to_list()
    cluster = dict(zip(codes, member.tolist(), strict=True))
    none = pl.DataFrame(schema={"Code": pl.String, "Sector": pl.String})

    def across(residualise: bool) -> int:
        edges = graph_of(frame, axis, none, GraphSettings(residualise=residualise)).edges
        return sum(cluster[a] != cluster[b] for a, b in edges.select("source", "target").rows())

    assert across(residualise=True) < across(residualise=False)


def test_without_noise_a_group_is_whole_and_a_pair_that_is_alike_by_chance_is_none() -> None:
    frame, axis, member = clustered(60, clusters=6, each=8, seed=4)
    rng = np.random.Generator(np.random.PCG64(7))
    noise = pl.Series(0.013 * rng.normal(size=frame.height), dtype=pl.Float32)
    frame = frame.with_columns(ret_1d=pl.col("ret_1d") + noise)
    codes = frame["Code"].unique().sort().to_list()
    cluster = dict(zip(codes, member.tolist(), strict=True))
    none = pl.DataFrame(schema={"Code": pl.String, "Sector": pl.String})

    def right_and_wrong(denoise: bool) -> tuple[int, int]:
        settings = GraphSettings(ewm_halflife=None, threshold=0.2, max_neighbours=7, denoise=denoise)
        edges = graph_of(frame, axis, none, settings).edges
        right = sum(cluster[a] == cluster[b] for a, b in edges.select("source", "target").rows())
        return right, edges.height - right

    (right, wrong), (right_raw, wrong_raw) = right_and_wrong(denoise=True), right_and_wrong(denoise=False)
    assert right > right_raw
    assert wrong < 0.5 * wrong_raw


def test_an_edge_carries_the_lead_of_its_source_over_its_target() -> None:
    frame, axis, _ = clustered(400, clusters=6, each=8)
    codes = frame["Code"].unique().sort()
    grid = frame["ret_1d"].to_numpy().reshape(400, 48).astype(np.float64)
    own = np.random.Generator(np.random.PCG64(9)).normal(size=400)
    grid[:, 12] += 0.01 * own  # the third of cluster 0, which the others of its cluster follow a day later
    for follower in (18, 24, 30, 36, 42):
        grid[1:, follower] += 0.004 * own[:-1]
    frame = frame.with_columns(ret_1d=pl.Series(grid.ravel(), dtype=pl.Float32))
    none = pl.DataFrame(schema={"Code": pl.String, "Sector": pl.String})
    edges = graph_of(frame, axis, none, GraphSettings(ewm_halflife=None, window_days=400, max_neighbours=7)).edges
    leading = edges.filter(pl.col("source") == codes[12])
    assert leading.height == 7
    assert leading["lead"].min() > 2.5  # type: ignore[operator]
    assert edges.filter(pl.col("source") != codes[12])["lead"].max() < 0.5  # type: ignore[operator]


def test_a_fold_shorter_than_the_window_is_refused_with_the_key_to_change(tmp_path: Path) -> None:
    fold = Fold.load(built(tmp_path), FOLD)
    with pytest.raises(DataError, match=r"graph\.min_joint"):
        rebalance_positions(fold, GraphSettings(window_days=500, min_joint=400))


def test_a_window_longer_than_the_history_takes_the_days_there_are(tmp_path: Path) -> None:
    fold = Fold.load(built(tmp_path), FOLD)
    start = fold.window_dates.index(fold.train_start)
    assert rebalance_positions(fold, GraphSettings(window_days=500, min_joint=6)).start == start
    assert past_of(start, GraphSettings(window_days=500, min_joint=6)) == slice(0, start + 1)


def test_what_is_told_from_chance_depends_on_the_days_behind_it() -> None:
    frame, axis, _ = clustered(60, clusters=5, each=8)
    none = pl.DataFrame(schema={"Code": pl.String, "Sector": pl.String})
    settings = GraphSettings(threshold=0.05, ewm_halflife=None, max_neighbours=39, min_t_value=2.0, min_joint=20)
    for days in (30, 60):
        kept = frame.filter(pl.col("Date") >= axis[60 - days])
        weight = graph_of(kept, axis[60 - days :], none, settings).edges["weight"]
        assert weight.min() >= 2.0 / np.sqrt(days)  # type: ignore[operator]
        loose = settings.model_copy(update={"min_t_value": 0.0})
        more = graph_of(kept, axis[60 - days :], none, loose).edges["weight"]
        assert (more >= 2.0 / np.sqrt(days)).sum() == len(weight) < len(more)
    assert chance(weights(60, 20.0)) > chance(weights(60, None)) == pytest.approx(1 / np.sqrt(60))


def test_checks_refuse_a_graph_made_with_other_settings(tmp_path: Path) -> None:
    store = built(tmp_path)
    checks = {check.name: check for check in CHECKS}
    assert not checks["degree_cap"].run(store, small_settings(graph={"max_neighbours": 2}), FOLD).passed
    assert not checks["only_past"].run(store, small_settings(graph={"rebalance_days": 7}), FOLD).passed
    assert not checks["only_past"].run(store, small_settings(graph={"ewm_halflife": 2.0}), FOLD).passed
