"""A daily series in five figures: mean, spread, their ratio, a t-statistic that knows about overlap, and days."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Summary:
    """Moments of a daily series. Figures that the series cannot give are None."""

    mean: float | None
    std: float | None
    """Sample standard deviation (n - 1)."""
    ir: float | None
    """mean / std, per day (not annualised)."""
    nw_t: float | None
    """t-statistic of the mean with Newey-West standard error; None where two labels would not fit into the days."""
    n: int
    """Days that have a value."""
    bandwidth: float = 0.0
    """Lags of that standard error plus one, as a share of the days."""

    @property
    def nw_p(self) -> float | None:
        """Probability of such a t-statistic, or one further from 0, where there is nothing."""
        return None if self.nw_t is None else two_sided_p(self.nw_t, self.bandwidth)


def summarise(values: ArrayLike, horizon: int = 1) -> Summary:
    """Summary of a daily series of figures about ``horizon``-day returns; missing days (NaN) are left out.

    Labels of neighbouring days share ``horizon - 1`` days, so their figures are correlated even where there is
    nothing to find; the t-statistic uses at least three times as many lags.
    """
    series = known(values)
    n = len(series)
    if n == 0:
        return Summary(None, None, None, None, 0)
    mean = float(series.mean())
    if n < 2 or series.min() == series.max():
        return Summary(mean, 0.0 if n >= 2 else None, None, None, n)
    std = float(series.std(ddof=1))
    lags = newey_west_lags(n, horizon)
    t = newey_west_t(series, lags) if n >= 2 * horizon else None
    return Summary(mean, std, mean / std, t, n, (lags + 1) / n)


def most_within(values: ArrayLike, days: int) -> int:
    """Most values that any ``days`` neighbouring days have: so many labels of that length share a day, the first's own.

    Of a value for every day these are ``days``; of one a week, and labels over five days, one. Too few days to see that
    many count as if each had one.

    Args:
        values: one for each trading day in order, NaN where there is none.
    """
    there = ~np.isnan(np.asarray(values, dtype=np.float64))
    if len(there) < days:
        return days
    before = np.concatenate([[0], np.cumsum(there)])
    return max(int((before[days:] - before[:-days]).max()), 1)


def newey_west_lags(n: int, horizon: int) -> int:
    """Lags for ``n`` days: the usual 4 (n/100)^(2/9), and never fewer than three times the overlap ``horizon - 1``.

    With as many lags as the overlap, Bartlett's falling weights would leave out a third of the variance of a sum.
    """
    return int(min(max(3 * (horizon - 1), np.floor(4.0 * (n / 100.0) ** (2.0 / 9.0))), max(n - 1, 0)))


def newey_west_t(values: ArrayLike, lags: int) -> float | None:
    """t-statistic of the mean with Bartlett-weighted autocovariances up to ``lags`` (Newey and West, 1987).

    ``S = g_0 + 2 sum_k (1 - k / (lags + 1)) g_k`` with ``g_k = 1/n sum_t d_t d_{t-k}``, ``t = mean / sqrt(S / n)``.
    None where S is not positive (fewer than two days, a constant series).
    """
    series = known(values)
    n = len(series)
    if n < 2 or series.min() == series.max():
        return None
    deviation = series - series.mean()
    variance = float(deviation @ deviation) / n
    for lag in range(1, min(lags, n - 1) + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1.0)) * float(deviation[lag:] @ deviation[:-lag]) / n
    return float(series.mean() / np.sqrt(variance / n)) if variance > 0 else None


def two_sided_p(t: float, bandwidth: float) -> float:
    """Probability of a Newey-West t-statistic at least as far from 0 where there is nothing.

    The variance under it is itself an estimate, the poorer the more lags it has: with lags in a fixed proportion ``b``
    to the days its law is not normal (Kiefer and Vogelsang, 2005). Its mean is ``1 - b + b^2 / 3`` times the truth and
    its variance that of a chi-square with ``3 / (2b)`` degrees of freedom, so Student's t with as many stands in for
    it: up to b = 0.2 its limits are within 3 % of their table (2.24 at b = 0.1, not 1.96), and wider beyond.

    Args:
        bandwidth: b, lags plus one over days; 0 is the normal law.
    """
    from scipy.special import ndtr, stdtr  # loads slowly, and every start of Dagster loads this module

    if bandwidth == 0.0:
        return float(2.0 * ndtr(-abs(t)))
    shrunk = abs(t) * np.sqrt(1.0 - bandwidth + bandwidth**2 / 3.0)
    return float(2.0 * stdtr(1.5 / bandwidth, -shrunk))


def known(values: ArrayLike) -> NDArray[np.float64]:
    """The values that are there (not NaN), as a float64 vector."""
    series = np.asarray(values, dtype=np.float64)
    return series[~np.isnan(series)]
