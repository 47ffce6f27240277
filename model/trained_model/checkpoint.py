"""Checkpoints: one safetensors file an epoch, from which a training goes on bit for bit.

The tensors are weights, best weights, optimiser state, moving average, the sums of an epoch in hand and generator
states; the file's metadata holds the rest as JSON (where the training stands, its history) and the key of what is being
trained. The file is replaced in one step, so a kill leaves the last whole epoch, or a place inside a long one. It holds
a digest of all that it says: one that was damaged on the disk is set aside, and the training starts anew. Beside it lie
the weights of the best epochs. Nothing is pickled.
"""

import hashlib
import json
import logging
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model.config import TrainingConfig
from model.trained_model.network.config import NetworkConfig

log = logging.getLogger(__name__)

FILE = "checkpoint.safetensors"
DAMAGED = f"{FILE}.damaged"
"""Name under which a damaged checkpoint stays until its training has ended."""
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
    temporary = path.parent / f".{path.name}.{os.getpid()}"
    plain = {name: value.detach().to("cpu").contiguous().clone() for name, value in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for pattern in (f".{path.name}.*", ".tmp*"):  # the second is what safetensors itself writes to first
            for left in path.parent.glob(pattern):
                left.unlink(missing_ok=True)
        save_file(plain, temporary, metadata={**metadata, "digest": _digest(plain, metadata)})
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:  # safetensors wraps what the disk says
        with suppress(OSError):
            temporary.unlink()
        raise TrainingError(
            f"The weights of this training cannot be written to {path.parent}: {error}. Free space there, or make the "
            "folder writable, and run again: the training goes on from the last checkpoint that was written."
        ) from error


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 of tensors and metadata. The trainer has no other hash: the store's needs polars."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load(directory: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and state of the checkpoint in a folder; None where there is none, or one that was damaged.

    A damaged one is renamed and a warning logged: the training it belongs to cannot be had back, and one that refused
    to start would stay blocked.

    Raises:
        TrainingError: it belongs to another panel, configuration or seed, or may not be read.
    """
    path = directory / FILE
    try:
        tensors, metadata = _read(path)
    except FileNotFoundError:
        return None
    except _DamagedError as error:
        _set_aside(path, str(error))
        return None
    except OSError as error:
        raise TrainingError(
            f"The checkpoint {path} cannot be read: {error}. Make it readable, or remove it to start over."
        ) from error
    if metadata["key"] != key:
        raise TrainingError(
            f"The checkpoint {path} is of another training: its panel, network, training settings, lookback or "
            "seed differ from the ones asked for, so it cannot be continued. Restore those settings, or remove "
            "the file to start over."
        )
    return tensors, json.loads(metadata["state"])


class _DamagedError(Exception):
    """A file is not what was written."""


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file, as they were written.

    Raises:
        OSError: it is not there or cannot be opened.
        _DamagedError: it is not what was written, or says nothing to tell that by.
    """
    with path.open("rb"):  # safetensors does not say what kept it from opening a file
        try:
            with safe_open(path, framework="pt") as stream:
                metadata = dict(stream.metadata() or {})
                names = stream.keys()  # no iterator of its own
                tensors = {name: stream.get_tensor(name) for name in names}
        except SafetensorError as error:
            raise _DamagedError(str(error)) from error
    digest = metadata.pop("digest", None)
    if digest is None:
        raise _DamagedError("it holds no digest")
    if digest != _digest(tensors, metadata):
        raise _DamagedError("its bytes differ from what was written")
    return tensors, metadata


def _set_aside(path: Path, reason: str) -> None:
    damaged = path.with_name(DAMAGED)
    try:
        path.replace(damaged)
    except FileNotFoundError:
        return  # another process of this training was faster
    except OSError as error:
        raise TrainingError(
            f"The checkpoint {path} is damaged ({reason}) and cannot be renamed: {error}. Make the folder writable, "
            "or remove the file, and run again."
        ) from error
    log.warning(
        f"The checkpoint {path} is damaged ({reason}), so this training starts from the beginning. It stays as "
        f"{damaged.name} until the training has ended; check the disk if this happens again."
    )


def remove(directory: Path) -> None:
    """Remove the checkpoint of a training that has ended, a damaged one too; the weights of its best epochs stay."""
    for name in (FILE, DAMAGED):
        (directory / name).unlink(missing_ok=True)
