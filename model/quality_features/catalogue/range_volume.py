"""The day's range, volume against its past, and traded value."""

import numpy as np

from model.quality_features import windows as w
from model.quality_features.feature import Feature, Stock
from model.quality_features.windows import Array

_VOLUME = ("AdjVolume",)
_TURNOVER = ("TurnoverValue",)


def _range(stock: Stock) -> Array:
    return stock.high / stock.low - 1.0


def _from_high(stock: Stock) -> Array:
    width = stock.high - stock.low
    return (stock.high - stock.close) / np.where(width > 0.0, width, np.nan)


def _volume_ratio(days: int) -> Feature[Stock]:
    def compute(stock: Stock) -> Array:
        mean = w.totals(stock.volume, (days,))[days].mean(stock.need(days))
        return stock.volume / np.where(mean > 0.0, mean, np.nan)

    return Feature(f"volume_ratio_{days}d", "range_volume", f"V / mean of V over {days} days", days, _VOLUME, compute)


def _turnover_ratio(stock: Stock) -> Array:
    month = stock.turnover_totals[20].mean(stock.need(20))
    return stock.turnover_totals[5].mean(stock.need(5)) / np.where(month > 0.0, month, np.nan)


def _log_turnover(stock: Stock) -> Array:
    month = stock.turnover_totals[20].mean(stock.need(20))
    return np.log(np.where(month > 0.0, month, np.nan))


FEATURES: tuple[Feature[Stock], ...] = (
    Feature("range_1d", "range_volume", "H / L - 1", 1, ("AdjHigh", "AdjLow"), _range),
    Feature("close_from_high", "range_volume", "(H - C) / (H - L)", 1, ("AdjHigh", "AdjLow", "AdjClose"), _from_high),
    _volume_ratio(5),
    _volume_ratio(20),
    Feature(
        "turnover_ratio_5_20d",
        "range_volume",
        "mean traded value over 5 days / over 20 days",
        20,
        _TURNOVER,
        _turnover_ratio,
    ),
    Feature(
        "log_turnover_20d", "range_volume", "ln of the mean traded value over 20 days", 20, _TURNOVER, _log_turnover
    ),
)
