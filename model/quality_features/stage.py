"""Materialise features and labels in month chunks, computing only the months whose inputs changed.

A chunk's input hash covers the content of every panel month that its rows read: back by the longest lookback for the
features; back by the turnover window, and forward by the longest horizon, for the labels (which is why the labels of
the newest days change when days are added). Months with the same input hash as before are taken over by a hard link.
Neighbouring months are computed together, at most ``features.months_per_block`` at a time.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import polars as pl

from model.daily_quotes.settings import SimulatedSource
from model.errors import DataError
from model.labels.labels import PANEL_COLUMNS as LABEL_COLUMNS
from model.labels.labels import TURNOVER_DAYS, labels, reach
from model.quality_features.dense import KEY
from model.quality_features.engine import PANEL_COLUMNS, compute_features
from model.quality_features.selection import describe, max_lookback
from model.store.hashing import json_hash
from model.store.manifest import Manifest
from model.store.stage import StageRun
from model.store.store import Store
from model.store.writer import ArtifactWriter

ASSET = "quality_features"
SOURCE = "raw_dataset"


@dataclass(frozen=True)
class Block:
    """Neighbouring months computed together, and the dates of the panel that they read."""

    months: tuple[str, ...]
    first: date
    last: date
    read_from: date
    read_to: date


@dataclass(frozen=True)
class Table:
    """A chunked table of the artefact: how far its rows read, and how a block of it is computed."""

    name: str
    back: int
    forward: int
    fixed: Mapping[str, str]
    """What else a chunk depends on: settings and code."""
    whole_history: bool
    """Whether a row reads the panel from its first day on, whatever ``back`` says."""
    compute: Callable[[Block], pl.DataFrame]


def materialise(run: StageRun) -> Manifest:
    """Bring ``quality_features`` up to date with ``raw_dataset``.

    Raises:
        StoreError: raw_dataset is not materialised, or its files are not as its manifest says.
        DataError: the panel holds no rows.
    """
    months = _months(run.store)
    with run.writer(ASSET) as w:
        w.json("catalogue.json", describe(run.settings.features))
        computed = {table.name: _bring_up_to_date(run, w, table, months) for table in _tables(run)}
        w.extra["computed_months"] = computed
        w.extra["months"] = len(months)
    return w.manifest


def _months(store: Store) -> dict[str, list[date]]:
    """The trading days of each month of the panel."""
    dates = store.read_chunks(SOURCE, "panel", columns=["Date"])["Date"].unique().sort().to_list()
    months: dict[str, list[date]] = {}
    for day in dates:
        months.setdefault(f"{day:%Y-%m}", []).append(day)
    if not months:
        raise DataError("The panel of raw_dataset has no rows, so there is nothing to compute features from.")
    return months


def _tables(run: StageRun) -> tuple[Table, Table]:
    settings, code = run.settings, run.identity.code_version
    simulated = settings.source if isinstance(settings.source, SimulatedSource) else None
    oracle = _Oracle(run.store, simulated, settings.labels.horizons)
    label_settings = {"labels": json_hash(settings.labels.hashed()), "code": code}
    if simulated is not None:
        label_settings["source"] = json_hash(simulated.hashed())
    return (
        Table(
            "features",
            max_lookback(settings.features),
            0,
            {"features": json_hash(settings.features.hashed()), "code": code},
            False,
            lambda block: _features(run, block),
        ),
        Table(
            "labels",
            TURNOVER_DAYS,
            reach(settings.labels),
            label_settings,
            simulated is not None,
            lambda block: _labels(run, block, oracle),
        ),
    )


def _bring_up_to_date(run: StageRun, w: ArtifactWriter, table: Table, months: dict[str, list[date]]) -> int:
    """Write every chunk of a table; returns how many months had to be computed."""
    days = [day for month in months.values() for day in month]
    position = {day: index for index, day in enumerate(days)}
    read = {
        month: (
            days[0] if table.whole_history else days[max(position[dates[0]] - table.back + 1, 0)],
            days[min(position[dates[-1]] + table.forward, len(days) - 1)],
        )
        for month, dates in months.items()
    }
    inputs = _input_hashes(run.store, table, read)
    stale: list[str] = []
    for month in months:
        name = f"{table.name}/{month}.parquet"
        before = w.previous(name)
        if before is not None and before.input_hash == inputs[month]:
            w.reuse(name)
        else:
            stale.append(month)
    done = 0
    for group in _runs(stale, list(months), run.settings.features.months_per_block):
        run.progress(done, len(stale), f"{table.name} {group[0]} to {group[-1]}")
        block = Block(group, months[group[0]][0], months[group[-1]][-1], read[group[0]][0], read[group[-1]][1])
        for month, chunk in _by_month(table.compute(block), group, months):
            w.chunk(table.name, month, chunk, key=KEY, input_hash=inputs[month])
        done += len(group)
    run.progress(done, len(stale), f"{table.name} done")
    return len(stale)


def _input_hashes(store: Store, table: Table, read: dict[str, tuple[date, date]]) -> dict[str, str]:
    """What each month's chunk is computed from: the panel months it reads, the settings, the code."""
    panel = {month: entry.content_hash for month, entry in store.chunks(SOURCE, "panel").items()}
    hashes = {}
    for month, (start, end) in read.items():
        touched = {key: value for key, value in panel.items() if f"{start:%Y-%m}" <= key <= f"{end:%Y-%m}"}
        hashes[month] = json_hash({"panel": touched, **table.fixed})
    return hashes


