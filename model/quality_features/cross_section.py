"""Reductions across the names of one day.

Each reads the names that are there that day and no others: values are compacted first (row by row, in code order),
so a code that is listed later, or a later day, changes no bit of an earlier result. A value that is not finite is
missing. Names outside the universe are measured against the members and move nobody.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.quality_features.windows import Array

Members = NDArray[np.bool_]
Sectors = NDArray[np.int32]
"""Number of each name's sector that day ``[days, codes]``, -1 for none."""


@dataclass(frozen=True)
class Names:
    """Who is there: universe members and sectors of some days, both ``[days, codes]``."""

    member: Members
    sector: Sectors


def member_mean(x: Array, member: Members) -> Array:
    """Mean over each day's members that have a value; ``[days, codes]`` to ``[days, 1]``, NaN where there is none."""
    day, values = _members(x, member)
    count = np.bincount(day, minlength=len(x))
    total = np.bincount(day, weights=values, minlength=len(x))
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.ascontiguousarray(mean[:, None])


def member_std(x: Array, member: Members) -> Array:
    """Standard deviation with n - 1 over each day's members, ``[days, 1]``; NaN with fewer than two."""
    count, deviation = _deviations(*_members(x, member), len(x))
    std = np.where(count > 1, deviation, np.nan)
    return np.ascontiguousarray(std[:, None])


def _deviations(group: NDArray[np.int64], values: Array, groups: int) -> tuple[NDArray[np.int64], Array]:
    """Count and standard deviation (n - 1) of each group's values, exactly 0 where they are all equal.

    The mean of equal values can be off by a rounding error, over which no z-score may be taken.
    """
    count = np.bincount(group, minlength=groups)
    mean = np.bincount(group, weights=values, minlength=groups) / np.maximum(count, 1)
    squares = np.bincount(group, weights=np.square(values - mean[group]), minlength=groups)
    any_of = np.zeros(groups)
    any_of[group] = values
    differing = np.bincount(group, weights=values != any_of[group], minlength=groups)
    return count, np.sqrt(np.where(differing > 0, squares, 0.0) / np.maximum(count - 1, 1))


def _members(x: Array, member: Members) -> tuple[NDArray[np.int64], Array]:
    """Day and value of each member that has one, day by day in code order."""
    used = member & np.isfinite(x)
    return np.repeat(np.arange(len(x)), used.sum(axis=1)), x[used]


@dataclass(frozen=True)
class _Groups:
    """A day's sectors as one number a day and sector; ``cell`` says which each name belongs to."""

    count: int
    cell: NDArray[np.int64]
    known: Members
    """Names that have a sector."""
    used: Members
    """Members among them that have a value."""

    def spread(self, per_group: Array, enough: Members) -> Array:
        """A group's value at each of its names; NaN without a sector or where the group is too small."""
        return np.where(self.known, np.where(enough, per_group, np.nan)[self.cell], np.nan)


def _groups(x: Array, member: Members, sector: Sectors) -> _Groups:
    size = int(sector.max(initial=-1)) + 1
    known = sector >= 0
    cell = np.arange(len(x))[:, None] * size + np.maximum(sector, 0)
    return _Groups(len(x) * size, cell, known, member & np.isfinite(x) & known)


def group_mean(x: Array, member: Members, sector: Sectors, minimum: int) -> Array:
    """Mean over the members of each name's sector that day; NaN without one or with fewer than ``minimum``."""
    groups = _groups(x, member, sector)
    if not groups.count:
        return np.full_like(x, np.nan)
    cell = groups.cell[groups.used]
    count = np.bincount(cell, minlength=groups.count)
    total = np.bincount(cell, weights=x[groups.used], minlength=groups.count)
    return groups.spread(total / np.maximum(count, 1), count >= minimum)


def group_std(x: Array, member: Members, sector: Sectors, minimum: int) -> Array:
    """Standard deviation with n - 1 over the members of each name's sector that day, of at least two."""
    groups = _groups(x, member, sector)
    if not groups.count:
        return np.full_like(x, np.nan)
    count, deviation = _deviations(groups.cell[groups.used], x[groups.used], groups.count)
    return groups.spread(deviation, count >= max(minimum, 2))


