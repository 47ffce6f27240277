"""Intervals for figures of daily series that are correlated in time.

The stationary bootstrap (Politis and Romano, 1994) joins blocks of random, geometrically distributed length, so a
resample keeps the dependence between neighbouring days. All draws are made at once and from the seed alone, and kept
as how often each resample drew each day, for means and variances need no more; two
series resampled with the same seed and length get the same days, which makes differences paired.

Few blocks know little of their own spread, so percentiles alone are too narrow: with eight blocks a "95 %" interval
misses the truth in one case of six. ``Blocks`` says by how much an interval is widened, and when there is none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.metrics.summary import known

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], Floats]
"""From how often each resample drew each day [draws, days] and the days' values [days] to one figure each [draws]; NaN
where a resample has none."""

FEWEST_BLOCKS = 6
"""Blocks below which there is no interval: too few to know their own spread."""
_STREAM = 0x6B007
_CLEAR = 1e-6
"""Share of the mean square above which a variance is told from rounding errors."""


@dataclass(frozen=True)
class Blocks:
    """How days are resampled, and by how much an interval from them has to be wider than its percentiles."""

    days: float
    """Mean length of a block."""
    overlap: int = 1
    """Days that one value looks over: neighbours share all but one of them even where there is nothing to find."""

    @classmethod
    def of_labels(cls, horizon: int, at_least: float) -> "Blocks":
        """Blocks for daily figures of ``horizon``-day labels: twice the overlap, or longer where that is asked for."""
        return cls(max(at_least, 2 * horizon), horizon)

    def count(self, n: int) -> float:
        """How many blocks ``n`` days make."""
        return n / self.days

    def widening(self, n: int, confidence: float) -> float | None:
        """Factor of the distance between a figure and either percentile; None with fewer than ``FEWEST_BLOCKS``.

        The resamples' variance weighs autocovariances with ``(1 - 1/L)^k`` (Politis and Romano, 1994). So it falls
        short by ``(2L - 1) / n``, for the series' own mean was taken off, and of overlapping labels, whose
        autocovariances are ``(h - k) / h``, it holds the share ``kept``. Student's t with one degree of freedom fewer
        than blocks takes the place of the normal law, as for batch means (Schmeiser, 1982).
        """
        from scipy.special import ndtri, stdtrit  # loads slowly, and every start of Dagster loads this module

        blocks = self.count(n)
        if blocks < FEWEST_BLOCKS:
            return None
        lags = np.arange(1, self.overlap)
        kept = (1.0 + 2.0 * ((1.0 - 1.0 / self.days) ** lags * (1.0 - lags / self.overlap)).sum()) / self.overlap
        short = 1.0 - (2.0 * self.days - 1.0) / n
        level = (1.0 + confidence) / 2.0
        return float(stdtrit(blocks - 1.0, level) / ndtri(level) / np.sqrt(kept * short))


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

    def interval(self, values: ArrayLike, blocks: Blocks, statistic: Statistic = mean) -> tuple[float, float] | None:
        """Interval of a figure of one daily series; missing days (NaN) are left out.

        None with too few blocks, or where no resample has the figure.
        """
        return self._around(lambda counts, series: statistic(counts, series[0]), _complete(values), blocks)

    def paired_interval(
        self,
        first: ArrayLike,
        second: ArrayLike,
        blocks: Blocks,
        statistic: Statistic = mean,
        combine: Callable[[Floats, Floats], Floats] = np.subtract,
    ) -> tuple[float, float] | None:
        """Interval of the difference (or another ``combine``) of two figures, over the days that both series have.

        Both are resampled on the same days, so what moves them alike cancels.
        """
        return self._around(
            lambda counts, series: combine(statistic(counts, series[0]), statistic(counts, series[1])),
            _complete(first, second),
            blocks,
        )

    def slope_interval(self, x: ArrayLike, y: ArrayLike, blocks: Blocks) -> tuple[float, float] | None:
        """Interval of the least-squares slope of ``y`` on ``x``, over the days that both have."""
        return self._around(slope, _complete(x, y), blocks)

    def _around(self, statistic: Statistic, series: Floats, blocks: Blocks) -> tuple[float, float] | None:
        """Percentiles of the resampled figure of ``series`` [.., days], widened about the figure itself."""
        n = series.shape[1]
        wider = blocks.widening(n, self.confidence)
        found = None
        if wider is not None:
            found = percentiles(statistic(self._counts(n, blocks.days), series), self.confidence)
        if wider is None or found is None:
            return None
        own = float(statistic(np.ones((1, n)), series)[0])
        return own + wider * (found[0] - own), own + wider * (found[1] - own)

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


def _complete(*series: ArrayLike) -> Floats:
    """[series, days] of the days that all of them have."""
    together = np.stack([np.asarray(each, dtype=np.float64) for each in series])
    return np.asarray(together[:, ~np.isnan(together).any(axis=0)])
