"""Checkpoints: one safetensors file an epoch, from which a training goes on bit for bit.

The tensors are weights, best weights, optimiser state, moving average, the sums of an epoch in hand and generator
states; the file's metadata holds the rest as JSON (where the training stands, its history) and the key of what is being
trained. The file is replaced in one step, so a kill leaves the last whole epoch, or a place inside a long one. Beside
it lie the weights of the best epochs. Nothing is pickled.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
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
BEST = "best"
"""Folder of the weights of the best epochs."""
FORMAT = 2


def training_key(
    panel: FoldPanel, network: NetworkConfig, training: TrainingConfig, *, lookback: int, seed: int
) -> str:
    """Hash of everything that decides the weights: panel, configurations, lookback, seed, format."""
    digest = hashlib.sha256()
    settings = {
        "format": FORMAT,
        "network": asdict(network),
        "training": training.hashed(),
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
    text = json.dumps(dict(state), sort_keys=True, allow_nan=False)
    _write(directory / FILE, tensors, {"key": key, "state": text})


def best_epochs(scored: Iterable[tuple[float, int]], most: int) -> list[tuple[float, int]]:
    """The best of (validation rank IC, epoch), best first, the earlier one first where equal."""
    return sorted(set(scored), key=lambda pair: (-pair[0], pair[1]))[:most]


def epoch_file(directory: Path, epoch: int) -> Path:
    """Where the weights of a kept epoch lie."""
    return directory / BEST / f"epoch_{epoch:04d}.safetensors"


def keep_epoch(
    directory: Path,
    key: str,
    weights: Mapping[str, Tensor],
    record: Mapping[str, float | int | str],
    keep: Collection[int],
) -> None:
    """Write an epoch's weights where it is among those to keep, and remove the files of all others.

    Args:
        record: the epoch's figures, kept with the weights.
        keep: numbers of the epochs to keep.
    """
    epoch = int(record["epoch"])
    if epoch in keep:
        _write(epoch_file(directory, epoch), weights, {"key": key, "record": json.dumps(dict(record), sort_keys=True)})
    wanted = {epoch_file(directory, number).name for number in keep}
    for path in (directory / BEST).glob("*.safetensors"):
        if path.name not in wanted:
            path.unlink()


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Replace a safetensors file in one step; what a killed process left half written is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    plain = {name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}
    save_file(plain, temporary, metadata=metadata)
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(path)


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
    """Remove the checkpoint of a training that has ended; the weights of its best epochs stay."""
    (directory / FILE).unlink(missing_ok=True)
