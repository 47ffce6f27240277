"""Rolling windows over trading days that give the same bits wherever the array starts.

A running sum carries the rounding errors of everything it ever saw, and its value depends on where it began. Here
each window is assembled from scratch by doubling: the results for the last 2, 4, 8, … days come from two halves,
and a window of 60 days is the last 32, then the 16 before them, then 8, then 4. That costs log2(w) array operations
instead of w, and the association is fixed, so a cell is a function of the values in its own window and of nothing
else: not of earlier or later rows, not of other codes. A price jump of a million leaves no trace once it is outside.

Arrays are float64 ``[days, codes]``, C-contiguous; NaN means missing. Missing values are skipped, and every result
carries how many values it is made of. Days before the array's first row count as missing: the caller must bring as
many rows as the longest window, or begin where the data begin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Parts = tuple[Array, ...]
Merge = Callable[[Parts, Parts, int], Parts]
"""``merge(recent, older, days)``: the statistics of two adjoining stretches, ``recent`` covering ``days`` days.

A stretch of only missing values must be its exact identity: it stands for the time before the array begins.
"""


def over_windows(leaf: Parts, merge: Merge, windows: Sequence[int]) -> dict[int, Parts]:
    """Statistics of the last ``w`` days for each ``w`` in ``windows``, from those of single days (``leaf``)."""
    levels = [leaf]
    while 2 ** len(levels) <= max(windows):
        levels.append(_join(levels[-1], levels[-1], 2 ** (len(levels) - 1), merge))
    return {window: _assemble(levels, window, merge) for window in windows}


def _assemble(levels: list[Parts], window: int, merge: Merge) -> Parts:
    result: Parts | None = None
    covered = 0
    for level in reversed(range(window.bit_length())):
        if window >> level & 1:
            result = levels[level] if result is None else _join(result, levels[level], covered, merge)
            covered += 2**level
    if result is None:
        raise ValueError(f"a window must have at least one day, not {window}")
    return result


def _join(recent: Parts, older: Parts, days: int, merge: Merge) -> Parts:
    """``recent`` ending at row t with ``older`` ending at row t - days; the first rows have nothing older."""
    if days >= len(recent[0]):
        return recent
    merged = merge(tuple(part[days:] for part in recent), tuple(part[:-days] for part in older), days)
    return tuple(np.concatenate((part[:days], tail)) for part, tail in zip(recent, merged, strict=True))


def lag(x: Array, days: int) -> Array:
    """The value ``days`` trading days earlier; NaN in the first rows."""
    shifted = np.full_like(x, np.nan)
    if days < len(x):
        shifted[days:] = x[: len(x) - days]
    return shifted


def where_enough(value: Array, count: Array, minimum: float) -> Array:
    """``value``, and NaN wherever it is made of fewer than ``minimum`` observations."""
    return np.where(count >= minimum, value, np.nan)


@dataclass(frozen=True)
class Total:
    """Sum over a window and the number of values in it."""

    count: Array
    sum: Array

    def total(self, minimum: float) -> Array:
        """The sum of the values present."""
        return where_enough(self.sum, self.count, minimum)

    def mean(self, minimum: float) -> Array:
        """The mean of the values present."""
        return where_enough(self.sum / np.maximum(self.count, 1.0), self.count, minimum)


def totals(x: Array, windows: Sequence[int]) -> dict[int, Total]:
    """Sums over several windows."""
    return {w: Total(*parts) for w, parts in over_windows(_counted(x), _add, windows).items()}


def counts(present: NDArray[np.bool_], windows: Sequence[int]) -> dict[int, Array]:
    """How many days of each window are true."""
    return {w: parts[0] for w, parts in over_windows((present.astype(np.float64),), _add, windows).items()}


def _counted(x: Array) -> Parts:
    """Presence as 0 or 1, and the value with 0 for missing (never -0.0, which is not an exact identity)."""
    missing = np.isnan(x)
    return (~missing).astype(np.float64), np.where(missing, 0.0, x) + 0.0


def _add(recent: Parts, older: Parts, days: int) -> Parts:
    return tuple(a + b for a, b in zip(recent, older, strict=True))


def maxima(x: Array, windows: Sequence[int]) -> dict[int, Array]:
    """Largest value present in each window; NaN where there is none."""
    return {w: parts[0] for w, parts in over_windows((x + 0.0,), _larger, windows).items()}


def minima(x: Array, windows: Sequence[int]) -> dict[int, Array]:
    """Smallest value present in each window; NaN where there is none."""
    return {w: parts[0] for w, parts in over_windows((x + 0.0,), _smaller, windows).items()}


def _larger(recent: Parts, older: Parts, days: int) -> Parts:
    return (np.fmax(recent[0], older[0]),)


def _smaller(recent: Parts, older: Parts, days: int) -> Parts:
    return (np.fmin(recent[0], older[0]),)


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations (M2) over a window."""

    count: Array
    mean: Array
    squares: Array

    def average(self, minimum: float) -> Array:
        """The mean of the values present."""
        return where_enough(self.mean, self.count, minimum)

    def std(self, minimum: float) -> Array:
        """Standard deviation with n - 1, of at least two values."""
        variance = self.squares / np.maximum(self.count - 1.0, 1.0)
        return where_enough(np.sqrt(variance), self.count, max(minimum, 2.0))

    def population_std(self, minimum: float) -> Array:
        """Standard deviation with n."""
        return where_enough(np.sqrt(self.squares / np.maximum(self.count, 1.0)), self.count, minimum)


def moments(x: Array, windows: Sequence[int]) -> dict[int, Moments]:
    """Mean and spread over several windows, merged pairwise (Chan, Golub and LeVeque 1979): stable, no cancellation."""
    count, value = _counted(x)
    leaf = (count, value, np.zeros_like(value))
    return {w: Moments(*parts) for w, parts in over_windows(leaf, _merge_moments, windows).items()}


