"""What is known of the market as a whole on each day: an index, and the weekly flow of investors."""

import polars as pl

from model.daily_quotes.availability import AVAILABLE_FROM, as_of, days_between
from model.daily_quotes.beside import ALL_SECTIONS

MARKET = pl.Schema(
    {
        "Date": pl.Date(),
        "IndexOpen": pl.Float64(),
        "IndexHigh": pl.Float64(),
        "IndexLow": pl.Float64(),
        "IndexClose": pl.Float64(),
        "ForeignNet": pl.Float64(),
        "IndividualNet": pl.Float64(),
        "FlowTotal": pl.Float64(),
        "FlowWeeks": pl.Float64(),
    }
)
"""Column name to dtype, in order; one row a day. Flow is in currency units, summed over the market's sections;
``FlowWeeks`` is how many whole weeks before the day its week ended."""
FLOW_MEMORY_DAYS = 20
"""Trading days after which a week of flow that nothing followed counts no more."""

_NETS = {"ForeignNet": "ForeignNet", "IndividualNet": "IndividualNet", "Total": "FlowTotal"}


def build_market(
    days: pl.DataFrame, indices: pl.DataFrame, index: str, flow: pl.DataFrame, positions: pl.Series
) -> pl.DataFrame:
    """The market table of these days.

    Args:
        days: Date, sorted.
        indices, flow: rows of the tables beside the bars with ``AvailableFrom``, in the order of their keys; empty
            where the source has none. Of several versions of a level the last one counts.
        index: the IndexCode to take.
        positions: trading days, to count with.
    """
    prices = ("Open", "High", "Low", "Close")
    chosen = indices.filter(pl.col("IndexCode") == index).unique("Date", keep="last", maintain_order=True)
    levels = chosen.select("Date", *[pl.col(name).alias(f"Index{name}") for name in prices])
    joined = days.join(levels, on="Date", how="left", maintain_order="left")
    known = as_of(joined, flow_in_force(flow), [])
    age = days_between(known["FlowFrom"], known["Date"], positions)
    fresh = (age < FLOW_MEMORY_DAYS).fill_null(False)
    weeks = (pl.col("Date") - pl.col("PeriodEnd")).dt.total_days() // 7
    return known.with_columns(FlowWeeks=weeks.cast(pl.Float64)).select(
        "Date",
        *[f"Index{name}" for name in prices],
        *[pl.when(fresh).then(pl.col(name)).alias(name) for name in (*_NETS.values(), "FlowWeeks")],
    )


def flow_in_force(records: pl.DataFrame) -> pl.DataFrame:
    """What counts from each day on: AvailableFrom, PeriodEnd and the sums of the latest week, ``FlowFrom``.

    A sum is over the sections that have a value; it is null where none has. The row of all sections together is
    taken only where it is alone.
    """
    ordered = records.sort(AVAILABLE_FROM, "PublishedAt", "Date", "PeriodEnd", "Section")
    events = [
        _latest_week(ordered.filter(pl.col(AVAILABLE_FROM) <= day)).with_columns(
            pl.lit(day, dtype=pl.Date).alias(AVAILABLE_FROM)
        )
        for day in ordered[AVAILABLE_FROM].unique().sort()
    ]
    empty = _latest_week(ordered.clear()).with_columns(pl.lit(None, dtype=pl.Date).alias(AVAILABLE_FROM))
    return pl.concat([empty.clear(), *events])


def flow_still_needed(records: pl.DataFrame) -> pl.DataFrame:
    """Those of the ``records``, all of which count already, that can matter on a later day."""
    ordered = records.sort(AVAILABLE_FROM, "PublishedAt", "Date", "PeriodEnd", "Section")
    latest = ordered.filter(pl.col("PeriodEnd") == pl.col("PeriodEnd").max())
    return latest.unique("Section", keep="last", maintain_order=True)


def _latest_week(known: pl.DataFrame) -> pl.DataFrame:
    total = {name: pl.when(pl.col(column).count() > 0).then(pl.col(column).sum()) for column, name in _NETS.items()}
    together = pl.col("Section") == ALL_SECTIONS
    return (
        flow_still_needed(known)
        .filter(~together | together.all())
        .select(PeriodEnd=pl.col("PeriodEnd").max(), **total, FlowFrom=pl.col(AVAILABLE_FROM).max())
    )
