"""Several networks that differ by their seed alone, and one prediction from all of them.

Members are trained one after another, each with a checkpoint of its own; a member that has finished leaves its last
checkpoint in place, so that a stopped training goes on with the member in hand. The first member has the seed itself:
it is the network that would be trained alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model.atft_tensors.panel import FoldPanel
from model.trained_model import checkpoint
from model.trained_model.config import TrainingConfig
from model.trained_model.inference import Predictions, predict
from model.trained_model.network.atft_gat_fan import PhaseSwitches
from model.trained_model.network.config import NetworkConfig
from model.trained_model.results import Callbacks, Record, TrainResult
from model.trained_model.surroundings import derived_seed
from model.trained_model.trainer import train

STREAM_MEMBER = 103


@dataclass(frozen=True)
class Member:
    """One trained network, as far as predictions need it."""

    state: dict[str, Tensor]
    switches: PhaseSwitches | None
    """The parts that acted when the weights were chosen; None for all that the network has."""


def member_seed(seed: int, member: int) -> int:
    """The seed of a member, counted from 0."""
    return seed if member == 0 else derived_seed(seed, STREAM_MEMBER, member)


def train_ensemble(
    panel: FoldPanel,
    network: NetworkConfig,
    training: TrainingConfig,
    *,
    lookback: int,
    seed: int,
    callbacks: Callbacks | None = None,
) -> tuple[TrainResult, ...]:
    """Train ``training.ensemble`` members; see ``trainer.train``. Epoch records carry ``member`` where there are more.

    Raises:
        TrainingStoppedError: ``should_stop`` said so.
        TrainingError: a member's training is broken.
    """
    calls = callbacks or Callbacks()
    return tuple(
        train(
            panel,
            network,
            training,
            lookback=lookback,
            seed=member_seed(seed, member),
            callbacks=_of_member(calls, member, training.ensemble),
        )
        for member in range(training.ensemble)
    )


def remove_checkpoints(callbacks: Callbacks, members: int) -> None:
    """Remove the checkpoints of all members; the weights of their best epochs stay."""
    for member in range(members):
        directory = _of_member(callbacks, member, members).checkpoint_dir
        if directory is not None:
            checkpoint.remove(directory)


def predict_ensemble(
    panel: FoldPanel,
    network: NetworkConfig,
    members: Sequence[Member],
    days: NDArray[np.int64],
    *,
    lookback: int,
    threads: int = 1,
    on_day: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """The mean of the members' predictions, point by point and quantile by quantile.

    Plain means in the units of the labels. Members share data, losses and units, so none outweighs the others by
    its scale; the squared error of the mean is at most the members' mean squared error; and means of quantiles that
    never decrease never decrease either.

    Args:
        members: at least one; one alone is its own prediction, to the bit.
        on_day: told the number of days done, counted over all members.
    """
    counted = count(1)
    found = [
        predict(
            panel,
            network,
            member.state,
            days,
            lookback=lookback,
            switches=member.switches,
            threads=threads,
            on_day=lambda _: on_day(next(counted)),
        )
        for member in members
    ]
    if len(found) == 1:
        return found[0]
    return replace(
        found[0], point=_mean([each.point for each in found]), quantiles=_mean([each.quantiles for each in found])
    )


def _mean(arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.asarray(np.stack(arrays).mean(axis=0, dtype=np.float64), np.float32)


def _of_member(callbacks: Callbacks, member: int, members: int) -> Callbacks:
    """The wires of one member: records that name it, and a folder of its own. One alone is left as it is."""
    if members == 1:
        return callbacks

    def on_epoch(record: Record) -> None:
        callbacks.on_epoch({**record, "member": member})

    folder = callbacks.checkpoint_dir
    return replace(callbacks, on_epoch=on_epoch, checkpoint_dir=None if folder is None else folder / f"member_{member}")
