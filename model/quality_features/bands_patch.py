"""Bring one stored chunk up to date: rows inserted and deleted, and cells that were computed again put in.

Everything else keeps its bits. A row that is new must be computed in full; that is the caller's part.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

_OLD, _NEW = "__old", "__new"
_FEW = 20
"""A part with so many times fewer rows than its days have is one of few codes."""


def patched(
    old: pl.DataFrame, rows: pl.DataFrame | None, parts: Sequence[pl.DataFrame], key: Sequence[str]
) -> tuple[pl.DataFrame, bool]:
    """The chunk as it must be now, and whether anything in it differs from ``old``.

    Args:
        old: the stored chunk, sorted by ``key``, of which Date is the first.
        rows: the rows that it must have now, sorted by ``key``, with those of its other columns that are known for
            every row (InUniverse); None where the rows are the old ones.
        parts: cells computed again: ``key`` and some of the chunk's columns, for some of the rows. Rows that the chunk
            does not have are passed over.
        key: what the rows are unique on.
    """
    chunk, differs = old, False
    if rows is not None:
        same = rows.select(key).equals(old.select(key))
        chunk = old if same else rows.select(key).join(old, on=key, how="left", maintain_order="left")
        given = [name for name in rows.columns if name not in key]
        differs = not same or not rows.select(given).equals(old.select(given))
        chunk = chunk.with_columns(rows.select(given))
    places = chunk.select(key).with_row_index(_OLD)
    for part in parts:
        if part.is_empty():
            continue
        near = _near(places, part, key)
        at = part.select(key).with_row_index(_NEW).join(near, on=key, how="inner", maintain_order="left")
        into, values = at[_OLD], part.drop(key)
        if at.height < part.height:
            values = values[at[_NEW]]
        chunk, put = _put(chunk, into, values)
        differs = differs or put
    return chunk, differs


def _put(chunk: pl.DataFrame, into: pl.Series, values: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    """Values put into rows of a chunk, column by column where any differs, and whether one does.

    Args:
        into: numbers of the rows, increasing.
        values: some of the chunk's columns, a row for each number.
    """
    if not len(into) or not values.width:
        return chunk, False
    first, last = into[0], into[-1] + 1
    run = last - first == len(into)  # whole days of all names: slices, which copy nothing
    before = chunk.select(values.columns)
    before = before.slice(first, len(into)) if run else before[into]
    other = before.rename({name: _OLD + name for name in before.columns})
    unequal = pl.concat([values, other], how="horizontal").select(
        pl.col(name).ne_missing(pl.col(_OLD + name)).any() for name in values.columns
    )
    names = [name for name, differ in unequal.row(0, named=True).items() if differ]
    if not run:
        return chunk.with_columns(chunk[name].scatter(into, values[name]) for name in names), bool(names)
    rows = chunk.select(names)
    return chunk.with_columns(pl.concat([rows.slice(0, first), values.select(names), rows.slice(last)])), bool(names)


def _near(places: pl.DataFrame, part: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The rows, sorted by date, that a part of few days or few codes can speak of: a cheap choice before the join."""
    days = places["Date"].to_physical().to_numpy()
    own = part["Date"].to_physical().to_numpy()
    start, stop = np.searchsorted(days, (own.min(), own.max() + 1))
    near = places.slice(int(start), int(stop - start))
    if "Code" in key and part.height * _FEW < near.height:
        near = near.filter(pl.col("Code").is_in(part["Code"].unique().implode()))
    return near
