"""Output heads: one for each horizon, a point and monotone quantiles.

The point has an output of its own. It is trained by ranking and squared-error losses and aims at the conditional
mean (or an order), while the quantiles are trained by the pinball loss; tying the point to the median would let
either loss pull the other. Quantiles cannot cross: the level nearest to 0.5 is predicted directly and the others
are reached from it by positive steps,

    q_i = q_c + sum_{c < j <= i} softplus(g_j)   above the centre c, and the mirror image below it.

Steps start at the distances of a standard normal, because labels come scaled to unit standard deviation.
"""

import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.trained_model.network.adaptive import start_small
from model.trained_model.network.products import unrounded


class HorizonHead(nn.Module):
    """[B, width] -> point [B] and quantiles [B, Q] of one horizon."""

    def __init__(
        self, width: int, quantiles: Sequence[float], *, dropout: float = 0.0, small_init: bool = True
    ) -> None:
        super().__init__()
        levels = tuple(quantiles)
        self.centre = min(range(len(levels)), key=lambda i: (abs(levels[i] - 0.5), i))
        self.trunk = nn.Sequential(nn.Linear(width, width), nn.ELU(), nn.Dropout(dropout))
        self.output = nn.Linear(width, 1 + len(levels))  # point, centre, steps below, steps above
        if small_init:
            start_small(self.output)
        with torch.no_grad():
            self.output.bias.zero_()
            normal = NormalDist()
            steps = [normal.inv_cdf(b) - normal.inv_cdf(a) for a, b in itertools.pairwise(levels)]
            self.output.bias[2:] = torch.tensor([math.log(math.expm1(step)) for step in steps])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, width] -> (point [B], quantiles [B, Q] never decreasing along Q)."""
        raw = unrounded(self.output, self.trunk(x))
        point, centre = raw[:, 0], raw[:, 1:2]
        steps = functional.softplus(raw[:, 2:])
        below = steps[:, : self.centre].flip(-1).cumsum(-1).flip(-1)
        above = steps[:, self.centre :].cumsum(-1)
        return point, torch.cat([centre - below, centre, centre + above], dim=-1)


class HorizonHeads(nn.Module):
    """One :class:`HorizonHead` for each horizon; its parameters are named by the horizon in days."""

    def __init__(
        self,
        width: int,
        horizons: Sequence[int],
        quantiles: Sequence[float],
        *,
        dropout: float = 0.0,
        small_init: bool = True,
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(
            {f"h{h}": HorizonHead(width, quantiles, dropout=dropout, small_init=small_init) for h in horizons}
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, width] -> point [B, H] and quantiles [B, H, Q], horizons in the order given."""
        outputs = [head(x) for head in self.heads.values()]
        return torch.stack([o[0] for o in outputs], dim=1), torch.stack([o[1] for o in outputs], dim=1)