def _runs(stale: list[str], months: list[str], longest: int) -> Iterator[tuple[str, ...]]:
    """Stale months in contiguous groups of at most ``longest``."""
    group: list[str] = []
    for month in stale:
        follows = group and months.index(month) == months.index(group[-1]) + 1
        if group and (not follows or len(group) == longest):
            yield tuple(group)
            group = []
        group.append(month)
    if group:
        yield tuple(group)


def _by_month(
    frame: pl.DataFrame, group: tuple[str, ...], months: dict[str, list[date]]
) -> Iterator[tuple[str, pl.DataFrame]]:
    for month in group:
        yield month, frame.filter(pl.col("Date").is_between(months[month][0], months[month][-1]))


def _features(run: StageRun, block: Block) -> pl.DataFrame:
    panel = _panel(run.store, block, PANEL_COLUMNS)
    threads = run.settings.runtime.threads
    return compute_features(panel, run.settings.features, block.first, block.last, threads=threads)


def _labels(run: StageRun, block: Block, oracle: "_Oracle") -> pl.DataFrame:
    table = labels(_panel(run.store, block, LABEL_COLUMNS), run.settings.labels, block.first, block.last)
    if oracle.source is None:
        return table.with_columns(pl.lit(None, pl.Float64).alias(f"oracle_{h}") for h in oracle.horizons)
    return table.join(oracle.expected, on=KEY, how="left", maintain_order="left")


@dataclass(frozen=True)
class _Oracle:
    """The reachable oracle of a simulated market, computed once and only if labels are; null on real data."""

    store: Store
    source: SimulatedSource | None
    horizons: tuple[int, ...]

    @cached_property
    def expected(self) -> pl.DataFrame:
        """Date, Code, oracle_{h}: each row from the panel up to its own date."""
        if self.source is None:
            raise TypeError("only a simulated market has an oracle")
        from model.daily_quotes.sources.simulated.oracle import oracle

        return oracle(self.store.read_chunks(SOURCE, "panel"), self.source, self.horizons)


def _panel(store: Store, block: Block, columns: tuple[str, ...]) -> pl.DataFrame:
    return store.read_chunks(SOURCE, "panel", start=block.read_from, end=block.read_to, columns=list(columns))
