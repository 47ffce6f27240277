"""Checkpoints: one safetensors file an epoch, from which a training goes on bit for bit.

The tensors are weights, best weights, optimiser state, moving average and generator states; the file's metadata
holds the rest as JSON (where the training stands, its history) and the key of what is being trained. The file is
replaced in one step, so a kill leaves the last whole epoch. Nothing is pickled.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model.config import TrainingConfig
from model.trained_model.network.config import NetworkConfig

FILE = "checkpoint.safetensors"
FORMAT = 1


def training_key(
    panel: FoldPanel, network: NetworkConfig, training: TrainingConfig, *, lookback: int, seed: int
) -> str:
    """Hash of everything that decides the weights: panel, configurations, lookback, seed, format."""
    digest = hashlib.sha256()
    settings = {
        "format": FORMAT,
        "network": asdict(network),
        "training": asdict(training),
        "lookback": lookback,
        "seed": seed,
        "codes": panel.codes,
        "features": panel.features,
        "horizons": panel.horizons,
    }
    digest.update(json.dumps(settings, sort_keys=True, default=list).encode())
    for name in sorted(vars(panel)):
        value = getattr(panel, name)
        if isinstance(value, np.ndarray):
            digest.update(f"{name}{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()


def save(directory: Path, key: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Replace the checkpoint in a folder. NaN in ``state`` is refused."""
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".{FILE}.{os.getpid()}"
    plain = {name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}
    text = json.dumps(dict(state), sort_keys=True, allow_nan=False)
    save_file(plain, temporary, metadata={"key": key, "state": text})
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(directory / FILE)


def load(directory: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and state of the checkpoint in a folder; None where there is none.

    Raises:
        TrainingError: it belongs to another panel, configuration or seed.
    """
    path = directory / FILE
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as stream:
        metadata = stream.metadata()
        if metadata.get("key") != key:
            raise TrainingError(
                f"The checkpoint {path} is of another training: its panel, network, training settings, lookback or "
                "seed differ from the ones asked for, so it cannot be continued. Restore those settings, or remove "
                "the file to start over."
            )
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - no iterator of its own
    return tensors, json.loads(metadata["state"])


def remove(directory: Path) -> None:
    """Remove the checkpoint of a training that has ended."""
    (directory / FILE).unlink(missing_ok=True)
