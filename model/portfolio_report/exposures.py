"""What the book is exposed to besides its ranking: sectors, size and the market.

Sectors and size are taken from the market table of each day; size is the position (0 smallest, 1 largest) of the
median traded value of the last 20 days among the day's ranked names. A column that the data do not have gives no
figure.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model.metrics.bootstrap import Resampler
from model.metrics.ranked import Sorted
from model.portfolio.market import Flags, Floats, Ints, Market
from model.portfolio_report import figures
from model.portfolio_report.settings import PortfolioSettings

NO_SECTOR = "unknown"
TRAILING_DAYS = 60
"""Days behind each row of ``over_time``: enough for a slope, few enough to see it move."""


@dataclass(frozen=True)
class DailyExposures:
    """[T] each; NaN on a day that has no such figure."""

    held: Flags
    """The book holds anything."""
    book: Floats
    """Close-to-close return of what is held."""
    market: Floats
    """Mean return of all ranked names."""
    size_long: Floats
    """Mean size position of what is held long, by weight."""
    size_short: Floats
    net: Floats
    """Long minus short."""

    @property
    def size(self) -> Floats:
        """[T] the long leg's mean size position minus the short leg's."""
        return self.size_long - self.size_short

    @classmethod
    def of(cls, weights: Floats, ranked: Flags, market: Market) -> "DailyExposures":
        """Of the weights [T, N] held over each day, short ones negative, among the ranked names [T, N]."""
        held = np.abs(weights).sum(axis=1) > 0.0
        own, whole = np.empty(len(weights)), np.empty(len(weights))
        for run in market.runs:
            there = ranked[run.days] & ~market.missing[run.days]
            count = there.sum(axis=1)
            total = np.einsum("tn,tn->t", there, run.returns)
            whole[run.days] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
            own[run.days] = np.einsum("tn,tn->t", weights[run.days], run.returns)
        long, short = _sizes(weights, ranked, market.traded_value, held)
        nothing = ~held
        for series in (own, whole):
            series[nothing] = np.nan
        return cls(held, own, whole, long, short, np.where(held, weights.sum(axis=1), np.nan))


def exposures(
    weights: Floats, ranked: Flags, market: Market, settings: PortfolioSettings, resampler: Resampler
) -> dict[str, Any]:
    """Exposures over the days on which the book holds anything.

    Args:
        weights: [T, N] held over each day, short ones negative.
        ranked: [T, N] the stocks of the day's universe.
    """
    daily = DailyExposures.of(weights, ranked, market)
    block = figures.block_days(settings, settings.headline_horizon)

    def mean(values: Floats) -> figures.Figure:
        return figures.figure(_mean(values), int((~np.isnan(values)).sum()), resampler.interval(values, block))

    sized = bool((~np.isnan(daily.size)).any())
    return {
        "market_beta": figures.figure(
            _slope(daily.market, daily.book),
            int((~np.isnan(daily.market - daily.book)).sum()),
            resampler.slope_interval(daily.market, daily.book, block),
        ),
        "size": {"long": mean(daily.size_long), "short": mean(daily.size_short), "difference": mean(daily.size)}
        if sized
        else None,
        "sectors": _sectors(weights, market, daily.held),
        "net": mean(daily.net),
        "over_time": over_time(daily, market),
    }


def over_time(daily: DailyExposures, market: Market) -> list[dict[str, Any]]:
    """Beta, size and net weight over the last ``TRAILING_DAYS`` held days at the end of each calendar month.

    Months that end before so many days were held have no row.
    """
    held = np.flatnonzero(daily.held)
    dates = np.array(market.dates, dtype="datetime64[D]")[held]
    month = dates.astype("datetime64[M]")
    ends = np.flatnonzero(np.append(month[1:] != month[:-1], True)) if len(held) else np.empty(0, np.int64)
    rows = []
    for end in ends[ends + 1 >= TRAILING_DAYS]:
        days = held[end + 1 - TRAILING_DAYS : end + 1]
        rows.append(
            {
                "date": str(dates[end]),
                "market_beta": _slope(daily.market[days], daily.book[days]),
                "size": _mean(daily.size[days]),
                "net": _mean(daily.net[days]),
            }
        )
    return rows


def _sizes(weights: Floats, ranked: Flags, traded_value: Floats | None, held: Flags) -> tuple[Floats, Floats]:
    """[T] mean size position of either leg; NaN where no traded value is known."""
    if traded_value is None:
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    size = Sorted.of(np.where(ranked, traded_value, np.nan))
    position = np.zeros(weights.shape)
    for out, order, count in zip(position, size.order, size.count, strict=True):
        out[order[:count]] = np.arange(count) / max(count - 1, 1)
    legs = []
    for sign in (1.0, -1.0):
        side = np.where(size.present, np.maximum(sign * weights, 0.0), 0.0)
        total = side.sum(axis=1)
        days = held & (total > 0.0) & (size.count > 1)
        legs.append(np.where(days, np.einsum("tn,tn->t", side, position) / np.where(days, total, 1.0), np.nan))
    return legs[0], legs[1]


def _sectors(weights: Floats, market: Market, held: Flags) -> list[dict[str, Any]]:
    """Mean long, short and net weight by sector, largest net weight first; empty where no sector is known."""
    n = int(held.sum())
    if not n or market.sector is None or not market.sectors:
        return []
    names = (NO_SECTOR, *market.sectors)
    long, short = np.zeros(len(names)), np.zeros(len(names))
    for sector, row in zip(market.sector, weights, strict=True):
        number: Ints = sector.astype(np.int64) + 1
        long += np.bincount(number, np.maximum(row, 0.0), len(names))
        short += np.bincount(number, np.minimum(row, 0.0), len(names))
    rows = [
        {"sector": name, "long": float(bought / n), "short": float(sold / n), "net": float((bought + sold) / n)}
        for name, bought, sold in zip(names, long, short, strict=True)
        if bought or sold
    ]
    return sorted(rows, key=lambda row: (-abs(round(float(row["net"]), 12)), row["sector"]))


def _slope(x: Floats, y: Floats) -> float | None:
    """Least-squares slope of ``y`` on ``x``; None where ``x`` does not vary."""
    both = ~np.isnan(x - y)
    x, y = x[both], y[both]
    spread = float(np.var(x)) if len(x) > 1 else 0.0
    return float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread > 0.0 else None


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
