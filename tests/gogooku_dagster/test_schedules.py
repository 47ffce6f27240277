"""What happens at a time of day, and what is written when a run fails."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl
import pytest

from gogooku_dagster.lib import configuration
from gogooku_dagster.lib.partitions import DYNAMIC_DAYS
from tests.gogooku_dagster.support import FOLDS, QUIET, Place, kept_environment, new_place

TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Place]:
    """A home on which nothing has run."""
    with kept_environment():
        place = Place(tmp_path / "home")
        place.home.mkdir()
        yield place
        place.close()


def tick(place: Place, schedule: str, when: datetime) -> Any:
    """What a schedule asks for at a moment."""
    repository = place.definitions.get_repository_def()
    with dg.build_schedule_context(
        instance=place.instance, scheduled_execution_time=when, repository_def=repository
    ) as context:  # which opens an instance of its own, and left open would stay Dagster's current one
        return repository.get_schedule_def(schedule).evaluate_tick(context)


def on_files_that_go_on(place: Place, **sections: Any) -> Place:
    """A preset whose source has no end."""
    place.configure(source={"kind": "files", "path": str(place.bars), "start": "2018-01-04"}, **sections)
    return place


def test_the_nightly_ingestion_asks_for_the_day_that_was_just_published(empty: Place) -> None:
    data = tick(on_files_that_go_on(empty), "nightly_ingest", datetime(2026, 11, 20, 18, 30, tzinfo=TOKYO))
    [request] = data.run_requests
    assert (request.partition_key, request.run_key) == ("2026-11-20", "2026-11-20")
    assert request.tags["dagster/priority"] == "10"


def test_the_nightly_ingestion_skips_holidays_and_says_so(empty: Place) -> None:
    data = tick(on_files_that_go_on(empty), "nightly_ingest", datetime(2026, 11, 23, 18, 30, tzinfo=TOKYO))
    assert not data.run_requests
    assert "2026-11-23 is not a trading day" in data.skip_message


def test_the_nightly_ingestion_skips_days_after_the_end_of_the_source(empty: Place) -> None:
    empty.configure()
    data = tick(empty, "nightly_ingest", datetime(2026, 11, 20, 18, 30, tzinfo=TOKYO))
    assert not data.run_requests


def test_the_morning_asks_again_for_the_newest_days_that_were_never_ingested(empty: Place) -> None:
    on_files_that_go_on(empty)
    for day in ("2026-11-12", "2026-11-13", "2026-11-16", "2026-11-17", "2026-11-19"):
        empty.instance.report_runless_asset_event(dg.AssetMaterialization("daily_quotes", partition=day))
    data = tick(empty, "morning_catch_up", datetime(2026, 11, 20, 6, 30, tzinfo=TOKYO))
    asked = [request.partition_key for request in data.run_requests]
    assert asked[-1] == "2026-11-18"
    assert asked == ["2026-11-06", "2026-11-09", "2026-11-10", "2026-11-11", "2026-11-18"]
    assert len({request.run_key for request in data.run_requests}) == len(asked)


def test_without_a_calendar_the_days_of_the_source_are_registered_and_others_skipped(empty: Place) -> None:
    new_place(empty.home / "elsewhere").bars.rename(empty.bars)
    on_files_that_go_on(empty, calendar={"exchange": "from_data"})
    data = tick(empty, "nightly_ingest", datetime(2019, 6, 28, 18, 30, tzinfo=TOKYO))
    assert [request.partition_key for request in data.run_requests] == ["2019-06-28"]
    found = {str(day) for day in pl.read_parquet(empty.bars)["Date"].unique()}
    assert set(empty.instance.get_dynamic_partitions(DYNAMIC_DAYS)) == found

    data = tick(empty, "nightly_ingest", datetime(2019, 7, 1, 18, 30, tzinfo=TOKYO))
    assert not data.run_requests
    assert "the source has no rows on it yet" in data.skip_message
    assert "2019-07-01" not in empty.instance.get_dynamic_partitions(DYNAMIC_DAYS)


def test_every_sunday_the_newest_fold_is_computed_once(empty: Place) -> None:
    empty.configure()
    data = tick(empty, "weekly_training", datetime(2026, 11, 22, 10, tzinfo=TOKYO))
    [request] = data.run_requests
    assert (request.partition_key, request.run_key) == (FOLDS[-1], f"{FOLDS[-1]}-2026-W47")


def test_schedules_keep_the_exchanges_time(empty: Place) -> None:
    empty.configure()
    for schedule in empty.definitions.get_repository_def().schedule_defs:
        assert schedule.execution_timezone == "Asia/Tokyo"
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_failed_run_and_its_retries_are_one_line_of_the_failure_log(empty: Place) -> None:
    empty.configure()
    sensor = empty.definitions.get_repository_def().get_sensor_def("failure_log")

    @dg.op
    def broken() -> None:
        raise ValueError("no such thing")

    @dg.job
    def failing() -> None:
        broken()

    def fail(root: str | None = None) -> str:
        result = failing.execute_in_process(instance=empty.instance, run_config=QUIET, raise_on_error=False)
        [failure] = [event for event in result.all_events if event.event_type_value == "PIPELINE_FAILURE"]
        run = result.dagster_run._replace(root_run_id=root, parent_run_id=root)
        context = dg.build_run_status_sensor_context("failure_log", failure, empty.instance, run)
        sensor(context.for_run_failure())
        return result.run_id

    first = fail()
    fail(root=first)
    other = fail()
    log = configuration.current().home / "alerts.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line["root_run_id"] for line in lines] == [first, other]
    assert lines[0]["job"] == "failing"
    assert "Steps failed: ['broken']" in lines[0]["error"]
    assert "no such thing" in lines[0]["error"], "who is called at night learns why"
    log.write_text(log.read_text(encoding="utf-8") + lines[0]["error"][:20], encoding="utf-8")  # cut short
    fail(root=other)
    last = fail()
    lines = log.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4 and json.loads(lines[-1])["root_run_id"] == last
