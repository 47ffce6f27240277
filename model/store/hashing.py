"""Content hashes: of the values, in canonical order, never of a file's bytes or its time.

Two tables with equal values hash alike whoever wrote them and however they were chunked or compressed. That is
what lets a rewrite of equal content leave everything downstream fresh (early cut-off).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Missing = NDArray[np.bool_]
Slices = Callable[[int, int], tuple[bytes | memoryview, ...]]
"""First row and the row after the last to the bytes of what lies between."""

_BLOCK = 1 << 22


def json_hash(value: Any) -> str:
    """Hash of plain JSON values, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def merkle_root(parts: Mapping[str, str]) -> str:
    """One hash over named hashes, independent of their order."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(name.encode() + b"\0" + parts[name].encode() + b"\n")
    return digest.hexdigest()


def array_hash(array: NDArray[Any]) -> str:
    """Hash of an array's dtype, shape and values in C order; every NaN counts as the same value."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(_canonical(array).data)
    return digest.hexdigest()


def arrays_hash(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Hash of named arrays, independent of their order."""
    return merkle_root({name: array_hash(array) for name, array in arrays.items()})


def table_hash(frame: pl.DataFrame) -> str:
    """Hash of a table's values: column names, dtypes and rows in the order given.

    Nulls are told apart from every value, all NaNs are one value, and -0.0 equals 0.0.

    Raises:
        TypeError: a column's dtype has no canonical form (nested types, objects, categoricals).
    """
    digest = hashlib.sha256(f"rows={frame.height}".encode())
    for column in frame.iter_columns():
        digest.update(f"|{column.name}:{column.dtype}|".encode())
        for part in _column_bytes(column):
            digest.update(part)
    return digest.hexdigest()


def canonical_values(column: pl.Series) -> tuple[Missing | None, Slices]:
    """A column's values in canonical form: where it is null, if it is anywhere, and the bytes of any stretch of rows.

    A null has the bytes of a plain value; NaN and zero are as in :func:`table_hash`.

    Raises:
        TypeError: the column's dtype has no canonical form.
    """
    if column.dtype not in (pl.String, pl.Boolean):
        missing, values = _numbers(column)
        return missing, lambda first, last: (values[first:last].data,)
    missing = column.is_null().to_numpy() if column.null_count() else None
    if column.dtype == pl.Boolean:
        flags = column.fill_null(False).to_numpy()
        return missing, lambda first, last: (np.packbits(flags[first:last]).data,)
    sizes, text = _texts(column.fill_null(""))
    ends = np.append(0, np.cumsum(sizes, dtype=np.int64))
    return missing, lambda first, last: (sizes[first:last].data, memoryview(text)[ends[first] : ends[last]])


def _column_bytes(column: pl.Series) -> Iterator[bytes | memoryview]:
    """Where the column is null, if it is anywhere, and its values, with a plain one there."""
    missing, stretch = canonical_values(column)
    if missing is not None:
        yield np.packbits(missing).tobytes()
    yield from stretch(0, len(column))


def _texts(column: pl.Series) -> tuple[NDArray[np.uint32], bytes]:
    """Length of each text in bytes, and all of them joined: in Arrow, no Python object a row."""
    return column.str.len_bytes().to_numpy().astype("<u4"), column.str.join("").item().encode() if len(column) else b""


def _numbers(column: pl.Series) -> tuple[Missing | None, NDArray[Any]]:
    """Where there are nulls, and the canonical values.

    Numbers with nulls come straight from their Arrow buffers, in a third of the time of asking the Series.
    """
    dtype = column.dtype
    if not (dtype.is_temporal() or dtype.is_float() or dtype.is_integer()):
        raise TypeError(f"column {column.name!r} has dtype {dtype}, which has no canonical hash")
    column = column.cast(pl.Int64) if dtype.is_temporal() else column
    if not column.null_count():
        return None, _canonical(column.to_numpy())
    array = column.rechunk().to_arrow()
    valid, numbers = array.buffers()
    bits = np.unpackbits(np.frombuffer(valid, np.uint8), count=array.offset + len(array), bitorder="little")
    missing = bits[array.offset :] == 0
    kind = "f" if column.dtype.is_float() else "i" if column.dtype.is_signed_integer() else "u"
    plain = np.frombuffer(numbers, f"{kind}{array.type.bit_width // 8}")
    values = plain[array.offset : array.offset + len(array)].copy()
    values[missing] = 0
    return missing, _canonical(values)


def _canonical(array: NDArray[Any]) -> NDArray[Any]:
    """The values in one dimension, little-endian, one NaN and one zero; without copying what is that already."""
    array = np.asarray(array, order="C")
    if array.dtype.kind == "f" and array.size:
        array = np.add(array, 0, dtype=array.dtype)  # -0.0 becomes 0.0
        if np.isnan(array.min()):
            array[np.isnan(array)] = np.nan
    return array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1)
