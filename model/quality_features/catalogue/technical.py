"""Technical indicators with finite memory: what is older than the declared lookback has no influence at all.

Wilder's smoothing over n days is an exponential mean with decay (n - 1)/n; here it is normalised over its memory
(128 days for n = 14, beyond which 0.008 % of the weight would lie).
"""

import numpy as np

from model.quality_features import windows as w
from model.quality_features.catalogue.trend import ema, memory
from model.quality_features.feature import Feature, Stock
from model.quality_features.windows import Array

_CLOSE = ("AdjClose",)
_HLC = ("AdjHigh", "AdjLow", "AdjClose")


def _rsi_2(stock: Stock) -> Array:
    return stock.rsi(2, 16)


def _rsi_14(stock: Stock) -> Array:
    return stock.rsi_14


def _rsi_change(stock: Stock) -> Array:
    return stock.rsi_14 - w.lag(stock.rsi_14, 5)


def _macd_histogram(stock: Stock) -> Array:
    line = ema(stock, 12) - ema(stock, 26)
    signal = stock.exponential(line, 1.0 - 2.0 / 10.0, memory(9))
    return (line - signal) / stock.close


def _bollinger_b(stock: Stock) -> Array:
    spread = stock.close_moments[20].population_std(stock.need(20))
    return 0.5 + (stock.close - stock.sma(20)) / (4.0 * np.where(spread > 0.0, spread, np.nan))


def _bollinger_width(stock: Stock) -> Array:
    return 4.0 * stock.close_moments[20].population_std(stock.need(20)) / stock.sma(20)


def _natr(stock: Stock) -> Array:
    return 100.0 * stock.average_true_range / stock.close


def _adx(stock: Stock) -> Array:
    up = stock.high - w.lag(stock.high, 1)
    down = w.lag(stock.low, 1) - stock.low
    missing = np.isnan(up) | np.isnan(down)
    rise = np.where(missing, np.nan, np.where((up > down) & (up > 0.0), up, 0.0))
    fall = np.where(missing, np.nan, np.where((down > up) & (down > 0.0), down, 0.0))
    # Both directional indices share the same ATR below the fraction, so it cancels in DX.
    plus = stock.exponential(rise, 13 / 14, 128)
    minus = stock.exponential(fall, 13 / 14, 128)
    moved = plus + minus
    index = 100.0 * np.abs(plus - minus) / np.where(moved > 0.0, moved, np.nan)
    return stock.exponential(index, 13 / 14, 128)


def _within_range(stock: Stock, days: int) -> Array:
    low, high = stock.lowest[days], stock.highest[days]
    width = high - low
    share = (stock.close - low) / np.where(width > 0.0, width, np.nan)
    return w.where_enough(share, stock.close_counts[days], stock.need(days))


def _stochastic(stock: Stock) -> Array:
    return 100.0 * _within_range(stock, 14)


def _price_position(stock: Stock) -> Array:
    return _within_range(stock, 60)


def _obv(stock: Stock) -> Array:
    signed = np.sign(stock.returns) * stock.volume
    volume = np.where(np.isnan(signed), np.nan, stock.volume)
    need = stock.need(20)
    total = w.totals(volume, (20,))[20].total(need)
    return w.totals(signed, (20,))[20].total(need) / np.where(total > 0.0, total, np.nan)


def _cci(stock: Stock) -> Array:
    typical = (stock.high + stock.low + stock.close) / 3.0
    center = w.totals(typical, (20,))[20].mean(stock.need(20))
    deviation = w.mean_absolute_deviation(typical, center, 20)
    return (typical - center) / (0.015 * np.where(deviation > 0.0, deviation, np.nan))


FEATURES: tuple[Feature[Stock], ...] = (
    Feature("rsi_2", "technical", "Wilder's RSI over 2 days, memory 16", 17, _CLOSE, _rsi_2),
    Feature("rsi_14", "technical", "Wilder's RSI over 14 days, memory 128", 129, _CLOSE, _rsi_14),
    Feature("rsi_14_change_5d", "technical", "RSI14[t] - RSI14[t-5]", 134, _CLOSE, _rsi_change),
    Feature(
        "macd_hist",
        "technical",
        "((EMA12 - EMA26) - its EMA9) / C",
        memory(26) + memory(9) - 1,
        _CLOSE,
        _macd_histogram,
    ),
    Feature(
        "bollinger_b_20d",
        "technical",
        "(C - lower) / (upper - lower), bands SMA20 ± 2 std (n)",
        20,
        _CLOSE,
        _bollinger_b,
    ),
    Feature("bollinger_width_20d", "technical", "4 std (n) / SMA20", 20, _CLOSE, _bollinger_width),
    Feature("natr_14", "technical", "100 · Wilder's ATR over 14 days / C, memory 128", 129, _HLC, _natr),
    Feature(
        "adx_14",
        "technical",
        "Wilder's ADX over 14 days: smoothed |+DI - -DI| / (+DI + -DI), memory 128 twice",
        256,
        ("AdjHigh", "AdjLow"),
        _adx,
    ),
    Feature(
        "stoch_k_14", "technical", "100 · (C - lowest L) / (highest H - lowest L) over 14 days", 14, _HLC, _stochastic
    ),
    Feature(
        "price_position_60d",
        "technical",
        "(C - lowest L) / (highest H - lowest L) over 60 days",
        60,
        _HLC,
        _price_position,
    ),
    Feature(
        "obv_20d",
        "technical",
        "sum of sign(r) · V / sum of V over 20 days (on-balance volume with finite memory)",
        21,
        ("AdjClose", "AdjVolume"),
        _obv,
    ),
    Feature(
        "cci_20",
        "technical",
        "(TP - SMA20 of TP) / (0.015 · mean |TP - SMA20|), TP = (H + L + C) / 3",
        20,
        _HLC,
        _cci,
    ),
)
