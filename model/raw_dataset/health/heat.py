"""Where values are missing: one row a column, one cell a period, the darker the more is missing."""

import math
from dataclasses import dataclass

import polars as pl

_MOST_PERIODS = 48
_LEAST_SHADE = 0.06


@dataclass(frozen=True)
class Cell:
    """One period of one column; ``shade`` from 0 (nothing missing) to 1."""

    first: str
    share: float
    shade: float


@dataclass(frozen=True)
class Line:
    """One column; ``absent`` if it has no value at all."""

    column: str
    table: str
    share: float
    absent: bool
    cells: tuple[Cell, ...]


def null_lines(nulls: pl.DataFrame) -> list[Line]:
    """The columns that are null somewhere, with the share of nulls by period (a month or several).

    Args:
        nulls: table, month, column, rows, nulls.
    """
    months = nulls["month"].unique().sort().to_list()
    stride = -(-len(months) // _MOST_PERIODS)
    periods = {month: place // stride for place, month in enumerate(months)}
    by_period = (
        nulls.with_columns(period=pl.col("month").replace_strict(periods, return_dtype=pl.Int64))
        .group_by("table", "column", "period", maintain_order=True)
        .agg(pl.col("rows", "nulls").sum(), first=pl.col("month").min())
    )
    lines = []
    for (table, column), own in by_period.group_by("table", "column", maintain_order=True):
        rows, missing = int(own["rows"].sum()), int(own["nulls"].sum())
        if not missing:
            continue
        shares = [
            (first, nulls / rows if rows else 0.0) for first, rows, nulls in own.select("first", "rows", "nulls").rows()
        ]
        cells = tuple(Cell(first, share, _shade(share)) for first, share in shares)
        lines.append(Line(str(column), str(table), missing / rows, missing == rows, cells))
    return lines


def _shade(share: float) -> float:
    """The square root: one row in a thousand must not look like none."""
    return max(math.sqrt(share), _LEAST_SHADE) if share else 0.0
