"""Which parts of the network a phase leaves as they are.

Training in stages needs it: SAN, for example, learns its statistics first and keeps them while the rest learns
(``train_only: [san]``, then ``freeze: [san]``). A frozen part still acts; its weights keep their bits.
"""

from model.errors import TrainingError
from model.trained_model.config import PhaseConfig
from model.trained_model.network.config import NetworkConfig

_SWITCHED = {"fan": "adaptive_norm", "san": "adaptive_norm", "gat": "graph", "gat_input": "graph"}
"""Parts that act only where a phase switches them on."""


def frozen_parts(phase: PhaseConfig, network: NetworkConfig) -> frozenset[str]:
    """The parts whose weights a phase does not change because it says so.

    Raises:
        TrainingError: the phase names a part that the network lacks, or no part that acts in it would learn.
    """
    parts = network.parts
    unknown = sorted({*phase.train_only, *phase.freeze} - set(parts))
    if unknown:
        raise TrainingError(
            f"Phase {phase.name} names {', '.join(unknown)} in train_only or freeze; the parts of this network are "
            f"{', '.join(parts)}."
        )
    if nothing_learns(phase, network):
        raise TrainingError(
            f"Phase {phase.name} would train nothing: of the parts that may learn, none acts in it. Switch "
            "adaptive_norm or graph on in the phase, or freeze less."
        )
    return _frozen(phase, network)


def nothing_learns(phase: PhaseConfig, network: NetworkConfig) -> bool:
    """Whether no part that acts in a phase may learn in it."""
    learning = set(network.parts) - _frozen(phase, network)
    return not any(part not in _SWITCHED or getattr(phase, _SWITCHED[part]) for part in learning)


def _frozen(phase: PhaseConfig, network: NetworkConfig) -> frozenset[str]:
    return frozenset(set(network.parts) - set(phase.train_only) if phase.train_only else phase.freeze)
