"""One job a partition set, so that a click or a schedule runs a layer of the graph."""

import dagster as dg

from model.lineage.graph import FOLD_STAGES

ingest_job = dg.define_asset_job(
    "ingest",
    selection=["daily_quotes"],
    description="Fetch trading days. A range of days is one run.",
    tags={"gogooku/stage": "ingest"},
)
dataset_job = dg.define_asset_job(
    "dataset",
    selection=["raw_dataset", "quality_features"],
    description="Gate and adjust the days, compute features and labels.",
)
folds_job = dg.define_asset_job(
    "folds",
    selection=list(FOLD_STAGES),
    description="Everything of one fold: dates, statistics, baseline, graph, tensors, model, predictions.",
    tags={"dagster/priority": "-1"},
)
report_job = dg.define_asset_job(
    "report",
    selection=["portfolio_report"],
    description="Evaluate all folds and write the report.",
)


@dg.definitions
def jobs() -> dg.Definitions:
    """The jobs of the code location."""
    return dg.Definitions(jobs=[ingest_job, dataset_job, folds_job, report_job])
