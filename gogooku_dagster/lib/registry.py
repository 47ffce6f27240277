"""Every trained fold as a version of one registered model, without a pickle.

The registered model is named like the experiment. Each version carries its fold, its data hash and both links as tags;
the alias of the fold's name points to the fold's newest version, and ``challenger`` to the newest one of the live fold.
"""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gogooku_dagster.lib.tracking import TrainingTracker
from model.store.manifest import Manifest
from model.store.store import Store
from model.walk_forward_folds.settings import LIVE

CHALLENGER = "challenger"
MODEL = "model"
"""Folder of the model among a run's artefacts."""
_LOADER = "model.trained_model.served"


def register(tracker: TrainingTracker, store: Store, manifest: Manifest, name: str, tags: dict[str, str]) -> int | None:
    """Log a fold's network as a model with its signature, and register it; None where MLflow did not take it.

    A run that was registered already (a retry) keeps its version.

    Args:
        name: of the registered model.
        tags: of the version, beside the fold and the hash of the content.
    """
    fold = str(manifest.partition)
    with tempfile.TemporaryDirectory() as folder:
        saved = tracker.attempt(lambda client: _save(Path(folder), store, manifest))
        if saved is None or not tracker.artifacts(saved, MODEL):
            return None
    tags = {**tags, "fold": fold, "dagster.data_version": manifest.content_hash}
    version = tracker.attempt(lambda client: _version(client, tracker.run_id, name, tags))
    if version is not None:
        for alias in (fold, CHALLENGER) if fold == LIVE else (fold,):
            tracker.attempt(_alias(name, alias, version))
    return version


def _save(folder: Path, store: Store, manifest: Manifest) -> Path:
    """The model in MLflow's format: a loader of ours, safetensors and JSON."""
    import mlflow.pyfunc

    source = store.directory(manifest.asset, manifest.partition)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    data, target = folder / "data", folder / "saved"
    data.mkdir()
    for file in ("config.json", *(member["weights"] for member in config["members"])):
        shutil.copyfile(source / file, data / file)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example was not provided")  # the signature is exact
        mlflow.pyfunc.save_model(
            target,
            loader_module=_LOADER,
            data_path=data,
            signature=signature(config),
            pip_requirements=["gogooku"],
            metadata={name: config[name] for name in ("features", "horizons", "lookback", "seed")},
        )
    return target


def signature(config: dict[str, Any]) -> Any:
    """Shapes and types of what the model takes and gives (mlflow's ModelSignature)."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from model.trained_model.network.direct import EDGE_ATTRIBUTES

    lookback, features = config["lookback"], len(config["features"])
    horizons, quantiles = len(config["horizons"]), len(config["network"]["quantiles"])
    single, whole = np.dtype(np.float32), np.dtype(np.int64)
    return ModelSignature(
        inputs=Schema(
            [
                TensorSpec(single, (-1, lookback, features), "x"),
                TensorSpec(single, (-1, lookback), "own_return"),
                TensorSpec(whole, (2, -1), "edge_index"),
                TensorSpec(single, (-1, EDGE_ATTRIBUTES), "edge_attr"),
            ]
        ),
        outputs=Schema(
            [
                TensorSpec(single, (-1, horizons), "point"),
                TensorSpec(single, (-1, horizons, quantiles), "quantiles"),
            ]
        ),
    )


def _alias(name: str, alias: str, version: int) -> Callable[[Any], None]:
    return lambda client: client.set_registered_model_alias(name, alias, str(version))


def _version(client: Any, run_id: str, name: str, tags: dict[str, str]) -> int:
    from mlflow.exceptions import MlflowException

    found = client.search_model_versions(f"run_id = '{run_id}'")
    if found:
        version = found[0]
        for key, value in tags.items():
            client.set_model_version_tag(name, version.version, key, value)
        return int(version.version)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return int(client.create_model_version(name, f"runs:/{run_id}/{MODEL}", run_id, tags=tags).version)
