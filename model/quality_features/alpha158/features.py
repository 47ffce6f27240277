"""The 158 declarations, under Qlib's names.

Qlib (Microsoft's quantitative research platform) ships this set as its ``Alpha158`` handler: 13 columns of the day's
candle and 29 statistics over each of 5, 10, 20, 30 and 60 trading days. The definitions are followed value for value
in float64; the relative difference to pyqlib 0.9.7 on random bars is below 1e-6. What is said of missing values:

* A window needs one value (``nulls="any"``), as Qlib's ``min_periods=1``; a standard deviation, a correlation or a
  regression needs two. The first rows of a name therefore have values that rest on very few days.
* A comparison with a missing day counts as "no rise" and "no fall" in CNTP, CNTN and CNTD, as in Qlib. For that a name
  must be known to be listed: a close within the last ``LISTED_WITHIN_DAYS`` days says so. Qlib looks back to the
  name's first row; the two differ only after a gap longer than that.
* An infinite ratio, such as a volume over a volume of 0, is missing inside a window, as in pandas.
* CORR, CORD and RSQR are missing where a window's standard deviation is at most 2e-5, as in Qlib. (2e-5 is absolute:
  CORR and RSQR of a series quoted in tiny units are missing throughout.)

Where the values differ on purpose:

* **IMAX, IMIN, IMXD** pass over missing days. Qlib's position in a window with a missing day is that of the first
  missing day, whatever the prices are (NumPy's ``argmax`` of NaN).
* **STD, VSTD, WVMA, BETA, RSQR, RESI, CORR** are computed afresh from each window. Qlib's running sums keep rounding
  residues of values that have left the window, which show after a large jump and in constant stretches, where
  VSTD and WVMA divide them by 1e-12.
* **VWAP0** uses traded value over adjusted volume, and is missing where nothing was traded or the source has no traded
  value. Qlib takes ``$vwap`` from the data as they come.
"""

from collections.abc import Iterator
from functools import cache

from model.quality_features.language.expression import Expression
from model.quality_features.language.feature import Feature
from model.quality_features.language.operators import abs as magnitude
from model.quality_features.language.operators import (
    close,
    coalesce,
    corr,
    count,
    delta,
    given,
    high,
    lag,
    larger,
    log,
    low,
    max_position,
    mean,
    min_position,
    positive,
    quantile,
    rank_in_time,
    smaller,
    std,
    trend_r2,
    trend_residual,
    trend_slope,
    turnover,
    varies,
    volume,
)
from model.quality_features.language.operators import max as highest
from model.quality_features.language.operators import min as lowest
from model.quality_features.language.operators import open as opening
from model.quality_features.language.operators import sum as total

GROUP = "alpha158"
WINDOWS = (5, 10, 20, 30, 60)
LISTED_WITHIN_DAYS = 60
"""A name with a close within this many trading days is listed; its missing days then count as days without a rise."""

_TINY = 1e-12
_STILL = 2e-5
_Declared = tuple[str, Expression, str]


@cache
def features() -> tuple[Feature, ...]:
    """All 158, in Qlib's order."""
    declared = (*_candle(), *_price_trend(), *_price_position(), *_with_volume(), *_direction(), *_volume())
    return tuple(
        Feature(name, GROUP, expression, nulls="any", description=description)
        for name, expression, description in declared
    )


def _candle() -> Iterator[_Declared]:
    height = high - low + _TINY
    top, bottom = larger(opening, close), smaller(opening, close)
    vwap = turnover / positive(volume)
    yield "KMID", (close - opening) / opening, "Body of the candle over the open"
    yield "KLEN", (high - low) / opening, "Range of the day over the open"
    yield "KMID2", (close - opening) / height, "Body over the range"
    yield "KUP", (high - top) / opening, "Upper shadow over the open"
    yield "KUP2", (high - top) / height, "Upper shadow over the range"
    yield "KLOW", (bottom - low) / opening, "Lower shadow over the open"
    yield "KLOW2", (bottom - low) / height, "Lower shadow over the range"
    yield "KSFT", (2 * close - high - low) / opening, "Close against the middle of the range, over the open"
    yield "KSFT2", (2 * close - high - low) / height, "Close against the middle of the range, over the range"
    yield "OPEN0", opening / close, "Open over close"
    yield "HIGH0", high / close, "High over close"
    yield "LOW0", low / close, "Low over close"
    yield "VWAP0", vwap / close, "Average price of the day's trades over close"


def _price_trend() -> Iterator[_Declared]:
    for d in WINDOWS:
        yield f"ROC{d}", lag(close, d) / close, f"Close {d} days ago over close"
    for d in WINDOWS:
        yield f"MA{d}", mean(close, d) / close, f"{d}-day mean of the close over close"
    for d in WINDOWS:
        yield f"STD{d}", std(close, d) / close, f"{d}-day standard deviation of the close over close"
    for d in WINDOWS:
        yield f"BETA{d}", trend_slope(close, d) / close, f"Daily rise of the {d}-day trend line over close"
    for d in WINDOWS:
        explained = given(trend_r2(close, d), positive(_moves(close, d)))
        yield f"RSQR{d}", explained, f"R squared of the {d}-day trend line"
    for d in WINDOWS:
        yield f"RESI{d}", trend_residual(close, d) / close, f"Close less the {d}-day trend line, over close"


