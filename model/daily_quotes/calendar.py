"""Trading days and hours of an exchange, from lists that anybody can read and correct.

``assets_config/holidays/<exchange>.yaml`` lists the weekdays on which the exchange is closed; every other weekday
is a trading day. It also says at what time trading closes: ``closes`` holds the usual time from each date on,
``half_days`` the days that differ. With ``calendar.exchange: from_data`` the days found in the source are the
calendar, and ``calendar.close`` is the close of them all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml

import model
from model.daily_quotes.settings import CalendarSettings
from model.errors import DataError, SettingsError
from model.store.hashing import file_hash


def config_directory() -> Path:
    """The folder ``assets_config`` beside the ``model`` package, in a checkout and when installed alike."""
    return Path(model.__file__).resolve().parent.parent / "assets_config"


def trading_days(
    settings: CalendarSettings,
    start: date,
    end: date,
    *,
    observed: Iterable[date] = (),
    config_dir: Path | None = None,
) -> tuple[date, ...]:
    """The trading days from ``start`` to ``end``, both included, in order.

    Args:
        observed: the days found in the source; only ``from_data`` uses them.
        config_dir: the folder that holds ``holidays/``; the packaged one by default.

    Raises:
        DataError: the list of holidays does not cover these years.
        SettingsError: the list of holidays is missing or unreadable.
    """
    if settings.exchange == "from_data":
        return tuple(sorted({day for day in observed if start <= day <= end}))
    path = holiday_file(settings, config_dir)
    first_year, last_year, closed = read_holidays(path)
    if start.year < first_year or end.year > last_year:
        raise DataError(
            f"Trading days from {start} to {end} were asked for, and {path} lists holidays for {first_year} to "
            f"{last_year} only. Add the missing years to that file, or set calendar.exchange=from_data."
        )
    days = (start + timedelta(days=offset) for offset in range((end - start).days + 1))
    return tuple(day for day in days if day.weekday() < 5 and day not in closed)


def holiday_file(settings: CalendarSettings, config_dir: Path | None = None) -> Path:
    """The file that lists this exchange's holidays and hours (``calendar.exchange`` is not ``from_data``)."""
    if settings.holidays is not None:
        return Path(settings.holidays)
    return (config_dir or config_directory()) / "holidays" / f"{settings.exchange}.yaml"


def holidays_hash(settings: CalendarSettings) -> str | None:
    """Hash of the holiday file of these settings; None with ``from_data``, which has none.

    Raises:
        SettingsError: the file is missing.
    """
    if settings.exchange == "from_data":
        return None
    return file_hash(_existing(holiday_file(settings)))


def read_holidays(path: Path) -> tuple[int, int, frozenset[date]]:
    """First year, last year and closed weekdays of one holiday file.

    Raises:
        SettingsError: the file is missing, or is not a list of dates with the years that it covers.
    """
    document = _document(path)
    wrong = [day for day in document["holidays"] if not isinstance(day, date)]
    if wrong:
        raise SettingsError(
            f"The list of holidays {path} has {len(wrong)} entries that are not dates, the first {wrong[0]!r}. "
            "Write them as 2026-11-23."
        )
    return int(document["first_year"]), int(document["last_year"]), frozenset(document["holidays"])


@dataclass(frozen=True)
class Hours:
    """When trading closes, in the exchange's local time.

    ``usual`` holds the first date of each usual close, in order; the first one counts for all days before it too.
    ``half_days`` holds the days that close at another time.
    """

    timezone: str
    usual: tuple[tuple[date, time], ...]
    half_days: Mapping[date, time]

    def close(self, day: date) -> time:
        """The close of one day."""
        begun = [moment for first, moment in self.usual if first <= day]
        return self.half_days.get(day, begun[-1] if begun else self.usual[0][1])

    def close_of(self, days: pl.Series) -> pl.Series:
        """The close of each day, without a Python step a row."""
        distinct = days.unique().drop_nulls()
        closes = pl.Series([self.close(day) for day in distinct], dtype=pl.Time)
        return days.replace_strict(distinct, closes, default=None, return_dtype=pl.Time)


def trading_hours(settings: CalendarSettings, config_dir: Path | None = None) -> Hours:
    """The closes of the exchange: those of its file, or ``calendar.close`` on every day that is no half day.

    Raises:
        SettingsError: neither ``calendar.close`` nor the file says when trading closes, or the file is wrong.
    """
    usual: Mapping[date, time] = {}
    half_days: Mapping[date, time] = {}
    where = "calendar.exchange is from_data"
    if settings.exchange != "from_data":
        path = holiday_file(settings, config_dir)
        usual, half_days = read_closes(path)
        where = f"the list of holidays {path} has no closes"
    if settings.close is not None:
        usual = {date.min: time.fromisoformat(settings.close)}
    if not usual:
        raise SettingsError(
            f"When trading closes is not known: {where}, and calendar.close is not set. Set it to the exchange's "
            "close in local time, such as calendar.close=15:30."
        )
    return Hours(settings.timezone, tuple(sorted(usual.items())), half_days)


def read_closes(path: Path) -> tuple[Mapping[date, time], Mapping[date, time]]:
    """The usual closes by first date, and the closes of half days, of one holiday file; empty where not given.

    Raises:
        SettingsError: the file is missing, or a date or time cannot be read.
    """
    document = _document(path)
    return _times(path, "closes", document), _times(path, "half_days", document)


def _times(path: Path, key: str, document: dict[str, Any]) -> dict[date, time]:
    found: dict[date, time] = {}
    for day, text in (document.get(key) or {}).items():
        if not isinstance(day, date) or not isinstance(text, str):
            raise SettingsError(
                f'The list of holidays {path} has {day!r}: {text!r} under {key}. Write 2024-11-05: "15:30".'
            )
        try:
            found[day] = time.fromisoformat(text)
        except ValueError as error:
            raise SettingsError(
                f'The list of holidays {path} has the time {text!r} under {key}. Write it as "15:30".'
            ) from error
    return found


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise SettingsError(
            f"The list of holidays {path} does not exist. Set calendar.holidays to a YAML file with first_year, "
            "last_year and holidays (date: name), or calendar.exchange to jpx, us or from_data."
        )
    return path


def _document(path: Path) -> dict[str, Any]:
    return _parsed(path, _existing(path).read_bytes())


@lru_cache(maxsize=8)
def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    """What the file says; kept by its content, so that an edit counts at once, as it does in its hash."""
    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise SettingsError(f"The list of holidays {path} is not readable YAML: {error}") from error
    keys = ("first_year", "last_year", "holidays")
    if not isinstance(document, dict) or any(key not in document for key in keys):
        raise SettingsError(f"The list of holidays {path} needs the keys first_year, last_year and holidays.")
    return document


def known_at(settings: CalendarSettings, day: pl.Expr) -> pl.Expr:
    """When the bar of ``day`` became known: the publication time of that day, in UTC."""
    hour, minute = (int(part) for part in settings.publication.split(":"))
    local = day.cast(pl.Datetime("us")).dt.offset_by(f"{hour}h{minute}m")
    return local.dt.replace_time_zone(settings.timezone).dt.convert_time_zone("UTC")
