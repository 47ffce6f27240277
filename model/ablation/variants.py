"""The networks that are compared: the configured one, and the same with one part taken out or changed.

All variants of a market have the same data, days, seeds, phases and steps: an equal budget. A phase that would have
brought in a missing part trains the rest for as long; one that trains or freezes SAN does so with FAN, where FAN takes
SAN's place. Two names of one network (FAN, where it is the configured one) are one training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from model.ablation.markets import Market
from model.atft_tensors.panel import FoldPanel
from model.errors import SettingsError
from model.trained_model.config import PhaseConfig, TrainingConfig
from model.trained_model.frozen import nothing_learns
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

    def training(self, config: TrainingConfig, network: NetworkConfig) -> TrainingConfig:
        """The configured training of this variant's network: what phases train or freeze are parts that it has.

        Raises:
            SettingsError: the variant is there for a part that the network lacks or no phase switches on.
        """
        of_graph = self.graph or self.shuffled_edges
        for part, wanted in (("graph", of_graph), ("adaptive_norm", self.adaptive_norm not in (None, "none"))):
            if wanted and not any(phase.epochs and getattr(phase, part) for phase in config.phases):
                self._refuse(f"No phase of training.phases has {part}: true", "Switch it on in a phase")
        if of_graph and not network.graph:
            self._refuse("network.graph is false", "Set it to true, or name other markets with --market")
        return replace(config, phases=tuple(_phase_of(phase, network) for phase in config.phases))

    def _refuse(self, why: str, remedy: str) -> NoReturn:
        raise SettingsError(
            f"{why}, so {self.name!r} of the market {self.market!r} would be a training without the part that it is to "
            f"measure. {remedy}."
        )

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


def _phase_of(phase: PhaseConfig, network: NetworkConfig) -> PhaseConfig:
    """The phase with the parts of this network; one in which nothing would learn trains all of them."""
    there = {name: name for name in network.parts}
    there |= {name: network.adaptive_norm for name in ("fan", "san") if network.adaptive_norm != "none"}
    of_both = {"train_only": _those(phase.train_only, there), "freeze": _those(phase.freeze, there)}
    kept = replace(phase, **of_both)  # type: ignore[arg-type]
    return replace(kept, train_only=(), freeze=()) if nothing_learns(kept, network) else kept


def _those(names: Sequence[str], there: dict[str, str]) -> tuple[str, ...]:
    return tuple(there[name] for name in names if name in there)


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