def _price_position() -> Iterator[_Declared]:
    for d in WINDOWS:
        yield f"MAX{d}", highest(high, d) / close, f"{d}-day high over close"
    for d in WINDOWS:
        yield f"MIN{d}", lowest(low, d) / close, f"{d}-day low over close"
    for d in WINDOWS:
        yield f"QTLU{d}", quantile(close, 0.8, d) / close, f"80 % quantile of {d} days' closes over close"
    for d in WINDOWS:
        yield f"QTLD{d}", quantile(close, 0.2, d) / close, f"20 % quantile of {d} days' closes over close"
    for d in WINDOWS:
        yield f"RANK{d}", rank_in_time(close, d), f"Rank of the close among {d} days' closes"
    for d in WINDOWS:
        top, bottom = highest(high, d), lowest(low, d)
        yield f"RSV{d}", (close - bottom) / (top - bottom + _TINY), f"Close within the {d}-day range"
    for d in WINDOWS:
        yield f"IMAX{d}", max_position(high, d) / d, f"Position of the high within {d} days"
    for d in WINDOWS:
        yield f"IMIN{d}", min_position(low, d) / d, f"Position of the low within {d} days"
    for d in WINDOWS:
        days = max_position(high, d) - min_position(low, d)
        yield f"IMXD{d}", days / d, f"Days from the low to the high within {d} days"


def _with_volume() -> Iterator[_Declared]:
    level = log(volume + 1)
    growth, change = close / lag(close, 1), log(volume / positive(lag(volume, 1)) + 1)
    for d in WINDOWS:
        yield f"CORR{d}", _correlation(close, level, d), f"{d}-day correlation of close and log volume"
    for d in WINDOWS:
        yield f"CORD{d}", _correlation(growth, change, d), f"{d}-day correlation of price and volume change"


def _direction() -> Iterator[_Declared]:
    rises, falls = _counted(close > lag(close, 1)), _counted(close < lag(close, 1))
    for d in WINDOWS:
        yield f"CNTP{d}", mean(rises, d), f"Share of days on which the close rose, {d} days"
    for d in WINDOWS:
        yield f"CNTN{d}", mean(falls, d), f"Share of days on which the close fell, {d} days"
    for d in WINDOWS:
        yield f"CNTD{d}", mean(rises, d) - mean(falls, d), f"Share of rises less share of falls, {d} days"
    yield from _gains_and_losses("", close, "close")


def _volume() -> Iterator[_Declared]:
    weighted = magnitude(close / lag(close, 1) - 1) * volume
    for d in WINDOWS:
        yield f"VMA{d}", mean(volume, d) / (volume + _TINY), f"{d}-day mean of the volume over volume"
    for d in WINDOWS:
        yield f"VSTD{d}", std(volume, d) / (volume + _TINY), f"{d}-day standard deviation of the volume over volume"
    for d in WINDOWS:
        spread = std(weighted, d) / (mean(weighted, d) + _TINY)
        yield f"WVMA{d}", spread, f"{d}-day variation of the absolute return times volume"
    yield from _gains_and_losses("V", volume, "volume")


def _gains_and_losses(prefix: str, x: Expression, name: str) -> Iterator[_Declared]:
    """Sums of increases and decreases over the sum of both: the parts of a relative strength index."""
    change = delta(x, 1)
    gain, loss = larger(change, 0), larger(-change, 0)
    # Qlib's sum of absolute changes, from sums that are there anyway.
    moved = {d: total(gain, d) + total(loss, d) + _TINY for d in WINDOWS}
    for d in WINDOWS:
        yield f"{prefix}SUMP{d}", total(gain, d) / moved[d], f"Rises of the {name} over its movement, {d} days"
    for d in WINDOWS:
        yield f"{prefix}SUMN{d}", total(loss, d) / moved[d], f"Falls of the {name} over its movement, {d} days"
    for d in WINDOWS:
        balance = (total(gain, d) - total(loss, d)) / moved[d]
        yield f"{prefix}SUMD{d}", balance, f"Rises less falls of the {name} over its movement, {d} days"


def _counted(condition: Expression) -> Expression:
    """1 or 0; 0 on a missing day of a listed name, missing before it is listed."""
    return coalesce(condition, 0 * positive(count(close, LISTED_WITHIN_DAYS)))


def _correlation(x: Expression, y: Expression, days: int) -> Expression:
    return given(corr(x, y, days), positive(_moves(x, days) * _moves(y, days)))


def _moves(x: Expression, days: int) -> Expression:
    """1 where the window's standard deviation is above Qlib's threshold, else 0."""
    return varies(x, _STILL, days)
