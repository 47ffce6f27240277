"""What learning to rank needs: relevance within a day, the days' sizes, and the RankIC it is stopped on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]
LEVELS = 32
"""Steps of relevance: 0 for a day's worst names, 31 for its best."""
NAME = "rank_ic"


def relevance(target: Array, day: NDArray[np.int64]) -> NDArray[np.int32]:
    """Place of each row among its day's rows in ``LEVELS`` steps [R]; ties share a place.

    Args:
        target: what ranks the rows [R], no NaN.
        day: position of each row's day [R], not decreasing.
    """
    found = np.empty(len(target), np.int32)
    start = 0
    for size in group_sizes(day).tolist():
        rows = slice(start, start + size)
        place = (rankdata(target[rows]) - 0.5) / size
        found[rows] = np.minimum((place * LEVELS).astype(np.int32), LEVELS - 1)
        start += size
    return found


def group_sizes(day: NDArray[np.int64]) -> NDArray[np.int32]:
    """Rows of each day that has any, in order."""
    sizes = np.bincount(day) if len(day) else np.zeros(0, np.int64)
    return sizes[sizes > 0].astype(np.int32)


class DailyRankIC:
    """LightGBM's evaluation function: mean over days of the rank correlation of predictions and targets.

    It is asked after every tree, so all days are ranked at once.

    Args:
        target: targets of the evaluated rows [R], no NaN.
        day: position of each row's day [R], not decreasing.
    """

    def __init__(self, target: Array, day: NDArray[np.int64]) -> None:
        sizes = group_sizes(day)
        self._day = np.repeat(np.arange(len(sizes)), sizes)
        self._first = np.cumsum(sizes) - sizes
        self._middle = (sizes + 1) / 2
        self._ranks = self._standardised(target)

    def __call__(self, predictions: Array, data: Any) -> tuple[str, float, bool]:
        """Name, value and whether more is better."""
        by_row = self._ranks * self._standardised(predictions)
        return NAME, float(by_row.sum() / len(self._first)), True

    def _standardised(self, values: Array) -> Array:
        """Average ranks within the day with mean 0 and length 1 by day; zeros where a day's values are all equal."""
        order = np.lexsort((values, self._day))
        day, ordered = self._day[order], values[order]
        starts = np.flatnonzero(np.r_[True, (np.diff(day) != 0) | (np.diff(ordered) != 0)])
        ends = np.r_[starts[1:], len(order)]
        centred = np.empty(len(order))
        centred[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
        centred -= (self._first + self._middle)[self._day]
        length = np.sqrt(np.bincount(self._day, centred * centred))
        return centred / np.where(length > 0.0, length, 1.0)[self._day]
