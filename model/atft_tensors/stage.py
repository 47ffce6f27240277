"""Materialise a fold's tensors: shared month shards, and the fold's index, statistics and graph."""

from dataclasses import asdict, dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.atft_tensors.build import OWN_RETURN, graph_arrays, month_arrays, own_arrays
from model.atft_tensors.panel import GRAPH, INDEX, OWN, OWN_ARRAY, REACH, ROLES, SHARDS, STATS
from model.atft_tensors.settings import TensorSettings
from model.atft_tensors.shards import MonthShards, write_month
from model.atft_tensors.unused import nothing_removed, remove_unused, seen_in_use
from model.baseline.artefact import ASSET as BASELINE
from model.baseline.artefact import NETWORK_FEATURE
from model.errors import DataError, SettingsError
from model.normalization_stats.apply import Normalizer
from model.normalization_stats.load import load_normalizer
from model.quality_features.atft13 import ATFT13
from model.quality_features.read import read_features
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.walk_forward_folds.fold import Fold

ASSET = "atft_tensors"
SOURCE = "quality_features"
_KEY = ["Date", "Code"]


@dataclass(frozen=True)
class Written:
    """What the pass over the months found."""

    shards: list[MonthShards]
    codes: tuple[str, ...]
    """Codes that are in the universe on any day of the window."""
    members: NDArray[np.int64]
    """Number of them on each day of the window."""


def materialise(run: StageRun) -> Manifest:
    """Write the tensors of the fold that ``run.partition`` names.

    Raises:
        StoreError: an input is not materialised.
        SettingsError: a feature asked for does not exist.
        DataError: the window has no universe members, or rows on days that it does not have.
    """
    if run.partition is None:
        raise ValueError("atft_tensors is computed for one fold at a time")
    directory = shard_directory(run.store)
    with nothing_removed(directory):
        seen_in_use(directory, run.store, ASSET, run.partition)
        manifest = _write(run, run.partition)
    remove_unused(directory, run.store, ASSET)
    return manifest


def _write(run: StageRun, partition: str) -> Manifest:
    settings, store = run.settings.tensors, run.store
    fold = Fold.load(store, partition)
    normalizer = load_normalizer(store, partition)
    names = _selected(settings, normalizer.features)
    horizons = run.settings.labels.horizons
    days = tuple(fold.window_dates)
    written = _write_months(run, days, names, horizons)
    roles = _roles(fold, days, written.members, settings.lookback)
    graphs = graph_arrays(
        store.read_table("correlation_graph", "edges.parquet", partition),
        store.read_table("correlation_graph", "nodes.parquet", partition),
        days,
        written.codes,
    )
    own = _own_features(run, days, written.codes)
    index = {
        "lookback": settings.lookback,
        "features": list(names),
        **({"own_features": list(own[0])} if own[0] else {}),
        "horizons": list(horizons),
        "dates": [day.isoformat() for day in days],
        "codes": list(written.codes),
        "shards": [asdict(shard) for shard in written.shards],
    }
    with run.writer(ASSET) as w:
        w.json(INDEX, index)
        reach = np.array(fold.reach, np.int64)
        w.safetensors(STATS, {**_statistics(normalizer, names, horizons, days), **roles, REACH: reach})
        w.safetensors(
            GRAPH,
            {
                "graph_start": graphs.start,
                "graph_ptr": graphs.ptr,
                "edge_index": graphs.edge_index,
                "edge_attr": graphs.edge_attr,
            },
        )
        if own[0]:
            w.safetensors(OWN, {OWN_ARRAY: own[1]})
        w.extra |= {"days": len(days), "codes": len(written.codes), "features": len(names) + len(own[0])}
        w.extra |= {f"{role}_days": len(positions) for role, positions in roles.items()}
        w.extra |= {"graphs": len(graphs.start), "edges": graphs.edge_index.shape[1], "shards": len(written.shards)}
    return w.manifest


def shard_directory(store: Store) -> Path:
    """Where the shards of all folds lie."""
    return store.home / SHARDS


