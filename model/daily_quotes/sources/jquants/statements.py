"""From J-Quants' financial summaries to the canonical statements.

A summary is a quarterly statement, a revision of forecasts, or an announcement on dividends. Figures are cumulative
in the fiscal year. Consolidated documents speak through the plain columns, non-consolidated ones through the plain or
the ``NC`` ones. The forecasts of a full-year statement are those for the next year (``NxF...``); where that year is
not twelve months long they are a row of their own, under the year that they forecast.
"""

from collections.abc import Mapping
from datetime import time

import polars as pl

from model.daily_quotes.beside import FORECAST, REPORTED, STATEMENTS
from model.daily_quotes.beside_rules import impossible_year_end
from model.daily_quotes.sources.jquants.published import PARTITION, Context, published
from model.daily_quotes.sources.jquants.versions import SEEN
from model.daily_quotes.sources.jquants.visible import possible_dates

_QUARTERS = {"1Q": 1, "2Q": 2, "3Q": 3, "FY": 4}
_REPORTED: Mapping[str, tuple[str, str]] = {
    "Sales": ("Sales", "NCSales"),
    "OperatingProfit": ("OP", "NCOP"),
    "Profit": ("NP", "NCNP"),
    "Assets": ("TA", "NCTA"),
    "Equity": ("Eq", "NCEq"),
}
_THIS_YEAR: Mapping[str, tuple[str, str]] = {
    "ForecastSales": ("FSales", "FNCSales"),
    "ForecastOperatingProfit": ("FOP", "FNCOP"),
    "ForecastProfit": ("FNP", "FNCNP"),
}
_NEXT_YEAR: Mapping[str, tuple[str, str]] = {
    "ForecastSales": ("NxFSales", "NxFNCSales"),
    "ForecastOperatingProfit": ("NxFOP", "NxFNCOP"),
    "ForecastProfit": ("NxFNp", "NxFNCNP"),
}
_LAST_SECOND = time(23, 59, 59)


