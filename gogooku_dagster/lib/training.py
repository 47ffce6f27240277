"""The training step: epochs to the event log, MLflow and the terminal; checkpoints; a clean end when terminated."""

import re
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg

from gogooku_dagster.lib import metadata
from gogooku_dagster.lib.home import Installation
from gogooku_dagster.lib.machine import MachineMetrics
from gogooku_dagster.lib.materialise import materialise, taken_over
from gogooku_dagster.lib.progress import listener
from gogooku_dagster.lib.registry import register
from gogooku_dagster.lib.tracking import TrainingTracker, remember_trials, training_run
from gogooku_dagster.lib.workspace import Workspace
from model.errors import GogookuError
from model.portfolio_report import trials
from model.settings.presets import without_credentials
from model.store.stage import StageEvents

_BY_PHASE = ("loss", "val_rank_ic", "lr_last", "gradient_norm")
"""Figures that have a curve of their own in every phase."""


def materialise_tracked(context: dg.AssetExecutionContext, workspace: Workspace) -> dg.MaterializeResult:
    """Train one fold inside an MLflow run and report it with links both ways.

    Raises:
        dagster.Failure: training refused to go on (non-finite loss, degenerate predictions), or what it reads is not
            as it must be; a retry cannot help. Or the tracking store cannot be opened, which is said before hours of
            training and not after them.
    """
    before = taken_over(context, workspace)
    if before is not None:
        return before._replace(metadata={**_links(context), **(before.metadata or {})})
    installation = workspace.installation()
    settings = installation.settings
    fold = context.partition_key
    with ExitStack() as stack:
        tracker = _open(stack, context, installation)
        document = settings.model_dump(mode="json")
        tracker.parameters({name: document[name] for name in trials.SECTIONS})
        machine = MachineMetrics()
        events = StageEvents(
            on_epoch=lambda record: _report_epoch(context, tracker, machine, record),
            should_stop=lambda: False,  # termination arrives as an exception in this thread
            checkpoint_dir=installation.home / "checkpoints" / "trained_model" / fold,
        )
        try:
            result = materialise(context, workspace, events)
        except GogookuError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        version = _keep(context, tracker, installation, metadata.pictures(result.metadata or {}))
    remember_trials(installation)
    links = {
        "mlflow_run": dg.MetadataValue.url(tracker.url),
        "mlflow/run_id": tracker.run_id,
        "mlflow_errors": tracker.errors,
    }
    links |= {} if version is None else {"mlflow/model_version": version}
    return result._replace(metadata={**(result.metadata or {}), **links})


def _links(context: dg.AssetExecutionContext) -> dict[str, dg.MetadataValue[Any]]:
    """The links to MLflow of the training that is taken over, where Dagster remembers it."""
    where = dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[context.partition_key])
    for record in context.instance.fetch_materializations(where, limit=1).records:
        if (event := record.asset_materialization) is not None:
            return {name: each for name, each in event.metadata.items() if name.startswith("mlflow")}
    return {}


def _open(stack: ExitStack, context: dg.AssetExecutionContext, installation: Installation) -> TrainingTracker:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return stack.enter_context(training_run(context, installation))
    except (MlflowException, SQLAlchemyError, OSError) as error:
        where = installation.settings.tracking.uri or installation.home / "mlflow"
        said = without_credentials(
            f"The MLflow store {where} cannot be used, so this training would leave no record: {error}. Start the "
            "server or mend the path, or leave tracking.uri out to keep the record under the storage root."
        )
    raise dg.Failure(said, allow_retries=False)  # not from the error, whose own text is stored with its address


def _keep(
    context: dg.AssetExecutionContext,
    tracker: TrainingTracker,
    installation: Installation,
    pictures: Mapping[str, bytes],
) -> int | None:
    """What the finished training leaves in MLflow: curves, plots, data hash, links, and the registered model.

    Args:
        pictures: PNG by name.

    Returns:
        The version of the registered model; None where the registry did not take it.
    """
    asset, fold = context.asset_key.to_user_string(), context.partition_key
    store, settings = installation.store, installation.settings
    manifest = store.require(asset, fold)
    for name in ("metrics.json", "insight.json"):
        tracker.artifact(store.path(asset, name, fold), "training")
    with tempfile.TemporaryDirectory() as folder:
        for name, picture in pictures.items():
            (Path(folder) / f"{name}.png").write_bytes(picture)
        tracker.artifacts(Path(folder), "plots")
    for upstream, content_hash in manifest.inputs.items():
        source, _, partition = upstream.partition("/")
        tracker.dataset(upstream, content_hash, store.directory(source, partition or None))
    tags = {
        "dagster.run_id": context.run.run_id,
        "dagster.url": f"{settings.tracking.dagster_url}/runs/{context.run.run_id}",
    }
    versions = {"dagster.data_version": manifest.content_hash, "dagster.code_version": manifest.code_version}
    tracker.tags({**versions, "gogooku.flagged": str(manifest.extra["flagged"])})
    return register(tracker, store, manifest, settings.tracking.experiment, tags)


def _report_epoch(
    context: dg.AssetExecutionContext,
    tracker: TrainingTracker,
    machine: MachineMetrics,
    record: dict[str, float | int | str],
) -> None:
    step = int(record.get("step", record.get("epoch", 0)))
    context.log_event(dg.AssetObservation(context.asset_key, partition=context.partition_key, metadata=dict(record)))
    tracker.metrics({**_named(record), **machine.read()}, step)
    heard = listener()
    if heard is not None:
        heard.epoch(context.asset_key.to_user_string(), context.partition_key, record)


def _named(record: dict[str, float | int | str]) -> dict[str, float | int | str]:
    """An epoch's figures by the names of their curves: each phase has its own too, and each member after the first.

    A phase may have any name, and MLflow refuses all figures of an epoch for one sign that it does not take.
    """
    member = int(record.get("member", 0))
    mark = f"member_{member}/" if member else ""
    phase = re.sub(r"[^\w.\- ]", "_", str(record["phase"]))
    curves = {f"{mark}{name}": value for name, value in record.items()}
    of_phase = {f"{mark}phase_{phase}/{name}": record[name] for name in _BY_PHASE if name in record}
    return curves | of_phase
