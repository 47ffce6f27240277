"""The network's out-of-fold predictions."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow_at_night
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.workspace import Workspace


@stage_asset("validation_predictions", automation_condition=follow_at_night())
def validation_predictions(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Predict the fold's test dates with the fold's own model."""
    return materialise(context, workspace)
