"""Quality features: where a name stands in its day's cross-section, flags of extremes, Sharpe-like ratios.

Positions are among the day's universe members: (members below + half the members equal) / members.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from model.quality_features.feature import TRADING_DAYS_PER_YEAR, CrossSection, Feature, Stock
from model.quality_features.windows import Array


def _rank(source: str, day: CrossSection) -> Array:
    return day.rank(source)


def _flag(condition: Callable[[Array, CrossSection], Array], day: CrossSection) -> Array:
    place = day.rank("vol_20d")
    return np.where(np.isnan(place), np.nan, condition(place, day))


def _high(place: Array, day: CrossSection) -> Array:
    return (place >= day.settings.high_volatility_quantile).astype(np.float64)


def _low(place: Array, day: CrossSection) -> Array:
    return (place <= day.settings.low_volatility_quantile).astype(np.float64)


def _two_sigma(stock: Stock) -> Array:
    quarter = stock.moments[60]
    distance = np.abs(stock.returns - quarter.average(stock.need(60))) - 2.0 * quarter.std(stock.need(60))
    return np.where(np.isnan(distance), np.nan, (distance > 0.0).astype(np.float64))


def _sharpe(days: int, stock: Stock) -> Array:
    window = stock.moments[days]
    spread = window.std(stock.need(days))
    ratio = window.average(stock.need(days)) / np.where(spread > 0.0, spread, np.nan)
    return float(np.sqrt(TRADING_DAYS_PER_YEAR)) * ratio


CROSS_SECTION: tuple[Feature[CrossSection], ...] = (
    *(
        Feature(f"xs_rank_{source}", "quality", f"position of {source}", 1, (source,), partial(_rank, source))
        for source in ("ret_1d", "ret_5d", "ret_20d", "log_turnover_20d")
    ),
    Feature("xs_quantile_vol_20d", "quality", "position of vol_20d", 1, ("vol_20d",), partial(_rank, "vol_20d")),
    Feature(
        "flag_high_vol",
        "quality",
        "1 if the position of vol_20d is at least features.high_volatility_quantile, else 0",
        1,
        ("vol_20d",),
        partial(_flag, _high),
    ),
    Feature(
        "flag_low_vol",
        "quality",
        "1 if the position of vol_20d is at most features.low_volatility_quantile, else 0",
        1,
        ("vol_20d",),
        partial(_flag, _low),
    ),
)

STOCK: tuple[Feature[Stock], ...] = (
    Feature(
        "flag_two_sigma",
        "quality",
        "1 if |r - mean of r| > 2 std of r over 60 days, else 0",
        61,
        ("AdjClose",),
        _two_sigma,
    ),
    *(
        Feature(
            f"sharpe_{days}d",
            "quality",
            f"√252 · mean / std of r over {days} days",
            days + 1,
            ("AdjClose",),
            partial(_sharpe, days),
        )
        for days in (20, 60)
    ),
)
