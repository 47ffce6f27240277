"""What the long-short book is exposed to besides its ranking: sectors, size and the market.

Sectors and size are taken from the market table of each day; size is the position (0 smallest, 1 largest) of the
median traded value of the last 20 days among the day's ranked names. A column that the data do not have gives no
figure.
"""

from typing import Any

import numpy as np
import polars as pl

from model.portfolio.market import Flags, Floats, Market, code_positions
from model.portfolio_report import figures

NO_SECTOR = "unknown"


def exposures(weights: Floats, ranked: Floats, market: Market, table: pl.DataFrame) -> dict[str, Any]:
    """Mean exposures over the days on which the book holds anything.

    Args:
        weights: [T, N] held over each day, short ones negative.
        ranked: [T, N] the scores; NaN where a stock is not in the day's universe.
        table: Date, Code, Sector, turnover_20; the rows ``market`` was made of.
    """
    sector, size = _on_grid(table, market)
    held = np.abs(weights).sum(axis=1) > 0.0
    return {
        "market_beta": _market_beta(weights, ranked, market, held),
        "size": _size(weights, ranked, size, held),
        "sectors": _sectors(weights, sector, held),
        "net": figures.figure(_mean(weights.sum(axis=1)[held]), int(held.sum())),
    }


def _on_grid(table: pl.DataFrame, market: Market) -> tuple[pl.DataFrame, Floats]:
    """Positions (day, code) with their sector, and [T, N] traded values."""
    rows = table.filter(pl.col("Date").is_in(pl.Series(market.dates, dtype=pl.Date).implode()))
    calendar = pl.Series(market.dates, dtype=pl.Date).to_physical().to_numpy()
    day = np.searchsorted(calendar, rows["Date"].to_physical().to_numpy())
    code = code_positions(rows["Code"], market.codes)
    size = np.full((len(market.dates), len(market.codes)), np.nan)
    size[day, code] = rows["turnover_20"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    sector = pl.DataFrame({"day": day, "code": code, "sector": rows["Sector"]})
    return sector, size


def _sectors(weights: Floats, sector: pl.DataFrame, held: Flags) -> list[dict[str, Any]]:
    """Mean long, short and net weight by sector, largest net weight first; empty where no sector is known."""
    n = int(held.sum())
    if not n or sector["sector"].null_count() == sector.height:
        return []
    named = sector["sector"].fill_null(NO_SECTOR)
    names = named.unique().sort().to_list()
    number = named.cast(pl.Enum(names)).to_physical().to_numpy()
    weight = weights[sector["day"].to_numpy(), sector["code"].to_numpy()]
    long, short = (np.bincount(number, part, len(names)) / n for part in (weight.clip(min=0.0), weight.clip(max=0.0)))
    rows = [
        {"sector": name, "long": float(bought), "short": float(sold), "net": float(bought + sold)}
        for name, bought, sold in zip(names, long, short, strict=True)
        if bought or sold
    ]
    return sorted(rows, key=lambda row: (-abs(round(row["net"], 12)), row["sector"]))


def _size(weights: Floats, ranked: Floats, size: Floats, held: Flags) -> dict[str, Any] | None:
    """Mean size position of either leg and their difference; null where no traded value is known."""
    known = ~np.isnan(size) & ~np.isnan(ranked)
    order = np.argsort(np.where(known, size, np.inf), axis=1, kind="stable")
    count = known.sum(axis=1, keepdims=True)
    place = np.empty_like(size)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(size.shape[1], dtype=np.float64), size.shape), axis=1)
    position = np.where(known, place / np.maximum(count - 1, 1), 0.0)
    legs = {}
    for name, side in (("long", np.maximum(weights, 0.0)), ("short", np.maximum(-weights, 0.0))):
        total = np.where(known, side, 0.0).sum(axis=1)
        days = held & (total > 0.0) & (count[:, 0] > 1)
        legs[name] = np.where(days, (side * position).sum(axis=1) / np.where(days, total, 1.0), np.nan)
    gap = legs["long"] - legs["short"]
    n = int((~np.isnan(gap)).sum())
    if n == 0:
        return None
    return {
        name: figures.figure(_mean(values[~np.isnan(values)]), int((~np.isnan(values)).sum()))
        for name, values in (*legs.items(), ("difference", gap))
    }


def _market_beta(weights: Floats, ranked: Floats, market: Market, held: Flags) -> dict[str, Any]:
    """Slope of the book's close-to-close return on the mean return of all ranked names of the day."""
    returns = np.concatenate([run.returns for run in market.runs])
    there = ~np.isnan(ranked) & ~market.missing
    count = there.sum(axis=1)
    days = held & (count > 0)
    whole = np.where(there, returns, 0.0).sum(axis=1)[days] / count[days]
    own = np.einsum("tn,tn->t", weights, returns)[days]
    spread = float(np.var(whole)) if len(whole) > 1 else 0.0
    if spread == 0.0:
        return figures.figure(None, len(whole))
    return figures.figure(float(np.mean((whole - whole.mean()) * (own - own.mean())) / spread), len(whole))


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None
