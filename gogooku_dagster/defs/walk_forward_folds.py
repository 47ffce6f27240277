"""Walk-forward folds and the fingerprints of their slices."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.workspace import Workspace


@stage_asset("walk_forward_folds", automation_condition=follow())
def walk_forward_folds(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Cut one fold and take the fingerprint of its slice: the cheap step that keeps untouched folds fresh."""
    return materialise(context, workspace)
