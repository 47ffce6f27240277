"""Sensors: one that watches content for the light stages, one for the heavy ones, one that reports failures."""

import json
from datetime import UTC, datetime

import dagster as dg

from gogooku_dagster.lib.configuration import current
from gogooku_dagster.lib.materialise import AUTOMATION, CAUSE

LIGHT = ("raw_dataset", "quality_features", "walk_forward_folds", "portfolio_report")
HEAVY = (
    "normalization_stats",
    "baseline",
    "correlation_graph",
    "atft_tensors",
    "trained_model",
    "validation_predictions",
)

light_automation = dg.AutomationConditionSensorDefinition(
    "light_automation",
    target=dg.AssetSelection.assets(*LIGHT),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    run_tags={CAUSE: AUTOMATION},
    description="Computes data set, features, folds and report when what they read has changed.",
)
heavy_automation = dg.AutomationConditionSensorDefinition(
    "heavy_automation",
    target=dg.AssetSelection.assets(*HEAVY),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
    run_tags={CAUSE: AUTOMATION, "dagster/priority": "-1"},
    description="Computes what is made for each fold, up to the predictions, when what it reads has changed: at night.",
)


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes each failed run to alerts.jsonl in the home, once for a run and its retries.",
)
def failure_log(context: dg.RunFailureSensorContext) -> None:
    """Append each failed run, and why it failed, to ``<home>/alerts.jsonl``, once for a run and its retries."""
    from gogooku_dagster.lib.reconcile import root_cause

    run = context.dagster_run
    path = current().home / "alerts.jsonl"
    root = run.root_run_id or run.run_id
    written = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if any(f'"root_run_id": {json.dumps(root)}' in line for line in written.splitlines()):
        return
    errors = [event.step_failure_data.error for event in context.get_step_failure_events()]
    reasons = [root_cause(error, run.run_id) for error in errors if error is not None]
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "root_run_id": root,
        "run_id": run.run_id,
        "job": run.job_name,
        "partition": run.tags.get("dagster/partition"),
        "error": " ".join([context.failure_event.message or "", *reasons]).strip(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        # A line may be cut short, where the disk was full or the machine stopped: the next one begins a new line.
        begin = "\n" if written and not written.endswith("\n") else ""
        stream.write(begin + json.dumps(entry, ensure_ascii=False) + "\n")
