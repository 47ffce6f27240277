"""Guards: conditions under which a training is broken, each with its reason and what to do.

A guard stops the training or flags it. It never edits a weight, a gradient or a prediction: a head that was reset
by noise to look alive is worse than one that is known to be dead.
"""

import math
from collections.abc import Mapping

from model.errors import TrainingError
from model.trained_model.config import GuardConfig


def stop_if_not_finite(loss: float, gradient: float, *, phase: str, epoch: int, step: int) -> None:
    """Raise when a loss or a gradient norm is infinite or not a number.

    Raises:
        TrainingError: with the place and the remedy.
    """
    for name, value in (("loss", loss), ("gradient norm", gradient)):
        if not math.isfinite(value):
            raise TrainingError(
                f"The {name} became {value} in phase {phase}, epoch {epoch}, step {step}. Lower the phase's lr or "
                "clip, or train with precision 32; the inputs and labels were finite when they were loaded."
            )


def degenerate_horizons(std_ratio: Mapping[int, float], config: GuardConfig) -> list[int]:
    """Horizons whose predictions do not vary across stocks (or are not numbers)."""
    return [horizon for horizon, ratio in std_ratio.items() if not ratio > config.min_prediction_std]


def degenerate_message(horizons: list[int], phase: str, config: GuardConfig) -> str:
    """What to say about them."""
    return (
        f"Phase {phase} ended with predictions that hardly differ between stocks on horizon "
        f"{', '.join(map(str, horizons))} (standard deviation at most {config.min_prediction_std:g} of the target's). "
        "Raise the phase's lr or epochs, lower weight_decay, and look at the features: constant inputs give constant "
        "predictions."
    )


def stop_if_graph_is_dead(edges: int, gradient: float, phase: str, config: GuardConfig) -> None:
    """For an epoch with the graph on: raise when there was no edge, or its attention gets no gradient.

    Args:
        edges: edges seen in the epoch.
        gradient: root mean square over the epoch's steps of the norm of the attention weights' gradient.

    Raises:
        TrainingError: with the reason and the remedy.
    """
    if edges == 0:
        raise TrainingError(
            f"Phase {phase} has the graph switched on, but no batch of the epoch had an edge: the network would "
            "be trained without any graph. Check correlation_graph of this fold (lower its correlation threshold), or "
            "switch the graph off in the network."
        )
    if not gradient >= config.min_gat_gradient:
        raise TrainingError(
            f"The graph attention gets almost no gradient in phase {phase} (norm {gradient:.1e}, limit "
            f"{config.min_gat_gradient:.1e}): it would stay as it was initialised. Check the fusion weights and the "
            "gate, and raise gat_init_scale."
        )
