"""The ATFT-GAT-FAN network, trained in the step's own process."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow_at_night
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.exclusive import without_another_try
from gogooku_dagster.lib.training import materialise_tracked
from gogooku_dagster.lib.workspace import Workspace


@stage_asset(
    "trained_model",
    automation_condition=follow_at_night(),
    pool="gpu",
    # A killed process is worth another try: training resumes at its last epoch. What training itself refuses
    # (non-finite loss, degenerate predictions) is raised as a failure that allows none.
    retry_policy=dg.RetryPolicy(max_retries=1),
)
def trained_model(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Train one fold: epochs stream into the event log and MLflow, each ends with a checkpoint."""
    with without_another_try(context):
        return materialise_tracked(context, workspace)
