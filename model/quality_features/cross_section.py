"""Reductions across the names of one day.

Each reads the names that are there that day and no others: values are compacted first (row by row, in code order),
so a code that is listed later, or a later day, changes no bit of an earlier result.
"""

import numpy as np
from numpy.typing import NDArray

from model.quality_features.windows import Array


def member_mean(x: Array, member: NDArray[np.bool_]) -> Array:
    """Mean over each day's members that have a value; ``[days, codes]`` to ``[days, 1]``, NaN where there is none."""
    used = member & ~np.isnan(x)
    day = np.nonzero(used)[0]
    total = np.bincount(day, weights=x[used], minlength=len(x))
    count = np.bincount(day, minlength=len(x))
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.ascontiguousarray(mean[:, None])


def group_mean(x: Array, member: NDArray[np.bool_], group: NDArray[np.int64], minimum: int) -> Array:
    """Mean over the members of each name's group that day; NaN without a group or with fewer than ``minimum``."""
    size = int(group.max(initial=-1)) + 1
    if size == 0:
        return np.full_like(x, np.nan)
    cell = np.arange(len(x))[:, None] * size + np.maximum(group, 0)
    used = member & ~np.isnan(x) & (group >= 0)
    total = np.bincount(cell[used], weights=x[used], minlength=len(x) * size)
    count = np.bincount(cell[used], minlength=len(x) * size)
    mean = np.where(count >= minimum, total / np.maximum(count, 1), np.nan)
    return np.where(group >= 0, mean[cell], np.nan)


def position(x: Array, member: NDArray[np.bool_]) -> Array:
    """Where each value stands among the members of its day: (members below + half the members equal) / members.

    For a member this is (average rank - 1/2) / n. A name outside the universe is measured against the members too
    (0 to 1), and moves nobody. One sort of every day's row serves all days.
    """
    order = np.argsort(x, axis=1)  # NaN last
    ranked = np.take_along_axis(x, order, axis=1)
    counted = np.take_along_axis(member & ~np.isnan(x), order, axis=1)
    upto = np.cumsum(counted, axis=1)
    first = np.ones(x.shape, dtype=np.bool_)
    first[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    below = np.maximum.accumulate(np.where(first, upto - counted, 0), axis=1)
    last = np.ones(x.shape, dtype=np.bool_)
    last[:, :-1] = first[:, 1:]
    total = upto[:, -1:]
    through = np.minimum.accumulate(np.where(last, upto, total)[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (below + through) / (2.0 * total)
    result = np.empty_like(x)
    np.put_along_axis(result, order, share, axis=1)
    return np.where(np.isnan(x), np.nan, result)
