"""Outstanding margin positions of the simulated stocks: all of them weekly, some of them daily.

A record of the last trading day of a week is published on the second trading day after it, some weeks without a time
of publication. Names under watch are published on the trading day after each record. Corrections follow under the
same record date; single figures are missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated.clock import Clock, Positions
from model.daily_quotes.sources.simulated.companies import Matrix
from model.daily_quotes.sources.simulated.market import Bars
from model.daily_quotes.sources.simulated.structure import Stream, Structure, generator

_LOT = 100.0
_WEEKLY_DAYS, _DAILY_DAYS, _CORRECTION_DAYS = 2, 1, 3
_UNDATED_SHARE = 0.05
_WATCHED_SHARE = 0.03
_LOANABLE_SHARE = 0.6


@dataclass(frozen=True)
class MarginRows:
    """Rows of one record date, [rows] each; ``dated`` says whether the source gives the time of publication."""

    kind: str
    position: Positions
    """Trading day under which the row lies: that of its publication."""
    record: Positions
    stock: Positions
    long: Matrix
    short: Matrix
    dated: bool


def margin_rows(settings: SimulatedSource, clock: Clock, fixed: Structure, bars: Bars) -> Iterator[MarginRows]:
    """The records in order; those that are published after the market's last day do not exist yet."""
    weekly, daily = generator(settings, Stream.MARGIN), generator(settings, Stream.MARGIN_DAILY)
    n = fixed.size
    loanable = weekly.random(n) < _LOANABLE_SHARE
    swing = 0.5 * weekly.standard_normal((2, n))
    size = np.exp(fixed.log_volume)
    cumulative = np.cumprod(bars.factor, axis=0)
    for week, end in enumerate(clock.week_ends):
        normal, uniform, undated = weekly.standard_normal((2, n)), weekly.random((5, n)), weekly.random()
        swing = 0.92 * swing + 0.25 * normal
        dated = bool(undated >= _UNDATED_SHARE)
        long, short = _positions(size, swing, cumulative[end], loanable)
        stock = np.flatnonzero(bars.listed[end])
        missing = uniform[:2] < settings.missing_value_rate
        yield from _records(
            "weekly", clock, int(end), stock, np.where(missing, np.nan, (long, short)), _WEEKLY_DAYS, dated
        )
        mended = np.flatnonzero(bars.listed[end] & (uniform[2] < settings.correction_rate)) if dated else stock[:0]
        values = _lots(np.stack([long, short]) * (0.9 + 0.2 * uniform[3]))
        yield from _records("weekly", clock, int(end), mended, values, _WEEKLY_DAYS + _CORRECTION_DAYS, True)
        watched = uniform[4] < _WATCHED_SHARE
        for day in range(clock.week_starts[week], end + 1):
            held = np.stack(_positions(size, swing, cumulative[day], loanable))
            yield from _watched(settings, clock, day, watched & bars.listed[day], daily.random((3, n)), held)


def _watched(
    settings: SimulatedSource,
    clock: Clock,
    day: int,
    chosen: NDArray[np.bool_],
    draws: Matrix,
    held: Matrix,
) -> Iterator[MarginRows]:
    """The daily records of the names under watch, around the week's level, and corrections of them."""
    values = _lots(held * (0.9 + 0.2 * draws[0]))
    yield from _records("daily", clock, day, np.flatnonzero(chosen), values, _DAILY_DAYS, True)
    mended = np.flatnonzero(chosen & (draws[1] < settings.correction_rate))
    values = _lots(held * (0.9 + 0.2 * draws[2]))
    yield from _records("daily", clock, day, mended, values, _DAILY_DAYS + _CORRECTION_DAYS, True)


def _positions(size: Matrix, swing: Matrix, cumulative: Matrix, loanable: NDArray[np.bool_]) -> tuple[Matrix, Matrix]:
    """Shares held long and sold short on margin; names that nobody lends have no shorts at all."""
    long = _lots(2.0 * size * np.exp(swing[0]) / cumulative)
    short = np.where(loanable, _lots(0.6 * size * np.exp(swing[1]) / cumulative), 0.0)
    return long, short


def _records(
    kind: str, clock: Clock, record: int, stock: Positions, values: Matrix, later: int, dated: bool
) -> Iterator[MarginRows]:
    """The rows of these stocks, unless they are published after the market's last day."""
    position = record + later
    if position < clock.size and len(stock):
        same = np.ones(len(stock), dtype=np.int64)
        yield MarginRows(kind, position * same, record * same, stock, values[0][stock], values[1][stock], dated)


def _lots(shares: Matrix) -> Matrix:
    lots: Matrix = np.rint(shares / _LOT) * _LOT
    return lots
