"""Nothing is used before it could be known: the edges of every rule, by hand."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.daily_quotes.availability import (
    as_of,
    days_between,
    effective_days,
    known_by,
    open_exchange,
    with_availability,
)
from model.daily_quotes.beside import TABLES
from model.daily_quotes.calendar import config_directory, read_closes, read_holidays, trading_days, trading_hours
from model.daily_quotes.settings import CalendarSettings
from model.errors import SettingsError

JPX = CalendarSettings(exchange="jpx")
US = CalendarSettings(exchange="us", timezone="America/New_York")
TOKYO = ZoneInfo("Asia/Tokyo")


def moment(text: str, zone: str = "Asia/Tokyo") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def rows(table: str, *values: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(values), schema=TABLES[table].schema)


def counts_from(table: str, published: str, exchange: CalendarSettings = JPX, **columns: Any) -> str:
    """The trading day from which a row published at this local time counts."""
    day = date.fromisoformat(published[:10])
    days = trading_days(exchange, day, date(day.year, 12, 31)) + trading_days(
        exchange, date(day.year + 1, 1, 1), date(day.year + 1, 1, 31)
    )
    when = moment(published, exchange.timezone)
    local = when.astimezone(ZoneInfo(exchange.timezone)).date()
    filed = effective_days(pl.Series([local]), days)[0]
    frame = rows(table, {"Date": filed, "PublishedAt": when, **columns})
    available = with_availability(table, frame, open_exchange(exchange))["AvailableFrom"]
    return str(effective_days(available, days)[0])


@pytest.mark.parametrize(
    ("published", "day"),
    [
        # the close of Tokyo was 15:00 until 1 November 2024 and is 15:30 from 5 November 2024 on
        ("2024-11-01 14:59:59", "2024-11-01"),
        ("2024-11-01 15:00:00", "2024-11-05"),
        ("2024-11-05 15:00:00", "2024-11-05"),
        ("2024-11-05 15:29:59", "2024-11-05"),
        ("2024-11-05 15:30:00", "2024-11-06"),
        ("2024-11-04 12:00:00", "2024-11-05"),  # a holiday
        ("2024-10-31 00:00:00", "2024-10-31"),
        ("2024-10-31 23:59:59", "2024-11-01"),
        # half days closed at 11:00
        ("2008-12-30 10:59:00", "2008-12-30"),
        ("2008-12-30 11:00:00", "2009-01-05"),
        ("2009-01-05 11:00:00", "2009-01-06"),
        ("2009-12-30 14:59:00", "2009-12-30"),
        # weekends, Golden Week of 2019 (ten days) and year end
        ("2024-02-10 09:00:00", "2024-02-13"),
        ("2024-02-11 20:00:00", "2024-02-13"),
        ("2019-04-26 14:59:00", "2019-04-26"),
        ("2019-04-26 15:00:00", "2019-05-07"),
        ("2019-05-03 18:00:00", "2019-05-07"),
        ("2023-12-29 15:00:00", "2024-01-04"),
        ("2024-01-01 00:00:00", "2024-01-04"),
    ],
)
def test_a_statement_counts_on_the_day_before_whose_close_it_was_published(published: str, day: str) -> None:
    assert counts_from("statements", published) == day


@pytest.mark.parametrize(
    ("published", "day"),
    [
        ("2024-11-29 12:59:00", "2024-11-29"),  # the day after Thanksgiving closes at 13:00
        ("2024-11-29 13:00:00", "2024-12-02"),
        ("2024-12-24 13:00:00", "2024-12-26"),
        ("2024-11-27 15:59:00", "2024-11-27"),
        ("2024-11-27 16:00:00", "2024-11-29"),
        ("2024-03-08 15:59:00", "2024-03-08"),
        ("2024-03-11 15:59:00", "2024-03-11"),  # daylight saving time began on the 10th
        ("2024-03-11 16:00:00", "2024-03-12"),
    ],
)
def test_new_york_has_its_own_closes_and_half_days(published: str, day: str) -> None:
    assert counts_from("statements", published, US) == day


@pytest.mark.parametrize("table", ["investor_flow", "short_selling"])
@pytest.mark.parametrize(
    ("published", "day"),
    [
        ("2024-01-18 18:00:00", "2024-01-19"),
        ("2024-01-18 09:00:00", "2024-01-19"),
        ("2024-01-19 18:00:00", "2024-01-22"),
        ("2024-01-20 09:00:00", "2024-01-22"),
        ("2019-04-26 18:00:00", "2019-05-07"),
        ("2023-12-29 18:00:00", "2024-01-04"),
    ],
)
def test_weekly_flow_and_short_selling_count_from_the_trading_day_after(table: str, published: str, day: str) -> None:
    assert counts_from(table, published) == day


@pytest.mark.parametrize(
    ("kind", "published", "day"),
    [
        ("weekly", "2024-01-16 16:30:00", "2024-01-17"),
        ("weekly", "2024-01-16 14:59:00", "2024-01-16"),
        ("daily", "2024-01-16 14:59:00", "2024-01-17"),
        ("daily", "2024-01-19 16:30:00", "2024-01-22"),
    ],
)
def test_margin_with_a_time_of_publication_counts_by_its_kind(kind: str, published: str, day: str) -> None:
    assert counts_from("margin", published, Kind=kind, RecordDate=date(2024, 1, 12)) == day


@pytest.mark.parametrize(
    ("kind", "record", "exchange", "day"),
    [
        ("weekly", "2024-01-12", JPX, "2024-01-17"),
        ("weekly", "2019-04-26", JPX, "2019-05-09"),  # Golden Week lies between
        ("weekly", "2023-12-29", JPX, "2024-01-09"),  # year end, and a holiday on the 8th
        ("daily", "2024-01-12", JPX, "2024-01-15"),
        ("daily", "2024-01-13", JPX, "2024-01-15"),  # a record dated on a Saturday
        ("weekly", "2019-04-26", CalendarSettings(exchange="from_data", close="15:00"), "2019-05-01"),
    ],
)
def test_margin_without_one_counts_business_days_after_its_record(
    kind: str, record: str, exchange: CalendarSettings, day: str
) -> None:
    recorded = date.fromisoformat(record)
    frame = rows("margin", {"Date": recorded, "Kind": kind, "RecordDate": recorded})
    assert str(with_availability("margin", frame, open_exchange(exchange))["AvailableFrom"][0]) == day


FROM_DATA = CalendarSettings(exchange="from_data", close="15:30")
MAY = [*map(date.fromisoformat, ("2024-05-01", "2024-05-02", "2024-05-07", "2024-05-08", "2024-05-09", "2024-05-10"))]
"""Golden Week as it is found in the data: closed on the 3rd and the 6th."""


@pytest.mark.parametrize(
    ("observed", "record", "day"),
    [
        (MAY, "2024-05-02", "2024-05-09"),
        (MAY[:3], "2024-05-02", "2024-05-09"),  # of the days ahead every weekday counts
        (MAY[:2], "2024-05-02", "2024-05-07"),
        (MAY, "2024-04-26", "2024-05-01"),  # before the first day of the data too
        ([*MAY[:2], date(2025, 5, 2)], "2024-05-02", "2025-05-06"),  # a year without data
    ],
)
def test_business_days_of_the_past_are_those_of_the_data(observed: list[date], record: str, day: str) -> None:
    recorded = date.fromisoformat(record)
    frame = rows("margin", {"Date": recorded, "Kind": "weekly", "RecordDate": recorded})
    exchange = open_exchange(FROM_DATA, observed=observed)
    assert str(with_availability("margin", frame, exchange)["AvailableFrom"][0]) == day


@pytest.mark.parametrize("place", range(1, len(MAY)))
def test_whether_a_balance_counts_on_a_day_does_not_depend_on_the_days_after_it(place: int) -> None:
    frame = rows("margin", *({"Date": day, "Kind": "weekly", "RecordDate": day} for day in MAY[:place]))
    then, later = (
        with_availability("margin", frame, open_exchange(FROM_DATA, observed=days))["AvailableFrom"] <= MAY[place]
        for days in (MAY[: place + 1], MAY)
    )
    assert then.equals(later)


def test_no_row_counts_before_the_day_under_which_it_is_filed() -> None:
    frame = rows("statements", {"Date": date(2024, 1, 10), "PublishedAt": moment("2024-01-04 09:00")})
    assert with_availability("statements", frame, open_exchange(JPX))["AvailableFrom"][0] == date(2024, 1, 10)
    level = rows("indices", {"Date": date(2024, 1, 10), "PublishedAt": moment("2024-01-10 16:30")})
    assert with_availability("indices", level, open_exchange(JPX))["AvailableFrom"][0] == date(2024, 1, 10)
    assert with_availability("margin", rows("margin"), open_exchange(JPX)).height == 0


def test_a_correction_replaces_the_old_figure_only_from_its_own_day() -> None:
    record = date(2024, 1, 15)
    frame = rows(
        "margin",
        {"Date": date(2024, 1, 15), "Code": "1301", "Kind": "daily", "RecordDate": record, "MarginLong": 5.0}
        | {"PublishedAt": moment("2024-01-15 16:30")},
        {"Date": date(2024, 1, 18), "Code": "1301", "Kind": "daily", "RecordDate": record, "MarginLong": 7.0}
        | {"PublishedAt": moment("2024-01-18 10:00")},
    )
    days = trading_days(JPX, date(2024, 1, 15), date(2024, 1, 22))
    left = pl.DataFrame({"Date": days, "Code": ["1301"] * len(days)})
    joined = as_of(left, with_availability("margin", frame, open_exchange(JPX)), ["Code"])
    assert joined["MarginLong"].to_list() == [None, 5.0, 5.0, 5.0, 7.0, 7.0]


dates = st.integers(0, 30).map(lambda n: date.fromordinal(date(2024, 1, 1).toordinal() + n))


@settings(max_examples=25, deadline=None)
@given(
    records=st.lists(st.tuples(dates, st.sampled_from("AB"), st.integers(0, 99)), max_size=15),
    wanted=st.lists(st.tuples(dates, st.sampled_from("ABC")), min_size=1, max_size=15, unique=True),
)
def test_the_join_finds_what_a_search_row_by_row_finds(records: list[Any], wanted: list[Any]) -> None:
    left = pl.DataFrame(sorted(wanted), schema={"Date": pl.Date, "Code": pl.String}, orient="row")
    right = pl.DataFrame(records, schema={"AvailableFrom": pl.Date, "Code": pl.String, "value": pl.Int64}, orient="row")
    expected = []
    for day, code in sorted(wanted):
        before = [(known, place, value) for place, (known, name, value) in enumerate(records) if name == code]
        before = [each for each in before if each[0] <= day]
        expected.append(max(before)[2] if before else None)
    joined = as_of(left, right, ["Code"])
    assert joined["value"].to_list() == expected and joined.select("Date", "Code").equals(left)


def test_only_what_was_known_then_takes_part() -> None:
    filed = {"Date": date(2024, 1, 17), "RecordDate": date(2024, 1, 12), "Code": "1301"}
    frame = rows(
        "margin",
        {**filed, "Kind": "weekly", "PublishedAt": moment("2024-01-16 16:30")},
        {**filed, "Kind": "weekly", "PublishedAt": moment("2024-01-17 16:30")},
        {**filed, "Kind": "weekly", "PublishedAt": None},
    )
    available = with_availability("margin", frame, open_exchange(JPX))
    on = lambda text: known_by(available, moment(text), open_exchange(JPX)).height  # noqa: E731
    assert [on(text) for text in ("2024-01-16 16:29", "2024-01-16 16:30", "2024-01-17 09:00", "2024-01-18 09:00")] == [
        0,
        1,
        2,
        3,
    ]


def test_days_between_are_trading_days_from_the_effective_day_on() -> None:
    positions = pl.Series(trading_days(JPX, date(2024, 1, 4), date(2024, 1, 31)))
    earlier = pl.Series([date(2024, 1, 5), date(2024, 1, 6), date(2024, 1, 10), None], dtype=pl.Date)
    later = pl.Series([date(2024, 1, 9)] * 3 + [date(2024, 1, 10)], dtype=pl.Date)
    assert days_between(earlier, later, positions).to_list() == [1, 0, -1, None]


def test_the_close_can_be_set_and_must_be_known() -> None:
    own = trading_hours(CalendarSettings(exchange="jpx", close="14:00"))
    assert own.close(date(2024, 11, 5)) == time(14) and own.close(date(2008, 12, 30)) == time(11)
    assert trading_hours(JPX).close(date(1999, 1, 4)) == time(15)
    with pytest.raises(SettingsError, match=r"from_data, and calendar\.close is not set.*calendar\.close=15:30"):
        open_exchange(CalendarSettings(exchange="from_data"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "has no closes, and calendar.close is not set"),
        ("closes: {2020-01-01: 930}", r"has datetime.date\(2020, 1, 1\): 930 under closes"),
        ("closes: {2020-01-01: 'noon'}", "the time 'noon' under closes"),
        ("closes: {2020-01-01: '15:00'}\nhalf_days: {first: '11:00'}", "'first': '11:00' under half_days"),
    ],
)
def test_a_holiday_file_with_unreadable_hours_is_refused(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"first_year: 2020\nlast_year: 2021\nholidays: {{2020-01-01: New Year}}\n{lines}\n")
    with pytest.raises(SettingsError, match=message):
        trading_hours(CalendarSettings(holidays=str(path)))


@pytest.mark.parametrize("name", ["jpx", "us"])
def test_packaged_half_days_are_trading_days_that_close_early(name: str) -> None:
    path = config_directory() / "holidays" / f"{name}.yaml"
    usual, half_days = read_closes(path)
    first, last, closed = read_holidays(path)
    assert all(day not in closed and day.weekday() < 5 and first <= day.year <= last for day in half_days)
    assert max(half_days.values()) < min(usual.values()) and list(usual) == sorted(usual)
