"""The stage: the graphs of one fold, one for each rebalance date, from past returns only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.correlation_graph.correlation import DECIMALS, chance, masked_correlation, weights
from model.correlation_graph.denoise import denoised
from model.correlation_graph.lead_lag import leaders
from model.correlation_graph.neighbours import select_edges
from model.correlation_graph.residual import market_residuals, standardised
from model.correlation_graph.settings import GraphSettings
from model.errors import DataError
from model.quality_features.read import read_features
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.walk_forward_folds.fold import Fold

ASSET = "correlation_graph"
FEATURES = "quality_features"
RETURN = "ret_1d"
EDGES = {
    "rebalance": pl.Date,
    "source": pl.String,
    "target": pl.String,
    "correlation": pl.Float32,
    "same_sector": pl.Boolean,
    "weight": pl.Float32,
    "lead": pl.Float32,
}
NODES = {"rebalance": pl.Date, "Code": pl.String, "degree": pl.Int32}


@dataclass(frozen=True)
class Graph:
    """The graph known at the close of ``rebalance``: every member is a node, edges run both ways."""

    edges: pl.DataFrame
    nodes: pl.DataFrame


def materialise(run: StageRun) -> Manifest:
    """Compute and publish the graphs of the fold named by the partition.

    Raises:
        DataError: the fold is too short for one window.
        StoreError: the fold or the features are not materialised.
    """
    if run.partition is None:
        raise ValueError(f"{ASSET} is materialised fold by fold, and no fold was named")
    settings = run.settings.graph
    fold = Fold.load(run.store, run.partition)
    rebalances = rebalance_positions(fold, settings)
    returns = _read(run, fold, "features", ["Date", "Code", "InUniverse", RETURN])
    sectors = _read(run, fold, "labels", ["Date", "Code", "Sector"])
    bounds = returns["Date"].search_sorted(pl.Series([*fold.window_dates, date.max]), side="left").to_list()
    graphs: list[Graph] = []
    for done, position in enumerate(rebalances):
        day = fold.window_dates[position]
        run.progress(done, len(rebalances), f"graph of {day}")
        past = past_of(position, settings)
        window = returns.slice(bounds[past.start], bounds[past.stop] - bounds[past.start])
        graphs.append(graph_of(window, fold.window_dates[past], sectors_on(sectors, day), settings))
    edges, nodes = (pl.concat([getattr(graph, part) for graph in graphs]) for part in ("edges", "nodes"))
    with run.writer(ASSET) as w:
        w.table("edges.parquet", edges, key=("rebalance", "source", "target"))
        w.table("nodes.parquet", nodes, key=("rebalance", "Code"))
        w.extra["graphs"] = len(graphs)
        w.extra["edges_per_graph"] = round(edges.height / (2 * len(graphs)), 2)
        w.extra["isolated_share"] = round(float((nodes["degree"] == 0).sum()) / max(1, nodes.height), 4)
    return w.manifest


def rebalance_positions(fold: Fold, settings: GraphSettings) -> range:
    """Positions in the window on which a graph is made: the first train day, then every so many days.

    They are counted from the first train day (or the first with ``graph.min_joint`` days up to it, where that is
    later), so days added at the end of the window move none of them.

    Raises:
        DataError: the days up to the last that is used are fewer than ``graph.min_joint``.
    """
    stop = fold.window_dates.index(fold.active_end) + 1
    start = max(fold.window_dates.index(fold.train_start), settings.min_joint - 1)
    positions = range(start, stop, settings.rebalance_days)
    if not positions:
        raise DataError(
            f"Fold {fold.name} has {stop} days up to the last that it uses, too few for one graph of "
            f"graph.min_joint = {settings.min_joint}. Lower it, or make the fold longer (folds.lookback_days)."
        )
    return positions


def past_of(position: int, settings: GraphSettings) -> slice:
    """Positions of the days that the graph made at the close of ``position`` reads: its windows, as far as there are
    days."""
    longest = max(settings.window_days, settings.lead_window_days)
    return slice(max(0, position - longest + 1), position + 1)


def graph_of(window: pl.DataFrame, days: Sequence[date], sectors: pl.DataFrame, settings: GraphSettings) -> Graph:
    """The graph made at the close of the last of ``days``.

    A day without members (an exchange outage) has an empty graph; the one before stays in force.

    Args:
        window: rows of these days: Date, Code, InUniverse, ret_1d, sorted by (Date, Code).
        sectors: Code, Sector on the last day.
        settings: how edges are chosen; correlations use the last ``window_days`` of the days, who leads the last
            ``lead_window_days``.
    """
    rebalance = days[-1]
    codes = window.filter((pl.col("Date") == rebalance) & pl.col("InUniverse"))["Code"].sort()
    returns = dense_returns(window, days, codes)
    if settings.residualise:
        returns = market_residuals(returns)
    recent = returns[-settings.window_days :]
    weight = weights(len(recent), settings.ewm_halflife)
    correlation = _correlation(standardised(recent), weight, settings)
    threshold = max(settings.threshold, settings.min_t_value * chance(weight))
    first, second, value = select_edges(correlation, threshold=threshold, max_neighbours=settings.max_neighbours)
    leading = leaders(standardised(returns[-settings.lead_window_days :]), first, second, value)
    sector = pl.DataFrame({"Code": codes}).join(sectors, on="Code", how="left", maintain_order="left")["Sector"]
    source, target = np.r_[first, second], np.r_[second, first]
    signed = pl.Series(np.r_[value, value], dtype=pl.Float32)
    edges = pl.DataFrame(
        {
            "rebalance": pl.repeat(rebalance, len(source), dtype=pl.Date, eager=True),
            "source": codes.gather(source),
            "target": codes.gather(target),
            "correlation": signed,
            "same_sector": (sector.gather(source) == sector.gather(target)).fill_null(False),
            "weight": signed.abs(),
            "lead": pl.Series(leading.over(source, target), dtype=pl.Float32),
        },
        schema=EDGES,
    ).sort("source", "target")
    nodes = pl.DataFrame(
        {
            "rebalance": pl.repeat(rebalance, len(codes), dtype=pl.Date, eager=True),
            "Code": codes,
            "degree": np.bincount(source, minlength=len(codes)),
        },
        schema=NODES,
    )
    return Graph(edges, nodes)


def _correlation(
    returns: NDArray[np.float64], weight: NDArray[np.float64], settings: GraphSettings
) -> NDArray[np.float64]:
    """[N, N] correlations as far as they are believed: without noise where that is asked for, then shrunk."""
    if not settings.denoise:
        return masked_correlation(returns, weight, min_joint=settings.min_joint, shrinkage=settings.shrinkage)
    raw = masked_correlation(returns, weight, min_joint=settings.min_joint, shrinkage=0.0)
    return np.round((1.0 - settings.shrinkage) * denoised(raw, 1.0 / chance(weight) ** 2), DECIMALS)


def dense_returns(window: pl.DataFrame, days: Sequence[date], codes: pl.Series) -> NDArray[np.float64]:
    """One-day returns [days, codes] as float64, NaN where there is none."""
    grid = np.full((len(days), len(codes)), np.nan)
    kept = window.filter(pl.col("Code").is_in(codes.implode()) & pl.col(RETURN).is_not_null())
    row = kept["Date"].replace_strict(days, range(len(days)), return_dtype=pl.Int64).to_numpy()
    column = kept["Code"].cast(pl.Enum(codes)).to_physical().cast(pl.Int64).to_numpy()
    grid[row, column] = kept[RETURN].cast(pl.Float64).to_numpy()
    grid[~np.isfinite(grid)] = np.nan
    return grid


def sectors_on(sectors: pl.DataFrame, day: date) -> pl.DataFrame:
    """Code and Sector of one day."""
    return sectors.filter(pl.col("Date") == day).select("Code", "Sector")


def _read(run: StageRun, fold: Fold, table: str, columns: list[str]) -> pl.DataFrame:
    if table == "features":
        return read_features(run.store, start=fold.window_start, end=fold.active_end, columns=columns)
    return run.store.read_chunks(FEATURES, table, start=fold.window_start, end=fold.active_end, columns=columns)
