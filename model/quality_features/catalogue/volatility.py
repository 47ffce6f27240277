"""Volatility from closes and from ranges, annualised with √252, and Amihud's illiquidity.

Sources: Parkinson (1980), Rogers and Satchell (1991), Yang and Zhang (2000), Amihud (2002).
"""

import numpy as np

from model.quality_features import windows as w
from model.quality_features.feature import TRADING_DAYS_PER_YEAR, Feature, Stock
from model.quality_features.windows import Array

_OHLC = ("AdjOpen", "AdjHigh", "AdjLow", "AdjClose")
_ANNUAL = float(np.sqrt(TRADING_DAYS_PER_YEAR))


def _close_to_close(days: int) -> Feature[Stock]:
    def compute(stock: Stock) -> Array:
        return _ANNUAL * stock.moments[days].std(stock.need(days))

    return Feature(
        f"vol_{days}d", "volatility", f"√252 · std of r over {days} days (n-1)", days + 1, ("AdjClose",), compute
    )


def _parkinson(stock: Stock) -> Array:
    squared = np.square(np.log(stock.high / stock.low))
    variance: Array = w.totals(squared, (20,))[20].mean(stock.need(20)) / (4.0 * float(np.log(2.0)))
    return _ANNUAL * np.sqrt(variance)


def _rogers_satchell_terms(stock: Stock) -> Array:
    up: Array = np.log(stock.high / stock.close) * np.log(stock.high / stock.open)
    down: Array = np.log(stock.low / stock.close) * np.log(stock.low / stock.open)
    return up + down


def _rogers_satchell(stock: Stock) -> Array:
    mean = w.totals(_rogers_satchell_terms(stock), (20,))[20].mean(stock.need(20))
    return _ANNUAL * np.sqrt(np.maximum(mean, 0.0))


def _yang_zhang(stock: Stock) -> Array:
    weight = 0.34 / (1.34 + 21.0 / 19.0)
    need = stock.need(20)
    overnight = w.moments(np.log(stock.open / stock.previous_close), (20,))[20].std(need)
    open_close = w.moments(np.log(stock.close / stock.open), (20,))[20].std(need)
    drift_free = w.totals(_rogers_satchell_terms(stock), (20,))[20].mean(need)
    variance = np.square(overnight) + weight * np.square(open_close) + (1.0 - weight) * drift_free
    return _ANNUAL * np.sqrt(np.maximum(variance, 0.0))


def _vol_of_vol(stock: Stock) -> Array:
    short = _ANNUAL * stock.moments[5].std(stock.need(5))
    return w.moments(short, (20,))[20].std(stock.need(20))


def _amihud(stock: Stock) -> Array:
    traded = np.where(stock.turnover > 0.0, stock.turnover, np.nan)
    mean = w.totals(np.abs(stock.returns) / traded, (20,))[20].mean(stock.need(20))
    return np.log(np.where(mean > 0.0, mean, np.nan))


FEATURES: tuple[Feature[Stock], ...] = (
    *(_close_to_close(days) for days in (5, 10, 20, 60)),
    Feature(
        "parkinson_20d",
        "volatility",
        "√252 · sqrt(mean of ln(H/L)² over 20 days / (4 ln 2))",
        20,
        ("AdjHigh", "AdjLow"),
        _parkinson,
    ),
    Feature(
        "rogers_satchell_20d",
        "volatility",
        "√252 · sqrt(mean of ln(H/C) ln(H/O) + ln(L/C) ln(L/O) over 20 days)",
        20,
        _OHLC,
        _rogers_satchell,
    ),
    Feature(
        "yang_zhang_20d",
        "volatility",
        "√252 · sqrt(var of ln(O/C[t-1]) + k · var of ln(C/O) + (1-k) · Rogers-Satchell), 20 days, "
        "k = 0.34 / (1.34 + 21/19)",
        21,
        _OHLC,
        _yang_zhang,
    ),
    Feature("vol_of_vol_20d", "volatility", "std of vol_5d over 20 days", 25, ("AdjClose",), _vol_of_vol),
    Feature(
        "amihud_20d",
        "volatility",
        "ln of the mean of |r| / traded value over 20 days (days without trade skipped)",
        21,
        ("AdjClose", "TurnoverValue"),
        _amihud,
    ),
)
