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
from itertools import pairwise
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["cross_section", "market"]
Number = TypeVar("Number", np.int64, np.float64)

MAD_TO_STD = 1.4826
"""The standard deviation of a normal distribution in units of its median absolute deviation."""
STATISTICS = ("mean", "std", "median", "mad", "low", "high")
_FEATURES_AT_A_TIME = 8
"""Features whose values are widened and sorted together, which bounds the memory."""


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
        """What is divided by: the standard deviation, or :func:`robust_scale` if ``method`` is ``robust``."""
        return robust_scale(self.mad, self.std) if method == "robust" else self.std


def robust_scale(mad: Array, std: Array) -> Array:
    """1.4826 MAD; the standard deviation where most values are equal, which leaves no MAD.

    Of a flag or of returns on a day on which most names stood still, the others would count as missing.
    """
    scale: Array = np.where(mad > 0.0, MAD_TO_STD * mad, std)
    return scale


def cross_section(values: NDArray[np.floating], quantiles: Sequence[float] = (0.005, 0.995)) -> Daily:
    """Statistics ``[features]`` of the values of one day; see :func:`cross_sections`.

    Args:
        values: ``[features, names]``, NaN for missing; members of the universe only, in stored order.
        quantiles: the two quantiles to take.
    """
    found = cross_sections(values, np.array([0, values.shape[1]]), quantiles)
    return Daily(found.n[:, 0], *(getattr(found, name)[:, 0] for name in STATISTICS))


def cross_sections(
    values: NDArray[np.floating], edges: NDArray[np.int64], quantiles: Sequence[float] = (0.005, 0.995)
) -> Daily:
    """Statistics of the values of several days, feature by feature.

    Args:
        values: ``[features, rows]``, NaN for missing; the rows of one day after those of another, in stored order.
        edges: where the rows of each day begin, and where the last ends ``[days + 1]``.
        quantiles: the two quantiles to take.

    Returns:
        Statistics ``[features, days]``; the bits of each follow from the values of its day alone.
    """
    starts = range(0, max(len(values), 1), _FEATURES_AT_A_TIME)
    blocks = [_cross_sections(values[first : first + _FEATURES_AT_A_TIME], edges, quantiles) for first in starts]
    return Daily(*(np.concatenate([getattr(block, name) for block in blocks]) for name in ("n", *STATISTICS)))


def _cross_sections(values: NDArray[np.floating], edges: NDArray[np.int64], quantiles: Sequence[float]) -> Daily:
    missing = np.isnan(values)
    n = _day_sums((~missing).astype(np.int64), edges)
    known = np.maximum(n, 1)
    wide = values.astype(np.float64)
    wide[missing] = 0.0
    mean = _day_sums(wide, edges) / known
    for day, (first, last) in enumerate(pairwise(edges.tolist())):  # repeated means would be as large as the values
        wide[:, first:last] -= mean[:, day, None]
    wide[missing] = 0.0
    variance = _day_sums(np.square(wide, out=wide), edges) / known
    ordered = _ordered(values, edges)
    median, low, high = (_quantile(ordered, n.ravel(), share) for share in (0.5, *quantiles))
    mad = _median_deviation(ordered, n.ravel(), median)
    median, low, high, mad = (each.reshape(n.shape) for each in (median, low, high, mad))
    # Equal values can leave a rounding error of the mean behind; a day without spread has none.
    row = np.arange(len(ordered))
    level = (ordered[:, 0] == ordered[row, known.ravel() - 1]).reshape(n.shape)
    std = np.where(level, 0.0, np.sqrt(variance))
    figures = (np.where(n == 0, np.nan, figure) for figure in (mean, std, median, mad, low, high))
    return Daily(n, *figures)


def _day_sums(x: NDArray[Number], edges: NDArray[np.int64]) -> NDArray[Number]:
    """Sums ``[features, days]`` of each day's values, pairwise within the day; 0 for a day without rows."""
    sums = np.zeros((len(x), len(edges) - 1), dtype=x.dtype)
    filled = np.diff(edges) > 0
    if filled.any():
        sums[:, filled] = np.add.reduceat(x, edges[:-1][filled], axis=1)
    return sums


