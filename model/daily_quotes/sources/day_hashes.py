"""Content hashes of many days at once.

The columns are turned into plain buffers once, and each day hashes its slices of them. Names, dtypes and values in
order decide; nulls differ from every value, all NaNs are one value, and -0.0 equals 0.0.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def slice_hashes(frame: pl.DataFrame, slices: Sequence[tuple[int, int]]) -> list[str]:
    """One hash for each (offset, length) of the frame's rows.

    Raises:
        TypeError: a column is nested, so its values have no canonical bytes.
    """
    columns = [_Column(column) for column in frame.iter_columns()]
    schema = "|".join(f"{name}:{dtype}" for name, dtype in frame.schema.items())
    hashes = []
    for offset, length in slices:
        digest = hashlib.sha256(f"rows={length}|{schema}".encode())
        for column in columns:
            column.feed(digest, offset, offset + length)
        hashes.append(digest.hexdigest())
    return hashes


class _Column:
    """The buffers of one column, sliceable by row."""

    def __init__(self, column: pl.Series) -> None:
        self._null: NDArray[np.uint8] | None = None
        if column.null_count():
            self._null = column.is_null().to_numpy().astype(np.uint8)
        self._text: bytes | None = None
        if isinstance(column.dtype, (pl.List, pl.Array, pl.Struct, pl.Object, pl.Binary)):
            raise TypeError(f"column {column.name!r} has dtype {column.dtype}, whose values have no canonical bytes")
        if column.dtype.is_numeric() and not column.dtype.is_decimal():
            values: NDArray[Any] = column.fill_null(0).to_numpy()
            if column.dtype.is_float():
                values = np.where(
                    np.isnan(values), np.array(np.nan, values.dtype), values + np.array(0.0, values.dtype)
                )
        elif column.dtype == pl.Boolean:
            values = column.fill_null(False).to_numpy().astype(np.uint8)
        elif column.dtype.is_temporal():
            values = column.to_physical().fill_null(0).to_numpy()
        else:
            text = column.cast(pl.String).fill_null("")
            values = text.str.len_bytes().to_numpy()
            self._ends = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
            self._text = text.str.join("").item().encode() if len(text) else b""
        self._values = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))

    def feed(self, digest: "hashlib._Hash", low: int, high: int) -> None:
        if self._null is not None and self._null[low:high].any():
            digest.update(b"nulls")
            digest.update(self._null[low:high].tobytes())
        digest.update(self._values[low:high].tobytes())
        if self._text is not None:
            digest.update(self._text[self._ends[low] : self._ends[high]])