def _merge_moments(recent: Parts, older: Parts, days: int) -> Parts:
    count_a, mean_a, squares_a = recent
    count_b, mean_b, squares_b = older
    count = count_a + count_b
    share = count_b / np.maximum(count, 1.0)
    delta = mean_b - mean_a
    shift = delta * share
    return count, mean_a + shift, squares_a + squares_b + delta * shift * count_a


@dataclass(frozen=True)
class CoMoments:
    """Joint count, sums of squared deviations and of cross products over a window."""

    count: Array
    squares_x: Array
    squares_y: Array
    products: Array

    def slope(self, minimum: float) -> Array:
        """Least-squares slope of x on y; NaN where y does not vary."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return where_enough(self.products / self.squares_y, self.count, max(minimum, 2.0))

    def determination(self, minimum: float) -> Array:
        """Squared correlation, in [0, 1]; NaN where either does not vary."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.products * self.products / (self.squares_x * self.squares_y)
        return where_enough(np.minimum(ratio, 1.0), self.count, max(minimum, 2.0))


def comoments(x: Array, y: Array, windows: Sequence[int]) -> dict[int, CoMoments]:
    """Joint moments of x ``[days, codes]`` and y (same shape or ``[days, 1]``) where both are present."""
    both = ~(np.isnan(x) | np.isnan(y))
    value_x = np.where(both, x, 0.0) + 0.0
    value_y = np.where(both, y, 0.0) + 0.0
    zero = np.zeros_like(value_x)
    leaf = (both.astype(np.float64), value_x, value_y, zero, zero, zero)
    merged = over_windows(leaf, _merge_comoments, windows)
    return {w: CoMoments(parts[0], *parts[3:]) for w, parts in merged.items()}


def _merge_comoments(recent: Parts, older: Parts, days: int) -> Parts:
    count_a, x_a, y_a, xx_a, yy_a, xy_a = recent
    count_b, x_b, y_b, xx_b, yy_b, xy_b = older
    count = count_a + count_b
    share = count_b / np.maximum(count, 1.0)
    delta_x = x_b - x_a
    delta_y = y_b - y_a
    shift_x = delta_x * share
    shift_y = delta_y * share
    return (
        count,
        x_a + shift_x,
        y_a + shift_y,
        xx_a + xx_b + delta_x * shift_x * count_a,
        yy_a + yy_b + delta_y * shift_y * count_a,
        xy_a + xy_b + delta_x * shift_y * count_a,
    )


def exponential(x: Array, decay: float, memory: int, minimum_share: float) -> Array:
    """Exponentially weighted mean of the last ``memory`` days: weights ``decay**age``, normalised over those present.

    NaN where the values present carry less than ``minimum_share`` of the weight of a full window.
    """

    def discount(recent: Parts, older: Parts, days: int) -> Parts:
        factor = decay**days
        return tuple(a + factor * b for a, b in zip(recent, older, strict=True))

    weight, weighted = over_windows(_counted(x), discount, (memory,))[memory]
    full = (1.0 - decay**memory) / (1.0 - decay)
    return where_enough(weighted / np.maximum(weight, 1e-300), weight, minimum_share * full)


def low_pass(x: Array, window: int, bins: int, minimum: float) -> Array:
    """The lowest frequencies of the last ``window`` days, evaluated at the last of them.

    The inverse of the discrete Fourier transform of the window (missing values as 0) with only the frequencies
    0 … ``bins`` cycles a window kept: ``(1/w) Σ_j x[t-j] (1 + 2 Σ_k cos(2π k j / w))``. It reads past values only.
    """
    count, value = _counted(x)
    result = over_windows((value,), _add, (window,))[window][0]
    for k in range(1, bins + 1):
        result = result + 2.0 * _cosine_sum(value, 2.0 * np.pi * k / window, window)
    observed = over_windows((count,), _add, (window,))[window][0]
    return where_enough(result / window, observed, minimum)


def _cosine_sum(value: Array, angle: float, window: int) -> Array:
    """``Σ_j cos(angle·j) x[t-j]`` by doubling: an older stretch is turned by the angle of its distance."""

    def turn(recent: Parts, older: Parts, days: int) -> Parts:
        cosine, sine = float(np.cos(angle * days)), float(np.sin(angle * days))
        return (
            recent[0] + (cosine * older[0] - sine * older[1]),
            recent[1] + (sine * older[0] + cosine * older[1]),
        )

    return over_windows((value, np.zeros_like(value)), turn, (window,))[window][0]


def drawdown(log_return: Array, window: int, minimum: float) -> Array:
    """Log level today minus its highest point within the last ``window`` daily log returns; at most 0."""
    count, value = _counted(log_return)
    leaf = (count, value, np.minimum(value, 0.0))
    observed, _, deepest = over_windows(leaf, _merge_drawdowns, (window,))[window]
    return where_enough(deepest, observed, minimum)


def _merge_drawdowns(recent: Parts, older: Parts, days: int) -> Parts:
    """The peak lies in the recent stretch, or in the older one with all recent returns after it."""
    return recent[0] + older[0], recent[1] + older[1], np.minimum(recent[2], recent[1] + older[2])


def mean_absolute_deviation(x: Array, center: Array, window: int) -> Array:
    """Mean of ``|x[t-j] - center[t]|`` over the days present; the centre moves with t, so it cannot be doubled."""
    total = np.zeros_like(x)
    count = np.zeros_like(x)
    for days in range(window):
        distance = np.abs(lag(x, days) - center)
        present = ~np.isnan(distance)
        total += np.where(present, distance, 0.0)
        count += present
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
