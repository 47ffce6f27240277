"""Least squares on time within a rolling window: slope, share explained and today's residual.

The values present in a window are regressed on their day, ``y = a + b·day``. Days and values enter as deviations from
their means, merged pairwise as in :mod:`model.quality_features.windows`: nothing large cancels, a constant series has
a slope of exactly 0, and a jump that has left the window has left the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.quality_features.windows import Array, Parts, over_windows, where_enough


@dataclass(frozen=True)
class Trend:
    """Moments of a window's values and of their ages (0 for the last day, growing backwards), all ``[days, codes]``."""

    last: Array
    """The window's last value; NaN where it is missing."""
    count: Array
    age: Array
    """Mean age in days of the values present."""
    mean: Array
    squares_age: Array
    squares: Array
    products: Array

    def slope(self, minimum: float) -> Array:
        """Rise a day (Qlib's ``Slope``); NaN with fewer than two values."""
        return where_enough(self._per_day_of_age() * -1.0, self.count, max(minimum, 2.0))

    def determination(self, minimum: float) -> Array:
        """R squared in [0, 1] (Qlib's ``Rsquare``); NaN where the values do not vary."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.products * self.products / (self.squares_age * self.squares)
        return where_enough(np.minimum(ratio, 1.0), self.count, max(minimum, 2.0))

    def residual(self, minimum: float) -> Array:
        """The last value less the line's (Qlib's ``Resi``); NaN where the last value is missing."""
        line = self.mean - self._per_day_of_age() * self.age
        return where_enough(self.last - line, self.count, max(minimum, 2.0))

    def _per_day_of_age(self) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.products / self.squares_age + 0.0


def trends(x: Array, windows: Sequence[int], rows: int | None = None) -> dict[int, Trend]:
    """Regression of ``x`` on time over several windows; values that are not finite are missing.

    ``rows``: how many of the last days are wanted, None for all.
    """
    present = np.isfinite(x)
    value = np.where(present, x, 0.0) + 0.0
    zero = np.zeros_like(value)
    leaf = (present.astype(np.float64), zero, value, zero, zero, zero)
    last = np.where(present, x, np.nan)
    merged = over_windows(leaf, _merge_trends, windows, rows)
    return {days: Trend(last[len(last) - len(parts[0]) :], *parts) for days, parts in merged.items()}


def _merge_trends(recent: Parts, older: Parts, days: int) -> Parts:
    """Pairwise merge of moments and co-moments (Chan, Golub and LeVeque 1979); the older stretch is ``days`` older."""
    count_a, age_a, mean_a, age_squares_a, squares_a, products_a = recent
    count_b, age_b, mean_b, age_squares_b, squares_b, products_b = older
    count = count_a + count_b
    share = count_b / np.maximum(count, 1.0)
    delta_age = (age_b + float(days)) - age_a
    delta = mean_b - mean_a
    shift_age = delta_age * share
    shift = delta * share
    shift_age_a = shift_age * count_a
    return (
        count,
        age_a + shift_age,
        mean_a + shift,
        age_squares_a + age_squares_b + delta_age * shift_age_a,
        squares_a + squares_b + delta * shift * count_a,
        products_a + products_b + delta * shift_age_a,
    )
