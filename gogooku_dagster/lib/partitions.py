"""Partition definitions: trading days for the daily data, date-coded keys for the folds."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from gogooku_dagster.lib.home import Installation
from model.daily_quotes import calendar as calendars
from model.lineage.source_days import known_days
from model.settings.root import Settings

DYNAMIC_DAYS = "trading_day"
EARLIEST = date(2008, 1, 1)
SATURDAY = 5


def trading_days(installation: Installation) -> dg.PartitionsDefinition[str]:
    """One partition a trading day.

    With an exchange calendar a day exists from 18:00 of that day in the exchange's time zone (when the bars are
    published), holidays excluded. Where the calendar is read from the data (``calendar.exchange: from_data``) the
    days are registered as they are found.
    """
    settings = installation.settings
    calendar = settings.calendar
    if calendar.exchange == "from_data":
        return dg.DynamicPartitionsDefinition(name=DYNAMIC_DAYS)
    zone = ZoneInfo(calendar.timezone)
    first = settings.source.start or min(known_days(installation.store, settings), default=EARLIEST)
    last = settings.source.end
    until = (last or datetime.now(zone).date()) + timedelta(days=30 if last else 366)
    weekdays = {first + timedelta(days=offset) for offset in range((until - first).days + 1)}
    trading = calendars.trading_days(calendar, first, until)
    closed = sorted(weekdays - set(trading))
    after_last = next((day for day in trading if last and day > last), None)
    return dg.TimeWindowPartitionsDefinition(
        start=_published(first, zone),
        end=_published(after_last, zone) if after_last else None,
        fmt="%Y-%m-%d",
        cron_schedule="0 18 * * 1-5",
        timezone=calendar.timezone,
        exclusions=[_published(day, zone) for day in closed if day.weekday() < SATURDAY],
        end_offset=0 if last else 1,
    )


def folds(settings: Settings) -> dg.StaticPartitionsDefinition:
    """One partition a fold: ``wf_2016h1`` …, ``live``."""
    return dg.StaticPartitionsDefinition(list(settings.folds.names()))


def _published(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(18), zone)
