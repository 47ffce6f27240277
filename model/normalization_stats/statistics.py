"""Statistics that put features on one scale: each day's own cross-section, and what is fitted on train dates.

Three kinds of numbers, none of which knows anything of a later day than it may:

- per day and feature, over that day's universe members only: n, mean, standard deviation, median, MAD and two
  quantiles. Known that day, and the same in every fold.
- a **market** feature has one value for all names, so a cross-section of it has no spread. It is scaled in time
  instead, by mean and deviation (or median and MAD) of its daily values over the train dates.
- clip bounds of the z-scores, and centre and scale of the targets, over the train dates. All follow from the daily
  numbers, so a fix of one day costs one day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["cross_section", "market"]

MAD_TO_STD = 1.4826
"""The standard deviation of a normal distribution in units of its median absolute deviation."""
STATISTICS = ("mean", "std", "median", "mad", "low", "high")


@dataclass(frozen=True)
class Daily:
    """Statistics of features in one cross-section each, any shape; NaN (and n = 0) where there is no value."""

    n: NDArray[np.int64]
    mean: Array
    std: Array
    """Population standard deviation (n, not n - 1): z-scores of a day have a deviation of exactly 1."""
    median: Array
    mad: Array
    low: Array
    """Lower quantile of the day's values (linear interpolation)."""
    high: Array
    """Upper quantile of the day's values."""

    def center(self, method: str) -> Array:
        """What is subtracted: the mean, or the median if ``method`` is ``robust``."""
        return self.median if method == "robust" else self.mean

    def scale(self, method: str) -> Array:
        """What is divided by: the standard deviation, or 1.4826 MAD if ``method`` is ``robust``."""
        return MAD_TO_STD * self.mad if method == "robust" else self.std


def cross_section(values: NDArray[np.floating], quantiles: Sequence[float] = (0.005, 0.995)) -> Daily:
    """Statistics of the values of one day, feature by feature.

    Args:
        values: ``[features, names]``, NaN for missing; members of the universe only, in stored order.
        quantiles: the two quantiles to take.

    Returns:
        Statistics ``[features]``; their bits follow from this day's values alone.
    """
    missing = np.isnan(values)
    n = values.shape[1] - missing.sum(axis=1)
    known = np.maximum(n, 1)
    wide = np.where(missing, 0.0, values).astype(np.float64)
    mean = wide.sum(axis=1) / known
    deviation = np.where(missing, 0.0, wide - mean[:, None])
    variance = np.square(deviation).sum(axis=1) / known
    ordered = np.sort(values, axis=1)  # NaN last
    median, low, high = (_quantile(ordered, n, share) for share in (0.5, *quantiles))
    mad = _median_deviation(ordered, n, median)
    # Equal values can leave a rounding error of the mean behind; a day without spread has none.
    last = np.take_along_axis(ordered, (known - 1)[:, None], axis=1)[:, 0] if values.shape[1] else mean
    first = ordered[:, 0] if values.shape[1] else mean
    std = np.where(first == last, 0.0, np.sqrt(variance))
    empty = n == 0
    figures = (np.where(empty, np.nan, figure) for figure in (mean, std, median, mad, low, high))
    return Daily(n, *figures)


def one_value(x: NDArray[np.floating], n: NDArray[np.int64]) -> Daily:
    """Statistics of market features, which have the same value for all ``n`` names of a day."""
    wide = x.astype(np.float64)
    flat = np.where(np.isnan(wide), np.nan, 0.0)
    return Daily(np.where(np.isnan(wide), 0, n), wide, flat, wide, flat, wide, wide)


def fitted_in_time(values: Array, method: str) -> tuple[float, float]:
    """Centre and scale of a market feature from its value on each train day; NaN where there is none.

    Args:
        values: one value a train day ``[days]``, NaN for missing.
    """
    known = cross_section(values[None, :])
    return float(known.center(method)[0]), float(known.scale(method)[0])


def clip_bounds(low: Array, high: Array, center: Array, scale: Array, hard_cap: float) -> tuple[float, float]:
    """Where z-scores are clipped: the median over the train days of each day's own quantiles, as z-scores.

    Never beyond ± ``hard_cap``, which are the bounds where no day has a z-score (a feature that is empty or never
    varies).

    Args:
        low, high: the day's quantiles of the feature ``[train days]``.
        center, scale: what the day's z-scores are made with ``[train days]``.
    """
    lows, highs = z_scores(low, center, scale), z_scores(high, center, scale)
    lows, highs = lows[np.isfinite(lows)], highs[np.isfinite(highs)]
    if not len(lows):
        return -hard_cap, hard_cap
    return max(float(np.median(lows)), -hard_cap), min(float(np.median(highs)), hard_cap)


def z_scores(x: Array, center: Array | float, scale: Array | float) -> Array:
    """``(x - center) / scale``; NaN where the scale is missing or 0, which says that the names do not differ."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0.0, (x - center) / scale, np.nan)


def daily_moments(x: Array, day: NDArray[np.int64], days: int) -> tuple[NDArray[np.int64], Array, Array]:
    """Count, mean and sum of squared deviations of each day's values (NaN for missing); 0 where there is none."""
    used = ~np.isnan(x)
    x, day = x[used], day[used]
    n = np.bincount(day, minlength=days)
    mean = np.bincount(day, weights=x, minlength=days) / np.maximum(n, 1)
    squares = np.bincount(day, weights=np.square(x - mean[day]), minlength=days).astype(np.float64)
    return n, mean, squares


def pooled(n: NDArray[np.int64], mean: Array, squares: Array) -> tuple[float, float]:
    """Mean and standard deviation (n) of all values of several days from their moments; NaN where there is none.

    The squared deviations add up as in Chan, Golub and LeVeque (1979).
    """
    total = int(n.sum())
    if not total:
        return float("nan"), float("nan")
    center = float((n * mean).sum() / total)
    spread = float((squares + n * np.square(mean - center)).sum() / total)
    return center, float(np.sqrt(spread))


def _quantile(ordered: NDArray[np.floating], n: NDArray[np.int64], share: float) -> Array:
    """Quantile of each sorted row of n values, interpolated linearly; NaN where n is 0."""
    if not ordered.shape[1]:
        return np.full(len(ordered), np.nan)
    last = np.maximum(n - 1, 0)
    place = share * last
    below = np.floor(place).astype(np.int64)
    low, high = (
        np.take_along_axis(ordered, at[:, None], axis=1)[:, 0].astype(np.float64)
        for at in (below, np.minimum(below + 1, last))
    )
    middle: Array = low + (place - below) * (high - low)
    return middle


def _median_deviation(ordered: NDArray[np.floating], n: NDArray[np.int64], median: Array) -> Array:
    """Median absolute deviation of each sorted row of n values.

    The k values nearest to the median lie side by side in a sorted row, so the k-th smallest distance is the least,
    over all stretches of k values, of the larger distance of its two ends: no second sort.
    """
    found = np.full(len(ordered), np.nan)
    for count in np.unique(n[n > 0]).tolist():
        rows = np.flatnonzero(n == count)
        values, center = ordered[rows, :count].astype(np.float64), median[rows, None]
        halves = []
        for nearest in ((count + 1) // 2, count // 2 + 1):
            below = center - values[:, : count - nearest + 1]
            above = values[:, nearest - 1 :] - center
            halves.append(np.maximum(below, above).min(axis=1))
        found[rows] = halves[0] + 0.5 * (halves[1] - halves[0])
    return found
