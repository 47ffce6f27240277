"""Joins stock and graph representations so that the graph can neither be diluted nor silenced.

A plain projection of [features, graph] lets training ignore the graph: the earlier system saw its gradient fall
below 1e-10. Two measures keep it alive. The graph's columns of the projection start three times larger, and the
graph output is also injected directly, after the adaptive normalisation, which therefore cannot remove it:

    out = alpha * projection([features, graph]) + (1 - alpha) * graph,   alpha = sigmoid(g), g = 0 at the start

``bypass=False`` is the plain projection, kept to measure what the two measures are worth.
"""

import torch
from torch import Tensor, nn


class ResidualFusion(nn.Module):
    """Projection of features and graph output with the residual gate. Both inputs have width ``width``."""

    def __init__(self, width: int, *, graph: bool, init_scale: float = 3.0, bypass: bool = True) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Linear(2 * width if graph else width, width)
        self.graph = graph
        self.gate = nn.Parameter(torch.zeros(())) if graph and bypass else None
        if graph and bypass:
            with torch.no_grad():
                self.project.weight[:, width:] *= init_scale

    @property
    def alpha(self) -> Tensor:
        """Share of the projected features, a scalar in (0, 1); 1 where there is no graph or no bypass."""
        return torch.ones(()) if self.gate is None else torch.sigmoid(self.gate)

    def forward(self, features: Tensor, graph: Tensor | None) -> Tensor:
        """features: [B, width]; graph: [B, width], or None while the graph is switched off -> [B, width].

        With None only the feature columns act and there is no gate: what the projection learns before the graph
        phase is what the graph phase starts from.
        """
        if graph is None:
            return nn.functional.linear(features, self.project.weight[:, : self.width], self.project.bias)
        if not self.graph:
            raise ValueError("A graph output was given to a fusion built without a graph.")
        projected: Tensor = self.project(torch.cat([features, graph], dim=-1))
        if self.gate is None:
            return projected
        alpha = torch.sigmoid(self.gate)
        out: Tensor = alpha * projected + (1.0 - alpha) * graph
        return out
