"""The canonical tables that a source may deliver beside the daily bars.

Every row lies in the partition of a trading day, its ``Date``: the first trading day on or after the local calendar
date on which the row was published. ``PublishedAt`` is when it became known. From which day on a row may be used is
not stored here: that is the business of :mod:`model.daily_quotes.availability`, one rule for everybody.

A table that a source does not have is absent. One that it has but that says nothing on a day is there without rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from model.daily_quotes.beside_rules import RULES
from model.daily_quotes.schema import CANONICAL, rising_by
from model.errors import SourceError

_TIME = pl.Datetime("us", "UTC")
_NUMBER = pl.Float64()


@dataclass(frozen=True)
class BesideTable:
    """One kind of table: its columns in order, what it is sorted by and unique on, and what may not be null."""

    name: str
    description: str
    schema: pl.Schema
    key: tuple[str, ...]
    nullable_key: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The file of a day's rows."""
        return f"{self.name}.parquet"

    @property
    def never_null(self) -> tuple[str, ...]:
        """Columns in which every row has a value."""
        return tuple(name for name in self.key if name not in self.nullable_key)


REPORTED = ("Sales", "OperatingProfit", "Profit", "Assets", "Equity", "SharesOutstanding")
"""Reported figures of a statement: the first three cumulative in the fiscal year, all in currency units or shares.
SharesOutstanding counts the splits up to the day of publication, as companies restate it."""
FORECAST = ("ForecastSales", "ForecastOperatingProfit", "ForecastProfit")
"""Full-year forecasts of the company, in currency units."""

STATEMENTS = BesideTable(
    "statements",
    "Financial statements and forecasts. Quarter 4 is the full year, and its forecasts are for the next twelve months. "
    "A row without reported figures is a revision of forecasts: FiscalYearEnd is then the year forecast and Quarter 1, "
    "2 or 3; so are forecasts for a next year of another length. A correction is a new row with its own PublishedAt.",
    pl.Schema(
        {
            "Date": pl.Date(),
            "Code": pl.String(),
            "PublishedAt": _TIME,
            "FiscalYearEnd": pl.Date(),
            "Quarter": pl.Int8(),
            **dict.fromkeys((*REPORTED, *FORECAST), _NUMBER),
        }
    ),
    ("Date", "Code", "PublishedAt", "FiscalYearEnd", "Quarter"),
)
ALL_SECTIONS = "TokyoNagoya"
"""The Section of a row that is the total of the others, so that it is never added to them: J-Quants' name for it."""
INVESTOR_FLOW = BesideTable(
    "investor_flow",
    "Traded value by type of investor and market section, a row a week (PeriodStart to PeriodEnd), in currency units. "
    "The Section TokyoNagoya is the total of all of them.",
    pl.Schema(
        {
            "Date": pl.Date(),
            "Section": pl.String(),
            "PeriodStart": pl.Date(),
            "PeriodEnd": pl.Date(),
            "PublishedAt": _TIME,
            "ForeignNet": _NUMBER,
            "IndividualNet": _NUMBER,
            "Total": _NUMBER,
        }
    ),
    ("Date", "Section", "PeriodEnd", "PublishedAt"),
)
MARGIN = BesideTable(
    "margin",
    "Shares outstanding in margin trading at the close of RecordDate. Kind is weekly or daily. PublishedAt may be "
    "null; the rule of the kind then says from when the figure counts.",
    pl.Schema(
        {
            "Date": pl.Date(),
            "Code": pl.String(),
            "Kind": pl.String(),
            "RecordDate": pl.Date(),
            "PublishedAt": _TIME,
            "MarginLong": _NUMBER,
            "MarginShort": _NUMBER,
        }
    ),
    ("Date", "Code", "Kind", "RecordDate", "PublishedAt"),
    nullable_key=("PublishedAt",),
)
SHORT_SELLING = BesideTable(
    "short_selling",
    "Short-sale value over total value of a sector on RecordDate; Sector is named as in the daily bars.",
    pl.Schema(
        {
            "Date": pl.Date(),
            "Sector": pl.String(),
            "RecordDate": pl.Date(),
            "PublishedAt": _TIME,
            "ShortRatio": _NUMBER,
        }
    ),
    ("Date", "Sector", "RecordDate", "PublishedAt"),
)
INDICES = BesideTable(
    "indices",
    "Levels of market indices on the day itself, such as TOPIX. A correction is a row of its own under the same Date; "
    "the one with the latest PublishedAt counts. One without levels says that they were withdrawn.",
    pl.Schema(
        {
            "Date": pl.Date(),
            "IndexCode": pl.String(),
            "Open": _NUMBER,
            "High": _NUMBER,
            "Low": _NUMBER,
            "Close": _NUMBER,
            "PublishedAt": _TIME,
        }
    ),
    ("Date", "IndexCode", "PublishedAt"),
)
REVISIONS = BesideTable(
    "revisions",
    "Daily bars that were superseded later, with when they were; the bars themselves always hold the newest version.",
    pl.Schema({**CANONICAL, "SupersededAt": _TIME}),
    ("Date", "Code", "KnownAt"),
)

