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

_SIGNED, _UNSIGNED = (pl.Int8, pl.Int16, pl.Int32, pl.Int64), (pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
_NAMED = frozenset((pl.Boolean, pl.Float32, pl.Float64, *_SIGNED, *_UNSIGNED, pl.String, pl.Binary, pl.Date))
_DATETIMES = frozenset(pl.Datetime(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "UTC"))


def write(path: Path, frame: pl.DataFrame) -> str:
    """Write a table in one row group, if it has rows; returns the file's checksum (``hashing.checksum``).

    Columns come back with the types that they have: a table with a type for which Parquet has no name of its own (a
    duration, a time zone, categories) is left to polars, which writes its types beside.
    """
    if frame.height and all(dtype in _NAMED or dtype in _DATETIMES for dtype in frame.dtypes):
        return _write(path, frame.height, _encoded(frame))
    frame.write_parquet(path, compression=_COMPRESSION, row_group_size=max(frame.height, 1))
    return checksum(path)


def write_mended(path: Path, file: Path, columns: pl.DataFrame) -> str:
    """Write a file again with other values in some of its columns; the pages of all others are copied.

    Returns the new file's checksum.

    Args:
        path: the new file, which is byte for byte what :func:`write` makes of the whole table, where the same versions
            of this module and of its libraries wrote the old one.
        file: a table that :func:`write` wrote.
        columns: what is replaced, for the same rows.

    Raises:
        FileExistsError: the new file is there already.
        ValueError: the file has not as many rows, or does not have the columns, or has them as other types.
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
    other = [name for name, column in now.items() if column.element != before[name].element]
    if other:
        raise ValueError(f"{file} has {', '.join(other)} as another type than {columns.select(other).schema}")
    return _write(path, rows, (now.get(name, column) for name, column in before.items()))


def _encoded(frame: pl.DataFrame) -> Iterator[Column]:
    """The columns of a table, one after the other.

    Keys and what else is neither a float nor a flag are encoded by polars, with minimum and maximum, by which readers
    skip files.
    """
    others = pl.DataFrame([column for column in frame.iter_columns() if not encodes(column.dtype)])
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
    with path.open("xb") as file:  # another name of a stored file would be one and the same file
        out = Checksummed(file)
        out.write(MAGIC)
        for column in columns:
            for page in column.pages:
                out.write(page)
            written.append(replace(column, pages=()))
        out.write(footer(rows, written))
    return out.checksum
