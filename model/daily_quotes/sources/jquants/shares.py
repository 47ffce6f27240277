"""Numbers of shares in statements that changed after their disclosure.

The canonical statements count the splits up to the day on which a row was published. A version that was seen to change
was published then, and J-Quants leaves its numbers of shares as they were disclosed: they are restated by the splits in
between, so that a split that came after the disclosure is not taken to be in them already. A statement that was served
late counts from when it was seen, and is restated in the same way.

The splits are those on record now, as the panel's are: a factor that is corrected later restates the number under its
day, and ``quality.as_of`` of a moment in between does not undo that.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from model.daily_quotes.sources.jquants.cache import VISIBLE, Cache
from model.daily_quotes.sources.jquants.tables import QUOTES
from model.daily_quotes.sources.jquants.versions import SEEN, current
from model.daily_quotes.sources.jquants.visible import dates

_COUNTS = ("ShOutFY", "TrShFY")


def in_shares_of_their_day(rows: pl.DataFrame, cache: Cache, days: Sequence[date]) -> pl.DataFrame:
    """Kept statements with their numbers of shares as of the day on which each became visible.

    Args:
        rows: with that day (``VISIBLE``).
        days: the days with bars.
    """
    placed = rows.with_columns(dates(rows, "DiscDate").alias("_counted")).with_row_index("_row")
    late = placed.filter(pl.col(SEEN).is_not_null() & (pl.col(VISIBLE) > pl.col("_counted")))
    if not late.height:
        return rows
    [(first, last)] = late.select(pl.col("_counted").min(), pl.col(VISIBLE).max()).rows()
    between = days_between(first, last, days)
    if not between:
        return rows
    splits = _splits(cache, between)
    inside = (pl.col("_split") > pl.col("_counted")) & (pl.col("_split") <= pl.col(VISIBLE))
    factors = late.join(splits, on="Code").filter(inside).group_by("_row").agg(_factor=pl.col("AdjFactor").product())
    joined = placed.join(factors, on="_row", how="left", maintain_order="left")
    return joined.with_columns(pl.col(_COUNTS) / pl.col("_factor").fill_null(1.0)).select(rows.columns)


def days_between(disclosed: date, changed: date, days: Sequence[date]) -> list[date]:
    """The days with bars after a disclosure, up to that of a change: those whose splits count."""
    return [day for day in days if disclosed < day <= changed]


def _splits(cache: Cache, days: Sequence[date]) -> pl.DataFrame:
    bars = cache.read(QUOTES, [day.isoformat() for day in days])
    assert bars is not None  # these days have bars
    found = current(bars).filter(pl.col("AdjFactor") != 1.0)
    return found.select("Code", "AdjFactor", _split=dates(found, "Date"))
