"""An index of the simulated market, chained from the returns of the names that traded before and on the day."""

import numpy as np

from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated.companies import Companies, Matrix
from model.daily_quotes.sources.simulated.market import Bars
from model.daily_quotes.sources.simulated.structure import Stream, generator

_START = 1500.0


def index_levels(settings: SimulatedSource, firms: Companies, bars: Bars) -> dict[str, Matrix]:
    """[T] Open, High, Low and Close; NaN on days on which nothing traded.

    The close moves by the weighted mean return of the names with a close on the day and an earlier one; weights are
    market values at that earlier close (or equal). High and low lie outside of open and close by a small random part.
    """
    draws = generator(settings, Stream.INDEX).standard_normal((len(bars.close), 2))
    levels = np.full((4, len(bars.close)), np.nan)
    level, last = _START, np.full(bars.close.shape[1], np.nan)
    shares = firms.shares.copy()
    for day, close in enumerate(bars.close):
        factor = bars.factor[day]
        last, shares = last * factor, shares / factor
        traded = ~np.isnan(close)
        both = traded & ~np.isnan(last) & bars.listed[day]
        if traded.any():
            weight = last[both] * (shares[both] if settings.index_weighting == "cap" else 1.0 / last[both])
            total = float(weight.sum())
            opened = level * _moved(bars.open[day][both] / last[both], weight, total)
            closed = level * _moved(close[both] / last[both], weight, total)
            up, down = np.exp(0.003 * np.abs(draws[day]) * np.array([1.0, -1.0]))
            levels[:, day] = opened, max(opened, closed) * up, min(opened, closed) * down, closed
            level = closed
        last = np.where(traded, close, last)
    return dict(zip(("Open", "High", "Low", "Close"), np.round(levels, 2), strict=True))


def market_returns(bars: Bars) -> Matrix:
    """[T] equal-weighted mean of the day's returns; 0 where there is none."""
    returns = np.zeros(len(bars.close))
    before = np.full(bars.close.shape[1], np.nan)
    for day, close in enumerate(bars.close):
        moved = close / (before * bars.factor[day]) - 1.0
        known = ~np.isnan(moved)
        if known.any():
            returns[day] = moved[known].mean()
        before = close
    return returns


def _moved(ratio: Matrix, weight: Matrix, total: float) -> float:
    """Weighted mean of price ratios; 1 without any."""
    return float((ratio * weight).sum() / total) if total > 0.0 else 1.0
