"""How long a signal lasts: the RankIC left after k days, and how alike a day's ranking is to earlier ones.

Names are sorted once a day, and each lag only counts places among the names that both sides have.
"""

from collections.abc import Sequence

import numpy as np

from model.metrics.ranked import Sorted, rank_correlation
from model.portfolio.market import Floats, Market


def ic_decay(scores: Sorted, returns: Sorted, market: Market, lags: Sequence[int], min_names: int) -> dict[int, Floats]:
    """RankIC [T] of each day's scores with the one-day return ``k`` days ahead, by lag ``k`` (1: the next day).

    Where a label over h days adds up what comes, this shows on which day it comes.

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
