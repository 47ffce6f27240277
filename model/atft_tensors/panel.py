"""The fold's panel as the network sees it: arrays over days, codes and features, normalised.

It is assembled from plain files (JSON, safetensors, memory-mapped month shards) with numpy alone, so a training
machine needs neither the store nor a data frame library.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from model.atft_tensors.shards import MonthShards, read_month
from model.errors import DataError
from model.normalization_stats.apply import Normalizer

INDEX = "index.json"
STATS = "stats.safetensors"
GRAPH = "graph.safetensors"
OWN = "own.safetensors"
OWN_ARRAY = "own"
"""Features that belong to the fold alone, [T, N, K] and already scores: they follow those of the shards."""
SHARDS = "shards"
REACH = "reach"
"""[T] longest horizon of the labels that the fold uses on each day of its window; 0 for none."""
ROLES = ("train", "validation", "test")


@dataclass(frozen=True)
class FoldPanel:
    """T days of the fold's window, N codes, F features, H horizons, G graphs, E edges."""

    dates: NDArray[np.int32]
    """[T] days since 1970-01-01, rising."""
    codes: tuple[str, ...]
    """The codes that are in the universe on any day of the window, sorted."""
    features: tuple[str, ...]
    """Names of the features, in the order of ``x``."""
    horizons: tuple[int, ...]
    """Horizons of the labels in trading days, in the order of ``y``."""
    x: NDArray[np.float32]
    """[T, N, F] normalised features; 0 where missing."""
    present: NDArray[np.bool_]
    """[T, N] the stock has a feature row that day."""
    member: NDArray[np.bool_]
    """[T, N] in the universe that day: a sample may be built there."""
    y: NDArray[np.float32]
    """[T, N, H] raw forward returns; NaN where missing, and where the fold does not use them (purged, not fitted)."""
    target_scale: NDArray[np.float32]
    """[H] standard deviation of the labels on the train days."""
    own_return: NDArray[np.float32]
    """[T, N] simple return from the close before to the day's close, known that day; 0 where missing."""
    train: NDArray[np.int64]
    """Positions of the train days; like the next two, each has at least lookback - 1 earlier days."""
    validation: NDArray[np.int64]
    """Positions of the validation days."""
    test: NDArray[np.int64]
    """Positions of the test days."""
    graph_start: NDArray[np.int64]
    """[G] first day on which each graph is known, rising."""
    graph_ptr: NDArray[np.int64]
    """[G + 1] where each graph's edges begin."""
    edge_index: NDArray[np.int64]
    """[2, E] code positions, source to target."""
    edge_attr: NDArray[np.float32]
    """[E, 4] signed correlation, its absolute value, whether of the same sector, and how far the source leads the
    target (in units of three t-statistics, within ±2)."""


def load_panel(directory: Path, shards: Path | None = None, *, verify: bool = True) -> FoldPanel:
    """Assemble a fold's panel; of the shards, one month is in memory at a time.

    Args:
        directory: the fold's folder of atft_tensors.
        shards: the folder of the shards; left out, the one of the store that ``directory`` lies in.
        verify: hash each shard and compare with its name.

    Raises:
        DataError: a file is missing or altered, or the files do not belong together.
    """
    for name in (INDEX, STATS, GRAPH):
        if not (directory / name).is_file():
            raise DataError(f"{directory} has no {name}, so it is no fold of atft_tensors. Materialise it first.")
    index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
    stats = load_file(directory / STATS)
    normalizer = _normalizer(index, stats)
    source = directory.parents[2] / SHARDS if shards is None else shards
    graph = load_file(directory / GRAPH)
    cells = _cells(index, normalizer, source, verify)
    if REACH not in stats:
        raise DataError(f"{directory} was made by an older version ({STATS} lacks {REACH!r}). Materialise it again.")
    purged = stats[REACH][:, None] < np.array(index["horizons"])  # [T, H]
    cells["y"].swapaxes(1, 2)[purged] = np.nan
    own = tuple(index.get("own_features", ()))
    if own:
        cells["x"] = np.concatenate([cells["x"], _own(directory, index, len(own))], axis=2)
    return FoldPanel(
        dates=stats["dates"],
        codes=tuple(index["codes"]),
        features=(*normalizer.features, *own),
        horizons=tuple(index["horizons"]),
        target_scale=stats["target_scale"],
        **cells,
        **{role: stats[role] for role in ROLES},
        graph_start=graph["graph_start"],
        graph_ptr=graph["graph_ptr"],
        edge_index=graph["edge_index"],
        edge_attr=graph["edge_attr"],
    )


def _own(directory: Path, index: dict[str, Any], count: int) -> NDArray[np.float32]:
    shape = (len(index["dates"]), len(index["codes"]), count)
    path = directory / OWN
    found = load_file(path)[OWN_ARRAY] if path.is_file() else np.zeros(0, np.float32)
    if found.shape != shape:
        raise DataError(
            f"{path} has the shape {found.shape} and {INDEX} asks for {shape}: they are of different versions. "
            "Materialise atft_tensors again."
        )
    return np.asarray(found, np.float32)


def _normalizer(index: dict[str, Any], stats: dict[str, NDArray[Any]]) -> Normalizer:
    features, days = tuple(index["features"]), len(stats["dates"])
    if stats["mean"].shape != (days, len(features)) or len(index["dates"]) != days:
        raise DataError(
            f"{STATS} has statistics for {stats['mean'].shape[1]} features on {stats['mean'].shape[0]} days, and "
            f"{INDEX} names {len(features)} features and {len(index['dates'])} days. They are of different versions; "
            "materialise atft_tensors again."
        )
    scales = stats["target_scale"].tolist()
    return Normalizer(
        dates=stats["dates"],
        features=features,
        mean=stats["mean"],
        std=stats["std"],
        low=stats["low"],
        high=stats["high"],
        target_scale=dict(zip(index["horizons"], scales, strict=True)),
    )


def _cells(index: dict[str, Any], normalizer: Normalizer, source: Path, verify: bool) -> dict[str, NDArray[Any]]:
    """The arrays over days and codes, filled month by month."""
    codes = np.array(index["codes"])
    shape = (len(normalizer.dates), len(codes))
    cells: dict[str, NDArray[Any]] = {
        "x": np.zeros((*shape, len(normalizer.features)), np.float32),
        "present": np.zeros(shape, np.bool_),
        "member": np.zeros(shape, np.bool_),
        "y": np.full((*shape, len(index["horizons"])), np.nan, np.float32),
        "own_return": np.zeros(shape, np.float32),
    }
    for entry in index["shards"]:
        month = read_month(source, MonthShards(**entry), verify=verify)
        days = slice(entry["first_day"], entry["first_day"] + entry["days"])
        of_day = replace(normalizer, dates=normalizer.dates[days], mean=normalizer.mean[days], std=normalizer.std[days])
        _, here, there = np.intersect1d(codes, month.codes, assume_unique=True, return_indices=True)
        cells["x"][days, here] = of_day.apply(np.asarray(month.features[:, there]))
        cells["present"][days, here] = month.present[:, there]
        cells["member"][days, here] = month.member[:, there]
        cells["y"][days, here] = month.labels[:, there]
        cells["own_return"][days, here] = np.nan_to_num(month.own_return[:, there], nan=0.0)
    return cells
