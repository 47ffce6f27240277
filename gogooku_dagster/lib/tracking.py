"""MLflow: one run for each training, linked with Dagster both ways.

A retry of the same training continues the same MLflow run. A tracking store that cannot be written does not end a
training of hours: the error is counted and shown with the materialisation.

The store is spoken to from a thread of its own. *Terminate* raises its exception in the main thread wherever that
stands; in the middle of a transaction it would leave the database locked, and the run that was to be closed running.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import dagster as dg

from gogooku_dagster.lib.home import Installation
from model.portfolio_report import trials
from model.settings.presets import without_credentials

CONFIGURATION = "gogooku.configuration"
"""Tag of a run: what tells one configuration of the network from another."""
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""With a server that is gone, MLflow's own settings take four minutes for every record. What the user set stays."""

_MOST_PARAMETERS = 100
"""What MLflow takes at a time; of more it takes none."""

log = logging.getLogger(__name__)
T = TypeVar("T")


class TrainingTracker:
    """One MLflow run, as far as training needs it.

    Args:
        thread: one worker, in which everything is done with the client, in order.
    """

    def __init__(self, client: Any, thread: Executor, run_id: str, experiment_id: str, url: str) -> None:
        self.run_id = run_id
        self.url = f"{url}/#/experiments/{experiment_id}/runs/{run_id}"
        self.errors = 0
        self._client = client
        self._thread = thread

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Record the settings of the run, flattened to dotted names."""
        from mlflow.entities import Param

        params = [Param(key, str(value)[:6000]) for key, value in flatten(values).items()]
        for start in range(0, len(params), _MOST_PARAMETERS):
            self._attempt(params=params[start : start + _MOST_PARAMETERS])

    def metrics(self, values: Mapping[str, float | int | str], step: int) -> None:
        """Record the figures of an epoch."""
        import time

        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._attempt(
            metrics=[
                Metric(name, float(value), now, step)
                for name, value in values.items()
                if isinstance(value, (int, float)) and not isinstance(value, bool)
            ]
        )

    def artifact(self, path: Path, folder: str) -> None:
        """Keep a copy of a file with the run."""
        self.attempt(lambda client: client.log_artifact(self.run_id, str(path), folder))

    def artifacts(self, path: Path, folder: str) -> bool:
        """Keep a copy of a folder's files with the run; whether that worked."""
        before = self.errors
        self.attempt(lambda client: client.log_artifacts(self.run_id, str(path), folder))
        return self.errors == before

    def dataset(self, name: str, content_hash: str, source: Path) -> None:
        """Name the data that the run read, by the hash of their content."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(name, content_hash[:36], "local", str(source))
        read = DatasetInput(data, [InputTag("content_hash", content_hash)])
        self.attempt(lambda client: client.log_inputs(self.run_id, [read]))

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags of the run."""
        from mlflow.entities import RunTag

        self._attempt(tags=[RunTag(name, value) for name, value in values.items()])

    def close(self, status: str) -> None:
        """Say how the training ended: FINISHED, FAILED or KILLED."""
        self.attempt(lambda client: client.set_terminated(self.run_id, status))

    def attempt(self, action: Callable[[Any], T]) -> T | None:
        """Do something with the client; an error of the store is counted and logged, and the result is None."""
        from mlflow.exceptions import MlflowException

        try:
            return self._thread.submit(action, self._client).result()
        except (MlflowException, OSError) as error:
            self.errors += 1
            log.warning("MLflow did not take a record of run %s: %s", self.run_id, without_credentials(str(error)))
            return None

    def _attempt(self, **batch: Any) -> None:
        self.attempt(lambda client: client.log_batch(self.run_id, **batch))


@contextmanager
def training_run(context: dg.AssetExecutionContext, installation: Installation) -> Iterator[TrainingTracker]:
    """An MLflow run around a training: FINISHED, FAILED or KILLED as the training ends."""
    settings = installation.settings.tracking
    client = _client(installation)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow") as thread:
        experiment = thread.submit(_experiment, client, installation, context.instance).result()
        run_id = thread.submit(_open, client, experiment, context, installation).result()
        tracker = TrainingTracker(client, thread, run_id, experiment, settings.mlflow_url)
        status = "FAILED"
        try:
            yield tracker
            status = "FINISHED"
        except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
            status = "KILLED"
            raise
        finally:
            tracker.close(status)


