"""Trading days of an exchange, from lists of holidays that anybody can read and correct.

``assets_config/holidays/<exchange>.yaml`` lists the weekdays on which the exchange is closed; every other weekday
is a trading day. With ``calendar.exchange: from_data`` the days found in the source are the calendar.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import polars as pl
import yaml

import model
from model.daily_quotes.settings import CalendarSettings
from model.errors import DataError, SettingsError


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
    if settings.holidays is not None:
        path = Path(settings.holidays)
    else:
        path = (config_dir or config_directory()) / "holidays" / f"{settings.exchange}.yaml"
    first_year, last_year, closed = read_holidays(path)
    if start.year < first_year or end.year > last_year:
        raise DataError(
            f"Trading days from {start} to {end} were asked for, and {path} lists holidays for {first_year} to "
            f"{last_year} only. Add the missing years to that file, or set calendar.exchange=from_data."
        )
    days = (start + timedelta(days=offset) for offset in range((end - start).days + 1))
    return tuple(day for day in days if day.weekday() < 5 and day not in closed)


@cache
def read_holidays(path: Path) -> tuple[int, int, frozenset[date]]:
    """First year, last year and closed weekdays of one holiday file.

    Raises:
        SettingsError: the file is missing, or is not a list of dates with the years that it covers.
    """
    if not path.is_file():
        raise SettingsError(
            f"The list of holidays {path} does not exist. Set calendar.holidays to a YAML file with first_year, "
            "last_year and holidays (date: name), or calendar.exchange to jpx, us or from_data."
        )
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"The list of holidays {path} is not readable YAML: {error}") from error
    keys = ("first_year", "last_year", "holidays")
    if not isinstance(document, dict) or any(key not in document for key in keys):
        raise SettingsError(f"The list of holidays {path} needs the keys first_year, last_year and holidays.")
    wrong = [day for day in document["holidays"] if not isinstance(day, date)]
    if wrong:
        raise SettingsError(
            f"The list of holidays {path} has {len(wrong)} entries that are not dates, the first {wrong[0]!r}. "
            "Write them as 2026-11-23."
        )
    return int(document["first_year"]), int(document["last_year"]), frozenset(document["holidays"])


def known_at(settings: CalendarSettings, day: pl.Expr) -> pl.Expr:
    """When the bar of ``day`` became known: the publication time of that day, in UTC."""
    hour, minute = (int(part) for part in settings.publication.split(":"))
    local = day.cast(pl.Datetime("us")).dt.offset_by(f"{hour}h{minute}m")
    return local.dt.replace_time_zone(settings.timezone).dt.convert_time_zone("UTC")
