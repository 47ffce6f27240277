"""LightGBM, ridge, reversal and random scores, out of fold."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow_at_night
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.workspace import Workspace


@stage_asset("baseline", automation_condition=follow_at_night(), pool="cpu")
def baseline(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Fit on the fold's train dates, stop on its validation dates, predict its test dates."""
    return materialise(context, workspace)
