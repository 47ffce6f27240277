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
    """A column's values in canonical form: nulls that the bytes do not tell, and the bytes of any stretch of rows.

    A null among floats is a NaN of its own; elsewhere it has the bytes of a plain value, and the first result says
    where it is (None: nowhere). NaN and zero are as in :func:`table_hash`.

    Raises:
        TypeError: the column's dtype has no canonical form.
    """
    if column.dtype == pl.String:
        sizes, text = _texts(column.fill_null(""))
        ends = np.append(0, np.cumsum(sizes, dtype=np.int64))
        return _missing(column), lambda first, last: (
            sizes[first:last].data,
            memoryview(text)[ends[first] : ends[last]],
        )
    if column.dtype == pl.Boolean:
        flags = column.fill_null(False).to_numpy()
        return _missing(column), lambda first, last: (np.packbits(flags[first:last]).data,)
    if column.dtype.is_float():
        missing, values = None, _floats(column)
    elif column.dtype.is_temporal() or column.dtype.is_integer():
        whole = column.cast(pl.Int64) if column.dtype.is_temporal() else column
        missing, values = _missing(column), _little_endian(whole.fill_null(0).to_numpy())
    else:
        raise TypeError(f"column {column.name!r} has dtype {column.dtype}, which has no canonical hash")
    size, held = values.itemsize, values.view(np.uint8).data
    return missing, lambda first, last: (held[first * size : last * size],)


def _column_bytes(column: pl.Series) -> Iterator[bytes | memoryview]:
    """Where the column is null, if it is anywhere, and its values, with a plain one there."""
    missing, stretch = canonical_values(column)
    if missing is not None:
        yield np.packbits(missing).tobytes()
    yield from stretch(0, len(column))


def _texts(column: pl.Series) -> tuple[NDArray[np.uint32], bytes]:
    """Length of each text in bytes, and all of them joined: in Arrow, no Python object a row."""
    return column.str.len_bytes().to_numpy().astype("<u4"), column.str.join("").item().encode() if len(column) else b""


def _missing(column: pl.Series) -> Missing | None:
    return column.is_null().to_numpy() if column.null_count() else None


def _floats(column: pl.Series) -> NDArray[Any]:
    """The canonical values; a null is the NaN whose bits are one more than those of NaN itself.

    With nulls they come straight from the Arrow buffers, in a third of the time of asking the Series.
    """
    if not column.null_count():
        return _canonical(column.to_numpy())
    array = column.rechunk().to_arrow()
    valid, numbers = array.buffers()
    byte, bit = divmod(array.offset, 8)  # of a slice, the buffers are those of the whole
    bits = np.unpackbits(np.frombuffer(valid, np.uint8, offset=byte), count=bit + len(array), bitorder="little")
    missing = bits[bit:] == 0
    plain = np.frombuffer(numbers, f"f{array.type.bit_width // 8}")[array.offset : array.offset + len(array)]
    values = plain + plain.dtype.type(0)  # a copy, in which -0.0 is 0.0
    words = values.view(f"u{values.itemsize}")
    nan = np.array(np.nan, dtype=values.dtype).view(words.dtype)
    words[missing] = nan + 1
    found = np.isnan(values)
    if np.count_nonzero(found) > array.null_count:
        words[found & ~missing] = nan
    return _little_endian(values)


def _canonical(array: NDArray[Any]) -> NDArray[Any]:
    """The values in one dimension, little-endian, one NaN and one zero; without copying what is that already."""
    array = np.asarray(array, order="C")
    if array.dtype.kind == "f" and array.size:
        array = np.add(array, 0, dtype=array.dtype)  # -0.0 becomes 0.0
        if np.isnan(array.min()):
            array[np.isnan(array)] = np.nan
    return _little_endian(array)


def _little_endian(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1)
