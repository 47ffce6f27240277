"""Features as a table: the panel's rows in, exactly the rows of a date range out.

The rows are laid out on a grid, the plan is run over it, and each value is written straight to its row. A row's bits
depend on the rows dated up to it and on nothing else: not on later days, on other date ranges computed with it, on
codes that appear later, on the other columns asked for, or on the number of threads.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from model.quality_features.dense import DensePanel, check_columns, check_order, densify
from model.quality_features.language.columns import COLUMNS, MEMBER, SECTOR
from model.quality_features.language.evaluate import Grids, each_of, evaluate
from model.quality_features.language.plan import Output, Plan
from model.quality_features.windows import Array
from model.store.frames import day_numbers

HEAD = ("Date", "Code", MEMBER)
_CELLS_AT_A_TIME = 131_072
"""Of a column of which the rows are taken: 512 KiB."""
_TYPES = {"value": (pl.Float32, np.float32), "flag": (pl.Boolean, np.bool_), "exact": (pl.Float64, np.float64)}


def panel_columns(plan: Plan) -> tuple[str, ...]:
    """Columns of the panel that a plan reads, beside Date and Code; they must be there."""
    named = [spec.source for name, spec in COLUMNS.items() if spec.table == "panel" and name in plan.columns]
    return (*named, MEMBER, *([SECTOR] if plan.by_sector else []))


def compute_table(
    panel: pl.DataFrame,
    plan: Plan,
    first: date,
    last: date,
    *,
    codes: Collection[str] | None = None,
    threads: int = 2,
    market: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The plan's columns for every panel row dated ``first`` to ``last``, both included.

    Args:
        panel: rows sorted by (Date, Code) that reach back ``plan.lookback_days`` trading days including ``first``
            itself, or to the beginning of the data. The distinct dates are the trading days; rows after ``last`` are
            not read. Slow columns that it does not have are missing throughout.
        plan: see :func:`model.quality_features.language.plan.compile_plan`.
        first: first date of the result.
        last: last date of the result.
        codes: only these codes' rows; comparisons across names still see all.
        threads: blocks computed at the same time; does not change a bit.
        market: Date and the market table's columns, sorted by Date; None: missing throughout.

    Returns:
        Date, Code, InUniverse, then the outputs (Float32, null where undefined; flags Boolean; exact ones Float64, NaN
        where undefined).

    Raises:
        DataError: the panel lacks a column or is not sorted and unique.
    """
    check_columns(panel, panel_columns(plan))
    dense, rows = _dense(panel, plan, first, last, codes)
    if not rows:
        return pl.DataFrame(schema=_schema(plan.outputs))
    days = len(dense.dates)
    read = each_of(
        lambda each: _column(dense, each[0], max(days - rows - each[1], 0), market), plan.columns.items(), threads
    )
    columns = dict(zip(plan.columns, read, strict=True))
    across = max(days - rows - plan.across_back, 0)
    grids = Grids(
        columns,
        days,
        len(dense.codes),
        rows,
        dense.flag(MEMBER, across) if plan.across_names else None,
        _sectors(dense, plan, across),
    )
    wanted = None if codes is None else np.isin(np.array(dense.codes), list(codes))
    result = Rows(dense, rows, plan.outputs, wanted)
    evaluate(plan, grids, result, wanted, threads)
    del grids, columns
    return result.frame(threads)


def _schema(outputs: tuple[Output, ...]) -> pl.Schema:
    columns: dict[str, pl.DataType] = {"Date": pl.Date(), "Code": pl.String(), MEMBER: pl.Boolean()}
    columns |= {output.name: _TYPES[output.kind][0]() for output in outputs}
    return pl.Schema(columns)


def _dense(
    panel: pl.DataFrame, plan: Plan, first: date, last: date, codes: Collection[str] | None
) -> tuple[DensePanel, int]:
    """The rows that the result can depend on, and how many days are wanted, 0 if no row is."""
    days = day_numbers(panel["Date"])
    check_order(days, strictly=False)
    epoch = date(1970, 1, 1)
    end = int(np.searchsorted(days, (last - epoch).days, side="right"))
    axis = days[:end][np.flatnonzero(np.diff(days[:end], prepend=-(2**31)))].astype(np.int32)
    start = int(np.searchsorted(axis, (first - epoch).days))
    begin_day = max(start - plan.lookback_days + 1, 0)
    needed = [*HEAD, *(name for name in panel_columns(plan) if name != MEMBER)]
    needed += [
        spec.source
        for name, spec in COLUMNS.items()
        if spec.table == "slow" and name in plan.columns and spec.source in panel.columns
    ]
    if start == len(axis):
        return densify(panel[needed].clear()), 0
    begin = int(np.searchsorted(days, axis[begin_day]))
    rows = panel[needed].slice(begin, end - begin)  # select() would copy columns that lie in unequal pieces
    if codes is not None and not plan.across_names:
        rows = rows.filter(pl.col("Code").is_in(list(codes)))
    dense = densify(rows, axis[begin_day:])
    check_order(dense.cell, strictly=True)
    return dense, len(axis) - start if rows.height else 0


def _column(dense: DensePanel, name: str, first: int, market: pl.DataFrame | None) -> Array:
    """A column of the language from day number ``first`` on."""
    spec = COLUMNS.get(name)
    if spec is None:  # what the names of a day were reduced to
        return _market_column(dense, name, market)[first:]
    if spec.table == "market":
        values = _market_column(dense, spec.source, market)[first:]
    elif spec.source in dense.rows.columns:
        values = dense.column(spec.source, first)
    else:
        return np.full((len(dense.dates) - first, len(dense.codes)), np.nan)
    if spec.positive:
        values[~(values > 0.0)] = np.nan
    return values


