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
        into, taken = at[_OLD], at[_NEW]
        names = [name for name in part.columns if name not in key]
        now, before = part.select(names)[taken], chunk.select(names)[into]
        replaced = [
            chunk[values.name].scatter(into, values)
            for values in now.iter_columns()
            if not values.equals(before[values.name], null_equal=True)
        ]
        chunk = chunk.with_columns(replaced)
        differs = differs or bool(replaced)
    return chunk, differs


def _near(places: pl.DataFrame, part: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """The rows, sorted by date, that a part of few days or few codes can speak of: a cheap choice before the join."""
    days = places["Date"].to_physical().to_numpy()
    own = part["Date"].to_physical().to_numpy()
    start, stop = np.searchsorted(days, (own.min(), own.max() + 1))
    near = places.slice(int(start), int(stop - start))
    if "Code" in key and part.height * _FEW < near.height:
        near = near.filter(pl.col("Code").is_in(part["Code"].unique().implode()))
    return near
