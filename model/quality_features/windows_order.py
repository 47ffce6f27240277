"""Order statistics of a rolling window: where its extreme lies, how high its last value ranks.

All of them select or count values, so they are exact: whatever the order of the work, the bits are the same. That
freedom is used: extremes of a long window come from two overlapping shorter ones. Quantiles are in
:mod:`model.quality_features.windows_sorted`.

Arrays are float64 ``[days, codes]``; a value that is not finite is missing, and so are the days before the first row.
Every function takes all windows wanted of one series at once, because the longer ones build on the shorter, and
returns, for each, the value with the number of observations it is made of.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.quality_features.windows import Array, added, over_windows, where_enough

Rows = NDArray[np.int32]
Tally = NDArray[np.uint8 | np.uint32]


@dataclass(frozen=True)
class Counted:
    """A statistic of a window and how many values are present in it, both ``[days, codes]``."""

    value: Array
    count: Array

    def enough(self, minimum: float) -> Array:
        """The statistic; NaN where the window has fewer than ``minimum`` values, or none."""
        return where_enough(self.value, self.count, max(minimum, 1.0))


def present_counts(present: NDArray[np.bool_], windows: Sequence[int], rows: int | None = None) -> dict[int, Array]:
    """How many values of each window are present.

    Args:
        present: ``[days, codes]``.
        windows: in days.
        rows: how many of the last days are wanted, None for all.
    """
    length = len(present) if rows is None else rows
    width = np.uint8 if max(windows) < 256 else np.uint16
    counts = over_windows((present.astype(width),), added, windows, rows)
    return {window: count[len(count) - length :].astype(np.float64) for window, (count,) in counts.items()}


def max_position(x: Array, windows: Sequence[int]) -> dict[int, Counted]:
    """Position of the first maximum in each window, 1 for the oldest value present (Qlib's ``IdxMax``).

    Counting from the oldest value *present* gives a name's first weeks the positions within its own history. Missing
    days in between are passed over, and count as days.
    """
    return _positions(np.where(np.isfinite(x), x, -np.inf), windows)


def min_position(x: Array, windows: Sequence[int]) -> dict[int, Counted]:
    """Position of the first minimum in each window; see :func:`max_position` (Qlib's ``IdxMin``)."""
    return _positions(np.where(np.isfinite(x), -x, -np.inf), windows)


def rank_in_time(x: Array, windows: Sequence[int]) -> dict[int, Counted]:
    """Rank of each window's last value among the values present, as a share in (0, 1]; ties take their mean rank.

    NaN where the last value is missing. With L values below the last one and E equal to it (itself included) the rank
    is ``L + (E + 1) / 2``, that is half of one more than the number of values below plus the number not above: a sum
    of comparisons with each earlier day, of which a shorter window's is a part (pandas ``rolling.rank(pct=True)``).
    """
    present = np.isfinite(x)
    values = np.where(present, x, np.nan)
    count = present_counts(present, windows)
    longest = min(max(windows), len(x))
    width: type[np.uint8 | np.uint32] = np.uint8 if longest < 128 else np.uint32
    not_above: Tally = present.astype(width)
    holds = np.empty(x.shape, dtype=np.bool_)
    ranks: dict[int, Counted] = {}
    for days in range(1, longest + 1):
        if days in count:
            ranks[days] = _rank(not_above, count[days], present)
        if days == longest:
            break
        earlier, today, held = values[:-days], values[days:], holds[days:]
        for compare in (np.less, np.less_equal):
            compare(earlier, today, out=held)
            np.add(not_above[days:], held.view(np.uint8), out=not_above[days:])
    return {days: ranks.get(days) or _rank(not_above, count[days], present) for days in windows}


def _rank(not_above: Tally, count: Array, present: NDArray[np.bool_]) -> Counted:
    share = (not_above.astype(np.float64) + 1.0) / np.maximum(2.0 * count, 1.0)
    return Counted(np.where(present, share, np.nan), count)


def _positions(x: Array, windows: Sequence[int]) -> dict[int, Counted]:
    """Position of the first maximum of ``x``, in which missing values are -inf."""
    present = x > -np.inf
    count = present_counts(present, windows)
    days = len(x)
    rows = np.arange(days, dtype=np.int32)[:, None]
    first_from = np.minimum.accumulate(np.where(present, rows, np.int32(days))[::-1])[::-1]
    result = {}
    for window, row in _first_largest(x, np.broadcast_to(rows, x.shape), windows).items():
        start = np.maximum(np.arange(days) - window + 1, 0)
        position = row - first_from[start] + np.int32(1)
        result[window] = Counted(position.astype(np.float64), count[window])
    return result


def _first_largest(value: Array, row: Rows, windows: Sequence[int]) -> dict[int, Rows]:
    """Row of the oldest largest value in each window: the better of two windows that overlap, or adjoin."""
    result = {}
    covered = 1
    for window in sorted(set(windows)):
        while covered < window:
            shift = min(covered, window - covered)
            value, row = _older_if_as_large(value, row, shift)
            covered += shift
        result[window] = row
    return result


def _older_if_as_large(value: Array, row: Rows, shift: int) -> tuple[Array, Rows]:
    if shift >= len(value):
        return value, row
    older = value[:-shift] >= value[shift:]
    merged_row = np.concatenate((row[:shift], np.where(older, row[:-shift], row[shift:])))
    merged = np.concatenate((value[:shift], np.maximum(value[:-shift], value[shift:])))
    return merged, merged_row
