"""Which values can differ after some rows of the panel have changed: marks are pushed through the plan.

A window spreads a mark over the days that it reaches, a comparison across names over the whole day, one within
sectors over the sector's names of that day. Marks may be wider than the difference (a changed row may leave a mean as
it was), but a cell without a mark is computed from the very same numbers, so it has the same bits.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.quality_features.language.plan import Node, Plan, reach

Days = NDArray[np.bool_]
"""[days]"""
Cells = NDArray[np.bool_]
"""[days, codes]"""

_MOST = 0.5
"""Share of the names beyond which a day's changed rows count as all of them."""


@dataclass(frozen=True)
class Changed:
    """What has changed, on the grid of days and codes as it is now (codes that are gone included)."""

    rows: Cells
    """Rows of the panel that are new, gone or different in any column that the engine reads."""
    market: Days | None = None
    """Days on which the market table is different; None: none."""
    axis: Days | None = None
    """Days that were no trading days before, and days right behind one that no longer is; None: none."""
    member: Cells | None = None
    """Names that are in the universe that day, or were before the change; None: take all for members."""
    sector: NDArray[np.int32] | None = None
    """Number of each name's sector, -1 for none; None: take all names for one sector."""
    sector_before: NDArray[np.int32] | None = None
    """The same before the change; None: a changed row may have been in any sector."""


@dataclass(frozen=True)
class Affected:
    """Where a column has to be computed again."""

    every: Days
    """Days on which every name has."""
    codes: NDArray[np.int64]
    """Numbers of the names that have days of their own, which are the columns of ``cells``."""
    cells: Cells
    """[days, len(codes)]: the days of these names."""

    @property
    def days(self) -> Days:
        """Days on which any name has."""
        marked: Days = self.every | self.cells.any(axis=1)
        return marked

    def grid(self, codes: int) -> Cells:
        """All marks on the whole grid ``[days, codes]``."""
        marks = np.zeros((len(self.every), codes), dtype=np.bool_)
        marks[self.every] = True
        marks[:, self.codes] = marks[:, self.codes] | self.cells
        return marks


@dataclass(frozen=True)
class _Marks:
    every: Days
    cells: Cells

    def __or__(self, other: "_Marks") -> "_Marks":
        return _Marks(self.every | other.every, self.cells | other.cells)

    def later(self, days: int) -> "_Marks":
        """The marks ``days`` days later."""
        return _Marks(_later(self.every, days), _later(self.cells, days))

    def spread(self, days: int) -> "_Marks":
        """Marks wherever one lies within the last ``days`` days."""
        return _Marks(_spread(self.every, days), _spread(self.cells, days))


def affected(plan: Plan, changed: Changed) -> dict[str, Affected]:
    """For each output of the plan, by name: where its values can differ now that rows have changed.

    A row that is changed itself is always marked.
    """
    whole = changed.rows.sum(axis=1) > _MOST * changed.rows.shape[1]  # marked for every name: cheaper, and hardly wider
    changed = replace(changed, rows=changed.rows & ~whole[:, None])
    codes = _concerned(plan, changed)
    rows = changed.rows[:, codes]
    nothing = _Marks(np.zeros(len(rows), dtype=np.bool_), np.zeros_like(rows))
    moved = changed.axis if changed.axis is not None else nothing.every
    marks: list[_Marks] = []
    lookback: list[int] = []
    for node in plan.nodes:
        before = [marks[argument] for argument in node.arguments]
        marks.append(_through(node, before, changed, codes, _Marks(whole, nothing.cells), nothing))
        lookback.append(max((lookback[argument] for argument in node.arguments), default=1) + reach(node))
    result = {}
    for output in plan.outputs:
        found = marks[output.node]
        every = found.every | whole | _spread(moved, lookback[output.node])
        result[output.name] = Affected(every, codes, found.cells | rows)
    return result


def _concerned(plan: Plan, changed: Changed) -> NDArray[np.int64]:
    """Names that can have days of their own: changed ones and, where sectors are compared, all that share theirs."""
    touched: NDArray[np.bool_] = np.asarray(changed.rows.any(axis=0))
    known = [grid for grid in (changed.sector, changed.sector_before) if grid is not None]
    if plan.by_sector and touched.any() and known:
        sectors = np.unique(np.concatenate([grid[:, touched].ravel() for grid in known]))
        for grid in known:
            touched = touched | np.isin(grid, sectors[sectors >= 0]).any(axis=0)
    return np.flatnonzero(touched)


def _through(
    node: Node, before: list[_Marks], changed: Changed, codes: NDArray[np.int64], whole: _Marks, nothing: _Marks
) -> _Marks:
    """A node's marks from those of its arguments; ``whole`` marks the days on which every name has changed."""
    if node.kind == "column":
        if not node.market:
            return _Marks(whole.every, changed.rows[:, codes])
        return _Marks(changed.market if changed.market is not None else nothing.every, nothing.cells)
    if node.kind == "day":
        return whole | _across(node, before[0], changed, codes)
    joined = nothing
    for marks in before:
        joined = joined | marks
    if node.kind == "step":
        later = joined.later(int(node.parameters[0]))
        return later if node.operator == "lag" else joined | later
    return joined.spread(reach(node) + 1)


def _across(node: Node, x: _Marks, changed: Changed, codes: NDArray[np.int64]) -> _Marks:
    """Across the names of a day: a member's mark is everybody's, or its sector's; others mark only themselves."""
    rows = changed.rows[:, codes]
    counted = x.cells if changed.member is None else x.cells & changed.member[:, codes]
    counted = counted | rows  # the change may have been that it joined or left
    if not node.operator.startswith("sector"):
        every = x.every | counted.any(axis=1)
        return _Marks(every, np.zeros_like(rows) if node.market else x.cells | rows)
    every, cells = x.every, x.cells | rows
    if changed.sector is None:
        return _Marks(every | counted.any(axis=1), cells)
    cells = cells | _peers(counted, changed.sector[:, codes])
    if changed.sector_before is None:
        return _Marks(every | rows.any(axis=1), cells)
    return _Marks(every, cells | _peers(counted, changed.sector_before[:, codes]))


def _peers(marked: Cells, sector: NDArray[np.int32]) -> Cells:
    """Names of the sectors that hold a marked name that day."""
    size = int(sector.max(initial=-1)) + 1
    if not size:
        return np.zeros_like(marked)
    group = np.arange(len(sector))[:, None] * size + np.maximum(sector, 0)
    hit = np.zeros(len(sector) * size, dtype=np.bool_)
    hit[group[marked & (sector >= 0)]] = True
    peers: Cells = hit[group] & (sector >= 0)
    return peers


def _later(marks: NDArray[np.bool_], days: int) -> NDArray[np.bool_]:
    result = np.zeros_like(marks)
    result[days:] = marks[: max(len(marks) - days, 0)]
    return result


def _spread(marks: NDArray[np.bool_], days: int) -> NDArray[np.bool_]:
    if days == 1 or not marks.any():
        return marks
    seen = np.cumsum(marks, axis=0, dtype=np.int32)
    seen[days:] -= seen[:-days].copy()
    return seen > 0
