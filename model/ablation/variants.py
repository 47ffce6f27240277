"""The networks that are compared: the configured one, and the same with one part taken out or changed.

All variants of a market have the same data, days, seeds, phases and steps: an equal budget. A phase that would have
brought in a missing part trains the rest for as long. Two names of one network (FAN, where it is the configured one)
are one training.
"""

from dataclasses import dataclass, replace

import numpy as np

from model.ablation.markets import Market
from model.atft_tensors.panel import FoldPanel
from model.trained_model.network.config import AdaptiveNorm, NetworkConfig


@dataclass(frozen=True)
class Variant:
    """One network on one market."""

    market: Market
    name: str
    graph: bool | None = None
    adaptive_norm: AdaptiveNorm | None = None
    """None keeps what is configured."""
    fusion_by_projection: bool = False
    shuffled_edges: bool = False

    def network(self, config: NetworkConfig) -> NetworkConfig:
        """The configured network with this variant's parts."""
        graph = config.graph if self.graph is None else self.graph
        changed = replace(config, graph=graph, expected_parameters=None)
        if self.adaptive_norm is not None:
            changed = replace(
                changed,
                adaptive_norm=self.adaptive_norm,
                freq_dropout_p=config.freq_dropout_p if self.adaptive_norm == "fan" else 0.0,
            )
        return replace(changed, fusion="concatenation") if self.fusion_by_projection else changed

    def panel(self, panel: FoldPanel, seed: int) -> FoldPanel:
        """The panel, with the names of each graph shuffled where this variant wants that."""
        return shuffled(panel, seed) if self.shuffled_edges else panel


VARIANTS: tuple[Variant, ...] = (
    Variant("whole", "network"),
    Variant("tabular", "network"),
    Variant("lead_lag", "network"),
    Variant("lead_lag", "without graph", graph=False),
    Variant("lead_lag", "shuffled edges", shuffled_edges=True),
    Variant("lead_lag", "plain concatenation", fusion_by_projection=True),
    Variant("regime", "FAN", adaptive_norm="fan"),
    Variant("regime", "SAN", adaptive_norm="san"),
    Variant("regime", "neither", adaptive_norm="none"),
    Variant("own", "network"),
    Variant("own", "with graph", graph=True),
    Variant("own", "without graph", graph=False),
    Variant("own", "plain concatenation", graph=True, fusion_by_projection=True),
    Variant("own", "FAN", adaptive_norm="fan"),
    Variant("own", "SAN", adaptive_norm="san"),
    Variant("own", "neither", adaptive_norm="none"),
)


def shuffled(panel: FoldPanel, seed: int) -> FoldPanel:
    """The same graphs over other names: in each graph the nodes that have an edge are permuted at random.

    Degrees, correlations and signs stay, so that only the knowledge of who is whose neighbour is lost.
    """
    edges = panel.edge_index.copy()
    for graph, (start, stop) in enumerate(zip(panel.graph_ptr[:-1], panel.graph_ptr[1:], strict=True)):
        part = edges[:, start:stop]
        nodes = np.unique(part)
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0x5F1E, graph])))
        other = np.arange(len(panel.codes))
        other[nodes] = rng.permutation(nodes)
        edges[:, start:stop] = other[part]
    return replace(panel, edge_index=edges)
