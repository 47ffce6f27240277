"""What a training reports while it runs, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from model.errors import TrainingError
from model.trained_model.network.atft_gat_fan import PhaseSwitches

Record = dict[str, float | int | str]


class TrainingStoppedError(TrainingError):
    """Someone asked the training to stop. Its last whole epoch lies in the checkpoint."""


@dataclass(frozen=True)
class Callbacks:
    """The wires to whoever runs the training."""

    on_epoch: Callable[[Record], None] = field(default=lambda record: None)
    should_stop: Callable[[], bool] = field(default=lambda: False)
    checkpoint_dir: Path | None = None
    """Where checkpoints go; None for none."""


@dataclass(frozen=True)
class TrainResult:
    """A finished training."""

    state: dict[str, Tensor]
    """The kept weights, on the CPU."""
    history: list[Record]
    """One record an epoch; ``seconds`` is the only entry that depends on the machine's speed."""
    best_epoch: int
    """Number of the kept epoch, counted from 1 over all phases."""
    best_rank_ic: float
    """Its validation rank IC, mean over days, then horizons."""
    switches: PhaseSwitches
    """The parts that acted in it, and must act when it predicts."""
    parameter_count: int
    flags: tuple[str, ...]
    """What went wrong without stopping the training."""
    rates: tuple[float, ...]
    """Learning rate of each optimiser step (of the top part, where parts differ)."""
