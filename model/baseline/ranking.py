"""What learning to rank needs: relevance within a day, the days' sizes, and the RankIC it is stopped on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    sizes = group_sizes(day)
    place = (_ranks(target, sizes) - 0.5) / np.repeat(sizes, sizes)
    return np.minimum((place * LEVELS).astype(np.int32), LEVELS - 1)


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
        self._sizes = group_sizes(day)
        self._day = np.repeat(np.arange(len(self._sizes)), self._sizes)
        self._own = self._standardised(target)

    def __call__(self, predictions: Array, data: Any) -> tuple[str, float, bool]:
        """Name, value and whether more is better."""
        by_row = self._own * self._standardised(predictions)
        return NAME, float(by_row.sum() / len(self._sizes)), True

    def _standardised(self, values: Array) -> Array:
        """Ranks within the day with mean 0 and length 1 by day; zeros where a day's values are all equal."""
        centred = _ranks(values, self._sizes) - ((self._sizes + 1) / 2)[self._day]
        length = np.sqrt(np.bincount(self._day, centred * centred))
        return centred / np.where(length > 0.0, length, 1.0)[self._day]


def _ranks(values: Array, sizes: NDArray[np.int32]) -> Array:
    """Average rank of each row within its day, from 1; the days' rows follow one another."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((values, group))
    day, ordered = group[order], values[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(day) != 0) | (np.diff(ordered) != 0)])
    ends = np.r_[starts[1:], len(order)]
    ranks = np.empty(len(order))
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return ranks - (np.cumsum(sizes) - sizes)[group]