def _ordered(values: NDArray[np.floating], edges: NDArray[np.int64]) -> NDArray[np.floating]:
    """The values of each feature and day in order ``[features * days, names]``, NaN behind them."""
    days = len(edges) - 1
    widest = max(int(np.diff(edges).max(initial=0)), 1)
    ordered = np.full((len(values), days, widest), np.nan, dtype=values.dtype)
    for day, (first, last) in enumerate(pairwise(edges.tolist())):
        ordered[:, day, : last - first] = values[:, first:last]
    ordered.sort(axis=2)
    return ordered.reshape(len(values) * days, widest)


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


def clip_bounds(low: Array, high: Array, center: Array, scale: Array, hard_cap: float) -> tuple[Array, Array]:
    """Where z-scores are clipped: the median over the train days of each day's own quantiles, as z-scores.

    Never beyond ± ``hard_cap``, which are the bounds where no day has a z-score (a feature that is empty or never
    varies).

    Args:
        low, high: the day's quantiles of the features ``[train days, features]``, one day at least.
        center, scale: what the day's z-scores are made with ``[train days, features]``; NaN where the day does not
            count.

    Returns:
        Lower and upper bound ``[features]``.
    """
    lows, highs = _middle(z_scores(low, center, scale)), _middle(z_scores(high, center, scale))
    never = np.isnan(lows)
    return (
        np.where(never, -hard_cap, np.maximum(lows, -hard_cap)),
        np.where(never, hard_cap, np.minimum(highs, hard_cap)),
    )


def _middle(values: Array) -> Array:
    """Median of the finite values of each column; NaN where there is none."""
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=0)
    known = (~np.isnan(ordered)).sum(axis=0)
    column = np.arange(values.shape[1])
    below, above = (ordered[np.maximum(place, 0), column] for place in ((known - 1) // 2, known // 2))
    return np.where(known > 0, (below + above) / 2.0, np.nan)


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
    last = np.maximum(n - 1, 0)
    place = share * last
    below = np.floor(place).astype(np.int64)
    row = np.arange(len(ordered))
    low, high = (ordered[row, at].astype(np.float64) for at in (below, np.minimum(below + 1, last)))
    middle: Array = low + (place - below) * (high - low)
    return middle


def _median_deviation(ordered: NDArray[np.floating], n: NDArray[np.int64], median: Array) -> Array:
    """Median absolute deviation of each sorted row of n values; NaN where n is 0."""
    known = np.maximum(n, 1)
    lower, upper = (_distance(ordered, known, median, nearest) for nearest in ((known + 1) // 2, known // 2 + 1))
    return np.where(n > 0, lower + 0.5 * (upper - lower), np.nan)


def _distance(ordered: NDArray[np.floating], n: NDArray[np.int64], center: Array, nearest: NDArray[np.int64]) -> Array:
    """How far the value that is ``nearest``-th nearest to the centre is from it, row by row.

    The k nearest values lie side by side in a sorted row, so this is the least, over all stretches of k values, of the
    larger distance of its two ends. As a stretch moves up, its lower end comes nearer and its upper end goes away: the
    least is where they cross, which halving finds without a second sort.
    """

    def ends(start: NDArray[np.int64]) -> tuple[Array, Array]:
        return center - ordered[row, start].astype(np.float64), ordered[row, start + nearest - 1] - center

    row = np.arange(len(ordered))
    first, last = np.zeros_like(n), n - nearest
    while (first < last).any():
        middle = (first + last) // 2
        below, above = ends(middle)
        crossed = above >= below
        first, last = np.where(crossed, first, np.minimum(middle + 1, last)), np.where(crossed, middle, last)
    return np.minimum(np.maximum(*ends(first)), np.maximum(*ends(np.maximum(first - 1, 0))))
