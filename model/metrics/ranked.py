"""Cross-sections as dense arrays: names are sorted once a day, and every figure is counted from that order.

IC and RankIC as :mod:`model.metrics.ic` defines them on rows, the hit rate and the means of equal groups, for one table
[days, names] of scores and one of labels on the same grid. A report needs a dozen figures of the same scores and
labels; here they share one sort.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.metrics.order import in_order, row_order, span

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_BLOCK_DAYS = 64
"""Days ranked at a time, so that the work stays in the processor's cache."""


@dataclass(frozen=True)
class Sorted:
    """[T, N] values with each day's order; equal values share one rank."""

    values: Floats
    """NaN is absent."""
    present: Flags
    order: Ints
    """Name positions by increasing value, equal ones by position, absent ones last."""

    @classmethod
    def of(cls, values: Floats) -> "Sorted":
        """Sort each day's values; NaN is absent."""
        return cls(values, ~np.isnan(values), row_order(values))

    def days(self, rows: Ints) -> "Sorted":
        """The same for some of the days, in increasing order."""
        if len(rows) == len(self.values):
            return self
        own = span(rows)
        return Sorted(self.values[own], self.present[own], self.order[own])

    @cached_property
    def count(self) -> Ints:
        """[T] names present."""
        return np.asarray(self.present.sum(axis=1))

    @cached_property
    def varied(self) -> Flags:
        """[T] the day's values are not all the same."""
        first = self.values[np.arange(len(self.values)), self.order[:, 0]]
        last = self.values[np.arange(len(self.values)), self.order[np.arange(len(self.values)), self.count - 1]]
        return np.asarray((self.count > 1) & (first < last))

    @cached_property
    def from_highest(self) -> Ints:
        """[T, N] name positions by decreasing value, equal ones by position, absent ones last."""
        turned = np.empty_like(self.order)
        for order, values, n, out in zip(self.order, self.values, self.count, turned, strict=True):
            ordered = values[order[:n]]
            tied = bool((ordered[1:] == ordered[:-1]).any())
            out[:n] = np.argsort(-values, kind="stable")[:n] if tied else order[:n][::-1]
            out[n:] = order[n:]
        return turned

    @cached_property
    def centred(self) -> Floats:
        """[T, N] average ranks among all that are present, minus their mean; 0 for the absent."""
        found = np.empty_like(self.values)
        for start in range(0, len(found), _BLOCK_DAYS):
            rows = slice(start, start + _BLOCK_DAYS)
            found[rows] = self._centred(rows, self.present[rows])
        return found

    @cached_property
    def squares(self) -> Floats:
        """[T] sum of the squares of ``centred``."""
        return np.asarray(np.einsum("tn,tn->t", self.centred, self.centred))

    def centred_among(self, rows: Ints | slice, among: Flags) -> Floats:
        """Average ranks of some days among some of their names, minus their mean; 0 for the others."""
        found = self.centred[rows]
        fewer = np.flatnonzero((among != self.present[rows]).any(axis=1))
        if len(fewer):
            days = np.arange(len(self.values))[rows][fewer]
            found = found.copy()
            found[fewer] = self._centred(days, among[fewer])
        return found

    def _centred(self, rows: Ints | slice, among: Flags) -> Floats:
        order = self.order[rows]
        counted = np.cumsum(in_order(among, order), axis=1, dtype=np.float64)
        ordered = in_order(self.values[rows], order)
        starts = np.ones(ordered.shape, dtype=np.bool_)
        np.not_equal(ordered[:, 1:], ordered[:, :-1], out=starts[:, 1:])
        place = np.arange(ordered.shape[1])
        for day in np.flatnonzero(~starts.all(axis=1)):
            first = place[starts[day]]
            before = np.concatenate([[0.0], counted[day]])[first]
            after = counted[day][np.append(first[1:], len(place)) - 1]
            counted[day] = np.repeat((before + after + 1.0) / 2.0, np.diff(np.append(first, len(place))))
        middle = (among.sum(axis=1) + 1) / 2.0
        ranks = np.empty_like(counted)
        for out, places, found, centre in zip(ranks, order, counted, middle, strict=True):
            out[places] = found - centre
        ranks[~among] = 0.0
        return ranks


