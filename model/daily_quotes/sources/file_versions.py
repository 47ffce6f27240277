"""Rows that come in several versions: the newest is the bar, the others are revisions."""

from datetime import date

import polars as pl

from model.daily_quotes.beside import REVISIONS
from model.errors import SourceError


def refuse_impossible_times(frame: pl.DataFrame, where: str, timezone: str, today: date) -> None:
    """No row may be known before its own day, or after today (``KnownAt`` is null where the file does not say).

    Raises:
        SourceError: with the count and the first such row.
    """
    local = pl.col("KnownAt").dt.convert_time_zone(timezone).dt.date()
    for wrong, what in ((local < pl.col("Date"), "before the day itself"), (local > today, "in the future")):
        rows = frame.filter(wrong)
        if rows.height:
            first = rows.row(0, named=True)
            raise SourceError(
                f"KnownAt of {where} lies {what} in {rows.height} of {frame.height} rows, the first being "
                f"{first['KnownAt']} for code {first['Code']} on {first['Date']} (calendar.timezone is {timezone}, "
                f"today is {today}). Correct those rows; time stamps without a zone are local time."
            )


def newest(ordered: pl.DataFrame) -> pl.Series:
    """Where the newest version of a row is, in a frame sorted by Date, Code and KnownAt."""
    later = (pl.col("Date") == pl.col("Date").shift(-1)) & (pl.col("Code") == pl.col("Code").shift(-1))
    return ordered.select(newest=~later.fill_null(False))["newest"]


def revisions(ordered: pl.DataFrame, is_newest: pl.Series) -> pl.DataFrame:
    """The superseded versions, each until the next one became known (canonical ``revisions``)."""
    older = ordered.with_columns(SupersededAt=pl.col("KnownAt").shift(-1)).filter(~is_newest)
    return older.select(list(REVISIONS.schema))
