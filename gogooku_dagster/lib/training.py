"""The training step: epochs to the event log, MLflow and the terminal; checkpoints; a clean end when terminated."""

import dagster as dg

from gogooku_dagster.lib.materialise import materialise
from gogooku_dagster.lib.progress import listener
from gogooku_dagster.lib.tracking import TrainingTracker, remember_trials, training_run
from gogooku_dagster.lib.workspace import Workspace
from model.errors import GogookuError
from model.store.stage import StageEvents


def materialise_tracked(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Train one fold inside an MLflow run and report it with links both ways.

    Raises:
        dagster.Failure: training refused to go on (non-finite loss, degenerate predictions), or what it reads is not
            as it must be; a retry cannot help.
    """
    installation = workspace.installation()
    settings = installation.settings
    fold = context.partition_key
    with training_run(context, installation) as tracker:
        document = settings.model_dump(mode="json")
        tracker.parameters({name: document[name] for name in ("seed", "tensors", "network", "training")})
        events = StageEvents(
            on_epoch=lambda record: _report_epoch(context, tracker, record),
            should_stop=lambda: False,  # termination arrives as an exception in this thread
            checkpoint_dir=installation.home / "checkpoints" / "trained_model" / fold,
        )
        try:
            result = materialise(context, workspace, events)
        except GogookuError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        folder = installation.store.directory("trained_model", fold)
        for name in ("config.json", "metrics.json", "model.safetensors"):
            tracker.artifact(folder / name, "model")
    remember_trials(installation)
    links = {
        "mlflow_run": dg.MetadataValue.url(tracker.url),
        "mlflow/run_id": tracker.run_id,
        "mlflow_errors": tracker.errors,
    }
    return result._replace(metadata={**(result.metadata or {}), **links})


def _report_epoch(
    context: dg.AssetExecutionContext, tracker: TrainingTracker, record: dict[str, float | int | str]
) -> None:
    step = int(record.get("step", record.get("epoch", 0)))
    context.log_event(dg.AssetObservation(context.asset_key, partition=context.partition_key, metadata=dict(record)))
    tracker.metrics(record, step)
    heard = listener()
    if heard is not None:
        heard.epoch(context.asset_key.to_user_string(), context.partition_key, record)
