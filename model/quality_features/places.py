"""Where the rows of some codes stand in a month; every table of the month asks for the same ones."""

from collections.abc import Collection
from functools import lru_cache, reduce
from operator import or_

import numpy as np
import polars as pl
from numpy.typing import NDArray

OLD = "__old"
"""Number of a row in its month."""
_FEW = 4
"""Codes up to which each is compared by itself, a fifth of what looking up a set takes."""
_KEPT = 8


class Places:
    """The rows of a month by code.

    Args:
        keys: Date and Code of the month, in stored order.
    """

    def __init__(self, keys: pl.DataFrame) -> None:
        self._keys = keys
        self.of = lru_cache(maxsize=_KEPT)(self._of)
        """Number, Date and Code of the rows of some codes, in order."""

    def _of(self, codes: frozenset[str]) -> pl.DataFrame:
        rows = pl.Series(OLD, rows_of(self._keys["Code"], codes))
        return pl.DataFrame([rows, *(self._keys[name][rows] for name in ("Date", "Code"))])


def rows_of(codes: pl.Series, wanted: Collection[str]) -> NDArray[np.int64]:
    """Numbers of the rows whose code is one of some, rising."""
    alike = reduce(or_, (codes == code for code in wanted)) if 0 < len(wanted) <= _FEW else codes.is_in(list(wanted))
    return np.flatnonzero(alike.to_numpy())
