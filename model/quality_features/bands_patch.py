"""Bring one stored chunk up to date: rows inserted and deleted, and cells that were computed again put in.

Everything else keeps its bits. A row that is new must be computed in full; that is the caller's part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import polars as pl

from model.quality_features.places import OLD, Places
from model.store.day_digests import Mask
from model.store.frames import columns_of, day_edges, day_numbers

_NEW = "__new"
_FEW = 20
"""A part with so many times fewer rows than its days have is one of few codes."""


@dataclass
class Patch:
    """A chunk that is being brought up to date, sorted by a key of which Date is the first.

    Args:
        chunk: as it is stored.
        places: where the rows stand that the chunk must have now; found in the chunk by default.
    """

    chunk: pl.DataFrame
    places: Places | None = None
    differs: Mask = field(init=False)
    """Where a day's cross-section is not as it was ``[days of the chunk, columns beside Date]``."""
    rows_differ: bool = field(init=False, default=False)
    """Whether rows came or went."""

    def __post_init__(self) -> None:
        """Nothing differs yet."""
        self.chunk = self.chunk.clone()  # whose columns are replaced; the caller's stays as it is
        self._lay_out()

    @property
    def any(self) -> bool:
        """Whether anything is not as it was."""
        return self.rows_differ or bool(self.differs.any())

    @property
    def columns(self) -> list[str]:
        """The columns in which anything is not as it was."""
        beside = [name for name in self.chunk.columns if name != "Date"]
        return [beside[index] for index in np.flatnonzero(self.differs.any(axis=0)).tolist()]

    def rows(self, rows: pl.DataFrame, key: Sequence[str]) -> None:
        """The rows that the chunk must have now, with those of its other columns that are known for every row.

        Args:
            rows: sorted by ``key``, with InUniverse where the chunk has it.
        """
        keys = rows.select(key)
        if not keys.equals(self.chunk.select(key)):
            self._rearrange(keys, key)
        self._put(pl.int_range(rows.height, eager=True), rows.drop(key))

    def cells(self, part: pl.DataFrame, key: Sequence[str]) -> None:
        """Cells that were computed again; rows that the chunk does not have are passed over.

        Args:
            part: ``key`` and some of the chunk's columns, for some of the rows.
        """
        if part.is_empty():
            return
        first, last = self._rows_of_days(part)
        keys, values = columns_of(part, key), columns_of(part, [name for name in part.columns if name not in key])
        near = self._near(part, first, last) if "Code" in key and part.height * _FEW < last - first else None
        if near is None:
            near = columns_of(self.chunk, key).slice(first, last - first).with_row_index(OLD, offset=first)
        if keys.equals(columns_of(near, key)):  # all rows of these days, or of these codes: no join
            self._put(near[OLD], values)
            return
        at = keys.with_row_index(_NEW).join(near, on=key, how="inner", maintain_order="left")
        self._put(at[OLD], values if at.height == part.height else values[at[_NEW]])

    def _near(self, part: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
        """The rows of a part's codes from row ``first`` to before ``last``."""
        near = (self.places or Places(self.chunk)).of(frozenset(part["Code"].to_list()))
        start, stop = np.searchsorted(near[OLD].to_numpy(), (first, last))
        return near.slice(int(start), int(stop - start))

    def _rearrange(self, keys: pl.DataFrame, key: Sequence[str]) -> None:
        """Let the chunk have these rows. Days whose rows are the same are taken as they are; a join is slower."""
        held = dict(zip(self._days.tolist(), pairwise(self._edges.tolist()), strict=True))
        days, edges = day_edges(keys)
        parts, moved = [self.chunk.clear()], []
        for day, (first, last) in zip(days.tolist(), pairwise(edges.tolist()), strict=True):
            now = keys.slice(first, last - first)
            start, stop = held.get(day, (0, 0))
            before = self.chunk.slice(start, stop - start)
            same = now.equals(before.select(key))
            parts.append(before if same else now.join(before, on=key, how="left", maintain_order="left"))
            moved.append(not same)
        self.chunk = pl.concat(parts, rechunk=True)
        self.rows_differ = True
        self._lay_out()
        self.differs |= np.array(moved, dtype=np.bool_)[:, None]

    def _rows_of_days(self, part: pl.DataFrame) -> tuple[int, int]:
        """Where the rows begin and end of the days from the first to the last of a part."""
        own = day_numbers(part["Date"])
        first, past = np.searchsorted(self._days, (own.min(), own.max() + 1))
        return int(self._edges[first]), int(self._edges[past])

    def _lay_out(self) -> None:
        self._days, self._edges = day_edges(self.chunk)
        self._day_of = np.repeat(np.arange(len(self._days)), np.diff(self._edges))
        self.differs = np.zeros((len(self._days), self.chunk.width - 1), dtype=np.bool_)

    def _put(self, into: pl.Series, values: pl.DataFrame) -> None:
        """Put values into rows, column by column where any differs.

        Args:
            into: numbers of the rows, increasing.
            values: some of the chunk's columns, a row for each number.
        """
        if not len(into) or not values.width:
            return
        first, last = into[0], into[-1] + 1
        run = last - first == len(into)  # whole days of all names: slices, which copy nothing
        rows = slice(first, last) if run else into
        before = [self.chunk[name][rows].alias(OLD + name) for name in values.columns]
        unequal = pl.DataFrame([*values.get_columns(), *before]).select(
            pl.col(name).ne_missing(pl.col(OLD + name)) for name in values.columns
        )
        beside = [name for name in self.chunk.columns if name != "Date"]
        day_of = self._day_of[into.to_numpy()]
        for name in values.columns:
            if unequal[name].any():
                self.differs[day_of[unequal[name].to_numpy()], beside.index(name)] = True
                self.chunk.replace_column(self.chunk.columns.index(name), self._with(name, rows, values[name]))

    def _with(self, name: str, rows: slice | pl.Series, values: pl.Series) -> pl.Series:
        held = self.chunk[name]
        if isinstance(rows, slice):
            return pl.concat([held.slice(0, rows.start), values, held.slice(rows.stop)])
        return held.scatter(rows, values)
