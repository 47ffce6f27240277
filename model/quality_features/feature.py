"""What a feature is, and the three views of the data that features are computed from.

A feature reads one of: the **market** (one equal-weight series over the universe), a **stock**'s own bars (with the
market beside them), or a day's **cross-section** of features that are already computed. All arrays have days first;
stocks come in blocks of codes that fit the processor's cache, and a value depends on its own column and the market
only, so the size of a block never shows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.quality_features import windows as w
from model.quality_features.cross_section import group_mean, position
from model.quality_features.settings import FeatureSettings, GroupName
from model.quality_features.windows import Array

TRADING_DAYS_PER_YEAR = 252
RETURN_WINDOWS = (5, 10, 20, 60)

Scope = Literal["market", "stock", "cross_section"]
View = TypeVar("View")


@dataclass(frozen=True)
class Feature(Generic[View]):
    """One declaration: everything that is known about a feature, and the function that computes it."""

    name: str
    group: GroupName
    formula: str
    """For people; C, O, H, L, V are adjusted close, open, high, low and volume, r the 1-day simple return."""
    lookback: int
    """Trading days that a value reads, its own included (in a cross-section: beyond those of its inputs, 1)."""
    inputs: tuple[str, ...]
    compute: Callable[[View], Array]


@dataclass(frozen=True)
class Market:
    """The equal-weight market: mean 1-day return of the universe's members on each day, ``[days, 1]``."""

    returns: Array
    minimum_share: float

    def need(self, window: int) -> float:
        """Days of a window that must hold a value."""
        return float(np.ceil(self.minimum_share * window))

    @cached_property
    def log_returns(self) -> Array:
        """Log return of the market."""
        return np.log1p(self.returns)

    @cached_property
    def _log_totals(self) -> dict[int, w.Total]:
        return w.totals(self.log_returns, (1, 5, 20, 60))

    def compound(self, window: int) -> Array:
        """Return over 1, 5, 20 or 60 days, daily returns compounded."""
        return np.expm1(self._log_totals[window].total(self.need(window)))

    @cached_property
    def moments(self) -> dict[int, w.Moments]:
        """Moments of the daily returns."""
        return w.moments(self.returns, RETURN_WINDOWS)


@dataclass(frozen=True)
class Stock:
    """Adjusted bars of a block of codes ``[days, codes]`` and what several features derive from them."""

    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    turnover: Array
    """Traded value in the currency of the quotes."""
    market: Market
    minimum_share: float

    def need(self, window: int) -> float:
        """Days of a window that must hold a value."""
        return float(np.ceil(self.minimum_share * window))

    def over(self, days: int) -> Array:
        """Simple return over ``days`` trading days; NaN where either close is missing."""
        return self.close / w.lag(self.close, days) - 1.0

    def exponential(self, x: Array, decay: float, memory: int) -> Array:
        """Exponentially weighted mean with the settings' minimum share of weight."""
        return w.exponential(x, decay, memory, self.minimum_share)

    @cached_property
    def previous_close(self) -> Array:
        """Close of the trading day before."""
        return w.lag(self.close, 1)

    @cached_property
    def returns(self) -> Array:
        """1-day simple return."""
        return self.over(1)

    @cached_property
    def log_returns(self) -> Array:
        """1-day log return."""
        return np.log(self.close / self.previous_close)

    @cached_property
    def moments(self) -> dict[int, w.Moments]:
        """Moments of the 1-day returns."""
        return w.moments(self.returns, RETURN_WINDOWS)

    @cached_property
    def joint_moments(self) -> w.CoMoments:
        """Joint moments of the stock's and the market's 1-day returns over 60 days."""
        return w.comoments(self.returns, self.market.returns, (60,))[60]

    @cached_property
    def close_moments(self) -> dict[int, w.Moments]:
        """Moments of the close (means are the simple moving averages)."""
        return w.moments(self.close, (5, 20, 60))

    def sma(self, window: int) -> Array:
        """Simple moving average of the close over 5, 20 or 60 days."""
        return self.close_moments[window].average(self.need(window))

    @cached_property
    def highest(self) -> dict[int, Array]:
        """Highest high over 14 and 60 days."""
        return w.maxima(self.high, (14, 60))

    @cached_property
    def lowest(self) -> dict[int, Array]:
        """Lowest low over 14 and 60 days."""
        return w.minima(self.low, (14, 60))

    @cached_property
    def close_counts(self) -> dict[int, Array]:
        """Days with a close over 14 and 60 days."""
        return w.counts(~np.isnan(self.close), (14, 60))

    @cached_property
    def turnover_totals(self) -> dict[int, w.Total]:
        """Traded value over 5 and 20 days."""
        return w.totals(self.turnover, (5, 20))

    @cached_property
    def true_range(self) -> Array:
        """max(H, previous C) - min(L, previous C)."""
        return np.maximum(self.high, self.previous_close) - np.minimum(self.low, self.previous_close)

    @cached_property
    def average_true_range(self) -> Array:
        """Wilder's ATR over 14 days, with a memory of 128."""
        return self.exponential(self.true_range, 13 / 14, 128)

    @cached_property
    def rsi_14(self) -> Array:
        """Wilder's RSI over 14 days, with a memory of 128."""
        return self.rsi(14, 128)

    def rsi(self, days: int, memory: int) -> Array:
        """Relative strength index in [0, 100]; 50 where the close did not move at all."""
        change = self.close - self.previous_close
        decay = (days - 1) / days
        gain = self.exponential(np.maximum(change, 0.0), decay, memory)
        loss = self.exponential(np.maximum(-change, 0.0), decay, memory)
        moved = gain + loss
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(moved == 0.0, 50.0, 100.0 * gain / moved)


@dataclass(frozen=True)
class CrossSection:
    """Days of stored features across all codes ``[days, codes]``; reductions run over a day's members only."""

    values: Mapping[str, NDArray[np.float32]]
    member: NDArray[np.bool_]
    sector: NDArray[np.int64]
    settings: FeatureSettings

    def __getitem__(self, name: str) -> Array:
        """A feature in float64."""
        return self.values[name].astype(np.float64)

    def rank(self, name: str) -> Array:
        """Position of each name among the day's members, in (0, 1) for members (ties share)."""
        return position(self[name], self.member)

    def sector_mean(self, name: str) -> Array:
        """Mean of a feature over the members of the name's sector that day."""
        return group_mean(self[name], self.member, self.sector, self.settings.minimum_sector_names)
