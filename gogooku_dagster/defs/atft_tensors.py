"""What the network reads: an index over shared, memory-mapped shards."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow_at_night
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.workspace import Workspace


@stage_asset("atft_tensors", automation_condition=follow_at_night(), pool="memory")
def atft_tensors(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Write missing shards once for all folds, and this fold's index, statistics and graph."""
    return materialise(context, workspace)
