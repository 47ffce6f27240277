"""What every adaptive normalisation hands to the network, its loss, and how outputs start.

A reversible normalisation removes a non-stationary part from a window, lets the network work on the rest, and
gives its forecast of that part back at the output: ``y = y_network * scale + shift``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SMALL_INIT_STD = 0.01
"""Standard deviation of the last weights of an output that starts small."""


@dataclass(frozen=True)
class OwnHistory:
    """The target's own history after normalisation, with what must be restored at the output."""

    residual: Tensor
    """[B, L] normalised history, an input of the network."""
    shift: Tensor
    """[B, H] forecast of the removed level, added to every output of the horizon."""
    scale: Tensor | None
    """[B, H] positive forecast of the removed scale, or None where the method keeps the scale."""

    @classmethod
    def joined(cls, parts: Sequence["OwnHistory"]) -> "OwnHistory":
        """The histories of several blocks of windows as one."""
        scales = [part.scale for part in parts if part.scale is not None]
        return cls(
            residual=torch.cat([part.residual for part in parts]),
            shift=torch.cat([part.shift for part in parts]),
            scale=torch.cat(scales) if scales else None,
        )

    def denormalise(self, values: Tensor) -> Tensor:
        """values: [B, H] or [B, H, Q] in normalised units -> the same shape in the label's units."""
        extra = (1,) * (values.dim() - 2)
        shift = self.shift.reshape(*self.shift.shape, *extra)
        if self.scale is None:
            return values + shift
        return values * self.scale.reshape(*self.scale.shape, *extra) + shift


def start_small(output: nn.Linear) -> None:
    """Let an output layer start near zero: a forecast that is not trained yet should not speak loudly."""
    with torch.no_grad():
        output.weight.normal_(0.0, SMALL_INIT_STD)
        output.bias.zero_()


def forecast_loss(forecast: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the forecast of the removed part over the labels that exist.

    forecast: [B, H]; target: [B, H] scaled labels, NaN where missing. Returns a scalar, 0 without any label (the
    main loss is the one that refuses such a batch).
    """
    known = torch.isfinite(target)
    error = torch.where(known, forecast - torch.where(known, target, 0.0), 0.0)
    return error.square().sum() / known.sum().clamp(min=1)
