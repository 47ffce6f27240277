"""The direct path: what a linear model would say, beside the deep network (the "wide" part of Cheng et al., 2016).

Returns are mostly noise, and most of what can be known of them is nearly linear. A deep network learns that slowly and
with many weights; here it costs few and is learnt at once, so the network can spend itself on the rest. For the newest
day's features x_i of a name,

    point_i += W x_i                                        linear
             + C [(U x_i) * (V x_i)]                        pairwise interactions of low rank (Rendle 2010)
             + D sum_j a_ij s_ij u_j                        what the neighbours that lead did on their own

j runs over the neighbours of i, s_ij is the sign of their correlation, and u_j is j's own move: its features less the
mean of itself and its neighbours, as in :mod:`model.correlation_graph.lead_lag`. The weight a_ij = softplus(b . edge_ij
+ q . x_j + c) is no share of a whole: a name whose neighbours lead nobody has nobody to follow, one with two leaders
follows both. It starts by following those who led in the past, and learns what else marks a leader. W, C, D and q start
at zero, so that an untrained path says nothing; D and q may be kept sparse (``training.leaders_l1``), as the wide part
of the paper is, by soft thresholding after each step.
"""

import math

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from model.trained_model.network.gat import SELF_LOOP_ATTRIBUTES
from model.trained_model.network.products import unrounded

EDGE_ATTRIBUTES = len(SELF_LOOP_ATTRIBUTES)
LEAD_AT_START, OFFSET_AT_START = 3.0, -2.0
"""Weight of an edge's lead before training, and what is added to it: nearly nothing for who never led."""


class DirectPath(nn.Module):
    """[B, F] newest features (and the day's graph) -> [B, H] added to the point predictions."""

    def __init__(self, features: int, horizons: int, *, rank: int, graph: bool) -> None:
        super().__init__()
        self.linear = _zero(features, horizons)
        self.left = self.right = self.interactions = None
        if rank:
            self.left, self.right = nn.Linear(features, rank, bias=False), nn.Linear(features, rank, bias=False)
            for part in (self.left, self.right):
                nn.init.normal_(part.weight, std=1.0 / math.sqrt(features))
            self.interactions = _zero(rank, horizons)
        self.neighbours = _Leaders(features, horizons) if graph else None

    def forward(self, x: Tensor, edge_index: Tensor | None, edge_attr: Tensor | None) -> Tensor:
        """x: [B, F]; edge_index: [2, E] and edge_attr: [E, 4], or None while the graph is off -> [B, H]."""
        out = unrounded(self.linear, x)
        if self.left is not None and self.right is not None and self.interactions is not None:
            out = out + unrounded(self.interactions, self.left(x) * self.right(x))
        if self.neighbours is not None and edge_index is not None and edge_attr is not None:
            out = out + self.neighbours(x, edge_index, edge_attr)
        return out


class _Leaders(nn.Module):
    """What the leading neighbours did, beyond what their own neighbourhoods did."""

    def __init__(self, features: int, horizons: int) -> None:
        super().__init__()
        self.of_edge = nn.Parameter(torch.tensor([0.0] * (EDGE_ATTRIBUTES - 1) + [LEAD_AT_START]))
        self.offset = nn.Parameter(torch.tensor(OFFSET_AT_START))
        self.of_source = _zero(features, 1)
        self.output = _zero(features, horizons)

    def coefficients(self) -> list[Tensor]:
        """Weights that start at zero, one a feature (and horizon): D and q."""
        return [self.of_source.weight, self.output.weight]

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        source, target = edge_index
        size = x.shape[0]
        sign = torch.where(edge_attr[:, 0] < 0.0, -1.0, 1.0).to(x.dtype)
        degree = scatter(torch.ones_like(sign), target, dim_size=size).unsqueeze(-1)
        group = scatter(sign.unsqueeze(-1) * x[source], target, dim_size=size)
        own = x - (x + group) / (degree + 1.0)
        logits = edge_attr.to(x.dtype) @ self.of_edge + self.of_source(x)[source, 0] + self.offset
        sent = (sign * nn.functional.softplus(logits)).unsqueeze(-1) * own[source]
        return unrounded(self.output, scatter(sent, target, dim_size=size))


def _zero(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.zeros_(layer.weight)
    return layer
