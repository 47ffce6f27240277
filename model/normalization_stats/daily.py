"""Daily statistics in month chunks, shared between folds.

A chunk is a function of the month's features (or labels) within the fold's window alone. A chunk that this fold or
another one has already made from the same values is taken over by a hard link. Where some of a month's cross-sections
differ, the statistics of the others are taken from the fold's own chunk: beside it lie the digests of the features that
it was made from.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.normalization_stats.load import ASSET, DAILY, LABELS
from model.normalization_stats.statistics import (
    STATISTICS,
    Daily,
    Kind,
    cross_sections,
    daily_moments,
    one_value,
)
from model.quality_features.digests import COLUMNS, called, digests_file, read_digests
from model.quality_features.read import HEAD, TABLE, band_columns, read_features, read_market_features
from model.store.day_digests import DayDigests, Mask
from model.store.frames import day_edges, day_numbers
from model.store.hashing import json_hash, merkle_root
from model.store.manifest import FileEntry, Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.store.writer import ArtifactWriter
from model.walk_forward_folds.fingerprint import BAND
from model.walk_forward_folds.fold import ASSET as FOLDS
from model.walk_forward_folds.fold import Fold

SOURCE = "quality_features"
COMPUTED_AS = "daily_computed_as"
"""In the manifest: band of the features to the hash of how its statistics are computed."""


@dataclass(frozen=True)
class Members:
    """Feature rows of the universe members of a stretch of days."""

    features: tuple[str, ...]
    dates: tuple[date, ...]
    values: NDArray[np.float32]
    """``[features, rows]``, NaN for missing, rows in stored order."""
    edges: NDArray[np.int64]
    """Where the rows of each day begin ``[days + 1]``."""

    def only(self, features: Sequence[str], dates: Sequence[date]) -> "Members":
        """Some of the features on some of the days, in the order given."""
        place = {name: index for index, name in enumerate(self.features)}
        listed = [place[name] for name in features]
        places = slice(None) if listed == list(range(len(place))) else listed
        days = np.searchsorted(np.array(self.dates, "datetime64[D]"), np.array(dates, "datetime64[D]"))
        if (np.diff(days) == 1).all():  # as after a change: one copy instead of two
            edges = self.edges[days[0] : days[-1] + 2]
            return Members(tuple(features), tuple(dates), self.values[places, edges[0] : edges[-1]], edges - edges[0])
        rows = np.concatenate([np.arange(self.edges[day], self.edges[day + 1]) for day in days])
        edges = np.append(0, np.cumsum(np.diff(self.edges)[days]))
        return Members(tuple(features), tuple(dates), self.values[places][:, rows], edges)

    def statistics(self, quantiles: Sequence[float]) -> Daily:
        """Statistics ``[features, days]`` of each day's cross-section."""
        return cross_sections(self.values, self.edges, quantiles)


