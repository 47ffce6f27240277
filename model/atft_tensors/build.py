"""From feature, label and graph tables to the arrays of a fold's tensors, a month at a time."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.atft_tensors.shards import MonthArrays
from model.errors import DataError

LEAD_CLIP, LEAD_UNIT = 6.0, 3.0
"""The lead of an edge, in units of a t-statistic, is clipped at the first and divided by the second: of order 1."""
OWN_RETURN = "ret_1d"
"""The feature that is the stock's own history for the adaptive normalisation."""


@dataclass(frozen=True)
class Graphs:
    """All graphs of a window: see the graph arrays of ``FoldPanel`` for the shapes."""

    start: NDArray[np.int64]
    ptr: NDArray[np.int64]
    edge_index: NDArray[np.int64]
    edge_attr: NDArray[np.float32]


def month_arrays(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    days: tuple[date, ...],
    names: tuple[str, ...],
    horizons: tuple[int, ...],
) -> MonthArrays:
    """Make one month dense.

    Args:
        features: rows of the days, sorted by Date and Code: Date, Code, InUniverse, ``ret_1d`` and ``names``.
        labels: Date, Code and target_{h}; rows without a feature row are left out.
        days: the window's days in this month.

    Raises:
        DataError: rows are dated on a day that is not in the window.
    """
    codes = features["Code"].unique().sort().to_numpy().astype(np.str_)
    at = _places(features, days, codes, "features")
    shape = (len(days), len(codes))
    present = np.zeros(shape, np.bool_)
    present[at] = True
    member = np.zeros(shape, np.bool_)
    member[at] = features["InUniverse"].fill_null(False).to_numpy()
    own = np.full(shape, np.nan, np.float32)
    own[at] = features[OWN_RETURN].cast(pl.Float32).to_numpy()
    x = np.full((*shape, len(names)), np.nan, np.float32)
    x[at] = features.select(pl.col(names).cast(pl.Float32)).to_numpy()
    targets = [f"target_{h}" for h in horizons]
    known = labels.filter(pl.col("Code").is_in(features["Code"].unique().implode()))
    y = np.full((*shape, len(horizons)), np.nan, np.float32)
    y[_places(known, days, codes, "labels")] = known.select(pl.col(targets).cast(pl.Float32)).to_numpy()
    y[~present] = np.nan
    x[~np.isfinite(x)] = np.nan
    return MonthArrays(features=x, labels=y, own_return=own, present=present, member=member, codes=codes)


def own_arrays(
    table: pl.DataFrame, days: tuple[date, ...], codes: tuple[str, ...], names: tuple[str, ...]
) -> NDArray[np.float32]:
    """[T, N, K] features that belong to one fold; 0 where there is none.

    Args:
        table: Date, Code and ``names``; codes that the fold does not have are left out.

    Raises:
        DataError: rows are dated on a day that is not in the window.
    """
    known = table.filter(pl.col("Code").is_in(codes))
    own = np.zeros((len(days), len(codes), len(names)), np.float32)
    place = _places(known, days, np.array(codes, np.str_), "the baseline's predictions")
    own[place] = known.select(pl.col(names).cast(pl.Float32).fill_null(0.0)).to_numpy()
    return own


def graph_arrays(edges: pl.DataFrame, nodes: pl.DataFrame, days: tuple[date, ...], codes: tuple[str, ...]) -> Graphs:
    """Join the graphs of all rebalance dates that are in force on some day of the window.

    A graph is in force from its rebalance date until the next one. Of those dated before the window only the last
    counts, from the first day on. Edges from or to a code outside ``codes`` are left out.

    Args:
        edges: rebalance, source, target, correlation, same_sector, lead.
        nodes: rebalance and more; it also lists graphs that have no edge.
    """
    rebalances = sorted(set(nodes["rebalance"].to_list()) | set(edges["rebalance"].to_list()))
    calendar = np.array(days, dtype="datetime64[D]")
    start = np.searchsorted(calendar, np.array(rebalances, dtype="datetime64[D]")).astype(np.int64)
    last = {int(position): rebalance for position, rebalance in zip(start, rebalances, strict=True)}
    kept = {position: rebalance for position, rebalance in sorted(last.items()) if position < len(days)}
    order = {rebalance: number for number, rebalance in enumerate(kept.values())}
    inside = edges.filter(
        pl.col("rebalance").is_in(list(order)) & pl.col("source").is_in(codes) & pl.col("target").is_in(codes)
    ).sort("rebalance", "target", "source")
    number = inside["rebalance"].replace_strict(order, return_dtype=pl.Int64).to_numpy() if order else np.zeros(0)
    sorted_codes = np.array(codes)
    ends = [np.searchsorted(sorted_codes, inside[side].to_numpy().astype(np.str_)) for side in ("source", "target")]
    correlation = inside["correlation"].cast(pl.Float32).to_numpy()
    sector = inside["same_sector"].cast(pl.Float32).fill_null(0).to_numpy()
    lead = inside["lead"].cast(pl.Float32).clip(-LEAD_CLIP, LEAD_CLIP).to_numpy() / LEAD_UNIT
    attributes = np.stack([correlation, np.abs(correlation), sector, lead], axis=1)
    return Graphs(
        start=np.array(list(kept), np.int64),
        ptr=np.searchsorted(number, np.arange(len(kept) + 1)).astype(np.int64),
        edge_index=np.stack(ends).astype(np.int64).reshape(2, -1),
        edge_attr=attributes.astype(np.float32).reshape(-1, attributes.shape[1]),
    )


def _places(
    rows: pl.DataFrame, days: tuple[date, ...], codes: NDArray[np.str_], what: str
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    calendar = np.array(days, dtype="datetime64[D]")
    dates = rows["Date"].to_numpy().astype("datetime64[D]")
    day = np.searchsorted(calendar, dates)
    known = np.zeros(len(dates), np.bool_)
    inside = day < len(calendar)
    known[inside] = calendar[day[inside]] == dates[inside]
    if not known.all():
        raise DataError(
            f"{int((~known).sum())} of {len(dates)} rows of {what} between {days[0]} and {days[-1]} are dated on days "
            f"that the fold's window does not have, the first on {dates[~known][0]}. Run `gogooku refresh` so that "
            "walk_forward_folds is made from the present features."
        )
    return day, np.searchsorted(codes, rows["Code"].to_numpy().astype(np.str_))
