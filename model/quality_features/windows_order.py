"""Order statistics of a rolling window: where its extreme lies, how high its last value ranks, its quantiles.

All of them select or count values, so they are exact: whatever the order of the work, the bits are the same. That
freedom is used. Extremes of a long window come from two overlapping shorter ones, counts are differences of integer
running totals, and a quantile is read off the sorted window.

Arrays are float64 ``[days, codes]``; a value that is not finite is missing, and so are the days before the first row.
Every function takes all windows wanted of one series at once, because the longer ones build on the shorter, and
returns, for each, the value with the number of observations it is made of.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.quality_features.windows import Array, where_enough

Rows = NDArray[np.int32]
Tally = NDArray[np.uint8 | np.uint32]

_SORTED_AT_A_TIME = 65_536
"""Values sorted together: 512 KiB, so that a batch of windows stays in the processor's second-level cache."""


@dataclass(frozen=True)
class Counted:
    """A statistic of a window and how many values are present in it, both ``[days, codes]``."""

    value: Array
    count: Array

    def enough(self, minimum: float) -> Array:
        """The statistic; NaN where the window has fewer than ``minimum`` values, or none."""
        return where_enough(self.value, self.count, max(minimum, 1.0))


def present_counts(x: Array, windows: Iterable[int]) -> dict[int, Array]:
    """How many values of each window are present: differences of a running total of integers, which are exact."""
    return _count(np.isfinite(x), windows)


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
    count = _count(present, windows)
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


def quantile(x: Array, requests: Sequence[tuple[int, float]]) -> dict[tuple[int, float], Counted]:
    """Quantiles of the values present, for pairs of window and probability, linear between neighbours.

    With n values sorted from 0 the quantile lies at ``q · (n - 1)`` (pandas' and NumPy's "linear"). One sort serves
    all probabilities of a window.
    """
    windows = sorted({days for days, _ in requests})
    present = np.isfinite(x)
    count = _count(present, windows)
    days, codes = x.shape
    longest = max(windows)
    padded = np.full((codes, longest - 1 + days), np.nan)
    padded[:, longest - 1 :] = np.where(present, x, np.nan).T + 0.0  # never -0.0, which sorts beside 0.0 in any order
    result: dict[tuple[int, float], Counted] = {}
    for window in windows:
        asked = [q for other, q in requests if other == window]
        found = _sorted_quantiles(padded[:, longest - window :], count[window], window, asked)
        result |= {(window, q): Counted(value, count[window]) for q, value in zip(asked, found, strict=True)}
    return result


def _sorted_quantiles(series: Array, count: Array, window: int, asked: Sequence[float]) -> list[Array]:
    """Quantiles ``[days, codes]`` of the windows of ``series`` ``[codes, window - 1 + days]``, NaN for missing."""
    days, codes = count.shape
    found = [np.empty((codes, days)) for _ in asked]
    observed = np.ascontiguousarray(count.T).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(series, window, axis=1)  # [codes, days, window], a view
    step = min(max(_SORTED_AT_A_TIME // (window * days), 1), codes)
    room = np.empty((step, days, window))  # used again and again: fresh memory costs more than the sorting
    for first in range(0, codes, step):
        part = slice(first, min(first + step, codes))
        ordered = room[: part.stop - first]
        np.copyto(ordered, windows[part])
        ordered.sort(axis=2)  # NaN sorts behind every number
        for q, values in zip(asked, found, strict=True):
            values[part] = _interpolate(ordered, observed[part], q)
    return [np.ascontiguousarray(values.T) for values in found]


def _interpolate(ordered: Array, count: NDArray[np.int64], q: float) -> Array:
    """Quantile q of the last axis of ``ordered``, in which the first ``count`` values are numbers."""
    window = ordered.shape[2]
    full = _between(
        ordered[:, :, int(q * (window - 1))],
        ordered[:, :, min(int(q * (window - 1)) + 1, window - 1)],
        q * (window - 1),
    )
    short = np.nonzero(count < window)
    if len(short[0]):
        last = np.maximum(count[short] - 1, 0)
        place = q * last
        low = place.astype(np.int64)
        full[short] = _between(ordered[(*short, low)], ordered[(*short, np.minimum(low + 1, last))], place)
    return full


def _between(below: Array, above: Array, place: Array | float) -> Array:
    return below + (above - below) * (place - np.floor(place))


def _positions(x: Array, windows: Sequence[int]) -> dict[int, Counted]:
    """Position of the first maximum of ``x``, in which missing values are -inf."""
    present = x > -np.inf
    count = _count(present, windows)
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


def _count(present: NDArray[np.bool_], windows: Iterable[int]) -> dict[int, Array]:
    running = np.zeros((len(present) + 1, present.shape[1]), dtype=np.int32)
    np.cumsum(present, axis=0, out=running[1:])
    result = {}
    for window in windows:
        count = running[1:].astype(np.float64)
        count[window:] -= running[1 : max(len(running) - window, 1)]
        result[window] = count
    return result
