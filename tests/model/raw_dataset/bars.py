"""Bars of an invented market with heavy tails, in which trading bursts with every large move."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

CODES, DAYS = 60, 260
FIRST = date(2020, 1, 6)


@dataclass
class Market:
    """Closes, opens, volumes and adjustment factors [codes, days], NaN where a code has no row."""

    close: NDArray[np.float64]
    open: NDArray[np.float64]
    volume: NDArray[np.float64]
    factor: NDArray[np.float64]

    @property
    def days(self) -> pl.Series:
        """Weekdays, as many as there are columns."""
        every = pl.date_range(FIRST, date(2035, 1, 1), "1d", eager=True).alias("Date")
        return every.filter(every.dt.weekday() <= 5).head(self.close.shape[1])

    def scale(self, code: int, first: int, price: float, volume: float, last: int | None = None) -> None:
        """Multiply a code's prices and volumes from one day on (until before another)."""
        for values, by in ((self.close, price), (self.open, price), (self.volume, volume)):
            values[code, first:last] *= by

    def remove(self, code: int, first: int, last: int) -> None:
        """Leave a code out from one day until before another."""
        for values in (self.close, self.open, self.volume):
            values[code, first:last] = np.nan

    def bars(self) -> pl.DataFrame:
        """As the search for anomalies reads them."""
        codes, days = self.close.shape
        cumulative = np.cumprod(self.factor, axis=1)
        frame = pl.DataFrame(
            {
                "Date": pl.concat([self.days] * codes),
                "Code": np.repeat([f"{code:04d}" for code in range(codes)], days),
                "AdjOpen": (self.open / cumulative).ravel(),
                "AdjClose": (self.close / cumulative).ravel(),
                "AdjVolume": (self.volume * cumulative).ravel(),
                "AdjustmentCumulative": cumulative.ravel(),
            }
        )
        return frame.filter(pl.col("AdjClose").is_not_nan())

    def market(self) -> pl.DataFrame:
        """Median log return of each day."""
        moves = np.nanmedian(np.diff(np.log(self.close), axis=1), axis=0)
        return pl.DataFrame({"Date": self.days, "market_return": np.concatenate([[0.0], moves])})


def clean(seed: int, codes: int = CODES, days: int = DAYS) -> Market:
    """Student-t returns (3 degrees), crashes and takeovers among them, each with the trading that it brings."""
    random = np.random.default_rng(seed)
    volatility = random.uniform(0.008, 0.03, (codes, 1))
    moves = volatility * random.standard_t(3, (codes, days)) + 0.007 * random.standard_normal(days)
    news = random.random((codes, days)) < 0.0005
    moves += news * random.choice([-0.7, 0.6], (codes, days))
    close = random.uniform(5, 200, (codes, 1)) * np.exp(np.cumsum(moves, axis=1))
    jitter = 0.003 * random.standard_normal((codes, days))
    opening = close * np.exp(-0.3 * moves * ~news + jitter)
    burst = np.exp(np.minimum(1.2 * np.abs(moves) / volatility, 12.0) * 0.4)
    fading = burst.copy()
    for day in range(1, days):
        fading[:, day] = np.maximum(burst[:, day], 0.85 * fading[:, day - 1])
    volume = random.uniform(1e4, 1e6, (codes, 1)) * fading * np.exp(0.4 * random.standard_normal((codes, days)))
    return Market(close, opening, volume, np.ones((codes, days)))
