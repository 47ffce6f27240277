"""What the book is exposed to besides its ranking: sectors, size and the market.

Sectors and size are taken from the market table of each day; size is the position (0 smallest, 1 largest) of the
median traded value of the last 20 days among the day's ranked names. A column that the data do not have gives no
figure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from model.metrics.bootstrap import Blocks, Resampler
from model.metrics.ranked import Sorted
from model.portfolio.market import Flags, Floats, Ints, Market
from model.portfolio_report import figures
from model.portfolio_report.settings import PortfolioSettings

NO_SECTOR = "unknown"
TRAILING_DAYS = 60
"""Days behind each row of ``over_time``: enough for a slope, few enough to see it move."""
_MIDDLE = 0.5
"""Mean size position of all ranked names: what a book that holds one side only is compared with."""


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
    sectors: tuple[str, ...]
    """S names, those of stocks without a sector first; empty where no sector is known."""
    sector_long: Floats
    """[T, S] weight held long in each sector."""
    sector_short: Floats
    """[T, S] weight held short, negative."""

    @property
    def size(self) -> Floats:
        """[T] the long leg's mean size position minus the short leg's, or the middle's in a book without that leg."""
        legs = [np.full_like(leg, _MIDDLE) if np.isnan(leg).all() else leg for leg in (self.size_long, self.size_short)]
        return np.where(self.held, legs[0] - legs[1], np.nan)

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
        net = np.where(held, weights.sum(axis=1), np.nan)
        return cls(held, own, whole, long, short, net, *_by_sector(weights, market))


def exposures(
    weights: Floats, ranked: Flags, market: Market, settings: PortfolioSettings, resampler: Resampler
) -> dict[str, Any]:
    """Exposures over the days on which the book holds anything.

    Args:
        weights: [T, N] held over each day, short ones negative.
        ranked: [T, N] the stocks of the day's universe.
    """
    daily = DailyExposures.of(weights, ranked, market)
    block = figures.book_blocks(settings, settings.headline_horizon)
    mean = partial(_mean, resampler=resampler, block=block)
    sized = not (np.isnan(daily.size_long).all() and np.isnan(daily.size_short).all())
    return {
        "market_beta": _beta(daily.market, daily.book, resampler, block),
        "size": {"long": mean(daily.size_long), "short": mean(daily.size_short), "difference": mean(daily.size)}
        if sized
        else None,
        "sectors": _sectors(daily, resampler, block),
        "net": mean(daily.net),
        "over_time": over_time(daily, market, resampler, block),
    }


def over_time(daily: DailyExposures, market: Market, resampler: Resampler, block: Blocks) -> list[dict[str, Any]]:
    """Exposures over the last ``TRAILING_DAYS`` held days at the end of each calendar month, with intervals.

    Months that end before so many days were held have no row.
    """
    mean = partial(_mean, resampler=resampler, block=block)
    held = np.flatnonzero(daily.held)
    dates = np.array(market.dates, dtype="datetime64[D]")[held]
    month = dates.astype("datetime64[M]")
    ends = np.flatnonzero(np.append(month[1:] != month[:-1], True)) if len(held) else np.empty(0, np.int64)
    rows = []
    for end in ends[ends + 1 >= TRAILING_DAYS]:
        days = held[end + 1 - TRAILING_DAYS : end + 1]
        found = {
            "market_beta": _beta(daily.market[days], daily.book[days], resampler, block),
            "size": mean(daily.size[days]),
            "net": mean(daily.net[days]),
        }
        long, short = daily.sector_long[days], daily.sector_short[days]
        rows.append(
            {
                "date": str(dates[end]),
                **{name: each["value"] for name, each in found.items()},
                "n": {name: each["n"] for name, each in found.items()},
                "interval": {name: each["interval"] for name, each in found.items()},
                "sectors": {daily.sectors[k]: float((long + short)[:, k].mean()) for k in _largest_first(long, short)},
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


def _by_sector(weights: Floats, market: Market) -> tuple[tuple[str, ...], Floats, Floats]:
    """Names of the sectors, and the weight [T, S] held long and short in each; nothing where no sector is known."""
    if market.sector is None or not market.sectors:
        return (), np.zeros((len(weights), 0)), np.zeros((len(weights), 0))
    names = (NO_SECTOR, *market.sectors)
    long, short = np.zeros((len(weights), len(names))), np.zeros((len(weights), len(names)))
    for sector, row, bought, sold in zip(market.sector, weights, long, short, strict=True):
        number: Ints = sector.astype(np.int64) + 1
        bought[:] = np.bincount(number, np.maximum(row, 0.0), len(names))
        sold[:] = np.bincount(number, np.minimum(row, 0.0), len(names))
    return names, long, short


def _largest_first(long: Floats, short: Floats) -> list[int]:
    """Numbers of the sectors that anything was held of on some days [T, S], by mean net weight."""
    ever = ((long != 0.0) | (short != 0.0)).any(axis=0)
    net = (long + short).mean(axis=0)
    return sorted(np.flatnonzero(ever).tolist(), key=lambda number: (-abs(round(float(net[number]), 12)), number))


def _sectors(daily: DailyExposures, resampler: Resampler, block: Blocks) -> list[dict[str, Any]]:
    """Mean long, short and net weight by sector over the held days, with the interval of the net weight."""
    if not daily.held.any():
        return []
    rows = []
    all_long, all_short = daily.sector_long[daily.held], daily.sector_short[daily.held]
    for number in _largest_first(all_long, all_short):
        long, short = all_long[:, number], all_short[:, number]
        net = _mean(long + short, resampler, block)
        rows.append(
            {
                "sector": daily.sectors[number],
                "long": float(long.mean()),
                "short": float(short.mean()),
                "net": net["value"],
                "n": net["n"],
                "interval": net["interval"],
            }
        )
    return rows


def _beta(market: Floats, book: Floats, resampler: Resampler, block: Blocks) -> figures.Figure:
    """Slope of the book's returns on the market's, over the days that have both."""
    n = int((~np.isnan(market - book)).sum())
    return figures.figure(_slope(market, book), n, resampler.slope_interval(market, book, block))


def _slope(x: Floats, y: Floats) -> float | None:
    """Least-squares slope of ``y`` on ``x``; None where ``x`` does not vary."""
    both = ~np.isnan(x - y)
    x, y = x[both], y[both]
    spread = float(np.var(x)) if len(x) > 1 else 0.0
    return float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread > 0.0 else None


def _mean(values: Floats, resampler: Resampler, block: Blocks) -> figures.Figure:
    """Mean over the days that have a value."""
    known = values[~np.isnan(values)]
    return figures.figure(float(known.mean()) if len(known) else None, len(known), resampler.interval(known, block))
