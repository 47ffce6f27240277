"""Financial statements as known on each day.

At the close of a day a company's current statement is that of its latest period (fiscal year and quarter) among all
that count by then, in its latest version. Beside it stands the same quarter of the fiscal year before, as known on
the same day. A correction of an older period changes nothing but what is compared with. The forecast in force is the
newest one for the latest fiscal year that any forecast speaks of; beside it stands the one that was in force before it
for the same year. The forecasts in a correction of an older period are those of then, and never count; of several that
begin to count at the same close only the last was ever in force.
"""

import polars as pl

from model.daily_quotes.availability import AVAILABLE_FROM, as_of
from model.daily_quotes.beside import FORECAST, REPORTED, STATEMENTS

FLOWS = ("Sales", "OperatingProfit", "Profit")
"""Reported figures that are compared with the year before."""

_PERIODS_A_YEAR = 8 * 12
"""Periods are numbered 8 * month + quarter, so that the same quarter of the year before is this much less."""
_MONTH = pl.col("FiscalYearEnd").dt.year().cast(pl.Int32) * 12 + pl.col("FiscalYearEnd").dt.month().cast(pl.Int32)
_PERIOD = _MONTH * 8 + pl.col("Quarter")
_IS_REPORT = pl.any_horizontal(pl.col(*REPORTED).is_not_null())
_ORDER = (AVAILABLE_FROM, "PublishedAt", "Date", "FiscalYearEnd", "Quarter")
_KEY = STATEMENTS.key
_COUNTS = "__counts"


def reports_in_force(records: pl.DataFrame) -> pl.DataFrame:
    """What counts from each day on: Code, AvailableFrom, the reported figures, those of the year before, Quarter.

    ``ReportFrom`` is the day from which the version itself counts.
    """
    versions = _reports(records)
    events = (
        versions.select("Code", AVAILABLE_FROM, Period=pl.col("Period").cum_max().over("Code"))
        .unique(["Code", AVAILABLE_FROM], keep="last", maintain_order=True)
        .rename({AVAILABLE_FROM: "Date"})
    )
    values = versions.select(
        "Code", "Period", AVAILABLE_FROM, *REPORTED, pl.col("Quarter").cast(pl.Float64), ReportFrom=AVAILABLE_FROM
    )
    before = versions.select(
        "Code", "Period", AVAILABLE_FROM, *[pl.col(name).alias(f"{name}YearAgo") for name in FLOWS]
    )
    current = as_of(events, values, ["Code", "Period"]).drop(AVAILABLE_FROM)
    compared = as_of(current.with_columns(pl.col("Period") - _PERIODS_A_YEAR), before, ["Code", "Period"])
    return compared.drop(AVAILABLE_FROM, "Period").rename({"Date": AVAILABLE_FROM})


def forecasts_in_force(records: pl.DataFrame) -> pl.DataFrame:
    """What counts from each day on: Code, AvailableFrom, the forecasts, ForecastProfitBefore, ``ForecastFrom``."""
    versions = _forecasts(records)
    earlier = pl.col("ForecastProfit").forward_fill().shift(1).over("Code", "Year")
    events = (
        versions.select("Code", AVAILABLE_FROM, Year=pl.col("Year").cum_max().over("Code"))
        .unique(["Code", AVAILABLE_FROM], keep="last", maintain_order=True)
        .rename({AVAILABLE_FROM: "Date"})
    )
    values = versions.select(
        "Code", "Year", AVAILABLE_FROM, *FORECAST, ForecastProfitBefore=earlier, ForecastFrom=AVAILABLE_FROM
    )
    return as_of(events, values, ["Code", "Year"]).drop(AVAILABLE_FROM, "Year").rename({"Date": AVAILABLE_FROM})


def still_needed(records: pl.DataFrame) -> pl.DataFrame:
    """Those of the ``records``, all of which count already, that can matter on a later day."""
    last = pl.int_range(pl.len()).reverse()
    forecasts = _forecasts(records)
    reports = _reports(records).filter(
        (last.over("Code", "Period") == 0) & (pl.col("Period") >= pl.col("Period").max().over("Code") - _PERIODS_A_YEAR)
    )
    # What once never counted must not count later, when the report that it came after is gone.
    in_force = forecasts.select(*_KEY, pl.lit(True).alias(_COUNTS))
    reports = reports.join(in_force, on=_KEY, how="left", maintain_order="left").with_columns(
        pl.when(_COUNTS).then(pl.col(name)).alias(name) for name in FORECAST
    )
    of_year = forecasts.filter(pl.col("Year") == pl.col("Year").max().over("Code"))
    newest = of_year.filter(last.over("Code") == 0)
    profits = of_year.filter(pl.col("ForecastProfit").is_not_null()).filter(last.over("Code") < 2)
    kept = pl.concat([frame.select(records.columns) for frame in (reports, newest, profits)])
    return kept.unique(maintain_order=True)


def _reports(records: pl.DataFrame) -> pl.DataFrame:
    """The rows with reported figures, in the order in which they came to count, with their period's number."""
    return records.filter(_IS_REPORT).sort(*_ORDER).with_columns(Period=_PERIOD)


def _forecasts(records: pl.DataFrame) -> pl.DataFrame:
    """The last forecast from each day on of each company for each fiscal year (``Year``), in order."""
    latest = pl.when(_IS_REPORT).then(_PERIOD).otherwise(0).cum_max().over("Code")
    counts = pl.any_horizontal(pl.col(*FORECAST).is_not_null()) & ~(_IS_REPORT & (latest > _PERIOD))
    found = records.sort(*_ORDER).filter(counts)
    year = _MONTH + 12 * (pl.col("Quarter") == 4).cast(pl.Int32)
    return found.with_columns(Year=year).unique(["Code", "Year", AVAILABLE_FROM], keep="last", maintain_order=True)
