"""The point-in-time universe: who may be predicted and traded, chosen with what was known the day before.

On each effective date the ``size`` most traded names of the last ``lookback_days`` trading days become members, by
the median of their traded value, days without trading counting as 0. The window ends on the day before. Where nobody
can become one the old members go; where there is nothing to choose by (the exchange stood still) they stay.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

from model.raw_dataset.settings import UniverseSettings

UNIVERSE = pl.Schema(
    {"EffectiveDate": pl.Date(), "Code": pl.String(), "rank": pl.Int32(), "median_turnover": pl.Float64()}
)
"""One row a member and choice; a choice that nobody came out of is one row of rank 0 without a Code."""
_LISTED_DAYS = 5
"""A member must have had a close in this many days before the effective date: it is still listed."""


def effective_dates(days: Sequence[date], settings: UniverseSettings) -> tuple[date, ...]:
    """The days on which members are chosen: as soon as the window is full, then at the start of each period."""
    chosen: list[date] = []
    for position, day in enumerate(days):
        if position < settings.lookback_days:
            continue
        if not chosen or _period(day, settings) != _period(days[position - 1], settings):
            chosen.append(day)
    return tuple(chosen)


def window(days: Sequence[date], effective: date, settings: UniverseSettings) -> tuple[date, ...]:
    """The days that decide the choice, the last of them the day before it takes effect."""
    position = days.index(effective)
    return tuple(days[position - settings.lookback_days : position])


def choose(rows: pl.DataFrame, days: Sequence[date], effective: date, settings: UniverseSettings) -> pl.DataFrame:
    """The members from ``effective`` on, best first; no row at all where the choice could not be made.

    Args:
        rows: Date, Code, Close (as traded), TurnoverValue of the window's ``days``.
    """
    codes = rows["Code"].unique().sort()
    positions = pl.DataFrame({"Code": codes, "column": np.arange(len(codes))})
    places = pl.DataFrame({"Date": pl.Series(days, dtype=pl.Date), "line": np.arange(len(days))})
    placed = rows.join(positions, on="Code").join(places, on="Date")
    grid = np.zeros((len(days), len(codes)))
    grid[placed["line"].to_numpy(), placed["column"].to_numpy()] = placed["TurnoverValue"].fill_null(0.0).to_numpy()
    median = pl.DataFrame({"Code": codes, "median_turnover": np.median(grid, axis=0)})
    closes = rows.filter(pl.col("Close").is_not_null()).sort("Date", "Code")
    last = closes.group_by("Code", maintain_order=True).agg(seen=pl.col("Date").last(), price=pl.col("Close").last())
    eligible = (
        median.join(last, on="Code")
        .filter(
            (pl.col("median_turnover") > 0)
            & (pl.col("seen") >= days[-min(_LISTED_DAYS, len(days))])
            & (pl.col("price") >= settings.min_price)
        )
        .sort(["median_turnover", "Code"], descending=[True, False])
    )
    if eligible.is_empty():
        return _nobody(effective) if _can_choose(rows, days) else pl.DataFrame(schema=UNIVERSE)
    members = eligible if settings.size is None else eligible.head(settings.size)
    return members.select(
        EffectiveDate=pl.lit(effective, dtype=pl.Date),
        Code="Code",
        rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32),
        median_turnover="median_turnover",
    )


def _can_choose(rows: pl.DataFrame, days: Sequence[date]) -> bool:
    """Whether any name was traded on most of the days and priced on one of the last: else there are no data to tell."""
    traded = rows.filter(pl.col("TurnoverValue") > 0)["Date"].n_unique()
    priced = rows.filter(pl.col("Close").is_not_null() & (pl.col("Date") >= days[-min(_LISTED_DAYS, len(days))]))
    return 2 * traded > len(days) and not priced.is_empty()


def _nobody(effective: date) -> pl.DataFrame:
    row = {"EffectiveDate": effective, "Code": None, "rank": 0, "median_turnover": None}
    return pl.DataFrame([row], schema=UNIVERSE)


def in_force(universe: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """The choices that hold on some day from ``first`` to ``last``."""
    dates = universe["EffectiveDate"].unique().sort().to_list()
    earlier = [day for day in dates if day <= first]
    wanted = earlier[-1:] + [day for day in dates if first < day <= last]
    return universe.filter(pl.col("EffectiveDate").is_in(wanted))


def membership(keys: pl.DataFrame, universe: pl.DataFrame) -> pl.Series:
    """For each (Date, Code), sorted by Date, whether the code is a member on the day; none before the first choice."""
    dates = universe.select("EffectiveDate").unique().sort("EffectiveDate")
    dated = keys.join_asof(
        dates.with_columns(Date=pl.col("EffectiveDate")), on="Date", strategy="backward", check_sortedness=False
    )
    members = universe.select("EffectiveDate", "Code", member=pl.lit(True))
    joined = dated.join(members, on=["EffectiveDate", "Code"], how="left", maintain_order="left")
    return joined["member"].fill_null(False)


def _period(day: date, settings: UniverseSettings) -> tuple[int, int]:
    months = {"yearly": 12, "quarterly": 3, "monthly": 1}[settings.rebalance]
    return day.year, (day.month - 1) // months
