"""Trading days and folds as Dagster lists them."""

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from gogooku_dagster.lib import partitions
from gogooku_dagster.lib.home import Installation
from model.settings import presets
from tests.gogooku_dagster.support import TINY

TOKYO = ZoneInfo("Asia/Tokyo")


def days_at(when: datetime, folder: Path, *overrides: str) -> list[str]:
    """The trading days that Dagster lists at a moment."""
    with dg.partition_loading_context(effective_dt=when):
        return list(partitions.trading_days(Installation(folder, TINY, overrides)).get_partition_keys())


@pytest.fixture
def open_ended(tmp_path: Path) -> tuple[Path, str, str]:
    """A source of files that goes on."""
    return (tmp_path, "source={kind: files, path: bars.parquet, start: 2016-01-04}", "calendar.exchange=jpx")


def test_a_day_is_listed_from_the_hour_of_publication_and_not_before(open_ended: tuple[Path, str, str]) -> None:
    before = days_at(datetime(2026, 11, 20, 17, 59, tzinfo=TOKYO), *open_ended)
    after = days_at(datetime(2026, 11, 20, 18, 0, 1, tzinfo=TOKYO), *open_ended)
    assert before[-2:] == ["2026-11-18", "2026-11-19"]
    assert after[-2:] == ["2026-11-19", "2026-11-20"]


def test_weekends_and_holidays_are_no_days(open_ended: tuple[Path, str, str]) -> None:
    days = days_at(datetime(2026, 11, 24, 19, tzinfo=TOKYO), *open_ended)
    assert days[-2:] == ["2026-11-20", "2026-11-24"]
    assert "2026-11-23" not in days


def test_golden_week_of_2019_is_one_long_closure(open_ended: tuple[Path, str, str]) -> None:
    days = days_at(datetime(2020, 1, 10, 19, tzinfo=TOKYO), *open_ended)
    around = [day for day in days if "2019-04-25" <= day <= "2019-05-08"]
    assert around == ["2019-04-25", "2019-04-26", "2019-05-07", "2019-05-08"]


def test_the_exchange_is_closed_from_the_last_of_december_to_the_third_of_january(
    open_ended: tuple[Path, str, str],
) -> None:
    days = days_at(datetime(2020, 1, 10, 19, tzinfo=TOKYO), *open_ended)
    assert [day for day in days if "2019-12-28" <= day <= "2020-01-07"] == [
        "2019-12-30",
        "2020-01-06",
        "2020-01-07",
    ]


def test_the_first_day_is_the_sources_own(open_ended: tuple[Path, str, str]) -> None:
    assert days_at(datetime(2020, 1, 10, 19, tzinfo=TOKYO), *open_ended)[0] == "2016-01-04"


def test_a_source_with_an_end_lists_its_last_day_and_none_after_it(tmp_path: Path) -> None:
    days = days_at(datetime(2026, 11, 20, 20, tzinfo=TOKYO), tmp_path)
    assert (days[0], days[-1]) == ("2018-01-04", "2019-06-28")
    assert days == days_at(datetime(2035, 1, 1, tzinfo=TOKYO), tmp_path)


def test_a_source_that_ends_before_a_weekend_or_holiday_ends_there(tmp_path: Path) -> None:
    days = days_at(datetime(2026, 11, 20, 20, tzinfo=TOKYO), tmp_path, "source.end=2019-05-01")
    assert days[-1] == "2019-04-26"


def test_past_days_do_not_change_as_time_goes_by(open_ended: tuple[Path, str, str]) -> None:
    early = days_at(datetime(2024, 1, 10, 19, tzinfo=TOKYO), *open_ended)
    late = days_at(datetime(2026, 11, 20, 19, tzinfo=TOKYO), *open_ended)
    assert late[: len(early)] == early


def test_days_that_come_from_the_data_are_registered_as_they_are_found(tmp_path: Path) -> None:
    overrides = ("source={kind: files, path: bars.parquet}", "calendar.exchange=from_data")
    days = partitions.trading_days(Installation(tmp_path, TINY, overrides))
    assert isinstance(days, dg.DynamicPartitionsDefinition)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(partitions.DYNAMIC_DAYS, [str(date(2020, 1, 6))])
        assert days.get_partition_keys(dynamic_partitions_store=instance) == ["2020-01-06"]


@pytest.mark.parametrize("preset", [TINY, "demo", "production", "us_equities"])
def test_fold_keys_are_those_of_the_settings(preset: str | Path) -> None:
    settings = presets.load(preset)
    keys = partitions.folds(settings).get_partition_keys()
    assert tuple(keys) == settings.folds.names()
    assert len(set(keys)) == len(keys) < 100, "Dagster evaluates no staleness across a hundred partitions"
