"""What is known of each stock beside its bars: statements, forecasts, margin balances, short selling of its sector.

Values are joined as known at the close of each day (:mod:`model.daily_quotes.availability`), and are null where
nothing is known or what is known is too old. SharesOutstanding and the margin balances are in adjusted shares, as
AdjVolume is (:mod:`model.raw_dataset.adjustment`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import polars as pl

from model.daily_quotes.availability import AVAILABLE_FROM, as_of, days_between
from model.daily_quotes.beside import FORECAST, REPORTED, TABLES
from model.raw_dataset import margin, market, statements
from model.raw_dataset.days import available_schema

REPORT_COLUMNS = (*REPORTED, *[f"{name}YearAgo" for name in statements.FLOWS], "Quarter")
FORECAST_COLUMNS = (*FORECAST, "ForecastProfitBefore")
MARGIN_COLUMNS = (*margin.BALANCES, *[f"{name}Before" for name in margin.BALANCES])
SLOW = pl.Schema(
    {
        "Date": pl.Date(),
        "Code": pl.String(),
        **{
            name: pl.Float64()
            for name in (
                *REPORTED,
                *FORECAST,
                *[f"{name}YearAgo" for name in statements.FLOWS],
                "ForecastProfitBefore",
                "Quarter",
                "DaysSinceStatement",
                *MARGIN_COLUMNS,
                "DaysSinceMargin",
                "SectorShortRatio",
            )
        },
    }
)
"""Column name to dtype, in order; the rows are those of the panel. Days are trading days since the day from which
the figure counts."""

STATEMENT_MEMORY_DAYS = 300
"""Trading days after which a statement or forecast that nothing followed counts no more: a year and its delays."""
MARGIN_MEMORY_DAYS = 20
SHORT_MEMORY_DAYS = 10
LONGEST_MEMORY_DAYS = max(STATEMENT_MEMORY_DAYS, MARGIN_MEMORY_DAYS, SHORT_MEMORY_DAYS, market.FLOW_MEMORY_DAYS)

SLOW_TABLES = ("statements", "margin", "short_selling")
MARKET_TABLES = ("indices", "investor_flow")
STILL_NEEDED: Mapping[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "statements": statements.still_needed,
    "margin": margin.margin_still_needed,
    "short_selling": margin.short_selling_still_needed,
    "investor_flow": market.flow_still_needed,
}
"""The tables of which rows are carried from month to month, and which of their rows are."""


def carried(table: str, records: pl.DataFrame, last_day: date) -> pl.DataFrame:
    """The rows that the months after ``last_day`` need: those that count already and still matter, and those that do
    not count yet."""
    counts = pl.col(AVAILABLE_FROM) <= last_day
    kept = pl.concat([STILL_NEEDED[table](records.filter(counts)), records.filter(~counts)])
    return kept.select(list(available_schema(table))).sort(TABLES[table].key)


def build_slow(keys: pl.DataFrame, records: Mapping[str, pl.DataFrame], positions: pl.Series) -> pl.DataFrame:
    """The slow table of a month.

    Args:
        keys: Date, Code, Sector of the panel's rows, sorted by Date and Code.
        records: rows of the tables beside the bars with ``AvailableFrom`` and shares adjusted, by name: those of the
            month and those carried into it. Absent tables give nulls.
        positions: trading days, to count with.
    """
    frame = keys
    if "statements" in records:
        reports = as_of(frame, statements.reports_in_force(records["statements"]), ["Code"])
        frame = _fresh(reports, "ReportFrom", REPORT_COLUMNS, STATEMENT_MEMORY_DAYS, positions, "DaysSinceStatement")
        forecasts = as_of(frame, statements.forecasts_in_force(records["statements"]), ["Code"])
        frame = _fresh(forecasts, "ForecastFrom", FORECAST_COLUMNS, STATEMENT_MEMORY_DAYS, positions)
    if "margin" in records:
        newest = _newer_kind(frame, records["margin"])
        frame = _fresh(newest, "MarginFrom", MARGIN_COLUMNS, MARGIN_MEMORY_DAYS, positions, "DaysSinceMargin")
    if "short_selling" in records:
        sectors = as_of(frame, margin.short_selling_in_force(records["short_selling"]), ["Sector"])
        frame = _fresh(sectors, "ShortFrom", ("ShortRatio",), SHORT_MEMORY_DAYS, positions)
        frame = frame.rename({"ShortRatio": "SectorShortRatio"})
    absent = [pl.lit(None, dtype=pl.Float64).alias(name) for name in SLOW if name not in frame.columns]
    return frame.with_columns(absent).select(list(SLOW))


def _fresh(
    joined: pl.DataFrame,
    since: str,
    values: Sequence[str],
    memory: int,
    positions: pl.Series,
    days: str | None = None,
) -> pl.DataFrame:
    """The joined ``values`` where they are younger than ``memory``, else null; their age in the column ``days``."""
    age = days_between(joined[since], joined["Date"], positions)
    fresh = (age < memory).fill_null(False)
    aged = [pl.when(fresh).then(pl.col(name)).alias(name) for name in values]
    if days is not None:
        aged.append(pl.when(fresh).then(age.cast(pl.Float64)).alias(days))
    return joined.with_columns(aged).drop(AVAILABLE_FROM, since)


def _newer_kind(rows: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    """Margin of the kind with the later record; of equal ones the daily figure."""
    weekly = as_of(rows, margin.margin_in_force(records, "weekly"), ["Code"])
    daily = as_of(rows.select("Date", "Code"), margin.margin_in_force(records, "daily"), ["Code"])
    newer = daily["RecordDate"] >= weekly["RecordDate"]
    newer = newer.fill_null(False) | (weekly["RecordDate"].is_null() & daily["RecordDate"].is_not_null())
    picked = [pl.when(newer).then(daily[name]).otherwise(pl.col(name)).alias(name) for name in daily.columns[2:]]
    return weekly.with_columns(picked).drop("RecordDate")
