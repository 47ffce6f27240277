"""Write tables as Parquet files, and files again with some of their columns replaced."""

import io
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from model.store.hashing import Checksummed, checksum
from model.store.parquet.columns import MAGIC, Column, encoded, encodes, footer, found_in

_COMPRESSION: Final = "lz4"
"""zstd would save an eighth of the disk and cost a third more time in writing, twice as much in reading."""


def write(path: Path, frame: pl.DataFrame) -> str:
    """Write a table in one row group; returns the file's checksum (``hashing.checksum``)."""
    if frame.height:
        return _write(path, frame.height, _encoded(frame))
    frame.write_parquet(path, compression=_COMPRESSION)
    return checksum(path)


def write_mended(path: Path, file: Path, columns: pl.DataFrame) -> str:
    """Write a file again with other values in some of its columns; the pages of all others are copied.

    Returns the new file's checksum.

    Args:
        path: the new file, which is byte for byte what :func:`write` makes of the whole table.
        file: a table that :func:`write` wrote.
        columns: what is replaced, for the same rows.

    Raises:
        ValueError: the file has not as many rows, or does not have the columns.
    """
    with file.open("rb") as stream:
        held = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)  # closed when nobody looks at a page of it
    rows, before = found_in(memoryview(held))
    if rows != columns.height or not before.keys() >= set(columns.columns):
        raise ValueError(
            f"{file} has {rows} rows of {', '.join(before)}, which cannot take {columns.height} rows of "
            f"{', '.join(columns.columns)}"
        )
    now = {column.name: column for column in _encoded(columns)}
    return _write(path, rows, (now.get(name, column) for name, column in before.items()))


def _encoded(frame: pl.DataFrame) -> Iterator[Column]:
    """The columns of a table, one after the other.

    Keys and what else is neither a float nor a flag are encoded by polars, with minimum and maximum, by which readers
    skip files.
    """
    others = frame.select(name for name, dtype in frame.schema.items() if not encodes(dtype))
    by_polars: dict[str, Column] = {}
    if others.width:
        buffer = io.BytesIO()
        others.write_parquet(buffer, compression=_COMPRESSION, row_group_size=frame.height)
        _, by_polars = found_in(memoryview(buffer.getvalue()))
    for column in frame.iter_columns():
        yield by_polars[column.name] if column.name in by_polars else encoded(column)


def _write(path: Path, rows: int, columns: Iterable[Column]) -> str:
    """Write the pages of the columns and the footer; returns the checksum of all of it."""
    written = []
    with path.open("wb") as file:
        out = Checksummed(file)
        out.write(MAGIC)
        for column in columns:
            for page in column.pages:
                out.write(page)
            written.append(replace(column, pages=()))
        out.write(footer(rows, written))
    return out.checksum
