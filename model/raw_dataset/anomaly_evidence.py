"""What can be measured about a jump in a price series: how far, how long before, and what the trading did.

A few thousand jumps in millions of bars are worth a close look. Each gets a row of evidence from the bars around it,
gathered by index, so that the cost follows the jumps and not the history.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

BARS = pl.Schema(
    {
        "Date": pl.Date(),
        "Code": pl.String(),
        "AdjOpen": pl.Float64(),
        "AdjClose": pl.Float64(),
        "AdjVolume": pl.Float64(),
        "AdjustmentCumulative": pl.Float64(),
    }
)
"""Columns of the panel that the search reads."""

SMALLEST_JUMP = 0.336
"""|log return| from which a jump is looked at: a ratio of 1.4, below the 3:2 split."""
LONG_GAP = 20
"""Trading days without a close from which a reappearance is looked at."""

_NOISE_CLOSES, _LEVEL_CLOSES, _VOLUME_CLOSES = 60, 10, 20
_LEAST_NOISE = 0.005
_USUAL_NOISE = 0.03
"""Assumed of a code with too few returns before the jump to measure them."""


@dataclass(frozen=True)
class Evidence:
    """One entry a candidate, all arrays [candidates]; volumes and closes adjusted, NaN where unknown.

    ``jump`` is the log of the close over the previous known close, ``overnight`` that of the open over it.
    ``noise`` is the robust standard deviation of the code's daily log returns before. ``level_shift`` is the log
    ratio of the median close of the ten closes from here on to that of the ten before. ``volume_shift`` is the same
    for traded volumes over twenty, ``day_volume`` the log of this day's volume over the median of the twenty before.
    ``factor`` is the log of the adjustment factor on the row (0 for none).
    """

    row: Rows
    day: NDArray[np.datetime64]
    code: NDArray[np.object_]
    gap: Rows
    previous_close: Array
    close: Array
    jump: Array
    overnight: Array
    noise: Array
    level_shift: Array
    volume_shift: Array
    day_volume: Array
    closes_before: Rows
    closes_after: Rows
    back_after: Rows
    """Closes until the price is back where it was before the jump; 0 where it is not back within five."""
    factor: Array
    market: Array
    """Median log return of all names on the day."""


def gather(bars: pl.DataFrame, days: pl.Series, market: pl.DataFrame) -> Evidence:
    """Evidence for every jump, long gap and adjustment factor in the bars.

    Args:
        bars: ``BARS``, sorted by Code and Date, all bars of each code.
        days: every trading day, in order.
        market: Date, market_return (median log return of the names that traded on both days).
    """
    known = bars.filter(pl.col("AdjClose") > 0)
    close = known["AdjClose"].to_numpy()
    open_ = known.select(pl.when(pl.col("AdjOpen") > 0).then("AdjOpen").fill_null(np.nan))["AdjOpen"].to_numpy()
    volume = known.select(pl.when(pl.col("AdjVolume") > 0).then("AdjVolume").fill_null(np.nan))["AdjVolume"].to_numpy()
    factor = np.log(known["AdjustmentCumulative"].to_numpy())
    position = days.search_sorted(known["Date"]).cast(pl.Int64).to_numpy()
    first, size = _extents(known["Code"])
    place = np.arange(len(close)) - first

    inside = place > 0
    before = np.maximum(np.arange(len(close)) - 1, 0)
    jump = np.where(inside, np.log(close / close[before]), 0.0)
    gap = np.where(inside, position - position[before], 0)
    step = np.where(inside, factor - factor[before], 0.0)
    row = np.flatnonzero((np.abs(jump) >= SMALLEST_JUMP) | (gap >= LONG_GAP) | (np.abs(step) > 1e-6))

    returns = np.where(inside, jump, np.nan)
    previous = _windows(close, row, first, size, range(-_LEVEL_CLOSES, 0))
    following = _windows(close, row, first, size, range(_LEVEL_CLOSES))
    volume_before = _median(_windows(volume, row, first, size, range(-_VOLUME_CLOSES, 0)))
    volume_after = _median(_windows(volume, row, first, size, range(_VOLUME_CLOSES)))
    noise = _noise(_windows(returns, row, first, size, range(-_NOISE_CLOSES, 0)))
    chosen = known[row]
    with np.errstate(divide="ignore", invalid="ignore"):
        return Evidence(
            row=row,
            day=chosen["Date"].to_numpy(),
            code=chosen["Code"].to_numpy(),
            gap=gap[row],
            previous_close=close[before[row]],
            close=close[row],
            jump=jump[row],
            overnight=np.log(open_[row] / close[before[row]]),
            noise=noise,
            level_shift=np.log(_median(following) / _median(previous)),
            volume_shift=np.log(volume_after / volume_before),
            day_volume=np.log(volume[row] / volume_before),
            closes_before=place[row],
            closes_after=size[row] - place[row],
            back_after=_back_after(following, close[before[row]], jump[row], noise),
            factor=step[row],
            market=chosen.join(market, on="Date", how="left", maintain_order="left")["market_return"]
            .fill_nan(None)
            .fill_null(0.0)
            .to_numpy(),
        )


def _extents(codes: pl.Series) -> tuple[Rows, Rows]:
    """For each row the first row of its code, and how many rows the code has."""
    lengths = codes.rle().struct.field("len").cast(pl.Int64).to_numpy()
    starts = np.cumsum(lengths) - lengths
    return np.repeat(starts, lengths), np.repeat(lengths, lengths)


def _windows(values: Array, row: Rows, first: Rows, size: Rows, offsets: range) -> Array:
    """Values at the offsets around each row, within its code: [rows, offsets], NaN beyond the code's ends."""
    index = row[:, None] + np.asarray(offsets)[None, :]
    start, end = first[row][:, None], (first + size)[row][:, None]
    inside = (index >= start) & (index < end)
    return np.where(inside, values[np.clip(index, 0, max(len(values) - 1, 0))] if len(values) else np.nan, np.nan)


def _median(window: Array) -> Array:
    """Median over the second axis of what is known; NaN where nothing is."""
    known = ~np.isnan(window).all(axis=1) if window.size else np.zeros(len(window), bool)
    found = np.full(len(window), np.nan)
    if known.any():
        found[known] = np.nanmedian(window[known], axis=1)
    return found


def _noise(returns: Array) -> Array:
    """Robust standard deviation of daily log returns: 1.4826 times the median absolute one."""
    enough = (~np.isnan(returns)).sum(axis=1) >= 5
    return np.maximum(np.where(enough, 1.4826 * _median(np.abs(returns)), _USUAL_NOISE), _LEAST_NOISE)


def _back_after(following: Array, before: Array, jump: Array, noise: Array) -> Rows:
    """After how many closes (1 to 5) the price is back; what counts as back widens with the noise of the days."""
    steps = np.arange(1, 6)
    with np.errstate(invalid="ignore"):
        away = np.abs(np.log(following[:, 1:6] / before[:, None]))
        allowed = np.minimum(
            np.maximum(0.1 * np.abs(jump)[:, None], 2.0 * noise[:, None] * np.sqrt(steps + 1.0)),
            0.25 * np.abs(jump)[:, None],
        )
        back = away <= allowed
    return np.where(back.any(axis=1), back.argmax(axis=1) + 1, 0)
