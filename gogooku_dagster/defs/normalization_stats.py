"""Statistics of each day's cross-section, and what is fitted on train dates."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow_at_night
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.workspace import Workspace


@stage_asset("normalization_stats", automation_condition=follow_at_night())
def normalization_stats(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Compute the statistics of one fold."""
    return materialise(context, workspace)
