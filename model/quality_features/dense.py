"""The panel as arrays: one float64 array ``[days, codes]`` a column, NaN where there is no row or no value.

The day axis holds the distinct dates of the rows, so a window of 20 is 20 trading days for every code, whether the
code traded or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.errors import DataError
from model.quality_features.windows import Array
from model.store.frames import day_numbers, distinct_days

KEY = ("Date", "Code")
NO_SECTOR = -1
_EPOCH = date(1970, 1, 1)
_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True)
class DensePanel:
    """Rows of the panel laid out on a grid of days and codes; ``row_day`` and ``row_code`` lead back to the rows.

    The rows are in the order of the grid's cells (by day, then by code), so everything goes back and forth in one
    sweep through memory.
    """

    rows: pl.DataFrame
    dates: NDArray[np.int32]
    """Days since 1970-01-01 [T], increasing."""
    codes: tuple[str, ...]
    row_day: NDArray[np.int64]
    row_code: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of days and codes."""
        return len(self.dates), len(self.codes)

    @cached_property
    def cell(self) -> NDArray[np.int64]:
        """Number of each row's cell in the flattened grid."""
        return self.row_day * len(self.codes) + self.row_code

    def column(self, name: str, first: int = 0) -> Array:
        """A numeric column from day number ``first`` on as float64 [T - first, N], NaN for missing."""
        begin = int(np.searchsorted(self.row_day, first))
        column = self.rows[name].slice(begin).cast(pl.Float64)
        values = column.fill_null(np.nan).to_numpy()  # which would go through the nulls one by one
        return self._grid(values, np.nan, first, begin)

    def flag(self, name: str, first: int = 0) -> NDArray[np.bool_]:
        """A Boolean column [T, N], False for missing, and before day number ``first``."""
        begin = int(np.searchsorted(self.row_day, first))
        values = self.rows[name].slice(begin).fill_null(False).to_numpy()
        return self._since(self._grid(values, False, first, begin), False, first)

    def present(self) -> NDArray[np.bool_]:
        """Where the panel has a row [T, N]."""
        return self._grid(np.ones(len(self.row_day), dtype=np.bool_), False, 0, 0)

    def category(self, name: str, first: int = 0) -> NDArray[np.int32]:
        """A text column as numbers [T, N] in their order; ``NO_SECTOR`` for missing, and before ``first``."""
        edges = np.searchsorted(self.row_day, np.arange(first, len(self.dates) + 1))
        _, numbers = _numbered(self.rows[name], edges)
        return self._since(self._grid(numbers, NO_SECTOR, first, int(edges[0])), NO_SECTOR, first)

    def position(self, day: date, side: Literal["left", "right"]) -> int:
        """Index of the first axis day on or after (``left``) or after (``right``) a date."""
        return int(np.searchsorted(self.dates, np.int32((day - _EPOCH).days), side=side))

    def _since(self, grid: NDArray[_Value], missing: float, first: int) -> NDArray[_Value]:
        """A grid of the days from number ``first`` on as one of all days."""
        if not first:
            return grid
        result = np.full(self.shape, missing, dtype=grid.dtype)
        result[first:] = grid
        return result

    def _grid(self, values: NDArray[_Value], missing: float, first: int, begin: int) -> NDArray[_Value]:
        """The values of the rows from ``begin`` on, the first of them dated ``first`` or later, on a grid."""
        shape = (len(self.dates) - first, len(self.codes))
        if len(values) == shape[0] * shape[1]:  # not a cell is missing
            return np.array(values.reshape(shape), order="C")
        grid = np.full(shape, missing, dtype=values.dtype)
        grid.reshape(-1)[self.cell[begin:] - first * len(self.codes)] = values
        return grid


def densify(rows: pl.DataFrame, dates: NDArray[np.int32] | None = None) -> DensePanel:
    """Lay rows sorted by (Date, Code) out on a grid.

    Args:
        rows: sorted by Date and Code, unique on them.
        dates: the day axis where it has days without a row, as days since 1970-01-01; by default the rows' own.
    """
    days = day_numbers(rows["Date"])
    if dates is None:
        dates = days[np.flatnonzero(np.diff(days, prepend=days[:1] - 1))].astype(np.int32)
    edges = np.append(np.searchsorted(days, dates), len(days))
    codes, row_code = _numbered(rows["Code"], edges)
    row_day = np.repeat(np.arange(len(dates)), np.diff(edges))
    return DensePanel(rows, dates, tuple(codes.to_list()), row_day, row_code.astype(np.int64))


def _numbered(texts: pl.Series, edges: NDArray[np.int64]) -> tuple[pl.Series, NDArray[np.int32]]:
    """The distinct texts in order, and the number of each row's among them, ``NO_SECTOR`` for missing.

    Args:
        texts: day by day.
        edges: where each day's rows begin, and the end of the last.
    """
    parts, of_day = distinct_days(texts, edges)
    differing = pl.concat([texts.clear(), *parts])
    gaps = differing.null_count() > 0
    names = (differing.drop_nulls() if gaps else differing).unique().sort()
    placed = differing.cast(pl.Enum(names)).to_physical().cast(pl.Int32)
    numbers = (placed.fill_null(NO_SECTOR) if gaps else placed).to_numpy()
    ends = np.cumsum([len(part) for part in parts])
    return names, np.concatenate([numbers[:0], *(numbers[ends[i] - len(parts[i]) : ends[i]] for i in of_day)])


def check_panel(panel: pl.DataFrame, columns: Sequence[str]) -> None:
    """Raise a DataError where a panel lacks columns, is out of order or repeats a (Date, Code)."""
    check_columns(panel, columns)
    day, code = pl.col("Date"), pl.col("Code")
    rising = (day > day.shift(1)) | ((day == day.shift(1)) & (code > code.shift(1)))
    broken = panel.select((~rising).slice(1).sum()).item() if panel.height > 1 else 0
    if broken:
        raise _out_of_order(broken, panel.height)


def check_columns(panel: pl.DataFrame, columns: Sequence[str]) -> None:
    """Raise a DataError where a panel lacks columns."""
    absent = [name for name in (*KEY, *columns) if name not in panel.columns]
    if absent:
        raise DataError(
            f"The panel of {panel.height} rows has no column {', '.join(absent)}. It must be the panel table of "
            "raw_dataset; materialise raw_dataset again."
        )


def check_order(keys: NDArray[np.signedinteger[Any]], strictly: bool) -> None:
    """Raise a DataError where the rows' days, or their cells (strictly), do not rise."""
    steps = np.diff(keys)
    broken = int((steps <= 0).sum() if strictly else (steps < 0).sum())
    if broken:
        raise _out_of_order(broken, len(keys))


def _out_of_order(broken: int, rows: int) -> DataError:
    return DataError(
        f"The panel is not sorted by Date and Code, or repeats them: {broken} of {rows} rows are out of order. Sort it "
        "and remove the repeats."
    )
