"""What the trainings of the tests share: a network and phases as small as they can be, and hashes of their weights."""

import hashlib
from dataclasses import replace

import torch

from model.atft_tensors.panel import FoldPanel
from model.trained_model.config import LossConfig, PhaseConfig, TrainingConfig
from model.trained_model.network.config import NetworkConfig
from model.trained_model.results import Callbacks, Record, TrainResult
from model.trained_model.trainer import train

LOOKBACK = 6
NETWORK = NetworkConfig(hidden=8, gat_hidden=8, vsn_width=4, attention_heads=2, gat_heads=2, fan_top_k=2)
TRAINING = TrainingConfig(
    phases=(
        PhaseConfig(name="baseline", epochs=2, lr=4e-3, adaptive_norm=False, graph=False),
        PhaseConfig(name="gat", epochs=2, lr=2e-3),
    ),
    days_per_batch=4,
    accelerator="cpu",
    validation_min_names=5,
    loss=LossConfig(min_names=3),
)
SHORT = replace(TRAINING, phases=(PhaseConfig(name="all", epochs=2, lr=2e-3),))


def trained(
    panel: FoldPanel,
    training: TrainingConfig = TRAINING,
    callbacks: Callbacks | None = None,
    network: NetworkConfig = NETWORK,
) -> TrainResult:
    """One training with the seed of all these tests."""
    return train(panel, network, training, lookback=LOOKBACK, seed=5, callbacks=callbacks)


def state_hash(state: dict[str, torch.Tensor]) -> str:
    """Hash of all bits of some weights."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].numpy().tobytes())
    return digest.hexdigest()


def figures(history: list[Record]) -> list[Record]:
    """Epoch records without what depends on the machine's speed."""
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]