TABLES: Mapping[str, BesideTable] = {
    table.name: table for table in (STATEMENTS, INVESTOR_FLOW, MARGIN, SHORT_SELLING, INDICES, REVISIONS)
}
"""Every table that may lie beside the bars, by name."""

_MORE_NEVER_NULL = {"revisions": ("SupersededAt",), "investor_flow": ("PeriodStart",)}


def empty_beside(name: str) -> pl.DataFrame:
    """A table of this name without rows."""
    return pl.DataFrame(schema=TABLES[name].schema)


def validate_beside(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` unchanged if it is the canonical table ``name``.

    Raises:
        SourceError: the name is unknown, or columns, dtypes, nulls, values, order or uniqueness are not canonical.
    """
    table = TABLES.get(name)
    if table is None:
        raise SourceError(f"There is no table {name!r} beside the daily bars; those are {', '.join(TABLES)}.")
    where = f"The table {name} of {frame.height} rows"
    _require_columns(table, frame, where)
    needed = (*table.never_null, *_MORE_NEVER_NULL.get(name, ()))
    nulls = {column: frame[column].null_count() for column in needed}
    if any(nulls.values()):
        found = ", ".join(f"{column} in {count} rows" for column, count in nulls.items() if count)
        raise SourceError(f"{where} has nulls where none may be: {found}. Leave those rows out, or fill the column.")
    for column, dtype in table.schema.items():
        if dtype == pl.Float64:
            wrong = frame.select((~pl.col(column).is_finite()).sum()).item()
            _refuse(wrong, f"{where} has a {column} that is no finite number", "A missing number is null, never NaN")
    for rule in RULES.get(name, ()):
        _refuse(int(rule.broken(frame).sum()), f"{where} has {rule.what}", rule.remedy)
    broken = frame.select((~rising_by(table.key)).slice(1).sum()).item() if frame.height > 1 else 0
    _refuse(broken, f"{where} is not sorted by {', '.join(table.key)}, or repeats them,", "Sort and deduplicate it")
    return frame


def _require_columns(table: BesideTable, frame: pl.DataFrame, where: str) -> None:
    if frame.schema == table.schema:
        return
    wrong = [f"{name} should be {dtype}" for name, dtype in table.schema.items() if frame.schema.get(name) != dtype]
    extra = [name for name in frame.columns if name not in table.schema]
    raise SourceError(
        f"{where} is not canonical: {'; '.join(wrong) or 'columns are out of order'}"
        f"{'; unknown columns ' + ', '.join(extra) if extra else ''}. The columns are {', '.join(table.schema)}, in "
        "this order."
    )


def _refuse(count: int, what: str, remedy: str) -> None:
    if count:
        raise SourceError(f"{what} in {count} rows. {remedy}.")
