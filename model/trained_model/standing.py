"""Where a training stands, and how it is laid out in a checkpoint: plain values on one side, tensors on the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from model.trained_model.results import Record
from model.trained_model.step import Tally


@dataclass
class Standing:
    """Where the training stands, as far as it is not tensors."""

    phase: int = 0
    """Index of the phase in hand."""
    epoch: int = 0
    """Epochs finished in it."""
    done: int = 0
    """Steps taken in the epoch in hand."""
    step: int = 0
    """Optimiser steps taken in it."""
    total: int = 0
    """Epochs finished in all phases."""
    stale: int = 0
    """Epochs of this phase since its best."""
    best: float | None = None
    """Best validation rank IC of this phase."""
    best_total: int = 0
    kept: float | None = None
    kept_total: int = 0
    kept_phase: int = 0
    halvings: int = 0
    history: list[Record] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    flags: dict[str, str] = field(default_factory=dict)
    """What guards found, by phase and guard."""
    best_epochs: list[tuple[float, int]] = field(default_factory=list)
    """Validation rank IC and number of the epochs whose weights are kept beside the checkpoint, best first."""
    tally: dict[str, int] = field(default_factory=dict)
    """The counts of the epoch in hand."""

    def plain(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return {**vars(self), "best_epochs": [list(pair) for pair in self.best_epochs]}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Standing":
        """The standing of a checkpoint."""
        pairs = [(float(score), int(epoch)) for score, epoch in plain["best_epochs"]]
        return cls(**{**plain, "best_epochs": pairs})


def joined(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Groups of tensors under names such as ``weights/heads.bias``."""
    return {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}


def under(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    """The tensors of one group, by their own names."""
    prefix = f"{group}/"
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def packed_tally(tally: Tally) -> tuple[dict[str, int], dict[str, Tensor]]:
    """The counts and the sums of an epoch in hand."""
    counts = {name: value for name, value in vars(tally).items() if isinstance(value, int)}
    sums = {name: value for name, value in vars(tally).items() if isinstance(value, Tensor)}
    return counts, sums | {f"losses.{name}": value for name, value in tally.losses.items()}


def unpacked_tally(counts: Mapping[str, int], sums: Mapping[str, Tensor]) -> Tally:
    """The tally of ``packed_tally``."""
    losses = {name.removeprefix("losses."): value for name, value in sums.items() if name.startswith("losses.")}
    tally = Tally(losses=losses)
    for name, value in {**counts, **sums}.items():
        if not name.startswith("losses."):
            setattr(tally, name, value)
    return tally
