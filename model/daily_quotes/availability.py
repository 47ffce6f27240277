"""From when on a row may be used: one rule for each table, and one as-of join for everybody.

A row's ``AvailableFrom`` is a calendar date: the row counts from the close of the first trading day on or after it.
The rules, with the exchange's close of each date (half days included):

- statements: published before the close of a trading day they count that day, at or after it from the next one;
- investor flow, sector short selling: from the trading day after the day of publication;
- weekly margin: like statements where the time of publication is given, else three business days after its record;
- daily margin: from the business day after publication, or after its record where that is not given; a correction is
  a row of its own and replaces the old figure only from its own day on;
- indices and prices: on their day, after the close.

No row counts before the trading day in whose partition it lies, whatever its times say. Nothing here looks at rows
that come later, so a later row cannot move an earlier one.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from model.daily_quotes import calendar
from model.daily_quotes.settings import CalendarSettings
from model.errors import DataError

AVAILABLE_FROM = "AvailableFrom"
Rule = Literal["at_the_close", "day_after"]

RULES: Mapping[str, Rule] = {
    "statements": "at_the_close",
    "investor_flow": "day_after",
    "short_selling": "day_after",
}
"""From publication to use, by table; margin depends on its kind, below, and indices count on their Date."""
MARGIN_RULES: Mapping[str, Rule] = {"weekly": "at_the_close", "daily": "day_after"}
MARGIN_DAYS_AFTER_RECORD: Mapping[str, int] = {"weekly": 3, "daily": 1}
"""Business days after its record date from which a margin figure counts whose publication is not given."""

_LONGEST_CLOSING = timedelta(days=30)
"""Three business days are never further away than this (Golden Week of 2019 closed the exchange for ten days)."""


@dataclass(frozen=True)
class Exchange:
    """What the rules need to know of an exchange: its hours, and which days are business days.

    With ``calendar.exchange: from_data`` the days ``observed`` in the data are the business days of the past. Nobody
    can say which days before or after them are trading days: there every weekday counts as one.
    """

    hours: calendar.Hours
    settings: CalendarSettings
    config_dir: Path | None = None
    observed: tuple[date, ...] = ()

    def local(self, moments: pl.Series) -> pl.Series:
        """Moments in UTC as naive local times."""
        return moments.dt.convert_time_zone(self.hours.timezone).dt.replace_time_zone(None)

    def business_days(self, first: date, last: date) -> list[date]:
        """The business days from ``first`` to ``last``, as far as the exchange's holidays are known."""
        if self.settings.exchange == "from_data":
            return self._observed_days(first, last)
        _, last_year, _ = calendar.read_holidays(calendar.holiday_file(self.settings, self.config_dir))
        end = min(last, date(last_year, 12, 31))
        return list(calendar.trading_days(self.settings, first, end, config_dir=self.config_dir))

    def looked_at(self, last: date) -> date:
        """The last date whose being a business day or not can matter to a row recorded up to ``last``.

        That is far away where the data have a gap.
        """
        place = bisect_right(self.observed, last)
        following = self.observed[place : place + max(MARGIN_DAYS_AFTER_RECORD.values())]
        return (following[-1] if following else last) + _LONGEST_CLOSING

    def _observed_days(self, first: date, last: date) -> list[date]:
        span = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
        if not self.observed:
            return [day for day in span if day.weekday() < 5]
        begin, end, seen = self.observed[0], self.observed[-1], set(self.observed)
        return [day for day in span if (day in seen if begin <= day <= end else day.weekday() < 5)]


def open_exchange(
    settings: CalendarSettings, config_dir: Path | None = None, observed: Iterable[date] = ()
) -> Exchange:
    """The exchange of these settings.

    Args:
        observed: the days found in the source; only ``from_data`` uses them.

    Raises:
        SettingsError: when trading closes is nowhere said.
    """
    return Exchange(calendar.trading_hours(settings, config_dir), settings, config_dir, tuple(sorted(observed)))


def with_availability(table: str, rows: pl.DataFrame, exchange: Exchange) -> pl.DataFrame:
    """``rows`` of a table beside the bars, with ``AvailableFrom`` (Date, never null).

    Args:
        table: a name in :data:`model.daily_quotes.beside.TABLES`.
        rows: rows of that table; a ``PublishedAt`` may be null in ``margin`` only.
    """
    if table == "margin":
        available = _margin(rows, exchange)
    elif table == "indices":
        available = rows["Date"]
    else:
        available = _published(rows["PublishedAt"], RULES[table], exchange)
    frame = rows.with_columns(available.alias(AVAILABLE_FROM))
    return frame.with_columns(pl.max_horizontal(AVAILABLE_FROM, "Date").alias(AVAILABLE_FROM))


