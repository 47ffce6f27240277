"""Materialise features and labels in month chunks, computing only the cells that a change of the panel can reach.

Beside the chunks lie the files of the panel that they were computed from. A panel month with another content hash is
compared with them (``rows_changes``), which gives the rows and trading days that really differ; from these follow the
cells to compute again (``bands_jobs``), and only those are (``bands_write``), and put into their chunks
(``bands_month``). Chunks of other code or settings, and of new months, are computed whole. The outcome is that of
computing everything.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import polars as pl

from model.daily_quotes.settings import SimulatedSource
from model.freed_memory import keep_freed_memory
from model.labels.labels import PANEL_COLUMNS, TURNOVER_DAYS, label_names, labels, reach
from model.quality_features.bands import MARKET, REDUCTIONS, Band, bands, catalogue_document, reduction_band
from model.quality_features.bands_compute import compute_job, days_before, market_job
from model.quality_features.bands_jobs import Job, Mask, Reached, feature_cells, jobs, label_jobs, reached
from model.quality_features.bands_month import Chunks, MonthFiles, Table
from model.quality_features.bands_write import Family, Update
from model.quality_features.coverage import COVERAGE_FILE
from model.quality_features.coverage import KEY as COVERAGE_KEY
from model.quality_features.digests import StoredDigests
from model.quality_features.engine import feature_plan
from model.quality_features.places import Places
from model.quality_features.read import ASSET, DAYS_FILE, HEAD, KEY, TABLE
from model.quality_features.rows_changes import Changes, find_changes
from model.quality_features.rows_panel import SOURCE, Panel
from model.quality_features.settings import FeatureSettings
from model.store.hashing import json_hash
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.store.writer import ArtifactWriter

LABELS = "labels"
_DAYS_A_MONTH = 20
"""Trading days, about: what is verified early is a guess at what will be read."""
_HEADS_KEPT = 32
"""Months that the longest window reaches after a day; some MB each."""


def materialise(run: StageRun) -> Manifest:
    """Bring ``quality_features`` up to date with ``raw_dataset``.

    Raises:
        StoreError: raw_dataset is not materialised, or its files are not as its manifest says.
        DataError: the panel holds no rows.
    """
    keep_freed_memory()  # chunk after chunk is read, patched and written
    with run.writer(ASSET) as w:
        panel = Panel(run.store)
        layout = bands(run.settings.features)
        changes = _record_panel(run, w, panel, max(band.lookback_days for band in layout))
        w.json("catalogue.json", catalogue_document(run.settings.features, layout))
        heads = _heads(panel)
        chunks = Chunks(changes.months, changes.read, heads, _places(heads), _stands(run.store, heads, changes.read))
        files = MonthFiles(run.store, w, chunks, StoredDigests(run.store))
        families = {"features": _features(run, w, layout, panel, changes), "labels": _labels(run, panel, changes)}
        updates = {name: Update(run, family, files) for name, family in families.items()}
        seconds = _bring(updates)
        tables = [table for family in families.values() for table in family.tables]
        files.write_digests(tables)
        w.table(COVERAGE_FILE, files.coverage(tables), COVERAGE_KEY, hashed=False)
        w.extra |= _figures(run.store.manifest(ASSET), updates, seconds, len(changes.months))
        w.extra["entry"] = run.settings.labels.entry  # who reads the labels alone asks what their returns start from
    return w.manifest


def _bring(updates: Mapping[str, Update]) -> dict[str, float]:
    """Bring the families up to date, side by side; returns the seconds of each.

    Where months are computed whole they take turns, which bounds the memory, in this thread: what takes minutes can be
    interrupted.
    """
    if any(update.makes_months_whole for update in updates.values()):
        return {name: update.bring() for name, update in updates.items()}
    with ThreadPoolExecutor(max_workers=len(updates)) as pool:
        return dict(zip(updates, pool.map(Update.bring, updates.values()), strict=True))


def _record_panel(run: StageRun, w: ArtifactWriter, panel: Panel, lookback_days: int) -> Changes:
    """Find what changed, and keep the days and what everything is computed from as they are now."""
    version, threads = run.identity.code_version, run.settings.runtime.threads
    changes = find_changes(run.store, panel, version, threads, read_around=lookback_days // _DAYS_A_MONTH)
    for month in panel.months:
        for name, entry in panel.files(month).items():
            w.source(name, run.store.directory(SOURCE), entry)
    w.table(DAYS_FILE, changes.day_table, ("Date",), input_hash=run.identity.code_version, hashed=False)
    return changes


def _heads(panel: Panel) -> Callable[[str], pl.DataFrame]:
    """Reads Date, Code and InUniverse of a month; every band asks for those of the same few months."""

    return lru_cache(maxsize=_HEADS_KEPT)(panel.head)


def _places(heads: Callable[[str], pl.DataFrame]) -> Callable[[str], Places]:
    return lru_cache(maxsize=_HEADS_KEPT)(lambda month: Places(heads(month)))


def _stands(store: Store, heads: Callable[[str], pl.DataFrame], changed: Collection[str]) -> Callable[[str], bool]:
    """Says of a month whether its stored chunks have the rows and members of the universe that the panel has."""

    def stands(month: str) -> bool:
        if month not in changed:
            return True
        manifest, file = store.manifest(ASSET), f"{TABLE}/{month}.parquet"
        if manifest is None or file not in manifest.files:
            return False
        return store.read_table(ASSET, file, columns=list(HEAD)).equals(heads(month))

    return lru_cache(maxsize=None)(stands)


def _features(run: StageRun, w: ArtifactWriter, layout: Sequence[Band], panel: Panel, changes: Changes) -> Family:
    settings = run.settings.features
    longest = max(band.lookback_days for band in layout)
    bars, slow = reached(changes, "features", 0, longest - 1), reached(changes, "slow", 0, longest - 1)
    inner = reduction_band(settings)
    of_market = partial(market_job, panel, changes.days, settings, partial(_reduced, w)) if inner.columns else None
    tables = tuple(
        Table(
            name=band.table,
            key=band.key,
            head=band.head,
            names=band.names,
            made_by=json_hash([settings.hashed(), run.identity.code_version, band.names]),
            jobs=partial(feature_jobs, settings, band, bars, slow),
            compute=of_market if band.table == MARKET else None,
            inner=band is inner,
        )
        for band in ((*layout, inner) if inner.columns else layout)
    )
    market = frozenset(column.name for band in (inner, *layout) for column in band.columns if column.market)
    threads = run.settings.runtime.threads
    compute = partial(compute_job, panel, changes.days, settings, market=market, threads=threads)
    return Family(tables, compute, settings.months_per_block)


def _reduced(w: ArtifactWriter, months: Sequence[str]) -> pl.DataFrame:
    """Date and the reductions of some months, as they are brought up to date by now."""
    return pl.read_parquet([w.staged(f"{REDUCTIONS}/{month}.parquet") for month in months], glob=False)


def feature_jobs(
    settings: FeatureSettings, band: Band, bars: Reached, slow: Reached, computed_whole: Mask
) -> list[Job]:
    """What changed bars reach in a band, and what changed slow values do, which only some columns read."""
    planned: list[Job] = []
    for found, names in ((bars, band.names), (slow, tuple(column.name for column in band.columns if column.slow))):
        if found.days and names:
            cells = feature_cells(feature_plan(settings, names), found)
            planned += jobs(found, cells, band.lookback_days, computed_whole)
    return planned


def _labels(run: StageRun, panel: Panel, changes: Changes) -> Family:
    settings = run.settings.labels
    simulated = run.settings.source if isinstance(run.settings.source, SimulatedSource) else None
    oracle = _Oracle(run.store, simulated, settings.horizons)
    table = Table(
        name=LABELS,
        key=KEY,
        head=HEAD,
        names=(*label_names(settings), *oracle.names),
        made_by=json_hash([settings.hashed(), run.identity.code_version, simulated and simulated.hashed()]),
        jobs=partial(label_jobs, changes, TURNOVER_DAYS - 1, reach(settings), whole_history=simulated is not None),
    )

    def compute(job: Job) -> pl.DataFrame:
        start = days_before(changes.days, job.first, TURNOVER_DAYS - 1)
        days = changes.days[
            bisect_left(changes.days, start) : bisect_left(changes.days, job.last) + reach(settings) + 1
        ]
        rows = panel.window(start, days[-1], dict.fromkeys(PANEL_COLUMNS[2:], start), job.codes)
        table = labels(rows, settings, job.first, job.last)
        return oracle.beside(table if job.codes is None else table.filter(pl.col("Code").is_in(job.codes)))

    return Family((table,), compute, run.settings.features.months_per_block)


@dataclass(frozen=True)
class _Oracle:
    """The reachable oracle of a simulated market, computed once and only if labels are; null on real data."""

    store: Store
    source: SimulatedSource | None
    horizons: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns."""
        return tuple(f"oracle_{h}" for h in self.horizons)

    def beside(self, table: pl.DataFrame) -> pl.DataFrame:
        """The labels with the oracle's columns."""
        if self.source is None:
            return table.with_columns(pl.lit(None, pl.Float64).alias(name) for name in self.names)
        return table.join(self._expected, on=KEY, how="left", maintain_order="left")

    @cached_property
    def _expected(self) -> pl.DataFrame:
        """Date, Code, oracle_{h}: each row from the panel up to its own date."""
        if self.source is None:
            raise TypeError("only a simulated market has an oracle")
        from model.daily_quotes.sources.simulated.oracle import oracle

        return oracle(self.store.read_chunks(SOURCE, "panel"), self.source, self.horizons)


def _figures(
    before: Manifest | None, updates: Mapping[str, Update], seconds: Mapping[str, float], months: int
) -> dict[str, Any]:
    """What was computed now, and what computing everything cost the last time that it was done.

    ``recomputed``: for each table its months, chunks written, days, codes and cells. ``seconds``: what the features and
    the labels took. ``full``: for each of these the seconds and cells of the last time that all was computed.
    """
    full: dict[str, Any] = dict(before.extra.get("full", {})) if before else {}
    done = {table: each for update in updates.values() for table, each in update.done.items()}
    for name, update in updates.items():
        if all(each.whole_months == months for each in update.done.values()):
            cells = sum(each.cells for each in update.done.values())
            parts = {f"{part}_seconds": round(value, 3) for part, value in update.whole_seconds.items()}
            full[name] = {"seconds": round(seconds[name], 3), **parts, "cells": cells, "months": months}
    return {
        "months": months,
        "computed_months": {table: len(each.months) for table, each in done.items()},
        "recomputed": {table: each.figures() for table, each in done.items()},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "full": full,
    }
