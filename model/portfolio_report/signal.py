"""How long a signal lasts: the RankIC left after k days, and how alike a day's ranking is to earlier ones.

The figures are those of ``model.metrics.persistence`` on dense arrays: names are sorted once a day, and each lag only
counts places among the names that both sides have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.metrics.order import row_order
from model.portfolio.market import Flags, Floats, Market

_BLOCK_DAYS = 128
"""Days ranked at a time, so that the work stays in the cache."""


@dataclass(frozen=True)
class Sorted:
    """[T, N] values with each day's order; equal values form a group, whose members share one rank."""

    present: Flags
    order: NDArray[np.int64]
    """Code positions by increasing value, absent ones last."""
    first: NDArray[np.int64] | None
    """Place of the first member of the group of each place; None where no two values of a day are equal."""
    last: NDArray[np.int64] | None

    @classmethod
    def of(cls, values: Floats) -> "Sorted":
        """Sort each day's values; NaN is absent."""
        order = row_order(values)
        ordered = np.take_along_axis(values, order, axis=1)
        starts = np.ones(values.shape, dtype=np.bool_)
        starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        if starts.all():
            return cls(~np.isnan(values), order, None, None)
        place = np.broadcast_to(np.arange(values.shape[1]), values.shape)
        first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
        ends = np.ones_like(starts)
        ends[:, :-1] = starts[:, 1:]
        last = np.minimum.accumulate(np.where(ends, place, values.shape[1])[:, ::-1], axis=1)[:, ::-1]
        return cls(~np.isnan(values), order, first, last)

    @cached_property
    def full(self) -> Floats:
        """[T, N] average ranks among all that are present."""
        return self._ranks(np.arange(len(self.order)), self.present)

    def ranks(self, rows: NDArray[np.int64], among: Flags) -> Floats:
        """Average ranks of the days ``rows`` among the names of ``among`` (of no meaning for the others)."""
        found = self.full[rows]
        fewer = np.flatnonzero((among != self.present[rows]).any(axis=1))
        if len(fewer):
            found[fewer] = self._ranks(rows[fewer], among[fewer])
        return found

    def _ranks(self, rows: NDArray[np.int64], among: Flags) -> Floats:
        order = self.order[rows]
        counted = np.cumsum(np.take_along_axis(among, order, axis=1), axis=1, dtype=np.float64)
        if self.first is not None and self.last is not None:
            padded = np.concatenate([np.zeros((len(rows), 1)), counted], axis=1)
            before = np.take_along_axis(padded, self.first[rows], axis=1)
            counted = (before + np.take_along_axis(counted, self.last[rows], axis=1) + 1.0) / 2.0
        ranks = np.empty_like(counted)
        np.put_along_axis(ranks, order, counted, axis=1)
        return ranks


def rank_correlation(
    first: Sorted, second: Sorted, rows: NDArray[np.int64], others: NDArray[np.int64], min_names: int
) -> Floats:
    """Spearman correlation of the days ``rows`` of one table with the days ``others`` of another.

    NaN with fewer than ``min_names`` names on both, and where a side is constant.
    """
    found = np.full(len(rows), np.nan)
    for start in range(0, len(rows), _BLOCK_DAYS):
        own, other = rows[start : start + _BLOCK_DAYS], others[start : start + _BLOCK_DAYS]
        among = first.present[own] & second.present[other]
        count = among.sum(axis=1)
        middle = ((count + 1) / 2.0)[:, None]
        x = np.where(among, first.ranks(own, among) - middle, 0.0)
        y = np.where(among, second.ranks(other, among) - middle, 0.0)
        spread = np.einsum("tn,tn->t", x, x) * np.einsum("tn,tn->t", y, y)
        known = (count >= min_names) & (spread > 0.0)
        together = np.einsum("tn,tn->t", x, y)
        found[start : start + len(own)] = np.where(known, together / np.sqrt(np.where(known, spread, 1.0)), np.nan)
    return found


def ic_decay(scores: Sorted, returns: Sorted, market: Market, lags: Sequence[int], min_names: int) -> dict[int, Floats]:
    """RankIC [T] of each day's scores with the one-day return ``k`` days ahead, by lag ``k`` (1: the next day).

    Args:
        returns: the market's ``calendar_returns``, sorted.
    """
    found = {}
    for lag in lags:
        later = market.day + lag - 1
        rows = np.flatnonzero(later < len(returns.present))
        found[lag] = np.full(len(market.dates), np.nan)
        found[lag][rows] = rank_correlation(scores, returns, rows, later[rows], min_names)
    return found


def autocorrelation(scores: Sorted, lags: Sequence[int], min_names: int) -> dict[int, Floats]:
    """Rank correlation of each day's scores with those ``lag`` prediction days before, by lag.

    A row of the result is a prediction day, from the ``lag``-th on.
    """
    days = np.flatnonzero(scores.present.any(axis=1))
    return {lag: rank_correlation(scores, scores, days[lag:], days[:-lag], min_names) for lag in lags}