def group_count(x: Array, member: Members, sector: Sectors, minimum: int) -> Array:
    """Members of each name's sector that have a value; NaN without a sector or with fewer than ``minimum``."""
    groups = _groups(x, member, sector)
    if not groups.count:
        return np.full_like(x, np.nan)
    count = np.bincount(groups.cell[groups.used], minlength=groups.count)
    return groups.spread(count.astype(np.float64), count >= minimum)


def group_median(x: Array, member: Members, sector: Sectors, minimum: int) -> Array:
    """Median over the members of each name's sector that day; the mean of the middle two of an even number."""
    groups = _groups(x, member, sector)
    if not groups.count or not groups.used.any():
        return np.full_like(x, np.nan)
    cell, values = groups.cell[groups.used], x[groups.used]
    ordered = values[_grouped_order(values, cell, groups.count)]
    count = np.bincount(cell, minlength=groups.count)
    start = np.cumsum(count) - count
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    last = len(ordered) - 1
    middle = 0.5 * (ordered[np.minimum(start + low, last)] + ordered[np.minimum(start + high, last)])
    return groups.spread(middle, count >= minimum)


def group_position(x: Array, member: Members, sector: Sectors, minimum: int) -> Array:
    """Where each value stands among the members of its sector that day; see :func:`position`."""
    groups = _groups(x, member, sector)
    placed = groups.known & np.isfinite(x)
    result = np.full_like(x, np.nan)
    if not groups.count or not placed.any():
        return result
    cell, values = groups.cell[placed], x[placed]
    order = _grouped_order(values, cell, groups.count)
    group, ranked, counted = cell[order], values[order], groups.used[placed][order]
    starts = np.ones(len(order), dtype=np.bool_)
    starts[1:] = group[1:] != group[:-1]
    first = starts.copy()
    first[1:] |= ranked[1:] != ranked[:-1]
    upto = np.cumsum(counted)
    before = np.maximum.accumulate(np.where(starts, upto - counted, 0))
    below = np.maximum.accumulate(np.where(first, upto - counted, 0)) - before
    last = np.append(first[1:], True)
    through = np.minimum.accumulate(np.where(last, upto, upto[-1])[::-1])[::-1] - before
    count = np.bincount(group[counted], minlength=groups.count)[group]
    share = np.where(count >= minimum, (below + through) / np.maximum(2.0 * count, 1.0), np.nan)
    filled = np.empty(len(order))
    filled[order] = share
    result[placed] = filled
    return result


def _grouped_order(values: Array, group: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    """Order by group, then by value; equal values in any order."""
    by_value = np.argsort(values)
    width: type[np.uint16 | np.int64] = np.uint16 if groups <= np.iinfo(np.uint16).max else np.int64
    return by_value[np.argsort(group[by_value].astype(width), kind="stable")]


def position(x: Array, member: Members) -> Array:
    """Where each value stands among the members of its day: (members below + half the members equal) / members.

    For a member this is (average rank - 1/2) / n. A name outside the universe is measured against the members too
    (0 to 1), and moves nobody. One sort of every day's row serves all days.
    """
    finite = np.isfinite(x)
    values = x if finite.all() else np.where(finite, x, np.nan)
    order = np.argsort(values, axis=1)  # NaN last
    ranked = np.take_along_axis(values, order, axis=1)
    counted = np.take_along_axis(member & finite, order, axis=1)
    upto = np.cumsum(counted, axis=1, dtype=np.int32)
    first = np.ones(x.shape, dtype=np.bool_)
    np.not_equal(ranked[:, 1:], ranked[:, :-1], out=first[:, 1:])
    below = np.maximum.accumulate(np.where(first, upto - counted, np.int32(0)), axis=1)
    last = np.ones(x.shape, dtype=np.bool_)
    last[:, :-1] = first[:, 1:]
    total = upto[:, -1:]
    through = np.minimum.accumulate(np.where(last, upto, total)[:, ::-1], axis=1)[:, ::-1]
    share = (below + through) / np.maximum(2.0 * total, 1.0)
    share = np.where(total > 0, share, np.nan)
    result = np.empty_like(x)
    np.put_along_axis(result, order, share, axis=1)
    return result if finite.all() else np.where(finite, result, np.nan)