def as_of(rows: pl.DataFrame, records: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """``rows`` with the newest of the ``records`` that counts at the close of each row's Date; null where none does.

    Args:
        rows: sorted by Date; its order is kept.
        records: with ``AvailableFrom`` and the columns of ``by``. Of records with the same day and the same ``by``
            the last one counts, so the caller sorts them by what decides between them.
            Columns that ``rows`` has already are left out.
        by: columns that must be equal, such as Code; none for records of the whole market.
    """
    columns = [name for name in records.columns if name not in rows.columns]
    ordered = (
        records.select(*by, *columns)
        .unique([*by, AVAILABLE_FROM], keep="last", maintain_order=True)
        .sort(AVAILABLE_FROM, maintain_order=True)
        .with_columns(pl.col(AVAILABLE_FROM).alias("__available"))
    )
    joined = rows.join_asof(
        ordered,
        left_on="Date",
        right_on="__available",
        by=list(by) or None,
        strategy="backward",
        check_sortedness=False,
    )
    return joined.select(*rows.columns, *columns)


def known_by(rows: pl.DataFrame, moment: datetime, exchange: Exchange) -> pl.DataFrame:
    """The rows (with ``AvailableFrom``) that were known at ``moment``; without a time of publication, by their day."""
    local_day = moment.astimezone(ZoneInfo(exchange.hours.timezone)).date()
    published = pl.col("PublishedAt")
    unsaid = published.is_null() & (pl.col(AVAILABLE_FROM) <= local_day)
    return rows.filter((published <= moment).fill_null(False) | unsaid)


def effective_days(available: pl.Series, days: Sequence[date]) -> pl.Series:
    """The trading day from which each row counts: the first of ``days`` on or after; null beyond the last of them."""
    trading = pl.Series("day", days, dtype=pl.Date)
    place = trading.search_sorted(available, side="left")
    return trading.gather(pl.Series(place).set(pl.Series(place) >= len(trading), None)).alias("EffectiveDate")


def on_trading_days(rows: pl.DataFrame, days: Sequence[date]) -> pl.DataFrame:
    """``rows`` with ``AvailableFrom`` moved to the trading day from which each counts, as far as ``days`` hold it.

    Two rows that begin to count at the same close then say so. What counts before the first of the days or after the
    last of them stays as it is.
    """
    if not days:
        return rows
    available = pl.col(AVAILABLE_FROM)
    moved = pl.coalesce(effective_days(rows[AVAILABLE_FROM], days), available)
    return rows.with_columns(pl.when(available < days[0]).then(available).otherwise(moved).alias(AVAILABLE_FROM))


def _published(published: pl.Series, rule: Rule, exchange: Exchange) -> pl.Series:
    """The first date at whose close a row may count that was published then."""
    local = exchange.local(published)
    day = local.dt.date()
    if rule == "day_after":
        return day.dt.offset_by("1d")
    late = local.dt.time() >= exchange.hours.close_of(day)
    return pl.select(pl.when(late).then(day.dt.offset_by("1d")).otherwise(day)).to_series()


def _margin(rows: pl.DataFrame, exchange: Exchange) -> pl.Series:
    frame = rows.select("Kind", "PublishedAt")
    available = pl.Series("available", [None] * rows.height, dtype=pl.Date)
    for kind, rule in MARGIN_RULES.items():
        said = _published(rows["PublishedAt"], rule, exchange)
        unsaid = _after_record(rows["RecordDate"], MARGIN_DAYS_AFTER_RECORD[kind], exchange)
        chosen = pl.when(pl.col("Kind") == kind).then(pl.coalesce(said, unsaid)).otherwise(available)
        available = frame.select(chosen.alias("available")).to_series()
    return available


def _after_record(records: pl.Series, days: int, exchange: Exchange) -> pl.Series:
    """The ``days``-th business day after each record date."""
    if not len(records):
        return records
    first, last = _span(records)
    business = exchange.business_days(first, exchange.looked_at(last))
    place = np.searchsorted(np.array(business, dtype="datetime64[D]"), records.to_numpy(), side="right") + days - 1
    if place.max() >= len(business):
        raise DataError(
            f"A margin figure recorded on {last} counts {days} business days later, and the holidays after "
            f"{business[-1] if business else first} are not listed. Add the missing year to the list of holidays."
        )
    return pl.Series("available", business, dtype=pl.Date).gather(place)


def _span(dates: pl.Series) -> tuple[date, date]:
    first, last = dates.min(), dates.max()
    assert isinstance(first, date) and isinstance(last, date)
    return first, last


def days_between(earlier: pl.Series, later: pl.Series, positions: pl.Series) -> pl.Series:
    """Trading days from the effective day of each ``earlier`` date to each ``later`` day; null where earlier is.

    Args:
        positions: the trading days in order.
    """
    before = pl.Series(positions.search_sorted(earlier, side="left")).cast(pl.Int64)
    after = pl.Series(positions.search_sorted(later, side="left")).cast(pl.Int64)
    return (after - before).set(earlier.is_null(), None).alias("days")