def _market_column(dense: DensePanel, source: str, market: pl.DataFrame | None) -> Array:
    result = np.full((len(dense.dates), 1), np.nan)
    if market is None or source not in market.columns:
        return result
    known = day_numbers(market["Date"])
    place = np.searchsorted(dense.dates, known)
    here = (place < len(dense.dates)) & (dense.dates[np.minimum(place, len(dense.dates) - 1)] == known)
    result[place[here], 0] = market[source].cast(pl.Float64).to_numpy()[here]
    return result


def _sectors(dense: DensePanel, plan: Plan, first: int) -> NDArray[np.int32] | None:
    if plan.by_sector:
        return dense.category(SECTOR, first)
    return np.full((len(dense.dates), 0), -1, dtype=np.int32) if plan.across_names else None


class Rows:
    """The result: one grid ``[days, codes]`` a column, filled block by block, from which the rows are taken at the end.

    Each is gathered in place, and the table takes it over without a copy. They are arrays of their own, of a size that
    the C library keeps: fresh memory for all of them in one piece costs as much as writing them twice.
    """

    def __init__(
        self, dense: DensePanel, days: int, outputs: tuple[Output, ...], wanted: NDArray[np.bool_] | None
    ) -> None:
        start = len(dense.dates) - days
        self._wanted = np.ones(len(dense.codes), dtype=np.bool_) if wanted is None else wanted
        self._before = np.concatenate(([0], np.cumsum(self._wanted)))
        shape = (days, int(self._before[-1]))
        begin = int(np.searchsorted(dense.row_day, start))  # the rows are sorted by day: the wanted ones stand last
        day, code = dense.row_day[begin:] - start, dense.row_code[begin:]
        head = dense.rows[list(HEAD)].slice(begin).with_columns(pl.col(MEMBER).fill_null(False))
        if wanted is not None:
            kept = wanted[code]
            head, day, code = head.filter(pl.Series(kept)), day[kept], code[kept]
        self.head = head
        is_row = np.zeros(shape[0] * shape[1], dtype=np.bool_)
        is_row[day * shape[1] + self._before[code]] = True
        self._rows = None if is_row.all() else pl.Series(is_row)
        self._columns: list[tuple[Output, NDArray[np.generic]]] = [
            (output, np.empty(shape, dtype=_TYPES[output.kind][1])) for output in outputs
        ]
        self._of: dict[int, list[NDArray[np.generic]]] = {}
        for output, grid in self._columns:
            self._of.setdefault(output.node, []).append(grid)

    def codes(self, node: int, values: Array, codes: slice) -> None:
        """A block of codes over all wanted days."""
        place = slice(self._before[codes.start], self._before[codes.stop])
        self._put(node, self._chosen(values, self._wanted[codes]), (slice(None), place))

    def days(self, node: int, values: Array, days: slice) -> None:
        """Some days of all codes, or of a value that they share."""
        self._put(node, self._chosen(values, self._wanted), (days, slice(None)))

    def market(self, node: int, values: Array) -> None:
        """All wanted days of a value that all names share."""
        self._put(node, values, (slice(None), slice(None)))

    def frame(self, threads: int) -> pl.DataFrame:
        """The result as a table; what is not a finite number is null."""
        arrays = each_of(self._array, self._columns, threads)
        batch = pa.RecordBatch.from_arrays(arrays, [output.name for output, _ in self._columns])
        return self.head.hstack(pl.DataFrame(_Exported(batch)))

    @staticmethod
    def _chosen(values: Array, wanted: NDArray[np.bool_]) -> Array:
        return values if values.shape[1] != len(wanted) or wanted.all() else values[:, wanted]

    def _put(self, node: int, values: Array, place: tuple[slice, slice]) -> None:
        for grid in self._of[node]:
            grid[place] = values == 1.0 if grid.dtype == np.bool_ else values  # float32 rounds here

    def _array(self, column: tuple[Output, NDArray[np.generic]]) -> pa.Array:
        output, grid = column
        values = grid.reshape(-1)
        if self._rows is not None:
            values = _kept_in_place(values, self._rows)
        if output.kind == "flag":
            packed = pa.py_buffer(np.packbits(values.view(np.bool_), bitorder="little"))
            return pa.Array.from_buffers(pa.bool_(), len(values), [None, packed])
        if output.kind == "exact":
            return pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(values)])
        plain = values.view(np.float32)
        plain += 0.0  # -0.0 becomes 0.0: equal values have equal bits
        finite = np.isfinite(plain)
        valid = None if finite.all() else pa.py_buffer(np.packbits(finite, bitorder="little"))
        return pa.Array.from_buffers(pa.float32(), len(values), [valid, pa.py_buffer(values)])


def _kept_in_place(values: NDArray[np.generic], rows: pl.Series) -> NDArray[np.generic]:
    """The values where ``rows`` is true, moved to the front; polars takes a third of the time that numpy does.

    A piece at a time: what a piece takes stays in the cache, and its memory is there again for the next.
    """
    end = 0
    for first in range(0, len(values), _CELLS_AT_A_TIME):
        piece = pl.Series(values[first : first + _CELLS_AT_A_TIME])
        kept = piece.filter(rows.slice(first, _CELLS_AT_A_TIME)).to_numpy()
        values[end : end + len(kept)] = kept
        end += len(kept)
    return values[:end]


@dataclass(frozen=True)
class _Exported:
    """Arrow columns behind the Arrow C stream interface alone: polars takes them over without a copy.

    Handed the batch itself, polars loads ``pyarrow.compute``, which costs more than a day's features of one band.
    """

    batch: pa.RecordBatch

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.batch.__arrow_c_stream__(requested_schema)
