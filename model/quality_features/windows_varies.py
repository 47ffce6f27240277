"""Whether a rolling window's standard deviation is above a threshold, mostly without computing it.

A difference d between two values of a window of n alone makes the variance at least d² / (2 (n - 1)). Wherever two
adjoining days of a window differ by more than that calls for, with a margin for rounding, the answer is known from a
comparison. Names that this does not settle on every day are computed in full, so the answer is always that of the
standard deviation itself.
"""

from collections.abc import Sequence

import numpy as np

from model.quality_features.windows import Array, Parts, over_windows
from model.quality_features.windows_order import Counted, present_counts
from model.quality_features.windows_shared import SharedWindows, demands

_MARGIN, _ROUNDING = 2.0, 1e-9
"""Times the difference that would do, and share of the largest value beside it: far more than rounding takes away."""


def varies(
    x: Array, requests: Sequence[tuple[float, int]], rows: int | None = None
) -> dict[tuple[float, int], Counted]:
    """1 where the standard deviation (n - 1) of the values present is above a threshold, else 0.

    Args:
        x: ``[days, codes]``; values that are not finite are missing, and so are the days before the first row.
        requests: threshold and window in days, at least 2.
        rows: how many of the last days are wanted, None for all.
    """
    length = len(x) if rows is None else min(rows, len(x))
    windows = tuple(sorted({days for _, days in requests}))
    present = np.isfinite(x)
    value = x if present.all() else np.where(present, x, np.nan)
    counts = present_counts(present, windows, length)
    size = np.abs(value)
    largest = float(np.fmax.reduce(size, axis=None, initial=0.0))
    steps = size  # its place is free; NaN beside a missing value, which is above nothing
    np.abs(np.subtract(value[1:], value[:-1], out=steps[1:]), out=steps[1:])
    steps[:1] = np.nan
    found = {}
    for low in {low for low, _ in requests}:
        sure = _MARGIN * max(low, 0.0) * np.sqrt(2.0 * (windows[-1] - 1)) + _ROUNDING * largest
        moved = over_windows((steps > sure,), _either, [days - 1 for days in windows], length)
        for days in (days for other, days in requests if other == low):
            settled = moved[days - 1][0][-length:]
            above = settled.astype(np.float64)
            unsettled = np.greater(counts[days] >= 2.0, settled)
            if unsettled.any():
                names = np.flatnonzero(unsettled.any(axis=0))
                above[:, names] = _computed(np.ascontiguousarray(x[:, names]), low, days, length)
            found[low, days] = Counted(above, counts[days])
    return found


def _computed(x: Array, low: float, days: int, rows: int) -> Array:
    shared = SharedWindows(x, demands({("moments", days, 0.0): 0}), rows, days - 1)
    return (np.sqrt(shared.variance(days, rows, 1)) > low).astype(np.float64)


def _either(recent: Parts, older: Parts, days: int) -> Parts:
    return (recent[0] | older[0],)
