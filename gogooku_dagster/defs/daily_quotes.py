"""Daily bars of each trading day, as the source said them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.exclusive import without_another_try
from gogooku_dagster.lib.materialise import ingest_days
from gogooku_dagster.lib.workspace import Workspace


@stage_asset(
    "daily_quotes",
    backfill_policy=dg.BackfillPolicy.single_run(),
    output_required=False,  # each day is reported as a materialisation of its own
    retry_policy=dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS),
    pool="source",
)
def daily_quotes(context: dg.AssetExecutionContext, workspace: Workspace) -> Iterator[Any]:
    """Fetch the run's trading days; a backfill of a thousand days is one run and one read of the source."""
    with without_another_try(context):
        yield from ingest_days(context, workspace)
