"""Content hashes: of the values, in canonical order, never of a file's bytes or its time.

Two tables with equal values hash alike whoever wrote them and however they were chunked or compressed. That is
what lets a rewrite of equal content leave everything downstream fresh (early cut-off).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

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
    digest.update(_plain_bytes(array))
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


def _column_bytes(column: pl.Series) -> Iterable[bytes | memoryview]:
    if column.null_count():
        yield np.packbits(column.is_null().to_numpy()).tobytes()
    dtype = column.dtype
    if dtype == pl.String:
        filled = column.fill_null("")
        yield filled.str.len_bytes().to_numpy().astype("<u4").tobytes()
        yield b"".join(text.encode() for text in _unique_stream(filled))
    elif dtype == pl.Boolean:
        yield np.packbits(column.fill_null(False).to_numpy()).tobytes()
    elif dtype.is_temporal():
        yield column.to_physical().fill_null(0).to_numpy().astype("<i8").tobytes()
    elif dtype.is_float():
        yield _plain_bytes(column.fill_null(0.0).to_numpy())
    elif dtype.is_integer():
        yield _plain_bytes(column.fill_null(0).to_numpy())
    else:
        raise TypeError(f"column {column.name!r} has dtype {dtype}, which has no canonical hash")


def _unique_stream(column: pl.Series) -> Iterable[str]:
    """The strings themselves; one join in Arrow instead of a Python object a row."""
    joined = column.str.join("")
    yield joined.item() if len(joined) else ""


def _plain_bytes(array: NDArray[Any]) -> memoryview:
    """The values little-endian in C order, without copying what is that already."""
    array = np.asarray(array, order="C")
    if array.dtype.kind == "f":
        array = np.add(array, 0, dtype=array.dtype)  # -0.0 becomes 0.0
        missing = np.isnan(array)
        if missing.any():
            array[missing] = np.nan
    if not array.size:  # an empty view cannot be cast
        return memoryview(b"")
    return array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).data.cast("B")
