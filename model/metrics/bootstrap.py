"""Intervals for figures of daily series that are correlated in time.

The stationary bootstrap (Politis and Romano, 1994) joins blocks of random, geometrically distributed length, so a
resample keeps the dependence between neighbouring days. All draws are made at once and from the seed alone, and kept
as how often each resample drew each day, for means and variances need no more; two
series resampled with the same seed and length get the same days, which makes differences paired.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.metrics.summary import known

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], Floats]
"""From how often each resample drew each day [draws, days] and the days' values [days] to one figure each [draws]; NaN
where a resample has none."""

_STREAM = 0x6B007
_CLEAR = 1e-6
"""Share of the mean square above which a variance is told from rounding errors."""


def stationary_indices(n: int, *, mean_block: float, draws: int, seed: int) -> NDArray[np.int64]:
    """Day positions of every resample, [draws, n].

    A resample starts at a random day and goes on day by day (around the end to the beginning); at each step it
    jumps to a new random day with probability ``1 / mean_block``.

    Raises:
        ValueError: no days, or a mean block shorter than a day.
    """
    if n < 1 or mean_block < 1:
        raise ValueError(f"the stationary bootstrap needs n >= 1 and mean_block >= 1, not {n} and {mean_block}")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, _STREAM])))
    start = rng.integers(0, n, size=(draws, n))
    jumps = rng.random((draws, n)) < 1.0 / mean_block
    jumps[:, 0] = True
    steps = np.arange(n)
    for row, own in zip(start, jumps, strict=True):
        last_jump = np.maximum.accumulate(steps * own)
        row[:] = row[last_jump] + steps - last_jump
    start[start >= n] -= n
    return start


def mean(counts: Floats, values: Floats) -> Floats:
    """Mean of each resample."""
    return np.asarray(counts @ values / len(values))


def ratio(counts: Floats, values: Floats) -> Floats:
    """Mean over standard deviation of each resample: the IR, or the Sharpe ratio before it is annualised."""
    n, centre = len(values), values.mean()
    apart = values - centre
    shift, squares = counts @ apart / n, counts @ (apart * apart)
    variance = (squares - n * shift * shift) / (n - 1)
    found = np.full(len(counts), np.nan)
    clear = variance > _CLEAR * squares / n
    found[clear] = (centre + shift[clear]) / np.sqrt(variance[clear])
    for draw in np.flatnonzero(~clear):  # (nearly) the same value drawn again and again: no difference of large numbers
        drawn = np.repeat(values, counts[draw].astype(np.int64))
        if drawn.min() < drawn.max():
            found[draw] = drawn.mean() / drawn.std(ddof=1)
    return found


def slope(counts: Floats, pairs: Floats) -> Floats:
    """Least-squares slope of each resample; ``pairs`` [2, days] are x and y. NaN where x does not vary."""
    n = pairs.shape[1]
    x, y = pairs - pairs.mean(axis=1, keepdims=True)
    shift_x, shift_y = counts @ x / n, counts @ y / n
    together, spread = counts @ (x * y) / n - shift_x * shift_y, counts @ (x * x) / n - shift_x**2
    known = spread > _CLEAR * float(np.mean(x * x))
    return np.where(known, together / np.where(known, spread, 1.0), np.nan)


class Resampler:
    """Intervals of one report: the draws of a length and block are made once and shared by all its figures.

    Args:
        draws: resamples behind each interval.
        seed: two resamplers of the same seed draw the same days.
        confidence: share of the resamples inside an interval.
    """

    def __init__(self, draws: int, seed: int, confidence: float = 0.95) -> None:
        self.draws = draws
        self.seed = seed
        self.confidence = confidence
        self._drawn: dict[tuple[int, float], Floats] = {}

    def interval(self, values: ArrayLike, mean_block: float, statistic: Statistic = mean) -> tuple[float, float] | None:
        """Percentile interval of a figure of one daily series; missing days (NaN) are left out.

        None with fewer than two days, or where no resample has the figure.
        """
        series = known(values)
        if len(series) < 2:
            return None
        return percentiles(statistic(self._counts(len(series), mean_block), series), self.confidence)

    def paired_interval(
        self,
        first: ArrayLike,
        second: ArrayLike,
        mean_block: float,
        statistic: Statistic = mean,
        combine: Callable[[Floats, Floats], Floats] = np.subtract,
    ) -> tuple[float, float] | None:
        """Interval of the difference (or another ``combine``) of two figures, over the days that both series have.

        Both are resampled on the same days, so what moves them alike cancels.
        """
        both = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
        both = both[:, ~np.isnan(both).any(axis=0)]
        if both.shape[1] < 2:
            return None
        counts = self._counts(both.shape[1], mean_block)
        return percentiles(combine(statistic(counts, both[0]), statistic(counts, both[1])), self.confidence)

    def slope_interval(self, x: ArrayLike, y: ArrayLike, mean_block: float) -> tuple[float, float] | None:
        """Interval of the least-squares slope of ``y`` on ``x``, over the days that both have."""
        both = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
        both = both[:, ~np.isnan(both).any(axis=0)]
        if both.shape[1] < 3:
            return None
        return percentiles(slope(self._counts(both.shape[1], mean_block), both), self.confidence)

    def _counts(self, n: int, mean_block: float) -> Floats:
        """[draws, n] how often each resample drew each day: a mean over the resample is a product with them."""
        key = (n, mean_block)
        if key not in self._drawn:
            days = stationary_indices(n, mean_block=mean_block, draws=self.draws, seed=self.seed)
            self._drawn[key] = np.stack([np.bincount(row, minlength=n) for row in days]).astype(np.float64)
        return self._drawn[key]


def percentiles(figures: Floats | Sequence[float], confidence: float) -> tuple[float, float] | None:
    """The central interval that holds ``confidence`` of the figures; None where there are none."""
    there = known(figures)
    if len(there) == 0:
        return None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(there, [tail, 1.0 - tail])
    return float(low), float(high)
