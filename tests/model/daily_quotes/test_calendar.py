"""Trading days against days that are known."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from model.daily_quotes.calendar import config_directory, known_at, read_holidays, trading_days
from model.daily_quotes.settings import CalendarSettings
from model.errors import DataError, SettingsError

JPX = CalendarSettings(exchange="jpx")
US = CalendarSettings(exchange="us", timezone="America/New_York")


def is_open(settings: CalendarSettings, text: str) -> bool:
    day = date.fromisoformat(text)
    return trading_days(settings, day, day) == (day,)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23",
        "2020-07-23",
        "2020-07-24",
        "2021-07-22",
        "2021-07-23",
        "2021-08-09",
        "2020-08-10",
        "2019-04-30",
        "2019-05-01",
        "2019-05-02",
        "2019-05-06",
        "2019-10-22",
        "2009-09-22",
        "2015-09-22",
        "2018-12-24",
        "2024-02-12",
        "2024-12-31",
        "2025-01-02",
        "2025-01-03",
        "2008-05-06",
    ],
)
def test_tokyo_is_closed_on_its_holidays(text: str) -> None:
    assert not is_open(JPX, text)


@pytest.mark.parametrize(
    "text",
    ["2020-10-01", "2020-10-12", "2021-10-11", "2021-07-19", "2019-12-23", "2020-12-30", "2021-01-04", "2019-02-22"],
)
def test_tokyo_is_open_where_a_holiday_was_moved_or_abolished(text: str) -> None:
    assert is_open(JPX, text)


@pytest.mark.parametrize(
    "text",
    [
        "2012-10-29",
        "2012-10-30",
        "2018-12-05",
        "2025-01-09",
        "2022-06-20",
        "2023-06-19",
        "2021-12-24",
        "2015-07-03",
        "2024-03-29",
        "2017-01-02",
        "2026-07-03",
    ],
)
def test_new_york_is_closed_on_its_holidays_and_on_unscheduled_days(text: str) -> None:
    assert not is_open(US, text)


@pytest.mark.parametrize("text", ["2021-06-18", "2021-12-31", "2010-12-31", "2012-10-31", "2015-11-27", "2026-11-23"])
def test_new_york_is_open_on_half_days_and_before_a_new_year_on_saturday(text: str) -> None:
    assert is_open(US, text)


def test_a_year_has_the_known_number_of_trading_days() -> None:
    assert len(trading_days(JPX, date(2020, 1, 1), date(2020, 12, 31))) == 243
    assert len(trading_days(JPX, date(2019, 1, 1), date(2019, 12, 31))) == 241
    assert len(trading_days(US, date(2020, 1, 1), date(2020, 12, 31))) == 253
    assert len(trading_days(US, date(2012, 1, 1), date(2012, 12, 31))) == 250


def test_an_exchange_of_another_clock_is_refused_unless_its_days_are_ones_own() -> None:
    with pytest.raises(ValidationError, match=r"Set calendar.timezone=America/New_York"):
        CalendarSettings(exchange="us")
    with pytest.raises(ValidationError, match=r"Set calendar.timezone=Asia/Tokyo"):
        CalendarSettings(timezone="Europe/London")
    for chosen in ({"exchange": "us", "timezone": "America/New_York"}, {"exchange": "from_data", "timezone": "UTC"}):
        assert CalendarSettings.model_validate(chosen).timezone == chosen["timezone"]
    assert CalendarSettings(timezone="Europe/London", holidays="own.yaml").timezone == "Europe/London"


def test_days_found_in_the_data_can_be_the_calendar() -> None:
    days = [date(2020, 1, 4), date(2020, 1, 1), date(2020, 2, 1), date(2020, 1, 1)]
    found = trading_days(CalendarSettings(exchange="from_data"), date(2020, 1, 1), date(2020, 1, 31), observed=days)
    assert found == (date(2020, 1, 1), date(2020, 1, 4))


def test_years_without_a_list_are_refused_rather_than_taken_as_open() -> None:
    with pytest.raises(DataError, match="2008 to 2028"):
        trading_days(JPX, date(2007, 12, 1), date(2008, 2, 1))


def test_a_holiday_file_of_ones_own_is_used(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("first_year: 2020\nlast_year: 2020\nholidays:\n  2020-03-03: mine\n")
    settings = CalendarSettings(holidays=str(path))
    assert trading_days(settings, date(2020, 3, 2), date(2020, 3, 4)) == (date(2020, 3, 2), date(2020, 3, 4))


def test_an_edited_holiday_file_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("first_year: 2020\nlast_year: 2020\nholidays:\n  2020-03-03: mine\n")
    settings = CalendarSettings(holidays=str(path))
    days = date(2020, 3, 2), date(2020, 3, 5)
    assert date(2020, 3, 4) in trading_days(settings, *days)
    path.write_text("first_year: 2020\nlast_year: 2020\nholidays:\n  2020-03-03: mine\n  2020-03-04: ours\n")
    assert trading_days(settings, *days) == (date(2020, 3, 2), date(2020, 3, 5))


@pytest.mark.parametrize(
    "text", ["holidays: [", "first_year: 2020\n", "first_year: 1\nlast_year: 2\nholidays: {x: y}\n"]
)
def test_an_unusable_holiday_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"broken\.yaml"):
        read_holidays(path)
    with pytest.raises(SettingsError, match="does not exist"):
        read_holidays(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", ["jpx", "us"])
def test_packaged_lists_hold_weekdays_only_and_cover_their_years(name: str) -> None:
    first, last, closed = read_holidays(config_directory() / "holidays" / f"{name}.yaml")
    assert {day.year for day in closed} == set(range(first, last + 1)) == set(range(2008, 2029))
    assert all(day.weekday() < 5 for day in closed)


def test_a_bar_becomes_known_at_the_publication_time_of_its_day() -> None:
    frame = pl.DataFrame({"Date": [date(2020, 1, 6), date(2020, 7, 6)]})
    tokyo = frame.select(known_at(JPX, pl.col("Date"))).to_series().to_list()
    assert tokyo == [datetime(2020, 1, 6, 7, 30, tzinfo=UTC), datetime(2020, 7, 6, 7, 30, tzinfo=UTC)]
    new_york = frame.select(known_at(US, pl.col("Date"))).to_series().to_list()
    assert new_york == [datetime(2020, 1, 6, 21, 30, tzinfo=UTC), datetime(2020, 7, 6, 20, 30, tzinfo=UTC)]


def test_a_corrected_holiday_changes_the_hash_of_the_calendar_and_its_path_does_not(tmp_path: Path) -> None:
    text = "first_year: 2020\nlast_year: 2021\nholidays:\n  2020-01-01: New Year\n"
    one, same, other = (tmp_path / name for name in ("one.yaml", "same.yaml", "other.yaml"))
    one.write_text(text)
    same.write_text(text)
    other.write_text(text + "  2020-01-02: another\n")
    hashes = [CalendarSettings(holidays=str(path)).hashed() for path in (one, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert CalendarSettings(exchange="from_data").hashed()["holidays"] is None
    with pytest.raises(SettingsError, match="does not exist"):
        CalendarSettings(holidays=str(tmp_path / "none.yaml")).hashed()