def statements(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Statements and revisions of forecasts.

    Left out are documents that hold neither (dividends), the fourth and fifth quarters of irregular years, for which
    the table has no place, and those under a fiscal year that cannot be or is no date (:func:`without_place` counts
    them). More own shares than shares make no number of shares. What a company publishes in the same minute on the
    same period becomes one row, in which the later document counts.
    """
    rows = rows.filter(possible_dates(rows, "CurFYEn").is_not_null())
    outstanding = pl.col("ShOutFY") - pl.col("TrShFY").fill_null(0.0)
    figures = [*REPORTED, *FORECAST]
    frame = rows.select(
        Date=PARTITION,
        Code="Code",
        PublishedAt=published(rows, "DiscDate", context, disclosed(rows)),
        FiscalYearEnd=possible_dates(rows, "CurFYEn"),
        NextYearEnd=possible_dates(rows, "NxtFYEn"),
        Quarter=pl.col("CurPerType").replace_strict(_QUARTERS, default=None, return_dtype=pl.Int8),
        SharesOutstanding=pl.when(outstanding >= 0).then(outstanding),
        **{name: _figure(*names) for name, names in _REPORTED.items()},
        **{f"{name}This": _figure(*names) for name, names in _THIS_YEAR.items()},
        **{f"{name}Next": _figure(*names) for name, names in _NEXT_YEAR.items()},
        DiscNo="DiscNo",
        Seen=SEEN,
    )
    key = list(STATEMENTS.key)
    possible = ~impossible_year_end("FiscalYearEnd", pl.col("PublishedAt").dt.date())
    mapped = _with_irregular_years(_forecasts(_with_next_year(frame)))
    complete = mapped.filter(_any(figures) & pl.col("Quarter").is_not_null() & possible)
    ordered = complete.sort(*key, "Seen", "DiscNo", nulls_last=False)
    merged = ordered.group_by(key, maintain_order=True).agg(pl.col(name).drop_nulls().last() for name in figures)
    return merged.select(list(STATEMENTS.schema))


def without_place(rows: pl.DataFrame) -> int:
    """How many documents with figures or forecasts the canonical table has no place for: those of a fourth or fifth
    quarter of an irregular fiscal year, of a kind of period that is not known here, or under a fiscal year that cannot
    be (its end mistyped or missing)."""
    if not rows.height:  # as on most calendar days
        return 0
    names = {name for pairs in (_REPORTED, _THIS_YEAR, _NEXT_YEAR) for pair in pairs.values() for name in pair}
    known = pl.col("CurPerType").is_in(list(_QUARTERS)).fill_null(False)
    dated = rows.with_columns(possible_dates(rows, name).alias(name) for name in ("DiscDate", "CurFYEn"))
    wrong = impossible_year_end("CurFYEn", pl.col("DiscDate")).fill_null(True)
    return dated.filter(_any(sorted(names)) & (~known | wrong)).height


def _figure(plain: str, alone: str) -> pl.Expr:
    nonconsolidated = pl.col("DocType").str.contains("NonConsolidated").fill_null(False)
    return pl.when(nonconsolidated).then(pl.coalesce(plain, alone)).otherwise(pl.col(plain))


def _with_next_year(frame: pl.DataFrame) -> pl.DataFrame:
    """The end of the next year where it can be one: after that of this year, and not more than eighteen months."""
    this = pl.col("FiscalYearEnd")
    possible = pl.col("NextYearEnd").is_between(this.dt.offset_by("1d"), this.dt.offset_by("18mo")).fill_null(True)
    return frame.with_columns(NextYearEnd=pl.when(possible).then("NextYearEnd"))


def _with_irregular_years(frame: pl.DataFrame) -> pl.DataFrame:
    """Full-year statements that forecast a year of another length than twelve months as two rows: what is reported,
    and the forecasts as a revision under the year that they are for."""
    usual = pl.col("FiscalYearEnd").dt.offset_by("1y").dt.truncate("1mo")
    differs = pl.col("NextYearEnd").dt.truncate("1mo") != usual
    other = ((pl.col("Quarter") == 4) & differs).fill_null(False)
    ahead = frame.filter(other).with_columns(
        pl.col("NextYearEnd").alias("FiscalYearEnd"),
        pl.lit(1, dtype=pl.Int8).alias("Quarter"),
        *(pl.lit(None, dtype=pl.Float64).alias(name) for name in REPORTED),
    )
    return pl.concat([frame.with_columns(pl.when(~other).then(pl.col(name)).alias(name) for name in FORECAST), ahead])


def _forecasts(frame: pl.DataFrame) -> pl.DataFrame:
    """Forecasts and the year that they are for: the next one after a full-year statement. A row without reported
    figures lies under the year that it forecasts, and never at quarter 4."""
    full_year = pl.col("Quarter") == 4
    revision = ~_any(list(REPORTED))
    this_year = _any([f"{name}This" for name in FORECAST])
    ahead = full_year & ~(revision & this_year)
    following = pl.coalesce("NextYearEnd", pl.col("FiscalYearEnd").dt.offset_by("1y"))
    return frame.with_columns(
        *(pl.when(ahead).then(f"{name}Next").otherwise(f"{name}This").alias(name) for name in FORECAST),
        FiscalYearEnd=pl.when(revision & ahead).then(following).otherwise("FiscalYearEnd"),
        Quarter=pl.when(revision & full_year)
        .then(pl.when(this_year).then(pl.lit(3, dtype=pl.Int8)).otherwise(pl.lit(1, dtype=pl.Int8)))
        .otherwise("Quarter"),
    )


def _any(names: list[str]) -> pl.Expr:
    return pl.any_horizontal(*(pl.col(name).is_not_null() for name in names))


def disclosed(rows: pl.DataFrame) -> pl.Series:
    """The time of disclosure; where none is given that can be, the last second of the day: by then it is surely
    known, also where 24:30 was meant (it counts from the next close either way)."""
    text = rows["DiscTime"]
    parsed = text.str.to_time("%H:%M:%S", strict=False).fill_null(text.str.to_time("%H:%M", strict=False))
    return parsed.fill_null(_LAST_SECOND)
