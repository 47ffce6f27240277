"""Alpha158 of one name in pandas and NumPy, window by window: slow, and sharing no code with the engine.

Follows the definitions of Qlib's operators (rolling windows with ``min_periods=1``, correlations and R squared void
where a window's standard deviation is at most 2e-5, comparisons with a missing value false, infinities in a rolling
window missing) with the one difference that the module documents: positions of extremes pass over missing days.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
WINDOWS = (5, 10, 20, 30, 60)
TINY = 1e-12


def alpha158(bars: pd.DataFrame) -> pd.DataFrame:
    """All 158 columns for one name.

    Args:
        bars: open, high, low, close, volume, vwap on every trading day from the name's first to its last, missing days
            as NaN.
    """
    with np.errstate(all="ignore"):
        columns = _candle(bars)
        for days in WINDOWS:
            columns |= _prices(bars, days) | _counts(bars, days) | _volumes(bars, days)
    return pd.DataFrame(columns)


def _candle(bars: pd.DataFrame) -> dict[str, pd.Series]:
    opening, high, low, close = (bars[name] for name in ("open", "high", "low", "close"))
    body_top = pd.Series(np.maximum(opening, close))
    body_bottom = pd.Series(np.minimum(opening, close))
    height = high - low + TINY
    parts = {"KMID": close - opening, "KUP": high - body_top, "KLOW": body_bottom - low, "KSFT": 2 * close - high - low}
    columns = {"KLEN": (high - low) / opening}
    for name, part in parts.items():
        columns |= {name: part / opening, f"{name}2": part / height}
    prices = {"OPEN0": opening, "HIGH0": high, "LOW0": low, "VWAP0": bars["vwap"]}
    return columns | {name: price / close for name, price in prices.items()}


def _prices(bars: pd.DataFrame, days: int) -> dict[str, pd.Series]:
    high, low, close = bars["high"], bars["low"], bars["close"]
    rolling = close.rolling(days, min_periods=1)
    top, bottom = high.rolling(days, min_periods=1).max(), low.rolling(days, min_periods=1).min()
    at_top = _per_window(high, days, lambda x: _position(x, x == np.nanmax(x)))
    at_bottom = _per_window(low, days, lambda x: _position(x, x == np.nanmin(x)))
    columns = {
        "ROC": close.shift(days) / close,
        "MA": rolling.mean() / close,
        "STD": _spread(close, days) / close,
        "BETA": _per_window(close, days, _slope) / close,
        "RSQR": _per_window(close, days, _explained).mask(_spread(close, days) <= 2e-5),
        "RESI": _per_window(close, days, _residual) / close,
        "MAX": top / close,
        "MIN": bottom / close,
        "QTLU": rolling.quantile(0.8) / close,
        "QTLD": rolling.quantile(0.2) / close,
        "RANK": rolling.rank(pct=True),
        "RSV": (close - bottom) / (top - bottom + TINY),
        "IMAX": at_top / days,
        "IMIN": at_bottom / days,
        "IMXD": (at_top - at_bottom) / days,
    }
    return {f"{name}{days}": column for name, column in columns.items()}


def _counts(bars: pd.DataFrame, days: int) -> dict[str, pd.Series]:
    c, v = bars["close"], bars["volume"]
    up = (c > c.shift(1)).astype(float).rolling(days, min_periods=1).mean()
    down = (c < c.shift(1)).astype(float).rolling(days, min_periods=1).mean()
    columns = {"CNTP": up, "CNTN": down, "CNTD": up - down}
    for prefix, series in (("", c), ("V", v)):
        change = series - series.shift(1)
        gain = change.clip(lower=0).rolling(days, min_periods=1).sum()
        loss = (-change).clip(lower=0).rolling(days, min_periods=1).sum()
        total = change.abs().rolling(days, min_periods=1).sum() + TINY
        columns |= {
            f"{prefix}SUMP": gain / total,
            f"{prefix}SUMN": loss / total,
            f"{prefix}SUMD": (gain - loss) / total,
        }
    return {f"{name}{days}": column for name, column in columns.items()}


def _volumes(bars: pd.DataFrame, days: int) -> dict[str, pd.Series]:
    c, v = bars["close"], bars["volume"]
    move = (c / c.shift(1) - 1).abs() * v
    columns = {
        "CORR": _correlation(c, np.log(v + 1), days),
        "CORD": _correlation(c / c.shift(1), np.log(v / v.shift(1) + 1), days),
        "VMA": v.rolling(days, min_periods=1).mean() / (v + TINY),
        "VSTD": _spread(v, days) / (v + TINY),
        "WVMA": _spread(move, days) / (move.rolling(days, min_periods=1).mean() + TINY),
    }
    return {f"{name}{days}": column for name, column in columns.items()}


def _per_window(series: pd.Series, days: int, of: Callable[[Array], float]) -> pd.Series:
    """``of`` the last ``days`` values, on days whose window holds a number."""
    values = series.to_numpy()
    windows = [values[max(end - days, 0) : end] for end in range(1, len(values) + 1)]
    return pd.Series([np.nan if np.isnan(x).all() else of(x) for x in windows], index=series.index)


def _position(window: Array, extreme: NDArray[np.bool_]) -> float:
    """1 for the oldest value present."""
    return float(np.argmax(extreme) - np.argmin(np.isnan(window)) + 1)


def _spread(series: pd.Series, days: int) -> pd.Series:
    """Two passes; pandas' running variance of a constant stretch after a jump is not 0."""
    return _per_window(series.replace([np.inf, -np.inf], np.nan), days, _deviation)


def _deviation(window: Array) -> float:
    values = window[~np.isnan(window)]
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan


def _correlation(left: pd.Series, right: pd.Series, days: int) -> pd.Series:
    pair = pd.DataFrame({"left": left, "right": right}).replace([np.inf, -np.inf], np.nan)
    both = pair.to_numpy()
    both = np.where(np.isnan(both).any(axis=1, keepdims=True), np.nan, both)
    found = []
    for end in range(1, len(both) + 1):
        window = both[max(end - days, 0) : end]
        window = window[~np.isnan(window[:, 0])]
        found.append(float(np.corrcoef(window.T)[0, 1]) if len(window) > 1 else np.nan)
    still = (_spread(pair["left"], days) <= 2e-5) | (_spread(pair["right"], days) <= 2e-5)
    return pd.Series(found, index=left.index).mask(still)


def _line(window: Array) -> tuple[float, float] | None:
    """Slope a day and value on the window's last day, of the least-squares line."""
    present = ~np.isnan(window)
    if present.sum() < 2:
        return None
    day = np.arange(len(window)) - len(window) + 1.0
    design = np.stack((day[present], np.ones(present.sum())), axis=1)
    slope, today = np.linalg.lstsq(design, window[present], rcond=None)[0]
    return float(slope), float(today)


def _slope(window: Array) -> float:
    line = _line(window)
    return np.nan if line is None else line[0]


def _residual(window: Array) -> float:
    line = _line(window)
    return np.nan if line is None else float(window[-1] - line[1])


def _explained(window: Array) -> float:
    present = ~np.isnan(window)
    if present.sum() < 2 or np.ptp(window[present]) == 0:
        return np.nan
    return float(np.corrcoef(np.arange(len(window))[present], window[present])[0, 1] ** 2)
