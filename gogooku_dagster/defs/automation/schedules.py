"""Schedules: the two things that must happen at a time of day. Everything else follows changed content."""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from gogooku_dagster.defs.automation.jobs import folds_job, ingest_job
from gogooku_dagster.lib.configuration import current, day_partitions, fold_partitions
from gogooku_dagster.lib.partitions import DYNAMIC_DAYS
from model.lineage.source_days import look_up

ZONE = current().settings.calendar.timezone


@dg.schedule(
    job=ingest_job,
    cron_schedule="30 18 * * 1-5",
    execution_timezone=ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_ingest(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Fetch the day that has just been published; the graph follows by itself. Skips days without trading."""
    day = f"{context.scheduled_execution_time:%Y-%m-%d}"
    partitions = day_partitions()
    if isinstance(partitions, dg.DynamicPartitionsDefinition):
        place, today = current(), context.scheduled_execution_time.date()
        days = [f"{found}" for found in look_up(place.store, place.settings, today)]
        context.instance.add_dynamic_partitions(DYNAMIC_DAYS, days)
        if day not in days:
            return dg.SkipReason(f"the source has no rows on {day}")
    else:
        with dg.partition_loading_context(effective_dt=context.scheduled_execution_time):
            if not partitions.has_partition_key(day):
                return dg.SkipReason(f"{day} is not a trading day of this source")
    return dg.RunRequest(run_key=day, partition_key=day, tags={"dagster/priority": "10"})


@dg.schedule(
    job=folds_job,
    cron_schedule="0 10 * * 0",
    execution_timezone=ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def weekly_training(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Every Sunday: compute the newest fold anew, whether or not automation found a reason in the week."""
    yield _newest_fold(context.scheduled_execution_time)


def _newest_fold(at: datetime) -> dg.RunRequest:
    newest = fold_partitions().get_partition_keys()[-1]
    return dg.RunRequest(run_key=f"{newest}-{at:%G-W%V}", partition_key=newest)
