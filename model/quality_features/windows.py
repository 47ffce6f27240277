"""Rolling windows over trading days that give the same bits wherever the array starts.

A running sum carries the rounding errors of everything it ever saw, and its value depends on where it began. Here
each window is assembled from scratch by doubling: the results for the last 10, 20, 40, … days come from two halves,
and a window of 70 days is the last 40, then the 20 before them, then 10 (see :func:`shorter`). That costs log2(w) array
operations instead of w, and the association is fixed, so a cell is a function of the values in its own window and of
nothing else: not of earlier or later rows, not of other codes, not of the other windows computed with it. A price jump
of a million leaves no trace once it is outside.

Arrays are float64 ``[days, codes]``, C-contiguous; a value that is not finite is missing. Missing values are skipped,
and every result carries how many values it is made of. Days before the array's first row count as missing: the caller
must bring as many rows as the longest window, or begin where the data begin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Parts = tuple[NDArray[Any], ...]
Merge = Callable[[Parts, Parts, int], Parts]
"""``merge(recent, older, days)``: the statistics of two adjoining stretches, ``recent`` covering ``days`` days.

A stretch of only missing values must be its exact identity: it stands for the time before the array begins.
"""


def shorter(days: int) -> tuple[int, int]:
    """The two stretches that a window of at least 2 days is assembled from: the recent and the older one.

    Stretches of 2, 4, 10, 20, 40, 80, … days consist of their halves, and 5 days of 4 and 1. Any other length is taken
    apart into these from the longest down, and the last of them is the older stretch: 70 days are (40 + 20) + 10, and
    252 are ((160 + 80) + 10) + 2. Windows are mostly multiples of five trading days, so they need fewer stretches that
    nobody asked for than powers of two would: 5, 10, 20, 30 and 60 days take 8 joins instead of 14.
    """
    rest = days
    while rest > (longest := _longest_stretch(rest)):
        rest -= longest
    if rest < days:
        return days - rest, rest
    return (4, 1) if days == 5 else (days // 2, days // 2)


def _longest_stretch(days: int) -> int:
    """The longest of 1, 2, 4, 5, 10, 20, 40, … that is not over ``days``."""
    return 5 << ((days // 5).bit_length() - 1) if days >= 5 else 1 << (days.bit_length() - 1)


def over_windows(leaf: Parts, merge: Merge, windows: Sequence[int], rows: int | None = None) -> dict[int, Parts]:
    """Statistics of the last ``w`` days for each ``w`` in ``windows``, from those of single days (``leaf``).

    Args:
        leaf: one array a statistic ``[days, codes]``.
        merge: joins two stretches.
        windows: in days.
        rows: how many of the last days are wanted, None for all; the results have at least these.
    """
    total = len(leaf[0])
    known = {1: leaf}
    for days, back in sorted(_needed(windows).items()):
        recent, older = shorter(days)
        length = total if rows is None else min(rows + back, total)
        known[days] = _join(known[recent], known[older], recent, length, merge)
    return {window: known[window] for window in windows}


def _needed(windows: Sequence[int]) -> dict[int, int]:
    """Every stretch of more than a day that the windows consist of, and how many earlier days of it are needed."""
    found: dict[int, int] = {}
    waiting = [(days, 0) for days in windows]
    while waiting:
        days, back = waiting.pop()
        if days > 1 and found.get(days, -1) < back:
            found[days] = back
            recent, older = shorter(days)
            waiting += [(recent, back), (older, back + recent)]
    return found


def _join(recent: Parts, older: Parts, days: int, length: int, merge: Merge) -> Parts:
    """The last ``length`` rows of ``recent`` ending at row t with ``older`` ending at row t - days.

    The first rows may have nothing older.
    """
    have = max(min(length, len(older[0]) - days), 0)
    recent = tuple(part[len(part) - length :] for part in recent)
    if not have:
        return recent
    end = len(older[0]) - days
    merged = merge(
        tuple(part[length - have :] for part in recent), tuple(part[end - have : end] for part in older), days
    )
    if have == length:
        return merged
    return tuple(np.concatenate((part[: length - have], tail)) for part, tail in zip(recent, merged, strict=True))


def where_enough(value: Array, count: Array, minimum: float) -> Array:
    """``value``, and NaN wherever it is made of fewer than ``minimum`` observations."""
    return np.where(count >= minimum, value, np.nan)


def _counted(x: Array) -> Parts:
    """Presence as 0 or 1, and the value with 0 for missing (never -0.0, which is not an exact identity)."""
    missing = ~np.isfinite(x)
    return (~missing).astype(np.float64), np.where(missing, 0.0, x) + 0.0


def added(recent: Parts, older: Parts, days: int) -> Parts:
    """The merge of sums."""
    return tuple(a + b for a, b in zip(recent, older, strict=True))


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

    def correlation(self, minimum: float) -> Array:
        """Correlation in [-1, 1]; NaN where either does not vary."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.products / (np.sqrt(self.squares_x) * np.sqrt(self.squares_y))
        return where_enough(np.clip(ratio, -1.0, 1.0), self.count, max(minimum, 2.0))


def comoments(x: Array, y: Array, windows: Sequence[int], rows: int | None = None) -> dict[int, CoMoments]:
    """Joint moments of x ``[days, codes]`` and y (same shape or ``[days, 1]``) where both are present.

    ``rows``: how many of the last days are wanted, None for all.
    """
    both = np.isfinite(x) & np.isfinite(y)
    value_x = np.where(both, x, 0.0) + 0.0
    value_y = np.where(both, y, 0.0) + 0.0
    zero = np.zeros_like(value_x)
    leaf = (both.astype(np.float64), value_x, value_y, zero, zero, zero)
    merged = over_windows(leaf, _merge_comoments, windows, rows)
    return {w: CoMoments(parts[0], *parts[3:]) for w, parts in merged.items()}


def _merge_comoments(recent: Parts, older: Parts, days: int) -> Parts:
    count_a, x_a, y_a, xx_a, yy_a, xy_a = recent
    count_b, x_b, y_b, xx_b, yy_b, xy_b = older
    count = count_a + count_b
    share = np.maximum(count, 1.0)
    np.divide(count_b, share, out=share)
    delta_x = x_b - x_a
    delta_y = y_b - y_a
    shift_x = delta_x * share
    shift_y = np.multiply(delta_y, share, out=share)
    mean_x = x_a + shift_x
    mean_y = y_a + shift_y
    # In place from here on: fresh arrays would cost as much as the arithmetic.
    shift_x *= count_a
    shift_y *= count_a
    products = delta_x * shift_y
    products += xy_a
    products += xy_b
    squares_x = np.multiply(delta_x, shift_x, out=delta_x)
    squares_x += xx_a
    squares_x += xx_b
    squares_y = np.multiply(delta_y, shift_y, out=delta_y)
    squares_y += yy_a
    squares_y += yy_b
    return count, mean_x, mean_y, squares_x, squares_y, products


def low_pass(x: Array, window: int, bins: int, minimum: float) -> Array:
    """The lowest frequencies of the last ``window`` days, evaluated at the last of them.

    The inverse of the discrete Fourier transform of the window (missing values as 0) with only the frequencies
    0 … ``bins`` cycles a window kept: ``(1/w) Σ_j x[t-j] (1 + 2 Σ_k cos(2π k j / w))``. It reads past values only.
    """
    count, value = _counted(x)
    result = over_windows((value,), added, (window,))[window][0]
    for k in range(1, bins + 1):
        result = result + 2.0 * _cosine_sum(value, 2.0 * np.pi * k / window, window)
    observed = over_windows((count,), added, (window,))[window][0]
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
