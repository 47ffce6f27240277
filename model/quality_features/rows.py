"""Row fingerprints: 64 bits for what one row of the panel says, so that changed rows can be told without the old panel.

The hash is our own and fixed: its value depends on the values alone, not on a library's version, the machine, the
number of threads or the rows around. Each column is brought to 64-bit words, and the words of a row are chained with
the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), which
is a bijection of 64 bits: two rows that differ in one column only can never collide, and any others do with
probability 2^-64.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_BLOCK_ROWS = 1 << 15
"""Rows mixed together: the words stay in the processor's cache."""
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_NULL = np.uint64(0x7FF8_DEAD_0000_0001)
"""The word of a missing value, null or NaN alike: a bit pattern that no canonical number has."""


def row_hashes(frame: pl.DataFrame, columns: Sequence[str]) -> Words:
    """One hash a row over the named columns, in the order given.

    Null and NaN are the same value, and so are 0.0 and -0.0.

    Raises:
        TypeError: a column is neither a number, nor a flag, a date or a text.
    """
    words = [_words(frame[name]) for name in columns]
    state = np.zeros(frame.height, dtype=np.uint64)
    for start in range(0, frame.height, _BLOCK_ROWS):
        part = state[start : start + _BLOCK_ROWS]
        for column in words:
            np.bitwise_xor(part, column[start : start + _BLOCK_ROWS], out=part)
            _mix(part)
    return state


def _mix(state: Words) -> None:
    """SplitMix64's step, in place: a bijection of each word."""
    state += _INCREMENT
    state ^= state >> np.uint64(30)
    state *= _FIRST
    state ^= state >> np.uint64(27)
    state *= _SECOND
    state ^= state >> np.uint64(31)


def _words(column: pl.Series) -> Words:
    """The values as 64-bit words, one word for whatever is missing."""
    dtype = column.dtype
    if dtype.is_float():
        filled = column.cast(pl.Float64).fill_null(float("nan"))  # to_numpy would go through the nulls one by one
        values = filled.to_numpy() + 0.0  # -0.0 becomes 0.0
        return np.where(np.isnan(values), _NULL, values.view(np.uint64))
    if dtype == pl.String:
        words = _text_words(column)
    elif dtype == pl.Boolean:
        words = column.fill_null(False).to_numpy().astype(np.uint64)
    elif dtype.is_integer() or dtype.is_temporal():
        words = column.to_physical().cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64)
    else:
        raise TypeError(f"column {column.name!r} has dtype {dtype}, of which no row fingerprint is defined")
    return np.where(column.is_null().to_numpy(), _NULL, words) if column.null_count() else words


def _text_words(column: pl.Series) -> Words:
    """A hash of each text; only distinct texts are hashed one by one."""
    distinct = column.drop_nulls().unique().sort()
    if distinct.is_empty():
        return np.zeros(len(column), dtype=np.uint64)
    known = np.array([_text_word(text) for text in distinct], dtype=np.uint64)
    number = column.cast(pl.Enum(distinct)).to_physical().cast(pl.Int64).fill_null(0).to_numpy()
    words: Words = known[number]
    return words


def _text_word(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