def rank_correlation(first: Sorted, second: Sorted, rows: Ints, others: Ints, min_names: int) -> Floats:
    """Spearman correlation of the days ``rows`` of one table with the days ``others`` of another.

    NaN with fewer than ``min_names`` names on both, and where a side is constant.
    """
    found = np.full(len(rows), np.nan)
    for start in range(0, len(rows), _BLOCK_DAYS):
        own, other = span(rows[start : start + _BLOCK_DAYS]), span(others[start : start + _BLOCK_DAYS])
        among = first.present[own] & second.present[other]
        count = among.sum(axis=1)
        x, y = first.centred_among(own, among), second.centred_among(other, among)
        spread = np.einsum("tn,tn->t", x, x) * np.einsum("tn,tn->t", y, y)
        known = (count >= min_names) & (spread > 0.0)
        together = np.einsum("tn,tn->t", x, y)
        found[start : start + len(count)] = np.where(known, together / np.sqrt(np.where(known, spread, 1.0)), np.nan)
    return found


@dataclass(frozen=True)
class Agreement:
    """Daily figures of scores and labels, [T] each; NaN where a day has none."""

    n: Ints
    """Names with score and label."""
    ic: Floats
    rank_ic: Floats
    hit_rate: Floats
    """Share of names on the predicted side of the day's median; score and label are both taken relative to theirs, so
    the market's direction earns nothing. A pair in which either is exactly at its median has no side and no count."""
    decile_excess: Floats | None
    """[T, groups] mean label of each score group, from the lowest, relative to the day's mean. Equal scores are taken
    by position, so that groups stay equal in size; NaN on a day with few names or a constant score, whose groups
    position alone would decide."""
    decile_n: Ints | None
    """[T, groups] names."""


def agreement(scores: Sorted, labels: Sorted, min_names: int, groups: int | None = 10) -> Agreement:
    """IC, RankIC, hit rate and group means of every day.

    Args:
        groups: equal groups by score, from the lowest; None leaves them out.
    """
    days = len(scores.values)
    everything = np.arange(days)
    among = scores.present & labels.present
    n = among.sum(axis=1)
    ic, hit_rate = np.full(days, np.nan), np.full(days, np.nan)
    excess = np.full((days, groups), np.nan) if groups else None
    sizes = np.zeros((days, groups), dtype=np.int64) if groups else None
    for day in np.flatnonzero(n):
        by_score, by_label = (_places(side, int(day), among[day], int(n[day])) for side in (scores, labels))
        x, y = scores.values[day][by_score], labels.values[day][by_score]
        ordered = labels.values[day][by_label]
        varied = bool(x[0] < x[-1] and ordered[0] < ordered[-1])
        if n[day] >= min_names and varied:
            ic[day] = _correlation(x, y)
        hit_rate[day] = _hit_rate(x, y, _middle(x), _middle(ordered), min_names)
        if groups and excess is not None and sizes is not None and n[day] >= max(min_names, groups) and x[0] < x[-1]:
            first = -(-np.arange(groups) * len(x) // groups)
            sizes[day] = np.diff(np.append(first, len(x)))
            excess[day] = np.add.reduceat(y - y.mean(), first) / sizes[day]
    rank_ic = rank_correlation(scores, labels, everything, everything, min_names)
    return Agreement(n, ic, rank_ic, hit_rate, excess, sizes)


def _places(side: Sorted, day: int, among: Flags, n: int) -> Ints:
    """Positions of the day's counted names in increasing order of a side."""
    order: Ints = side.order[day][: side.count[day]]
    return order if len(order) == n else order[among[order]]


def _correlation(x: Floats, y: Floats) -> float:
    dx, dy = x - x.mean(), y - y.mean()
    dx, dy = dx / np.abs(dx).max(), dy / np.abs(dy).max()  # squares of very large values would be infinite
    spread = float(dx @ dx) * float(dy @ dy)
    return float(dx @ dy) / float(np.sqrt(spread)) if spread > 0.0 else np.nan


def _middle(ordered: Floats) -> float:
    return float((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2.0)


def _hit_rate(x: Floats, y: Floats, middle_x: float, middle_y: float, min_names: int) -> float:
    sided = (x != middle_x) & (y != middle_y)
    n = int(np.count_nonzero(sided))
    if n < max(min_names, 1):
        return np.nan
    return float(np.count_nonzero(((x > middle_x) == (y > middle_y)) & sided) / n)
