"""Dates and clock times of what is published beside the bars.

A row lies in the partition of the first trading day on or after the local date of its publication; what would be
published after the last trading day of the market does not exist yet.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from model.daily_quotes.settings import CalendarSettings

Dates = NDArray[np.datetime64]
"""Dates with the unit day."""
Positions = NDArray[np.int64]
"""Positions of trading days, counted from the market's first."""


@dataclass(frozen=True)
class Clock:
    """The trading days of the market, and its time zone."""

    days: tuple[date, ...]
    calendar: CalendarSettings

    @cached_property
    def dates(self) -> Dates:
        """[T] the trading days."""
        return np.array(self.days, dtype="datetime64[D]")

    @property
    def size(self) -> int:
        """Number of trading days."""
        return len(self.days)

    def position(self, dates: Dates) -> Positions:
        """Position of the first trading day on or after each date; ``size`` where there is none yet."""
        return np.searchsorted(self.dates, dates, side="left")

    def known(self, dates: Dates) -> NDArray[np.bool_]:
        """Which dates lie within the market's days, so that what is published on them is delivered."""
        inside: NDArray[np.bool_] = (dates >= self.dates[0]) & (dates <= self.dates[-1])
        return inside

    @cached_property
    def week(self) -> Positions:
        """[T] the number of each trading day's calendar week, the first being 0."""
        number = (self.dates.astype(np.int64) + 3) // 7  # 1970-01-01 was a Thursday
        return np.unique(number, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def week_ends(self) -> Positions:
        """[W] position of the last trading day of each week."""
        return np.searchsorted(self.week, np.arange(self.week[-1] + 1), side="right") - 1

    @cached_property
    def week_starts(self) -> Positions:
        """[W] position of the first trading day of each week."""
        return np.searchsorted(self.week, np.arange(self.week[-1] + 1), side="left")

    def column(self, positions: Positions) -> pl.Series:
        """The dates of trading days as a column."""
        return date_column(self.dates[positions])

    def at(self, dates: Dates, minutes: NDArray[np.int64] | int) -> pl.Series:
        """Time stamps in UTC of minutes after local midnight."""
        stamps = dates.astype("datetime64[us]") + np.asarray(minutes).astype("timedelta64[m]")
        local = pl.Series("PublishedAt", stamps).dt.cast_time_unit("us")
        return local.dt.replace_time_zone(self.calendar.timezone).dt.convert_time_zone("UTC")


def date_column(dates: Dates) -> pl.Series:
    """Dates as a column."""
    return pl.Series(dates.astype("datetime64[D]").astype(np.int32)).cast(pl.Date)


def minute_of(clock_time: str) -> int:
    """Minutes after midnight of ``HH:MM``."""
    hour, minute = (int(part) for part in clock_time.split(":"))
    return 60 * hour + minute