def _selected(settings: TensorSettings, known: tuple[str, ...]) -> tuple[str, ...]:
    if settings.features == "all":
        return known
    chosen = ATFT13 if settings.features == "atft13" else tuple(settings.features)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise SettingsError(
            f"tensors.features asks for {', '.join(unknown[:10])}, which quality_features does not have. Choose from "
            "its catalogue.json, or switch the group of these features on in features.groups."
        )
    return chosen


def _own_features(
    run: StageRun, days: tuple[date, ...], codes: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """What is this fold's alone and so in no shared shard: LightGBM's predictions, where the stage reads them.

    Returns:
        The names, and [T, N, K] scores, 0 where there is none.
    """
    label = f"{BASELINE}/{run.partition}"
    if label not in run.identity.inputs:
        return (), np.zeros((len(days), len(codes), 0), np.float32)
    table = run.store.read_table(BASELINE, NETWORK_FEATURE, run.partition)
    names = tuple(name for name in table.columns if name not in _KEY)
    return names, own_arrays(table, days, codes, names)


def _write_months(run: StageRun, days: tuple[date, ...], names: tuple[str, ...], horizons: tuple[int, ...]) -> Written:
    months = [tuple(group) for _, group in groupby(days, key=lambda day: (day.year, day.month))]
    columns = list(dict.fromkeys([*_KEY, "InUniverse", OWN_RETURN, *names]))
    targets = [*_KEY, *(f"target_{h}" for h in horizons)]
    shards: list[MonthShards] = []
    universe: set[str] = set()
    members: list[NDArray[np.int64]] = []
    first = 0
    for done, month in enumerate(months):
        label = f"{month[0]:%Y-%m}"
        run.progress(done, len(months), label)
        features = read_features(run.store, start=month[0], end=month[-1], columns=columns)
        labels = run.store.read_chunks(SOURCE, "labels", start=month[0], end=month[-1], columns=targets)
        arrays = month_arrays(features, labels, month, names, horizons)
        shards.append(write_month(shard_directory(run.store), label, first, arrays))
        universe |= set(arrays.codes[arrays.member.any(axis=0)].tolist())
        members.append(arrays.member.sum(axis=1))
        first += len(month)
    run.progress(len(months), len(months), "shards done")
    if not universe:
        raise DataError(
            f"No name is in the universe on any of the {len(days)} days from {days[0]} to {days[-1]}. Check the "
            "universe settings against the data's first day."
        )
    return Written(shards, tuple(sorted(universe)), np.concatenate(members))


def _roles(
    fold: Fold, days: tuple[date, ...], members: NDArray[np.int64], lookback: int
) -> dict[str, NDArray[np.int64]]:
    """Positions of the days of each role that have a whole window before them and a member of the universe.

    Raises:
        DataError: no day of a role is left.
    """
    position = {day: number for number, day in enumerate(days)}
    dates = {"train": fold.train_dates, "validation": fold.validation_dates, "test": fold.test_dates}
    roles = {}
    for role in ROLES:
        places = np.array([position[day] for day in dates[role]], np.int64)
        kept = places[(places >= lookback - 1) & (members[places] > 0)]
        if not len(kept):
            raise DataError(
                f"None of the {len(places)} {role} days of this fold has {lookback - 1} earlier days in the window and "
                "a name in the universe. Raise folds.lookback_days or lower tensors.lookback."
            )
        roles[role] = kept
    return roles


def _statistics(
    normalizer: Normalizer, names: tuple[str, ...], horizons: tuple[int, ...], days: tuple[date, ...]
) -> dict[str, NDArray[Any]]:
    """The fold's normalisation of the features in use, and the label scales."""
    taken = normalizer.take(names)
    dates = pl.Series(days, dtype=pl.Date).to_physical().to_numpy().astype(np.int32)
    if not np.array_equal(dates, taken.dates):
        raise DataError(
            f"normalization_stats has {len(taken.dates)} days and the fold's window {len(dates)}, or they differ. "
            "Run `gogooku refresh` so that both are of the same fold."
        )
    return {
        "dates": dates,
        "mean": taken.mean,
        "std": taken.std,
        "low": taken.low,
        "high": taken.high,
        "target_scale": np.array([taken.target_scale[h] for h in horizons], np.float32),
    }
