"""What each of several processes does on its own; one of them is run here as if there were another."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric

from model.atft_tensors.panel import FoldPanel
from model.trained_model.network.config import NetworkConfig
from model.trained_model.results import Callbacks, Record, TrainingStoppedError, TrainResult
from model.trained_model.session import train_here
from tests.model.trained_model.support import LOOKBACK, NETWORK, SHORT, state_hash

DROPPING: NetworkConfig = replace(NETWORK, dropout=0.2)


class OneOfTwo(Fabric):
    """The first of two processes, which hears nothing of the second."""

    @property
    def world_size(self) -> int:
        return 2


@pytest.fixture
def panel(make_panel: Callable[..., FoldPanel]) -> FoldPanel:
    return make_panel()


def first_of_two(panel: FoldPanel, callbacks: Callbacks) -> TrainResult:
    fabric: Any = OneOfTwo(accelerator="cpu", devices=1)
    return train_here(fabric, panel, DROPPING, SHORT, lookback=LOOKBACK, seed=5, callbacks=callbacks)


def test_the_masks_of_an_epoch_follow_from_the_seed_the_process_and_the_epoch(panel: FoldPanel) -> None:
    """So a process that goes on from another one's checkpoint draws what it would have drawn."""

    def disturb(record: Record) -> None:
        torch.rand(7)

    plain = first_of_two(panel, Callbacks())
    disturbed = first_of_two(panel, Callbacks(on_epoch=disturb))
    assert len(plain.history) == 2
    assert state_hash(plain.state) == state_hash(disturbed.state)


def test_a_stop_promises_the_whole_epochs_alone(panel: FoldPanel) -> None:
    asked = iter([False, True])
    with pytest.raises(TrainingStoppedError, match=r"after 0 whole epochs\. Run it again"):
        first_of_two(panel, Callbacks(should_stop=lambda: next(asked)))
