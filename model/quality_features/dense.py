"""The panel as arrays: one float64 array ``[days, codes]`` a column, NaN where there is no row or no value.

The day axis holds the distinct dates of the rows, so a window of 20 is 20 trading days for every code, whether the
code traded or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.errors import DataError
from model.quality_features.windows import Array

KEY = ("Date", "Code")
NO_SECTOR = -1
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class DensePanel:
    """Rows of the panel laid out on a grid of days and codes; ``row_day`` and ``row_code`` lead back to the rows."""

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

    def column(self, name: str) -> Array:
        """A numeric column as float64 [T, N], NaN for missing."""
        values = self.rows[name].cast(pl.Float64).to_numpy()
        grid = np.full(self.shape, np.nan)
        grid[self.row_day, self.row_code] = values
        return grid

    def flag(self, name: str) -> NDArray[np.bool_]:
        """A Boolean column [T, N], False for missing."""
        grid = np.zeros(self.shape, dtype=np.bool_)
        grid[self.row_day, self.row_code] = self.rows[name].fill_null(False).to_numpy()
        return grid

    def present(self) -> NDArray[np.bool_]:
        """Where the panel has a row [T, N]."""
        grid = np.zeros(self.shape, dtype=np.bool_)
        grid[self.row_day, self.row_code] = True
        return grid

    def category(self, name: str) -> NDArray[np.int64]:
        """A text column as numbers [T, N] in the order of the names; ``NO_SECTOR`` for missing."""
        names = self.rows[name].drop_nulls().unique().sort()
        numbers = self.rows[name].cast(pl.Enum(names)).to_physical().cast(pl.Int64).fill_null(NO_SECTOR)
        grid = np.full(self.shape, NO_SECTOR, dtype=np.int64)
        grid[self.row_day, self.row_code] = numbers.to_numpy()
        return grid

    def position(self, day: date, side: Literal["left", "right"]) -> int:
        """Index of the first axis day on or after (``left``) or after (``right``) a date."""
        return int(np.searchsorted(self.dates, np.int32((day - _EPOCH).days), side=side))


def densify(rows: pl.DataFrame) -> DensePanel:
    """Lay rows sorted by (Date, Code) out on a grid."""
    days = rows["Date"].to_physical().to_numpy()
    dates = np.unique(days)
    codes = rows["Code"].unique().sort()
    numbers = rows["Code"].cast(pl.Enum(codes)).to_physical().cast(pl.Int64).to_numpy()
    return DensePanel(
        rows=rows,
        dates=dates.astype(np.int32),
        codes=tuple(codes.to_list()),
        row_day=np.searchsorted(dates, days).astype(np.int64),
        row_code=numbers,
    )


def check_panel(panel: pl.DataFrame, columns: Sequence[str]) -> None:
    """Raise a DataError where a panel lacks columns, is out of order or repeats a (Date, Code)."""
    absent = [name for name in (*KEY, *columns) if name not in panel.columns]
    if absent:
        raise DataError(
            f"The panel of {panel.height} rows has no column {', '.join(absent)}. It must be the panel table of "
            "raw_dataset; materialise raw_dataset again."
        )
    day, code = pl.col("Date"), pl.col("Code")
    rising = (day > day.shift(1)) | ((day == day.shift(1)) & (code > code.shift(1)))
    broken = panel.select((~rising).slice(1).sum()).item() if panel.height > 1 else 0
    if broken:
        raise DataError(
            f"The panel is not sorted by Date and Code, or repeats them: {broken} of {panel.height} rows are out of "
            "order. Sort it and remove the repeats."
        )
