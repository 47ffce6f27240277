"""The equal-weight market of the universe: one value a day, the same for every name."""

import numpy as np

from model.quality_features import windows as w
from model.quality_features.feature import TRADING_DAYS_PER_YEAR, Feature, Market
from model.quality_features.windows import Array

_INPUTS = ("AdjClose", "InUniverse")


def _return(days: int) -> Feature[Market]:
    def compute(market: Market) -> Array:
        return market.compound(days)

    return Feature(
        f"mkt_ret_{days}d",
        "market",
        f"compounded mean r of universe members over {days} days",
        days + 1,
        _INPUTS,
        compute,
    )


def _volatility(market: Market) -> Array:
    return float(np.sqrt(TRADING_DAYS_PER_YEAR)) * market.moments[20].std(market.need(20))


def _drawdown(market: Market) -> Array:
    return np.expm1(w.drawdown(market.log_returns, 252, market.need(252)))


def _trend(market: Market) -> Array:
    change = market.compound(60)
    return np.where(np.isnan(change), np.nan, (change > 0.0).astype(np.float64))


def _z_score(x: Array, market: Market) -> Array:
    year = w.moments(x, (252,))[252]
    spread = year.std(market.need(252))
    return (x - year.average(market.need(252))) / np.where(spread > 0.0, spread, np.nan)


def _return_z(market: Market) -> Array:
    return _z_score(market.compound(20), market)


def _volatility_z(market: Market) -> Array:
    return _z_score(_volatility(market), market)


FEATURES: tuple[Feature[Market], ...] = (
    _return(1),
    _return(5),
    _return(20),
    Feature("mkt_vol_20d", "market", "√252 · std of the market's daily returns over 20 days", 21, _INPUTS, _volatility),
    Feature(
        "mkt_drawdown_252d",
        "market",
        "market level / its highest level of the last 252 days - 1",
        253,
        _INPUTS,
        _drawdown,
    ),
    Feature("mkt_trend_60d", "market", "1 if the market's 60-day return is positive, else 0", 61, _INPUTS, _trend),
    Feature("mkt_ret_20d_z_252d", "market", "z-score of mkt_ret_20d within the last 252 days", 272, _INPUTS, _return_z),
    Feature(
        "mkt_vol_20d_z_252d", "market", "z-score of mkt_vol_20d within the last 252 days", 272, _INPUTS, _volatility_z
    ),
)
