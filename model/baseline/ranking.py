"""What learning to rank needs: relevance within a day, the days' sizes, and the RankIC it is stopped on."""

from itertools import pairwise
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

    Args:
        target: targets of the evaluated rows [R], no NaN.
        day: position of each row's day [R], not decreasing.
    """

    def __init__(self, target: Array, day: NDArray[np.int64]) -> None:
        edges = np.cumsum([0, *group_sizes(day)])
        self._days = [slice(int(a), int(b)) for a, b in pairwise(edges)]
        self._ranks = [_standardised(target[rows]) for rows in self._days]

    def __call__(self, predictions: Array, data: Any) -> tuple[str, float, bool]:
        """Name, value and whether more is better."""
        by_day = [
            float(own @ _standardised(predictions[rows])) for own, rows in zip(self._ranks, self._days, strict=True)
        ]
        return NAME, float(np.mean(by_day)), True


def _standardised(values: Array) -> Array:
    """Ranks of the values with mean 0 and length 1; zeros where they are all equal."""
    ranks = rankdata(values)
    centred = ranks - ranks.mean()
    length = float(np.sqrt(centred @ centred))
    return np.asarray(centred / length if length > 0.0 else centred, dtype=np.float64)
