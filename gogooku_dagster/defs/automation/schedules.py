"""Schedules: the things that must happen at a time of day. Everything else follows changed content."""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from gogooku_dagster.defs.automation.jobs import folds_job, ingest_job
from gogooku_dagster.lib.configuration import current, day_partitions, fold_partitions
from gogooku_dagster.lib.credentials import source_access
from gogooku_dagster.lib.partitions import DYNAMIC_DAYS
from model.lineage.source_days import look_up

ZONE = current().settings.calendar.timezone


CATCH_UP_DAYS = 10


@dg.schedule(
    job=ingest_job,
    cron_schedule="30 18 * * 1-5",
    execution_timezone=ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Fetch the day that has just been published; the graph follows by itself. Skips days without trading.",
)
def nightly_ingest(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """One run for the day of the tick."""
    day = f"{context.scheduled_execution_time:%Y-%m-%d}"
    if day not in _published_days(context):
        return dg.SkipReason(f"{day} is not a trading day of this source, or the source has no rows on it yet")
    return dg.RunRequest(run_key=day, partition_key=day, tags={"dagster/priority": "10"})


@dg.schedule(
    job=ingest_job,
    cron_schedule="30 6 * * 1-6",
    execution_timezone=ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Ask again for the newest days that were never ingested: the source was late, or the machine was off.",
)
def morning_catch_up(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """One run for each of the last days that is not there."""
    there = context.instance.get_materialized_partitions(dg.AssetKey("daily_quotes"))
    for day in _published_days(context)[-CATCH_UP_DAYS:]:
        if day not in there:
            yield dg.RunRequest(run_key=f"{day}-again-{context.scheduled_execution_time:%Y-%m-%d}", partition_key=day)


@dg.schedule(
    job=folds_job,
    cron_schedule="0 10 * * 0",
    execution_timezone=ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Compute the newest fold anew, whether or not automation found a reason in the week.",
)
def weekly_training(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """One run, once a week."""
    yield _newest_fold(context.scheduled_execution_time)


def _published_days(context: dg.ScheduleEvaluationContext) -> list[str]:
    """The trading days up to the moment of the schedule; those of the data are registered as partitions first."""
    partitions, at = day_partitions(), context.scheduled_execution_time
    if not isinstance(partitions, dg.DynamicPartitionsDefinition):
        with dg.partition_loading_context(effective_dt=at):
            return list(partitions.get_partition_keys())
    place = current()
    days = sorted(f"{found}" for found in look_up(place.store, place.settings, at.date(), source_access()))
    context.instance.add_dynamic_partitions(DYNAMIC_DAYS, days)
    return days


def _newest_fold(at: datetime) -> dg.RunRequest:
    newest = fold_partitions().get_partition_keys()[-1]
    return dg.RunRequest(run_key=f"{newest}-{at:%G-W%V}", partition_key=newest)
