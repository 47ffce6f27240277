"""Every model side by side, out of fold."""

import dagster as dg

from gogooku_dagster.defs.automation.conditions import follow_settled
from gogooku_dagster.lib.assets import stage_asset
from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.workspace import Workspace


@stage_asset("portfolio_report", automation_condition=follow_settled())
def portfolio_report(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Evaluate all folds together; write the page, the figures and the JSON document."""
    return materialise(context, workspace)
