"""Digests of a table's cross-sections: 128 bits (XXH3) for what one column says on one day.

A month's chunk can be hashed as a root over them. After a fix only the cross-sections that differ are hashed again, and
whoever computed something of a day's cross-section sees whether it must be computed again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from xxhash import xxh3_128

from model.store.frames import day_edges
from model.store.hashing import canonical_values

Mask = NDArray[np.bool_]
Digest = NDArray[np.uint64]


@dataclass(frozen=True)
class DayDigests:
    """The digests of a table that is sorted by Date; they follow from its values alone, however it is chunked."""

    days: NDArray[np.int32]
    """Days since 1970 on which the table has rows, rising ``[days]``."""
    columns: tuple[str, ...]
    """Columns beside Date, in the table's order."""
    values: Digest
    """``[days, columns, 2]``."""

    @classmethod
    def of(cls, table: pl.DataFrame, before: "DayDigests | None" = None, differs: Mask | None = None) -> Self:
        """The digests of a table.

        Args:
            before: those of an earlier state of the table, or of some of its columns; taken over where nothing differs.
            differs: where the table differs from that state ``[days of the table, columns]``; nowhere by default.

        Raises:
            TypeError: a column's dtype has no canonical form.
        """
        days, edges = day_edges(table)
        columns = tuple(name for name in table.columns if name != "Date")
        values = np.empty((len(days), len(columns), 2), dtype=np.uint64)
        due = np.ones((len(days), len(columns)), dtype=np.bool_)
        if before is not None:
            here = np.array([i for i, name in enumerate(columns) if name in before.columns], dtype=np.int64)
            there = np.array([before.columns.index(columns[i]) for i in here], dtype=np.int64)
            place = np.minimum(np.searchsorted(before.days, days), max(len(before.days) - 1, 0))
            known = before.days[place] == days if len(before.days) else np.zeros(len(days), dtype=np.bool_)
            due[:, here] = ~known[:, None] if differs is None else differs[:, here] | ~known[:, None]
            values[np.ix_(known, here)] = before.values[np.ix_(place[known], there)]
        rows = list(pairwise(edges.tolist()))
        for index in np.flatnonzero(due.any(axis=0)).tolist():
            wanted = np.flatnonzero(due[:, index])
            values[wanted, index] = _digests(table[columns[index]], [rows[day] for day in wanted.tolist()])
        return cls(days, columns, values)

    def root(self, schema: Mapping[str, object]) -> str:
        """One hash over all of them and the table's schema, column to dtype."""
        order = np.argsort(np.array(self.columns, dtype=np.str_))
        head = [[self.columns[index], str(schema[self.columns[index]])] for index in order.tolist()]
        digest = hashlib.sha256(repr((head, str(schema["Date"]))).encode())
        digest.update(self.days.astype("<i4").tobytes())
        digest.update(self.values[:, order].astype("<u8").tobytes())
        return digest.hexdigest()

    def take(self, columns: Sequence[str]) -> "DayDigests | None":
        """Those of some columns, in the order given; None where one is not among them."""
        place = {name: index for index, name in enumerate(self.columns)}
        if not place.keys() >= set(columns):
            return None
        return DayDigests(self.days, tuple(columns), self.values[:, [place[name] for name in columns]])

    def replaced(self, some: "DayDigests") -> "DayDigests":
        """With those of some columns in their place; the days are the same."""
        values = self.values.copy()
        values[:, [self.columns.index(name) for name in some.columns]] = some.values
        return DayDigests(self.days, self.columns, values)

    def array(self) -> Digest:
        """As one array ``[days, 1 + columns, 2]``; the day stands before its digests."""
        head = np.zeros((len(self.days), 1, 2), dtype=np.uint64)
        head[:, 0, 0] = self.days.astype(np.uint64)
        return np.concatenate([head, self.values], axis=1)

    @classmethod
    def of_array(cls, array: Digest, columns: Sequence[str]) -> Self:
        """From what :meth:`array` gave."""
        return cls(array[:, 0, 0].astype(np.int32), tuple(columns), array[:, 1:])

    def equal(self, other: "DayDigests") -> Mask:
        """Where another state has the same, by column name ``[days, columns]``."""
        same = np.zeros(self.values.shape[:2], dtype=np.bool_)
        here = np.array([i for i, name in enumerate(self.columns) if name in other.columns], dtype=np.int64)
        there = np.array([other.columns.index(self.columns[i]) for i in here], dtype=np.int64)
        _, mine, others = np.intersect1d(self.days, other.days, assume_unique=True, return_indices=True)
        own, theirs = self.values[np.ix_(mine, here)], other.values[np.ix_(others, there)]
        same[np.ix_(mine, here)] = (own == theirs).all(axis=-1)
        return same


def _digests(column: pl.Series, days: Sequence[tuple[int, int]]) -> Digest:
    """Digests ``[days, 2]`` of a column's cross-sections.

    Args:
        days: the first row of each day and the row after its last, in order; at least one day.
    """
    start = days[0][0]
    missing, stretch = canonical_values(column.slice(start, days[-1][1] - start))
    found = []
    for first, last in days:
        digest = xxh3_128()
        if not column.dtype.is_float():  # whose bytes say how many they are, and where the nulls
            # A day without a null is as in a chunk without any.
            nulls = missing is not None and missing[first - start : last - start].any()
            digest.update(b"%d%s|" % (last - first, b"n" if nulls else b""))
            if nulls and missing is not None:
                digest.update(np.packbits(missing[first - start : last - start]).data)
        for part in stretch(first - start, last - start):
            digest.update(part)
        found.append(digest.digest())
    return np.frombuffer(b"".join(found), dtype="<u8").astype(np.uint64).reshape(len(days), 2)
