"""Adjustment for splits, forward from each code's first day.

The cumulative factor of a row is the product of the factors from the code's first day up to and including the row's;
adjusted prices are prices over it. A later split then changes no earlier value, where the usual backward adjustment
rewrites the whole history of a code at each split.
"""

import polars as pl

STATE = pl.Schema({"Code": pl.String(), "cumulative": pl.Float64(), "last_close": pl.Float64()})
"""What one month hands to the next: each code's factor so far and its last known adjusted close."""


def empty_state() -> pl.DataFrame:
    """The state before the first month."""
    return pl.DataFrame(schema=STATE)


def with_cumulative(quotes: pl.DataFrame, state: pl.DataFrame) -> pl.DataFrame:
    """Canonical rows with ``cumulative`` and the state's ``last_close``.

    The product runs on from the state one factor at a time, so that the bits do not depend on where months are cut.
    """
    before = state.select("Code", "last_close", so_far="cumulative")
    joined = quotes.join(before, on="Code", how="left", maintain_order="left")
    first = pl.col("Code").is_first_distinct()
    factor = pl.col("AdjustmentFactor")
    started = pl.when(first).then(pl.col("so_far").fill_null(1.0) * factor).otherwise(factor)
    return joined.with_columns(cumulative=started.cum_prod().over("Code")).drop("so_far")


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
