"""Intervals for figures of daily series that are correlated in time.

The stationary bootstrap (Politis and Romano, 1994) joins blocks of random, geometrically distributed length, so a
resample keeps the dependence between neighbouring days. All draws are made at once and from the seed alone; two
series resampled with the same seed and length get the same days, which makes differences paired.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.metrics.summary import known

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""From resamples [draws, days] to one figure each [draws]; NaN where a resample has none."""

_STREAM = 0x6B007


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
    last_jump = np.maximum.accumulate(np.where(jumps, steps, 0), axis=1)
    chosen: NDArray[np.int64] = (np.take_along_axis(start, last_jump, axis=1) + steps - last_jump) % n
    return chosen


def mean(samples: Floats) -> Floats:
    """Mean of each resample."""
    result: Floats = samples.mean(axis=-1)
    return result


def ratio(samples: Floats) -> Floats:
    """Mean over standard deviation of each resample: the IR, or the Sharpe ratio before it is annualised."""
    centre, spread = samples.mean(axis=-1), samples.std(axis=-1, ddof=1)
    flat = samples.min(axis=-1) == samples.max(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(flat, np.nan, centre / spread)


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
        self._drawn: dict[tuple[int, float], NDArray[np.int64]] = {}

    def interval(self, values: ArrayLike, mean_block: float, statistic: Statistic = mean) -> tuple[float, float] | None:
        """Percentile interval of a figure of one daily series; missing days (NaN) are left out.

        None with fewer than two days, or where no resample has the figure.
        """
        series = known(values)
        if len(series) < 2:
            return None
        return percentiles(statistic(series[self._days(len(series), mean_block)]), self.confidence)

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
        days = self._days(both.shape[1], mean_block)
        return percentiles(combine(statistic(both[0][days]), statistic(both[1][days])), self.confidence)

    def _days(self, n: int, mean_block: float) -> NDArray[np.int64]:
        key = (n, mean_block)
        if key not in self._drawn:
            self._drawn[key] = stationary_indices(n, mean_block=mean_block, draws=self.draws, seed=self.seed)
        return self._drawn[key]


def percentiles(figures: Floats | Sequence[float], confidence: float) -> tuple[float, float] | None:
    """The central interval that holds ``confidence`` of the figures; None where there are none."""
    there = known(figures)
    if len(there) == 0:
        return None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(there, [tail, 1.0 - tail])
    return float(low), float(high)
