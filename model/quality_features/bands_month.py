"""Write the chunks of a month: whole, or as they lie in the store with some rows, columns or cells put in.

Where a month has the rows that it had, only the columns that something was computed of are read, and only those in
which something differs are encoded; the rest of the file is copied. A chunk in which nothing differs is taken over by a
hard link.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from model.quality_features.bands_jobs import Job, Mask
from model.quality_features.bands_patch import Patch
from model.quality_features.coverage import KEY as COVERAGE_KEY
from model.quality_features.coverage import SCHEMA, count, read_coverage
from model.quality_features.digests import StoredDigests
from model.quality_features.places import Places
from model.quality_features.read import ASSET
from model.store.day_digests import DayDigests
from model.store.frames import columns_of, day_numbers
from model.store.store import Store
from model.store.writer import ArtifactWriter


@dataclass(frozen=True)
class Table:
    """A chunked table of the artefact."""

    name: str
    key: tuple[str, ...]
    head: tuple[str, ...]
    """The key and the columns that follow from the panel's rows alone (InUniverse)."""
    names: tuple[str, ...]
    """The columns that are computed."""
    made_by: str
    """Hash of what decides the values beside the panel (settings, code, columns). A chunk of another is made whole."""
    jobs: Callable[[Mask], Sequence[Job]]
    """What must be computed again, given the days on which everything is."""
    compute: Callable[[Job], pl.DataFrame] | None = None
    """Computes a job where the table has a way of its own, from another table of the family; see ``inner``."""
    inner: bool = False
    """Whether tables with a ``compute`` of their own are computed from it: it is brought up to date before these, and
    nothing else reads it."""

    def pick(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The table's columns, as far as they are in a result of the engine; each row once."""
        rows = frame if "Code" in self.key else frame.unique("Date", keep="first", maintain_order=True)
        return rows.select(*self.head, *(name for name in self.names if name in frame.columns))


@dataclass(frozen=True)
class Chunks:
    """The months of the panel, and the rows they have now."""

    months: Mapping[str, tuple[date, ...]]
    """Their trading days."""
    changed: Collection[str]
    """Those that are not as recorded."""
    rows: Callable[[str], pl.DataFrame]
    """Date, Code, InUniverse of a month."""
    places: Callable[[str], Places]
    """Where a month's rows stand."""
    stands: Callable[[str], bool]
    """Whether a month's stored chunks have the very rows that the panel has, with the same in the universe."""

    def keeps_rows(self, month: str, table: Table) -> bool:
        """Whether the keys of a stored chunk are those of the panel, so that they need not be read."""
        return "Code" in table.key and bool(table.names) and self.stands(month)

    def now(self, month: str, columns: Sequence[str]) -> pl.DataFrame | None:
        """Some of the columns of a month, each row once; None where the stored chunk has them."""
        if self.stands(month):
            return None
        rows = self.rows(month).select(columns)
        return rows if "Code" in columns else rows.unique(maintain_order=True)


@dataclass(frozen=True)
class MonthFiles:
    """The chunks of one run, and what is in them."""

    store: Store
    writer: ArtifactWriter
    chunks: Chunks
    stored: StoredDigests
    counts: dict[tuple[str, str], pl.DataFrame] = field(default_factory=dict)
    """Coverage of the chunks that were looked at, by table and month."""
    partly: set[tuple[str, str]] = field(default_factory=set)
    """Of these, those of which some columns were: the others have the values and the rows that they had."""
    digests: dict[tuple[str, str], DayDigests] = field(default_factory=dict)
    """Digests of the chunks that were written."""

    def made_by(self, table: Table, month: str) -> str | None:
        """What the stored chunk was made by, see ``Table.made_by``; None where there is none."""
        entry = self.writer.previous(_file(table, month))
        return None if entry is None else entry.input_hash

    def take_over(self, table: Table, month: str) -> None:
        """Take the stored chunk over as it is."""
        self.writer.reuse(_file(table, month))

    def whole(self, table: Table, month: str, chunk: pl.DataFrame, head: DayDigests) -> None:
        """Write a chunk that was computed whole.

        Args:
            head: the digests of its keys and universe.
        """
        self._write(table, month, chunk, DayDigests.of(chunk, head))

    def patched(self, table: Table, month: str, parts: Sequence[pl.DataFrame]) -> bool:
        """Write the stored chunk with the month's rows of today and cells that were computed again.

        Args:
            parts: columns of the table for some of the month's rows.

        Returns:
            Whether anything differs; if not, the chunk is taken over.
        """
        file = self.store.path(ASSET, _file(table, month))
        columns = (*table.head, *table.names)
        before = self.stored.of(month, table.name, columns)
        if before is not None and self.chunks.keeps_rows(month, table):
            return self._mended(table, month, parts, file, before)
        patch = Patch(pl.read_parquet(file, glob=False), self.chunks.places(month) if "Code" in table.key else None)
        rows = self.chunks.now(month, table.head)
        if rows is not None:
            patch.rows(rows, table.key)
        for part in parts:
            patch.cells(part, table.key)
        if not patch.any:
            self._count(table, month, patch.chunk)
            self.take_over(table, month)
            return False
        self._write(table, month, patch.chunk, DayDigests.of(patch.chunk, before, patch.differs))
        return True

    def write_digests(self, tables: Sequence[Table]) -> None:
        """Write or take over the digests of every month."""
        columns = {table.name: (*table.head, *table.names) for table in tables}
        self.stored.write(self.writer, self.chunks.months, columns, self.digests)

    def coverage(self, tables: Sequence[Table]) -> pl.DataFrame:
        """What is there of each column: counted where a chunk was looked at, as recorded of all others."""
        counted = [pl.DataFrame(schema=SCHEMA), *self.counts.values()]
        kept = [(table.name, month) for table in tables if not table.inner for month in self.chunks.months]
        kept = [place for place in kept if place in self.partly or place not in self.counts]
        if kept:
            wanted = pl.DataFrame(kept, schema={"table": pl.String, "month": pl.String}, orient="row")
            recorded = read_coverage(self.store).join(wanted, on=["table", "month"], how="semi")
            counted.append(recorded.join(pl.concat(counted), on=COVERAGE_KEY, how="anti"))
        return pl.concat(counted).sort(COVERAGE_KEY)

    def _mended(self, table: Table, month: str, parts: Sequence[pl.DataFrame], file: Path, before: DayDigests) -> bool:
        """Where the rows are those that they were: read and write some of the columns."""
        rows = self.chunks.rows(month)
        names = [name for name in table.names if any(name in part.columns for part in parts)]
        values = pl.read_parquet(file, columns=names, glob=False)
        if names and values.height != rows.height:
            raise self.store.uneven(ASSET, _file(table, month), values.height, "the panel", rows.height)
        head = [rows[name] for name in table.head]
        patch = Patch(pl.DataFrame([*head, *values.get_columns()]), self.chunks.places(month))
        for part in parts:
            patch.cells(part, table.key)
        self.partly.add((table.name, month))
        if not patch.any:
            self.take_over(table, month)
            return False
        columns = columns_of(patch.chunk, patch.columns)
        self._count(table, month, columns)
        digests = before.replaced(DayDigests.of(patch.chunk, before, patch.differs))
        self.digests[table.name, month] = digests
        name = _file(table, month)
        dtypes = self.writer.entry(name).columns or {}
        self.writer.mended(name, file, columns, content_hash=digests.root(dtypes))
        return True

    def _write(self, table: Table, month: str, chunk: pl.DataFrame, digests: DayDigests) -> None:
        self._count(table, month, chunk)
        self.digests[table.name, month] = digests
        self.writer.chunk(
            table.name,
            month,
            chunk,
            key=table.key,
            input_hash=table.made_by,
            content_hash=digests.root(chunk.schema),
        )

    def _count(self, table: Table, month: str, chunk: pl.DataFrame) -> None:
        if not table.inner:
            members = self.chunks.rows(month)["InUniverse"] if "Code" in table.key else None
            self.counts[table.name, month] = count(table.name, month, chunk, members)


def _file(table: Table, month: str) -> str:
    return f"{table.name}/{month}.parquet"


def between(rows: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """The rows dated ``first`` to ``last`` of a table sorted by date: a view, no copy."""
    days = day_numbers(rows["Date"])
    low, high = np.array([first, last], dtype="datetime64[D]").astype(np.int32)
    start, stop = int(np.searchsorted(days, low, "left")), int(np.searchsorted(days, high, "right"))
    return rows.slice(start, stop - start)