@dataclass
class MonthChunks:
    """The daily statistics of a fold's window, a month at a time: taken over where they exist, else computed."""

    run: StageRun
    writer: ArtifactWriter
    fold: Fold
    kinds: Mapping[str, Kind]
    taken_over: int = 0

    @cached_property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """The features of each band that has any (the others hold flags only)."""
        held = {
            band: tuple(name for name in columns if name in self.kinds)
            for band, columns in band_columns(self.run.store).items()
        }
        return {band: names for band, names in held.items() if names}

    def bring(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Write every month of both tables; returns the daily statistics of the features, and those of the labels."""
        months = [(month, tuple(days)) for month, days in groupby(self.fold.window_dates, key=lambda d: f"{d:%Y-%m}")]
        self.writer.extra |= {COMPUTED_AS: self._computed_as, COLUMNS: self._source.extra.get(COLUMNS, [])}
        features: list[str] = []
        labels: list[str] = []

        def work_on(month: str, dates: tuple[date, ...]) -> tuple[str, str]:
            return self._features(month, dates), self._labels(month, dates)

        with ThreadPoolExecutor(max_workers=self.run.settings.runtime.threads) as pool:
            work = pool.map(lambda each: work_on(*each), months)
            for done, (daily, targets) in enumerate(work, start=1):
                features.append(daily)
                labels.append(targets)
                self.run.progress(done, len(months), f"statistics of {months[done - 1][0]}")
        return self._staged(features), self._staged(labels)

    def _staged(self, files: Sequence[str]) -> pl.DataFrame:
        """The rows of chunks of this artefact, month by month: many small files, read in one go."""
        return pl.read_parquet([self.writer.staged(file) for file in files], glob=False)

    @cached_property
    def _computed_as(self) -> dict[str, str]:
        """Hash of how each band's features are computed."""
        quantiles, code = list(self.run.settings.normalization.clip_quantiles), self.run.identity.code_version
        return {
            band: json_hash([{name: self.kinds[name] for name in names}, quantiles, code])
            for band, names in self.bands.items()
        }

    @cached_property
    def _window(self) -> dict[str, dict[str, str]]:
        """Hash of each month of the fold's slice, by table."""
        window: dict[str, dict[str, str]] = self.run.store.read_json(FOLDS, "fingerprint.json", self.fold.name)
        return window

    @cached_property
    def _existing(self) -> list[tuple[Path, dict[str, FileEntry]]]:
        """The artefacts of all folds, this one's own first: folder and files."""
        store, own = self.run.store, self.fold.name
        found = []
        for partition in sorted(store.partitions(ASSET), key=lambda name: (name != own, name)):
            manifest = store.manifest(ASSET, partition)
            if manifest is not None:
                found.append((store.directory(ASSET, partition), manifest.files))
        return found

    def _features(self, month: str, dates: tuple[date, ...]) -> str:
        """The month's chunk; what must be computed reads the features of all its bands together."""
        file = f"{DAILY}/{month}.parquet"
        self._keep_digests(month)
        if self._taken_over(file, input_hash := self._made_from(month)):
            return file
        names = sorted(self.kinds)
        daily, kept = self._kept(month, dates, names)
        self._compute(daily, ~kept, dates, names)
        self._write(file, daily_table(dates, names, daily), ("Date", "feature"), input_hash)
        return file

    def _compute(self, daily: Daily, due: Mask, dates: tuple[date, ...], names: Sequence[str]) -> None:
        """Put in the statistics that are due ``[features, days]``."""
        days = np.flatnonzero(due.any(axis=0))
        if not len(days):
            return
        stretch = slice(int(days[0]), int(days[-1]) + 1)
        market = np.array([self.kinds[name] == "market" for name in names])
        across = np.flatnonzero(due.any(axis=1) & ~market).tolist()
        members = read_members(self.run.store, dates[stretch], tuple(names[row] for row in across))
        self._compute_across(daily, due & ~market[:, None], dates, names, members)
        self._compute_market(daily, due & market[:, None], stretch, names, members)

    def _compute_across(
        self, daily: Daily, due: Mask, dates: tuple[date, ...], names: Sequence[str], members: Members
    ) -> None:
        """Those of features that differ between names; features that are due on the same days together."""
        patterns, alike = np.unique(due, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            rows, columns = np.flatnonzero(alike == number).tolist(), np.flatnonzero(pattern).tolist()
            if not columns:
                continue
            part = members.only([names[row] for row in rows], [dates[column] for column in columns])
            found = part.statistics(self.run.settings.normalization.clip_quantiles)
            for name in ("n", *STATISTICS):
                getattr(daily, name)[np.ix_(rows, columns)] = getattr(found, name)

    def _compute_market(self, daily: Daily, due: Mask, stretch: slice, names: Sequence[str], members: Members) -> None:
        """Those of market features, of which each day has one value."""
        rows = np.flatnonzero(due.any(axis=1))
        if not len(rows):
            return
        counted = np.diff(members.edges)
        values = read_market(self.run.store, members.dates, tuple(names[row] for row in rows.tolist()))
        found = one_value(np.where(counted > 0, values, np.nan), counted)
        for name in ("n", *STATISTICS):
            held = getattr(daily, name)
            held[rows, stretch] = np.where(due[rows, stretch], getattr(found, name), held[rows, stretch])

    def _keep_digests(self, month: str) -> None:
        """Put the digests of the features beside the chunk, if the features are those that the fold was made from."""
        file = digests_file(month)
        entry = self._source.files.get(file)
        if entry is not None and self._of_now:
            self.writer.adopt(file, self.run.store.directory(SOURCE), entry)

    def _kept(self, month: str, dates: tuple[date, ...], names: Sequence[str]) -> tuple[Daily, Mask]:
        """The statistics that the fold's own chunk has ``[features, days]``, and where they are still those."""
        shape = len(names), len(dates)
        daily = Daily(np.zeros(shape, np.int64), *(np.full(shape, np.nan) for _ in STATISTICS))
        nothing = np.zeros(shape, np.bool_)
        manifest = self.run.store.manifest(ASSET, self.fold.name)
        chunk = f"{DAILY}/{month}.parquet"
        if manifest is None or chunk not in manifest.files or not self.writer.has(digests_file(month)):
            return daily, nothing
        now = read_digests(self.run.store, self._source, month)
        before = read_digests(self.run.store, manifest, month)
        if now is None or before is None:
            return daily, nothing
        held = self.run.store.read_table(ASSET, chunk, self.fold.name)
        if held.is_empty():
            return daily, nothing
        held_days, edges = day_edges(held)
        held_names = held["feature"].slice(0, edges[1]).to_list()  # of every day, in the same order
        days = _numbers(dates)
        _, day, held_day = np.intersect1d(days, held_days, assume_unique=True, return_indices=True)
        place = {name: number for number, name in enumerate(held_names)}
        rows = np.array([row for row, name in enumerate(names) if name in place], dtype=np.int64)
        cells = np.ix_(rows, day)
        taken = np.ix_(held_day, np.array([place[names[row]] for row in rows], dtype=np.int64))
        for name in ("n", *STATISTICS):
            getattr(daily, name)[cells] = held[name].to_numpy().reshape(len(held_days), -1)[taken].T
        there = nothing.copy()
        there[cells] = True
        return daily, there & self._same(now, before, manifest, days, names)

    def _same(
        self, now: DayDigests, before: DayDigests, manifest: Manifest, days: NDArray[np.int32], names: Sequence[str]
    ) -> Mask:
        """Where the features are as they were, and their statistics computed as they were ``[features, days]``."""
        equal = now.equal(before)
        head = [now.columns.index(name) for name in called(TABLE, HEAD)]
        equal &= equal[:, head].all(axis=1, keepdims=True)  # who is in the universe concerns every feature
        same = np.zeros((len(names), len(days)), dtype=np.bool_)
        column = {name: now.columns.index(digest) for name, digest in self._computed_as_before(manifest).items()}
        rows = np.array([number for number, name in enumerate(names) if name in column], dtype=np.int64)
        _, here, day = np.intersect1d(days, now.days, return_indices=True)
        columns = np.array([column[names[row]] for row in rows], dtype=np.int64)
        same[np.ix_(rows, here)] = equal[np.ix_(day, columns)].T
        return same

    def _computed_as_before(self, manifest: Manifest) -> dict[str, str]:
        """Features whose statistics in the fold's artefact are computed as now, and what their digests are called."""
        before = manifest.extra.get(COMPUTED_AS, {})
        same = [band for band, made_as in self._computed_as.items() if before.get(band) == made_as]
        return {name: digest for band in same for name in self.bands[band] for digest in called(band, [name])}

    @cached_property
    def _source(self) -> Manifest:
        return self.run.store.require(SOURCE)

    @cached_property
    def _of_now(self) -> bool:
        """Whether the fold was made from the features that lie in the store; what is read now is not its own if not."""
        return self.run.store.require(FOLDS, self.fold.name).inputs.get(SOURCE) == self._source.content_hash

    def _write(self, file: str, frame: pl.DataFrame, key: Sequence[str], input_hash: str) -> None:
        """Write a chunk; one whose values are not the fold's own is never taken for made from them."""
        self.writer.table(file, frame, key, input_hash=input_hash if self._of_now else None)

    def _made_from(self, month: str) -> str:
        """Hash of what the statistics of a month follow from: the first band, which has the keys, and all others."""
        bands = {band: self._window[BAND + band][month] for band in {TABLE, *self.bands}}
        return merkle_root({**bands, "computed": merkle_root(self._computed_as)})

    def _labels(self, month: str, dates: tuple[date, ...]) -> str:
        horizons = self.run.settings.labels.horizons
        input_hash = json_hash([self._window["labels"][month], list(horizons), self.run.identity.code_version])
        file = f"{LABELS}/{month}.parquet"
        if not self._taken_over(file, input_hash):
            frame = daily_labels(self.run.store, dates, horizons)
            self._write(file, frame, ("Date", "horizon"), input_hash)
        return file

    def _taken_over(self, file: str, input_hash: str) -> bool:
        """Whether a chunk was made from the same before; it is linked into this artefact."""
        for folder, files in self._existing:
            entry = files.get(file)
            if entry is not None and entry.input_hash == input_hash and self.writer.adopt(file, folder, entry):
                self.taken_over += 1
                return True
        return False


def read_members(store: Store, dates: tuple[date, ...], features: tuple[str, ...]) -> Members:
    """The rows of universe members on these dates, which follow one another in the panel."""
    rows = read_features(store, start=dates[0], end=dates[-1], columns=["Date", "InUniverse", *features])
    if not rows["InUniverse"].all():
        rows = rows.filter("InUniverse")
    values = np.empty((len(features), rows.height), dtype=np.float32)
    # In one query, on all cores: asking each column for an array with NaN for null takes longer.
    for number, column in enumerate(rows.select(pl.col(features).cast(pl.Float32).fill_null(np.nan)).iter_columns()):
        values[number] = column.to_numpy()
    own = day_numbers(rows["Date"])
    edges = np.append(np.searchsorted(own, _numbers(dates), side="left"), len(own)).astype(np.int64)
    return Members(features, dates, values, edges)


def read_market(store: Store, dates: tuple[date, ...], features: tuple[str, ...]) -> NDArray[np.float32]:
    """Values of market features ``[features, days]`` on these dates, NaN for missing."""
    rows = read_market_features(store, start=dates[0], end=dates[-1], columns=features)
    days = pl.DataFrame({"Date": dates}, schema={"Date": pl.Date}).join(
        rows, on="Date", how="left", maintain_order="left"
    )
    return days.select(pl.col(features).cast(pl.Float32)).to_numpy().T  # a null becomes a NaN


def _numbers(dates: Sequence[date]) -> NDArray[np.int32]:
    """Days since 1970-01-01."""
    return day_numbers(pl.Series(dates, dtype=pl.Date))


def daily_table(dates: Sequence[date], features: Collection[str], daily: Daily) -> pl.DataFrame:
    """Date, feature, n and the statistics of every date and feature, sorted; null where there is no value."""
    names = list(features)
    order = np.argsort(np.array(names))

    def column(statistic: str) -> NDArray[Any]:
        return np.ascontiguousarray(getattr(daily, statistic)[order].T).ravel()

    return pl.DataFrame(
        {
            "Date": pl.Series(dates, dtype=pl.Date).gather(np.repeat(np.arange(len(dates)), len(names))),
            "feature": pl.Series(sorted(names) * len(dates), dtype=pl.String),
            "n": pl.Series(column("n"), dtype=pl.Int32),
            **{name: pl.Series(column(name), dtype=pl.Float64, nan_to_null=True) for name in STATISTICS},
        }
    )


def daily_labels(store: Store, dates: tuple[date, ...], horizons: tuple[int, ...]) -> pl.DataFrame:
    """Date, horizon, n, mean, squares: moments of each day's labels over universe members."""
    columns = [f"target_{h}" for h in horizons]
    rows = store.read_chunks(
        SOURCE, "labels", start=dates[0], end=dates[-1], columns=["Date", "InUniverse", *columns]
    ).filter("InUniverse")
    day = np.searchsorted(_numbers(dates), day_numbers(rows["Date"])).astype(np.int64)
    order = sorted(horizons)
    parts = [daily_moments(rows[f"target_{h}"].cast(pl.Float64).to_numpy(), day, len(dates)) for h in order]
    n, mean, squares = (np.stack([part[index] for part in parts], axis=1).ravel() for index in range(3))
    return pl.DataFrame(
        {
            "Date": pl.Series(dates, dtype=pl.Date).gather(np.repeat(np.arange(len(dates)), len(order))),
            "horizon": pl.Series(order * len(dates), dtype=pl.Int32),
            "n": pl.Series(n, dtype=pl.Int32),
            "mean": pl.Series(mean, dtype=pl.Float64),
            "squares": pl.Series(squares, dtype=pl.Float64),
        }
    )