def _client(installation: Installation) -> Any:
    """The tracking store of the settings; by default a database of the home."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is first imported
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    folder = installation.home / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    return MlflowClient(installation.settings.tracking.uri or f"sqlite:///{folder / 'mlflow.db'}")


def _experiment(client: Any, installation: Installation, instance: dg.DagsterInstance) -> str:
    """The number of the settings' experiment, which is made where there is none."""
    settings = installation.settings.tracking
    folder = None if settings.uri else installation.home / "mlflow" / "artifacts"
    found = client.get_experiment_by_name(settings.experiment)
    if found and folder and _path(found.artifact_location).resolve() != folder.resolve():
        # MLflow keeps full paths: in a home that was copied or moved, files would go to the place that it came from.
        _end_the_killed(client, found.experiment_id, instance)
        former = f"{settings.experiment} {found.experiment_id} of {found.artifact_location}"
        client.rename_experiment(found.experiment_id, former)
        found = None
    if found:
        return str(found.experiment_id)
    return str(client.create_experiment(settings.experiment, artifact_location=folder.as_uri() if folder else None))


def _path(uri: str) -> Path:
    return Path(url2pathname(urlsplit(uri).path))


def _open(client: Any, experiment_id: str, context: dg.AssetExecutionContext, installation: Installation) -> str:
    """The run of this training: a new one, or the one that an earlier attempt of the same Dagster run began.

    A run that was executed again with other settings is another training: MLflow changes no parameter.
    """
    _end_the_killed(client, experiment_id, context.instance)
    asset, partition = context.asset_key.to_user_string(), context.partition_key
    key = f"{context.run.root_run_id or context.run.run_id}:{asset}:{partition}"
    url = f"{installation.settings.tracking.dagster_url}/runs/{context.run.run_id}"
    now = {
        "dagster.run_id": context.run.run_id,
        "dagster.url": url,
        "mlflow.note.content": f"[Dagster run]({url})",
    }
    configuration = trials.configuration_hash(installation.settings)
    same = f"tags.`dagster.idempotency_key` = '{key}' and tags.`{CONFIGURATION}` = '{configuration}'"
    found = client.search_runs([experiment_id], same, max_results=1)
    if found:
        run_id = str(found[0].info.run_id)
        for name, value in now.items():  # a run that was started again after a crash is another one for Dagster
            client.set_tag(run_id, name, value)
        client.update_run(run_id, status="RUNNING")
        return run_id
    run = client.create_run(
        experiment_id,
        run_name=f"{asset} {partition}",
        tags={
            **now,
            "dagster.idempotency_key": key,
            "dagster.root_run_id": context.run.root_run_id or context.run.run_id,
            "dagster.asset_key": asset,
            "dagster.partition": partition,
            CONFIGURATION: configuration,
        },
    )
    return str(run.info.run_id)


def _end_the_killed(client: Any, experiment_id: str, instance: dg.DagsterInstance) -> None:
    """Close the runs of processes that were killed: they say RUNNING for ever, though their Dagster run has ended."""
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        of_dagster = instance.get_run_by_id(run.data.tags.get("dagster.run_id", ""))
        if of_dagster is not None and of_dagster.is_finished:
            client.set_terminated(run.info.run_id, "KILLED")


def remember_trials(installation: Installation) -> None:
    """Write down every configuration that the tracking store knows, for the report to count (model trials).

    A store that cannot be read adds only the configuration of now: it is logged, and the report's count is too low
    until the next training.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    found = {trials.configuration_hash(installation.settings)}
    try:
        client = _client(installation)
        experiment = client.get_experiment_by_name(installation.settings.tracking.experiment)
        page = None
        while experiment is not None:
            runs = client.search_runs([experiment.experiment_id], f"tags.`{CONFIGURATION}` != ''", page_token=page)
            found |= {run.data.tags[CONFIGURATION] for run in runs}
            page = runs.token
            if not page:
                break
    except (MlflowException, SQLAlchemyError, OSError) as error:
        log.warning("MLflow did not say which configurations were trained: %s", without_credentials(str(error)))
    trials.record(installation.store, found)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        flat |= flatten(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return flat
