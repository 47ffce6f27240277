"""Technical indicators with finite memory: what is older than the lookback has no influence at all.

Sources: Wilder (1978) for RSI, ATR and ADX, Appel for MACD, Bollinger, Lane for the stochastic, Lambert for CCI,
Granville for OBV. Indicators in units of the price (MACD, ATR) are divided by the price, and on-balance volume, whose
level depends on its first day, is taken as its change over a window per volume traded in it.
"""

from model.quality_features.catalogue.trend import AVERAGE_TRUE_RANGE
from model.quality_features.language.expression import Expression
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import abs as magnitude
from model.quality_features.language.operators import (
    close,
    coalesce,
    delta,
    ema,
    given,
    high,
    larger,
    low,
    mad,
    mean,
    positive,
    pstd,
    ret,
    sign,
    volume,
    where,
    wilder,
)
from model.quality_features.language.operators import max as highest
from model.quality_features.language.operators import min as lowest
from model.quality_features.language.operators import sum as total


def _rsi(days: int) -> Expression:
    gain, loss = wilder(larger(delta(close, 1), 0), days), wilder(larger(-delta(close, 1), 0), days)
    return where(gain + loss > 0, 100 * gain / (gain + loss), 50)


def _position(days: int) -> Expression:
    """Where the close stands between the lowest low and the highest high, in [0, 1].

    A day whose low or high the gate refused takes part with its close, which else could lie outside.
    """
    bottom, top = lowest(coalesce(low, close), days), highest(coalesce(high, close), days)
    return (close - bottom) / (top - bottom)


_MACD = ema(close, 12) - ema(close, 26)
_SIGNAL = ema(_MACD, 9)

_UP, _DOWN = delta(high, 1), -delta(low, 1)
_RISE = wilder(where((_UP > _DOWN) * (_UP > 0), _UP, 0), 14)
_FALL = wilder(where((_DOWN > _UP) * (_DOWN > 0), _DOWN, 0), 14)
# Both directional indices share the same ATR below the fraction, so it cancels in the ADX.
_DIRECTION = 100 * magnitude(_RISE - _FALL) / (_RISE + _FALL)

_TYPICAL = (high + low + close) / 3
# Of prices that did not move, rounding alone would make ± 66.7: a mean that is off by one bit, over that same bit.
_CCI = given(
    (_TYPICAL - mean(_TYPICAL, 20)) / (0.015 * mad(_TYPICAL, 20)),
    positive(highest(_TYPICAL, 20) - lowest(_TYPICAL, 20)),
)

FEATURES: tuple[Feature, ...] = (
    Feature("rsi_2", "technical", _rsi(2), description="0 to 100; 50 where the close did not move at all."),
    Feature("rsi_14", "technical", _rsi(14), description="0 to 100; 50 where the close did not move at all."),
    Feature("rsi_14_change_5d", "technical", delta(_rsi(14), 5)),
    Feature("macd_line", "technical", _MACD / close, description="MACD 12/26 over the close."),
    Feature("macd_signal", "technical", _SIGNAL / close, description="Signal of MACD 12/26/9 over the close."),
    Feature(
        "macd_hist", "technical", (_MACD - _SIGNAL) / close, description="Histogram of MACD 12/26/9 over the close."
    ),
    Feature(
        "bollinger_b_20d",
        "technical",
        0.5 + (close - mean(close, 20)) / (4 * pstd(close, 20)),
        description="%b: 0 at the lower band, 1 at the upper one; bands at 2 standard deviations.",
    ),
    Feature("bollinger_width_20d", "technical", 4 * pstd(close, 20) / mean(close, 20), description="Bandwidth."),
    Feature("natr_14", "technical", 100 * AVERAGE_TRUE_RANGE / close, description="ATR in % of the close."),
    Feature(
        "atr_14_ratio_60d",
        "technical",
        AVERAGE_TRUE_RANGE / mean(AVERAGE_TRUE_RANGE, 60) - 1,
        description="ATR against its own mean: whether ranges widen.",
    ),
    Feature("plus_di_14", "technical", 100 * _RISE / AVERAGE_TRUE_RANGE, description="Directional index upward."),
    Feature("minus_di_14", "technical", 100 * _FALL / AVERAGE_TRUE_RANGE, description="Directional index downward."),
    Feature("adx_14", "technical", wilder(_DIRECTION, 14), description="Average directional index, 0 to 100."),
    Feature("stoch_k_14", "technical", 100 * _position(14), description="Fast stochastic %K, 0 to 100."),
    Feature("stoch_d_14_3", "technical", mean(100 * _position(14), 3), description="Stochastic %D: %K over 3 days."),
    Feature("price_position_60d", "technical", _position(60)),
    Feature(
        "obv_20d",
        "technical",
        total(sign(ret(close, 1)) * volume, 20) / total(given(volume, ret(close, 1)), 20),
        description="Change of on-balance volume over the volume traded.",
    ),
    Feature("cci_20", "technical", _CCI, description="Commodity channel index; missing where the price stood still."),
)
