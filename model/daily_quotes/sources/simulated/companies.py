"""The companies behind the simulated stocks: size, margins, fiscal years. Fixed, and drawn from the settings alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.daily_quotes.settings import SimulatedSource
from model.daily_quotes.sources.simulated.structure import Stream, Structure, generator

Matrix = NDArray[np.float64]

_PRICE_TO_EARNINGS = 15.0
_TURNOVER_RATE, _RATE_SPREAD = 0.004, 0.4
"""Share of the shares outstanding that changes hands on a usual day: of the median company, and the standard deviation
of its logarithm between companies (cut at two of them)."""
AFTER_TAX = 0.65
"""Profit as a share of operating profit."""


@dataclass(frozen=True)
class Companies:
    """Per stock, in the structure's order; money in currency units."""

    shares: Matrix
    """Shares outstanding on the market's first day."""
    sales: Matrix
    """Yearly sales at the start."""
    margin: Matrix
    """Long-run operating profit over sales."""
    growth: Matrix
    """Expected logarithmic growth of sales in a year."""
    season: Matrix
    """[4, N] share of a year's sales that falls into each calendar quarter; adds up to 1."""
    year_end: NDArray[np.int64]
    """Calendar quarter (0 to 3) with which the fiscal year ends."""
    shift: NDArray[np.int64]
    """Months by which fiscal quarters end before calendar quarters."""
    capital: Matrix
    """Assets that are owed, over yearly sales."""
    equity: Matrix
    """Equity at the start, over yearly sales."""
    forecasts: NDArray[np.bool_]
    """Whether the company publishes forecasts."""
    operating: NDArray[np.bool_]
    """Whether the company reports an operating profit (banks do not)."""


def companies(settings: SimulatedSource, fixed: Structure) -> Companies:
    """Draw the companies of these stocks: as large as the trading in them suggests, and valued at about fifteen times
    their profit when the market starts."""
    rng = generator(settings, Stream.COMPANIES)
    n = fixed.size
    rate = _TURNOVER_RATE * np.exp(_RATE_SPREAD * np.clip(rng.standard_normal(n), -2.0, 2.0))
    shares = np.rint(np.exp(fixed.log_volume) / rate / 1000.0) * 1000.0
    profit = fixed.first_price * shares / _PRICE_TO_EARNINGS * np.exp(0.4 * rng.standard_normal(n))
    margin = np.clip(0.08 + 0.05 * rng.standard_normal(n), 0.015, 0.30)
    season = 1.0 + 0.15 * np.clip(rng.standard_normal((4, n)), -2.0, 2.0)
    return Companies(
        shares=shares,
        sales=profit / AFTER_TAX / margin,
        margin=margin,
        growth=0.03 + 0.06 * rng.standard_normal(n),
        season=season / season.sum(axis=0),
        year_end=np.searchsorted(np.array([0.65, 0.72, 0.80]), rng.random(n), side="right").astype(np.int64),
        shift=np.searchsorted(np.array([0.85, 0.97]), rng.random(n), side="right").astype(np.int64),
        capital=rng.uniform(0.3, 1.5, n),
        equity=rng.uniform(0.3, 1.2, n),
        forecasts=rng.random(n) >= 0.05,
        operating=rng.random(n) >= 0.05,
    )


def shares_outstanding(firms: Companies, factor: Matrix) -> Matrix:
    """[T, N] shares outstanding: those at the start, multiplied at each split (``factor``: adjustment factors)."""
    shares: Matrix = np.rint(firms.shares / np.cumprod(factor, axis=0))
    return shares
