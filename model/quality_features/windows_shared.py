"""Statistics of one series over many windows that share their work.

The doubling of :mod:`model.quality_features.windows`, arranged so that everything asked of a series is computed once.
A stretch of days is assembled from the two that :func:`model.quality_features.windows.shorter` names, an exponentially
weighted one from its halves. The association depends on the length alone: which other windows are asked for never
shows in a bit.

All arrays end on the same day and are as long as somebody needs: an array of R rows holds the last R days. Where the
rows reach back far enough and no value is missing, counts are plain numbers instead of arrays; the arithmetic, and so
every bit, is the same.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.quality_features.windows import Array, shorter

Count: TypeAlias = Array | float
Statistic = Literal["count", "sum", "moments", "max", "min", "decay", "values"]
Demand: TypeAlias = tuple[Statistic, int, float]
"""What is asked for: a statistic, its window in days, and its decay (0 where it has none)."""
Mask = NDArray[np.bool_]
_Value = TypeVar("_Value", bound=np.generic)


def demands(asked: Mapping[Demand, int]) -> dict[Demand, int]:
    """Everything that has to be computed for what is asked: statistic to days needed beyond the last one.

    Args:
        asked: for each statistic, how many earlier days of it are needed.
    """
    found: dict[Demand, int] = {}
    waiting = [(demand, back) for demand, back in asked.items()]
    while waiting:
        (statistic, days, decay), back = waiting.pop()
        if found.get((statistic, days, decay), -1) >= back:
            continue
        found[statistic, days, decay] = back
        if statistic in ("sum", "moments"):
            waiting.append((("count", days, 0.0), back))
        if days > 1:
            recent, older = (days // 2, days // 2) if statistic == "decay" else shorter(days)
            waiting += [((statistic, recent, decay), back), ((statistic, older, decay), back + recent)]
    return found


class SharedWindows:
    """A series ``[days, codes]`` and what is computed of its windows, kept until the object goes."""

    def __init__(self, x: Array, asked: Mapping[Demand, int], rows: int, reach: int) -> None:
        """Args:
        x: the series; values that are not finite are missing.
        asked: result of :func:`demands`.
        rows: days of the final result; a statistic is computed for these and the earlier days that are asked for.
        reach: days before those that the series ought to have; it is shorter where the data begin.
        """
        self.x = x
        self._asked = asked
        self._rows = rows
        self._missing: Mask = ~np.isfinite(x)
        anything = bool(self._missing.any())
        self._full = not anything and len(x) >= rows + reach
        self._present: Array | None = None if self._full else (~self._missing).astype(np.float64)
        self._value: Array = np.where(self._missing, 0.0, x) if anything else x
        self._value = self._value + 0.0  # never -0.0, which is not an exact identity of addition
        self._anything_missing = anything
        self._counts: dict[int, Count] = {}
        self._sums: dict[int, Array] = {}
        self._moments: dict[int, tuple[Array, Array | None]] = {}
        self._extremes: dict[tuple[str, int], Array] = {}
        self._decayed: dict[tuple[int, float], tuple[Count, Array]] = {}

    def _length(self, statistic: Statistic, days: int, decay: float = 0.0) -> int:
        return min(self._rows + self._asked[statistic, days, decay], len(self.x))

    def count(self, days: int) -> Count:
        """Values present in the window."""
        if self._full:
            return float(days)
        known = self._counts.get(days)
        if known is None:
            length = self._length("count", days)
            if days == 1:
                known = _last(_array(self._present), length)
            else:
                recent, older = shorter(days)
                known = _added(_array(self.count(recent)), _array(self.count(older)), recent, length)
            self._counts[days] = known
        return known

    def sum(self, days: int) -> Array:
        """Sum of the values present; 0 where there is none."""
        known = self._sums.get(days)
        if known is None:
            length = self._length("sum", days)
            if days == 1:
                known = _last(self._value, length)
            else:
                recent, older = shorter(days)
                known = _added(self.sum(recent), self.sum(older), recent, length)
            self._sums[days] = known
        return known

    def moments(self, days: int) -> tuple[Count, Array, Array | None]:
        """Count, mean and sum of squared deviations (None: 0 everywhere), merged pairwise.

        Source: Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances
        (1979): stable, nothing large cancels.
        """
        known = self._moments.get(days)
        if known is None:
            length = self._length("moments", days)
            known = (_last(self._value, length), None) if days == 1 else self._merged(days, length)
            self._moments[days] = known
        return self.count(days), known[0], known[1]

    def _merged(self, days: int, length: int) -> tuple[Array, Array]:
        recent, older = shorter(days)
        count_a, mean_a, squares_a = self.moments(recent)
        count_b, mean_b, squares_b = self.moments(older)
        total = self.count(days)
        have = _overlap(len(mean_b), recent, length)
        a, b = _last(mean_a, have), _earlier(mean_b, recent, have)
        mean, squares = np.empty((length, a.shape[1])), np.empty((length, a.shape[1]))
        delta = b - a
        older_count = count_b if isinstance(count_b, float) else _earlier(count_b, recent, have)
        recent_count = count_a if isinstance(count_a, float) else _last(count_a, have)
        all_days = total if isinstance(total, float) else np.maximum(_last(total, have), 1.0)
        share = older_count / all_days
        shift = np.multiply(delta, share, out=_last(mean, have))
        delta *= shift
        delta *= recent_count
        shift += a  # which makes it the mean
        inside = _last(squares, have)
        if squares_a is None or squares_b is None:
            inside[:] = 0.0
            if squares_a is not None:
                inside += _last(squares_a, have)
            if squares_b is not None:
                inside += _earlier(squares_b, recent, have)
        else:
            np.add(_last(squares_a, have), _earlier(squares_b, recent, have), out=inside)
        inside += delta
        if have < length:
            mean[: length - have] = _last(mean_a, length)[: length - have]
            squares[: length - have] = 0.0 if squares_a is None else _last(squares_a, length)[: length - have]
        return mean, squares

    def variance(self, days: int, rows: int, freedom: int) -> Array:
        """Sum of squared deviations over count less ``freedom`` (or one) of the last ``rows`` days, a new array."""
        count, _, squares = self.moments(days)
        if squares is None:
            return np.zeros((rows, self.x.shape[1]))
        if isinstance(count, float):
            return _last(squares, rows) / max(count - freedom, 1.0)
        return _last(squares, rows) / np.maximum(_last(count, rows) - float(freedom), 1.0)

    def largest(self, days: int) -> Array:
        """Largest value present; NaN where there is none."""
        return self._extreme("max", days)

    def smallest(self, days: int) -> Array:
        """Smallest value present; NaN where there is none."""
        return self._extreme("min", days)

    def _extreme(self, which: Literal["max", "min"], days: int) -> Array:
        known = self._extremes.get((which, days))
        if known is None:
            length = self._length(which, days)
            if days == 1:
                value = np.where(self._missing, np.nan, self._value) if self._anything_missing else self._value
                known = _last(value, length)
            else:
                recent, older = shorter(days)
                a, b = self._extreme(which, recent), self._extreme(which, older)
                have = _overlap(len(b), recent, length)
                known = np.empty((length, a.shape[1]))
                pick = np.fmax if which == "max" else np.fmin
                pick(_last(a, have), _earlier(b, recent, have), out=_last(known, have))
                if have < length:
                    known[: length - have] = _last(a, length)[: length - have]
            self._extremes[which, days] = known
        return known

    def decayed(self, days: int, decay: float) -> tuple[Count, Array]:
        """Weight present and weighted sum, weights ``decay**age``; ``days`` is a power of two."""
        known = self._decayed.get((days, decay))
        if known is None:
            length = self._length("decay", days, decay)
            if days == 1:
                weight: Count = 1.0 if self._full else _last(_array(self._present), length)
                known = weight, _last(self._value, length)
            elif 2 * length < days.bit_length() - 2 and len(self.x) >= days + length - 1:
                known = self._folded(days, decay, length)
            else:
                half = days // 2
                factor = decay**half
                weight, total = self.decayed(half, decay)
                if isinstance(weight, float):
                    weight = weight + factor * weight
                else:
                    weight = _added(weight, weight, half, length, factor)
                known = weight, _added(total, total, half, length, factor)
            self._decayed[days, decay] = known
        return known

    def _folded(self, days: int, decay: float, length: int) -> tuple[Count, Array]:
        """What :meth:`decayed` gives, for very few rows: only the halves that they are made of, not those of each day.

        The same pairs are added in the same way, so that the bits are the same.
        """
        ends = range(len(self.x) - length + 1, len(self.x) + 1)
        total = np.stack([_fold(self._value[end - days : end], decay) for end in ends])
        if not self._full:
            present = _array(self._present)
            return np.stack([_fold(present[end - days : end], decay) for end in ends]), total
        weight, half = 1.0, 1
        while half < days:
            weight, half = weight + decay**half * weight, 2 * half
        return weight, total

    def deviations(self, days: int, center: Array) -> Array:
        """Sum of ``|x[t-j] - center[t]|`` over the values present; the centre moves with t, so nothing is shared."""
        length = len(center)
        total = np.zeros_like(center)
        for age in range(days):
            have = _overlap(len(self.x), age, length)
            distance = _earlier(self._value, age, have) - _last(center, have)
            np.abs(distance, out=distance)
            if self._anything_missing:
                np.copyto(distance, 0.0, where=_earlier(self._missing, age, have))
            total[length - have :] += distance
        return total


def _array(value: Count | None) -> Array:
    if not isinstance(value, np.ndarray):
        raise TypeError("counts of a series without missing values are plain numbers")
    return value


def _overlap(available: int, days: int, length: int) -> int:
    """How many of the last ``length`` days have something ``days`` days older."""
    return max(min(length, available - days), 0)


def _last(x: Array, length: int) -> Array:
    return x[len(x) - length :]


def _earlier(x: NDArray[_Value], days: int, have: int) -> NDArray[_Value]:
    return x[len(x) - days - have : len(x) - days]


def _added(a: Array, b: Array, days: int, length: int, factor: float = 1.0) -> Array:
    """``a + factor · b`` of ``days`` earlier; where b has not begun, a."""
    have = _overlap(len(b), days, length)
    result = np.empty((length, a.shape[1]))
    older = _earlier(b, days, have)
    inside = result[length - have :]
    if factor == 1.0:
        np.add(_last(a, have), older, out=inside)
    else:
        np.multiply(older, factor, out=inside)
        inside += _last(a, have)
    if have < length:
        result[: length - have] = _last(a, length)[: length - have]
    return result


def _fold(x: Array, decay: float) -> Array:
    """``Σ decay**age · x`` of the rows of one window, pair by pair; their number is a power of two."""
    half = 1
    while len(x) > 1:
        older = x[0::2] * decay**half
        older += x[1::2]
        x, half = older, 2 * half
    folded: Array = x[0]
    return folded
