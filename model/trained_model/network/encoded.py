"""What the encoder makes of windows, and how it is differentiated without keeping its activations.

Nine tenths of what a training pass keeps for its gradient lies in the encoder, where each window is read on its own.
So the encoder can read some windows at a time and forget all but their states; the backward pass reads the same windows
again, with the same dropout (activation checkpointing, Chen et al., 2016, arXiv 1604.06174). Memory is then bounded by
the windows read at a time, whatever the days of a pass; graph, heads and losses still see all of them at once.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from model.trained_model.network.adaptive import OwnHistory

WINDOWS_AT_A_TIME, WINDOWS_AT_A_TIME_ON_A_GPU = 640, 4096
"""Windows whose activations are held at a time: on a GPU, enough to keep it busy."""


class Encoded(NamedTuple):
    """Windows as the rest of the network sees them."""

    state: Tensor
    """[B, width] state of the newest day."""
    selection: Tensor | None
    """[B, F] variable selection weights on the newest day; None where nothing is selected."""
    history: OwnHistory | None
    """The own history as the adaptive normalisation sees it; None where it does not act."""


def computed_again(encode: Callable[[Tensor, Tensor], Encoded], x: Tensor, own_return: Tensor) -> Encoded:
    """The encoder's result, its activations computed again in the backward pass, some windows at a time.

    x: [B, L, F]; own_return: [B, L]. ``encode`` must read each window on its own.
    """
    windows = WINDOWS_AT_A_TIME if x.device.type == "cpu" else WINDOWS_AT_A_TIME_ON_A_GPU
    parts: list[Encoded] = [
        checkpoint(encode, *part, use_reentrant=False)
        for part in zip(x.split(windows), own_return.split(windows), strict=True)
    ]
    selections = [part.selection for part in parts if part.selection is not None]
    histories = [part.history for part in parts if part.history is not None]
    return Encoded(
        state=torch.cat([part.state for part in parts]),
        selection=torch.cat(selections) if selections else None,
        history=OwnHistory.joined(histories) if histories else None,
    )
