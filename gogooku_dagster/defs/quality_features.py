"""Features and labels, point in time."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.workspace import Workspace


@stage_asset("quality_features", automation_condition=follow(), pool="memory")
def quality_features(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Compute the month chunks whose inputs changed; the others are taken over as they are."""
    return materialise(context, workspace)
