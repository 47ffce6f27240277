"""Content hashes: of the values, in canonical order, never of a file's bytes or its time.

Two tables with equal values hash alike whoever wrote them and however they were chunked or compressed. That is
what lets a rewrite of equal content leave everything downstream fresh (early cut-off).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from xxhash import xxh3_128

if TYPE_CHECKING:
    import pyarrow as pa

Missing = NDArray[np.bool_]
Slices = Callable[[int, int], tuple[bytes | memoryview, ...]]
"""First row and the row after the last to the bytes of what lies between."""

_BLOCK = 1 << 18
_XXH3 = "xxh3:"


def json_hash(value: Any) -> str:
    """Hash of plain JSON values, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes: what the file is."""
    return _of_bytes(path, hashlib.sha256())


def checksum(path: Path) -> str:
    """XXH3 of a file's bytes, by which a reader sees whether they are what was written; ten times as fast."""
    return _XXH3 + _of_bytes(path, xxh3_128())


class Checksummed:
    """A file that is being written, with the :func:`checksum` of what was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = xxh3_128()

    def write(self, data: "bytes | memoryview | pa.Buffer") -> None:
        """Write some bytes, while they are in the processor's cache."""
        self._digest.update(data)
        self._file.write(data)

    @property
    def checksum(self) -> str:
        """Of all that was written so far."""
        return _XXH3 + self._digest.hexdigest()


def verifies(path: Path, expected: str) -> bool:
    """Whether a file has this :func:`checksum`, or this :func:`file_hash`, which earlier manifests hold."""
    return (checksum(path) if expected.startswith(_XXH3) else file_hash(path)) == expected


def _of_bytes(path: Path, digest: "hashlib._Hash | xxh3_128") -> str:
    block = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(block):
            digest.update(block[:count])
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
    where it is (None: nowhere). NaN and zero are as in :func:`table_hash`. Everything comes straight from the Arrow
    buffers: asking the Series takes a query for each answer, which on the rows of one day is most of the time.

    Raises:
        TypeError: the column's dtype has no canonical form.
    """
    dtype = column.dtype
    if dtype.is_temporal():
        column = column.cast(pl.Int64)
    elif dtype not in (pl.String, pl.Boolean) and not dtype.is_float() and not dtype.is_integer():
        raise TypeError(f"column {column.name!r} has dtype {dtype}, which has no canonical hash")
    if not len(column):
        return None, lambda first, last: ()
    array = column.rechunk().to_arrow()
    missing = _missing(array)
    if dtype == pl.String:
        ends, text = _texts(array)
        sizes = np.diff(ends).astype("<u4")
        if missing is not None and sizes[missing].any():
            return missing, canonical_values(column.fill_null(""))[1]
        return missing, lambda first, last: (sizes[first:last].data, text[ends[first] : ends[last]])
    if dtype == pl.Boolean:
        flags = bits(array.buffers()[1], array)
        if missing is not None:
            flags[missing] = False
        return missing, lambda first, last: (np.packbits(flags[first:last]).data,)
    kind = "f" if dtype.is_float() else "u" if dtype.is_unsigned_integer() else "i"
    width = array.type.bit_width // 8
    plain = np.frombuffer(array.buffers()[1], f"{kind}{width}", len(array), array.offset * width)
    if dtype.is_float():
        values, missing = _floats(plain, missing), None
    else:
        values = plain if missing is None else np.where(missing, plain.dtype.type(0), plain)
    held = _little_endian(values).view(np.uint8).data
    return missing, lambda first, last: (held[first * width : last * width],)


def _column_bytes(column: pl.Series) -> Iterator[bytes | memoryview]:
    """Where the column is null, if it is anywhere, and its values, with a plain one there."""
    missing, stretch = canonical_values(column)
    if missing is not None:
        yield np.packbits(missing).tobytes()
    yield from stretch(0, len(column))


def _missing(array: "pa.Array") -> Missing | None:
    return bits(array.buffers()[0], array) == 0 if array.null_count else None


def bits(buffer: "pa.Buffer", array: "pa.Array") -> NDArray[np.uint8]:
    """One bit a row of an array's buffer, as bytes of 0 and 1; the buffers of a slice are those of the whole."""
    byte, bit = divmod(array.offset, 8)
    held = np.frombuffer(buffer, np.uint8, offset=byte)
    return np.unpackbits(held, count=bit + len(array), bitorder="little")[bit:]


def _texts(array: "pa.Array") -> tuple[NDArray[np.int64], memoryview]:
    """Where each text ends, after where the first begins, and all of them joined."""
    _, offsets, text = array.buffers()
    ends = np.frombuffer(offsets, np.int64, len(array) + 1, 8 * array.offset)
    return ends, memoryview(text) if text is not None else memoryview(b"")


def _floats(plain: NDArray[Any], missing: Missing | None) -> NDArray[Any]:
    """One NaN and one zero; a null is the NaN whose bits are one more than those of NaN itself."""
    values: NDArray[Any] = plain + plain.dtype.type(0)  # a copy, in which -0.0 is 0.0
    if missing is not None:
        values[missing] = 0
    if values.size and np.isnan(values.min()):
        values[np.isnan(values)] = np.nan
    if missing is not None:
        words = values.view(f"u{values.itemsize}")
        words[missing] = np.array(np.nan, dtype=values.dtype).view(words.dtype) + 1
    return values


def _canonical(array: NDArray[Any]) -> NDArray[Any]:
    """The values in one dimension, little-endian, one NaN and one zero; without copying what is that already."""
    flat = np.asarray(array, order="C").reshape(-1)
    return _little_endian(_floats(flat, None) if flat.dtype.kind == "f" else flat)


def _little_endian(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)
