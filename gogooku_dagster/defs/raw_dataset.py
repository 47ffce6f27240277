"""The gated, adjusted panel over all trading days."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow_days
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.workspace import Workspace


@stage_asset("raw_dataset", automation_condition=follow_days(), pool="memory")
def raw_dataset(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Gate, adjust and chunk the days by month; unchanged months are taken over as they are."""
    return materialise(context, workspace)
