"""Training of one fold: phases, early stopping, checkpoints.

    phases -> epochs -> steps over whole days -> losses -> gradients -> guards
    after each epoch: all validation days, deterministic, without dropout -> rank IC -> early stopping -> checkpoint

Each phase starts from the best weights of the one before, with an optimiser and a rate schedule of its own. Two runs
with equal inputs and seed give equal bits on a CPU, also when one of them was killed and continued from its checkpoint.
Nothing is kept globally: generators, thread counts and flags of the caller are put back.
"""

from typing import Any

import torch
from lightning_fabric import Fabric

from model.atft_tensors.panel import FoldPanel
from model.errors import TrainingError
from model.trained_model.config import TrainingConfig
from model.trained_model.distributed import train_on_many
from model.trained_model.network.config import NetworkConfig
from model.trained_model.results import Callbacks, TrainResult
from model.trained_model.session import train_here

PRECISION: dict[str, Any] = {"32": "32-true", "bf16-mixed": "bf16-mixed"}


def train(
    panel: FoldPanel,
    network: NetworkConfig,
    training: TrainingConfig,
    *,
    lookback: int,
    seed: int,
    callbacks: Callbacks | None = None,
) -> TrainResult:
    """Train a network on a fold's train days, choosing epochs by its validation days. Test days are not read.

    Args:
        panel: the fold's tensors.
        lookback: days in a window, the day itself included.
        seed: of the weights, the order of days and dropout.

    Raises:
        TrainingStoppedError: ``should_stop`` said so.
        TrainingError: labels are missing, a loss is not finite, a guard stopped the training, or the processor cannot
            compute in the precision asked for.
    """
    shared: dict[str, Any] = {"accelerator": _accelerator(training), "precision": PRECISION[training.precision]}
    calls = callbacks or Callbacks()
    if training.devices > 1:
        return train_on_many(shared, panel, network, training, lookback=lookback, seed=seed, callbacks=calls)
    fabric = Fabric(devices=1, **shared)
    _check_precision(training.precision, fabric.device)
    return train_here(fabric, panel, network, training, lookback=lookback, seed=seed, callbacks=calls)


def _accelerator(training: TrainingConfig) -> str:
    """CUDA where there is one, else the CPU; Fabric's own choice would be Apple's GPU, which has no float64 for FAN."""
    if training.accelerator != "auto":
        return training.accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"


def _check_precision(precision: str, device: torch.device) -> None:
    """Refuse reduced precision where the processor has none: the LSTM would fail in the middle of the first step."""
    if precision != "32" and device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise TrainingError(
            f"training.precision is {precision}, and this processor has no bfloat16 arithmetic (AVX-512). Set "
            "training.precision to 32, or train on a GPU."
        )
