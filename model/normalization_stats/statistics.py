"""Statistics that put features on one scale: each day's own cross-section, and what is fitted on train dates.

Three kinds of numbers, none of which knows anything of a later day than it may:

- per day and feature, over that day's universe members only: n, mean, standard deviation, median, MAD. Known that day.
- a **market** feature has one value for all names, so a cross-section of it has no spread. It is scaled in time
  instead, by mean and deviation of its daily values over the train dates, which then stand in every day's row.
- clip bounds of the z-scores, and centre and scale of the targets, over all train dates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["cross_section", "market"]

MAD_TO_STD = 1.4826
"""The standard deviation of a normal distribution in units of its median absolute deviation."""


@dataclass(frozen=True)
class Daily:
    """Statistics of one feature on each day ``[days]``; NaN (and n = 0) on days without a value."""

    n: NDArray[np.int64]
    mean: Array
    std: Array
    """Population standard deviation (n, not n - 1): z-scores of a day have a deviation of exactly 1."""
    median: Array
    mad: Array

    def center(self, method: str) -> Array:
        """What is subtracted: the mean, or the median if ``method`` is ``robust``."""
        return self.median if method == "robust" else self.mean

    def scale(self, method: str) -> Array:
        """What is divided by: the standard deviation, or 1.4826 MAD if ``method`` is ``robust``."""
        return MAD_TO_STD * self.mad if method == "robust" else self.std


def cross_section(x: Array, day: NDArray[np.int64], days: int) -> Daily:
    """Statistics of each day's values.

    Args:
        x: values ``[rows]``, NaN for missing; members of the universe only, in stored order.
        day: index of each row's day, not decreasing.
        days: number of days.
    """
    used = ~np.isnan(x)
    x, day = x[used], day[used]
    n = np.bincount(day, minlength=days)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(day, weights=x, minlength=days) / n
        variance = np.bincount(day, weights=np.square(x - mean[day]), minlength=days) / n
    ordered = _sorted_by_day(x, day, n)
    median = _middle(ordered, n)
    mad = _middle(_sorted_by_day(np.abs(x - median[day]), day, n), n)
    # Equal values can leave a rounding error of the mean behind; a day without spread has none.
    last = np.take_along_axis(ordered, np.maximum(n - 1, 0)[:, None], axis=1)[:, 0]
    std = np.where(ordered[:, 0] == last, 0.0, np.sqrt(variance))
    return Daily(n, mean, np.where(n > 0, std, np.nan), median, mad)


def in_time(x: Array, day: NDArray[np.int64], days: int, train: NDArray[np.bool_]) -> Daily:
    """Statistics of a market feature: of its daily values over the train dates, repeated on every day.

    ``n`` remains the number of names that have the value on the day.
    """
    today = cross_section(x, day, days)
    series = today.median[train]
    fitted = cross_section(series, np.zeros(len(series), dtype=np.int64), 1)
    same = {field.name: np.repeat(getattr(fitted, field.name), days) for field in fields(Daily)}
    return Daily(**{**same, "n": today.n})


def daily_statistics(
    values: Mapping[str, Array],
    kinds: Mapping[str, Kind],
    day: NDArray[np.int64],
    train: NDArray[np.bool_],
) -> dict[str, Daily]:
    """Statistics of every feature; ``train`` marks the train dates among the days ``[days]``."""
    days = len(train)
    return {
        name: in_time(x, day, days, train) if kinds[name] == "market" else cross_section(x, day, days)
        for name, x in values.items()
    }


def clip_bounds(
    x: Array,
    day: NDArray[np.int64],
    daily: Daily,
    train: NDArray[np.bool_],
    method: str,
    quantiles: Sequence[float],
    hard_cap: float,
) -> tuple[float, float]:
    """Quantiles of a feature's z-scores over all members on train dates, never beyond ± ``hard_cap``.

    Without any z-score (a feature that is empty, or never varies) the bounds are the hard cap.
    """
    chosen = train[day]
    scores = z_scores(x[chosen], daily.center(method)[day[chosen]], daily.scale(method)[day[chosen]])
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return -hard_cap, hard_cap
    low, high = np.quantile(scores, quantiles)
    return max(float(low), -hard_cap), min(float(high), hard_cap)


def z_scores(x: Array, center: Array, scale: Array) -> Array:
    """``(x - center) / scale``; NaN where the scale is missing or 0, which says that the names do not differ."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > 0.0, (x - center) / scale, np.nan)


def target_scale(target: Array) -> tuple[float, float]:
    """Mean and standard deviation (n) of the labels present; NaN where there is none."""
    known = target[~np.isnan(target)]
    if not len(known):
        return float("nan"), float("nan")
    return float(known.mean()), float(known.std())


def _sorted_by_day(x: Array, day: NDArray[np.int64], n: NDArray[np.int64]) -> Array:
    """Values ``[rows]`` as a grid ``[days, most names]``, each day sorted, NaN behind."""
    start = np.cumsum(n) - n
    grid = np.full((len(n), max(int(n.max(initial=0)), 1)), np.nan)
    grid[day, np.arange(len(x)) - start[day]] = x
    grid.sort(axis=1)
    return grid


def _middle(ordered: Array, n: NDArray[np.int64]) -> Array:
    """Median of each sorted row of n values; NaN where n is 0."""
    low = np.take_along_axis(ordered, (np.maximum(n - 1, 0) // 2)[:, None], axis=1)[:, 0]
    high = np.take_along_axis(ordered, np.minimum(n // 2, ordered.shape[1] - 1)[:, None], axis=1)[:, 0]
    middle: Array = low + 0.5 * (high - low)
    return middle
