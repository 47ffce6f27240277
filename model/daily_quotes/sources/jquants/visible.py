"""The calendar day on which each version of a row became visible, and the moment it was published.

A row counts from its publication; a version that was seen to change later, and a row that an earlier ask did not find
though it was published, from when it was seen. Bars and index levels belong to their own day whatever happens to them.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from model.daily_quotes.settings import CalendarSettings
from model.daily_quotes.sources.jquants.cache import VISIBLE
from model.daily_quotes.sources.jquants.tables import Table, margin_visible
from model.daily_quotes.sources.jquants.versions import SEEN
from model.errors import SourceError

PUBLISHED = {"statements": "DiscDate", "investor_flow": "PubDate", "margin": "PubDate", "daily_margin": "PubDate"}
"""The column that holds the date of publication; the other tables are published on the day that they speak of."""


def visible(table: Table, versions: pl.DataFrame, days: Sequence[date], exchange: CalendarSettings) -> pl.DataFrame:
    """``versions`` with the day on which each row became visible.

    Raises:
        SourceError: a date is not written as 2024-05-10.
    """
    frame = versions.with_columns(dates(versions, PUBLISHED.get(table.name, "Date")).alias(VISIBLE))
    if table.name == "margin":
        served = {day: margin_visible(day, days) for day in dates(versions, "Date").unique().drop_nulls().to_list()}
        record = dates(versions, "Date")
        frame = frame.with_columns(pl.col(VISIBLE).fill_null(record.replace_strict(served, return_dtype=pl.Date)))
    if not table.replaces:
        seen = pl.col(SEEN).dt.convert_time_zone(exchange.timezone).dt.date()
        frame = frame.with_columns(pl.coalesce(seen, pl.col(VISIBLE)).alias(VISIBLE))
    gone = frame[VISIBLE].null_count()
    if gone:
        raise SourceError(
            f"J-Quants sent {gone} of {frame.height} rows of {table.name} without the date of their publication. Run "
            "the command again later; if it stays so, the interface has changed."
        )
    return frame


def dates(frame: pl.DataFrame, column: str) -> pl.Series:
    """A column of dates, null where the text is missing.

    Raises:
        SourceError: a text is there and is no date.
    """
    text, parsed = frame[column], possible_dates(frame, column)
    wrong = text.filter(parsed.is_null() & text.is_not_null())
    if len(wrong):
        raise SourceError(
            f"J-Quants sent {len(wrong)} of {frame.height} rows whose {column} is no date, the first being "
            f"{wrong[0][:20]!r}. The interface may have changed; look for a newer version of this program."
        )
    return parsed


def possible_dates(frame: pl.DataFrame, column: str) -> pl.Series:
    """A column of dates, null where the text is missing or no date."""
    return frame[column].str.to_date("%Y-%m-%d", strict=False)
