"""Adjustment for splits, forward from each code's first day.

The cumulative factor of a row is the product of the factors from the code's first day up to and including the row's;
adjusted prices are prices over it. A later split then changes no earlier value, where the usual backward adjustment
rewrites the whole history of a code at each split.

Numbers of shares from beside the bars are adjusted in the same way, as volumes are: times the factor of the day of
which they speak. An adjusted close times adjusted shares is then money, and a split between two records moves nothing.
"""

from collections.abc import Mapping

import polars as pl

from model.daily_quotes.availability import AVAILABLE_FROM, as_of
from model.errors import SourceError

STATE = pl.Schema({"Code": pl.String(), "cumulative": pl.Float64(), "last_close": pl.Float64()})
"""What one month hands to the next: each code's factor so far and its last known adjusted close."""
SPLITS = pl.Schema({"Date": pl.Date(), "Code": pl.String(), "AdjustmentCumulative": pl.Float64()})
"""The rows on which a code's cumulative factor changed, sorted by Date and Code: all that there is to know of it."""

SHARES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "statements": ("PublishedAt", ("SharesOutstanding",)),
    "margin": ("RecordDate", ("MarginLong", "MarginShort")),
}
"""By table beside the bars the day of which its numbers of shares speak, and their columns. Those of a statement count
the splits up to its publication, as companies restate them; what is published after the close speaks of that day, and
what is published on a holiday of the trading day before."""

_SMALLEST_FACTOR, _LARGEST_FACTOR = 1e-30, 1e30
"""Of the product of all splits of a code; no share was ever divided so often, and prices over it would overflow."""


def empty_state() -> pl.DataFrame:
    """The state before the first month."""
    return pl.DataFrame(schema=STATE)


def with_cumulative(quotes: pl.DataFrame, state: pl.DataFrame) -> pl.DataFrame:
    """Canonical rows with ``cumulative`` and the state's ``last_close``.

    The product runs on from the state one factor at a time, so that the bits do not depend on where months are cut.

    Raises:
        SourceError: a factor is not a finite number above zero, or their product is none that can be divided by: it
            would spoil every later day of its code.
    """
    _require_factors(quotes)
    before = state.select("Code", "last_close", so_far="cumulative")
    joined = quotes.join(before, on="Code", how="left", maintain_order="left")
    first = pl.col("Code").is_first_distinct()
    factor = pl.col("AdjustmentFactor")
    started = pl.when(first).then(pl.col("so_far").fill_null(1.0) * factor).otherwise(factor)
    adjusted = joined.with_columns(cumulative=started.cum_prod().over("Code")).drop("so_far")
    _require_products(adjusted)
    return adjusted


def _require_factors(quotes: pl.DataFrame) -> None:
    factor = pl.col("AdjustmentFactor")
    wrong = quotes.filter(~((factor > 0) & factor.is_finite()))
    if wrong.height:
        first = wrong.row(0, named=True)
        raise SourceError(
            f"The AdjustmentFactor is not a finite number above zero in {wrong.height} of {quotes.height} rows, the "
            f"first being code {first['Code']} on {first['Date']} ({first['AdjustmentFactor']}). A 2-for-1 split is "
            "0.5 on its first day, no split is 1: correct the source, and run the command again."
        )


def _require_products(adjusted: pl.DataFrame) -> None:
    wrong = adjusted.filter(~pl.col("cumulative").is_between(_SMALLEST_FACTOR, _LARGEST_FACTOR))
    if wrong.height:
        first = wrong.row(0, named=True)
        raise SourceError(
            f"The AdjustmentFactors of a code multiply up to what no splits can in {wrong.height} of {adjusted.height} "
            f"rows, the first being code {first['Code']} on {first['Date']} ({first['cumulative']:g} with that day's "
            f"{first['AdjustmentFactor']:g}). A 2-for-1 split is 0.5 on its first day, no split is 1: correct the "
            "source, and run the command again."
        )


def next_state(state: pl.DataFrame, panel: pl.DataFrame) -> pl.DataFrame:
    """The state after a month of the panel (Code, AdjustmentCumulative, AdjClose), sorted by Code."""
    month = panel.group_by("Code", maintain_order=True).agg(
        cumulative=pl.col("AdjustmentCumulative").last(), month_close=pl.col("AdjClose").drop_nulls().last()
    )
    joined = state.join(month, on="Code", how="full", coalesce=True, suffix="_month")
    return joined.select(
        "Code",
        cumulative=pl.coalesce("cumulative_month", "cumulative"),
        last_close=pl.coalesce("month_close", "last_close"),
    ).sort("Code")


def splits_until(splits: pl.DataFrame, panel: pl.DataFrame) -> pl.DataFrame:
    """``splits`` with those of a month of the panel (Date, Code, AdjustmentCumulative) that follows them."""
    factor = pl.col("AdjustmentCumulative")
    before = splits.group_by("Code").agg(so_far=factor.last())
    joined = panel.select(list(SPLITS)).join(before, on="Code", how="left", maintain_order="left")
    previous = pl.coalesce(factor.shift(1).over("Code"), "so_far", 1.0)
    return pl.concat([splits, joined.filter(factor != previous).select(list(SPLITS))])


def in_adjusted_shares(table: str, records: pl.DataFrame, splits: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Rows of a table beside the bars with their numbers of shares adjusted, in the same order.

    Args:
        table: one of ``SHARES``.
        splits: all splits up to the newest day of the records.
        timezone: the exchange's, in which a time of publication has its date.
    """
    day, columns = SHARES[table]
    spoken_of = pl.col(day)
    if day == "PublishedAt":  # never later than the day under which the row lies: later splits are not known there
        spoken_of = pl.min_horizontal(spoken_of.dt.convert_time_zone(timezone).dt.date(), "Date")
    days = records.select("Code", Date=spoken_of).with_row_index("row").sort("Date")
    joined = as_of(days, splits.rename({"Date": AVAILABLE_FROM}), ["Code"]).sort("row")
    return records.with_columns(pl.col(columns) * joined["AdjustmentCumulative"].fill_null(1.0))
