"""Graphs of correlated names from past windows."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow_at_night
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.workspace import Workspace


@stage_asset("correlation_graph", automation_condition=follow_at_night())
def correlation_graph(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Estimate the graph at each rebalance date of one fold."""
    return materialise(context, workspace)
