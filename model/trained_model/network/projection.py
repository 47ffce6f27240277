"""The plain input layer: one linear map of a day's features, where variable selection is switched off.

    out_t = W x_t + E m_t + b,   x_t the whole features, m_t the part that an adaptive normalisation takes out

E starts at zero, so residual and main part act as their sum before training, as in variable selection.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Affine(NamedTuple):
    """Steps as the linear map that they are: ``inputs @ weight.T + bias``."""

    inputs: Tensor
    """[L, B, inputs]"""
    weight: Tensor
    """[width, inputs]"""
    bias: Tensor
    """[width]"""

    @property
    def compact(self) -> bool:
        """Whether the inputs are fewer numbers than the steps: whoever maps the steps further then reads the inputs."""
        return self.weight.shape[1] < self.weight.shape[0]

    def steps(self) -> Tensor:
        """[L, B, width]"""
        return functional.linear(*self)


class InputProjection(nn.Module):
    """Maps F features at each step to width ``hidden``."""

    def __init__(self, features: int, hidden: int, *, channels: int = 1) -> None:
        super().__init__()
        self.linear = nn.Linear(features, hidden)
        self.extra = nn.Linear(features, hidden, bias=False) if channels == 2 else None
        if self.extra is not None:
            nn.init.zeros_(self.extra.weight)

    def forward(self, whole: Tensor, main: Tensor | None = None) -> Affine:
        """whole: [B, L, F] sum of a feature's channels, main: [B, L, F] the second of them, a removed part, or None.

        Returns the steps' map, with the inputs in memory time first, as a recurrence reads them.
        Raises ValueError when a second channel is given to a projection built for one.
        """
        weight: Tensor = self.linear.weight
        inputs = whole
        if main is not None:
            if self.extra is None:
                raise ValueError("A second channel was given to an input projection built for one.")
            inputs, weight = torch.cat([whole, main], dim=-1), torch.cat([weight, self.extra.weight], dim=1)
        return Affine(inputs.transpose(0, 1).contiguous(), weight, self.linear.bias)
