"""Guards: conditions under which a training is broken, each with its reason and what to do.

A guard stops the training or flags it. It never edits a weight, a gradient or a prediction: a head that was reset
by noise to look alive is worse than one that is known to be dead.
"""

import math
from collections.abc import Collection, Mapping

from model.errors import TrainingError
from model.trained_model.config import GuardConfig
from model.trained_model.network.atft_gat_fan import PhaseSwitches


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


def unranked_message(horizons: list[int], phase: str, config: GuardConfig) -> str:
    """What to say about them where no epoch of the phase could be ranked, and so none can be gone on from."""
    found = degenerate_message(horizons, phase, config)
    if config.degenerate == "stop":
        return found
    return (
        f"{found} No epoch of the phase has a validation rank IC, so there are no best weights to go on from, and "
        "training.guards.degenerate: flag does not apply."
    )


def stop_if_exploding(gradient: float, config: GuardConfig, *, phase: str, epoch: int, step: int) -> None:
    """Where exploding gradients stop a training: raise when this one is longer than it may be.

    Raises:
        TrainingError: with the place and the remedy.
    """
    if config.exploding == "stop" and gradient > config.max_gradient_norm:
        raise TrainingError(_exploding(gradient, config, f"phase {phase}, epoch {epoch}, step {step}"))


def judge_predictions(std_ratio: Mapping[int, float], phase: str, config: GuardConfig) -> dict[str, str]:
    """What is wrong with the predictions with which a phase ends, by guard.

    Args:
        std_ratio: standard deviation of the validation predictions over the target's, by horizon.

    Raises:
        TrainingError: a horizon is dead and ``guards.degenerate`` is stop.
    """
    found = {}
    dead = degenerate_horizons(std_ratio, config)
    if dead:
        found["dead horizon"] = degenerate_message(dead, phase, config)
        if config.degenerate == "stop":
            raise TrainingError(found["dead horizon"])
    wide = {horizon: ratio for horizon, ratio in std_ratio.items() if ratio > config.max_std_ratio}
    if wide:
        found["wide predictions"] = (
            f"Phase {phase} ended with predictions that vary more than what they predict "
            f"({', '.join(f'{ratio:.2g} times on horizon {h}' for h, ratio in wide.items())}; limit "
            f"{config.max_std_ratio:g}). An expectation cannot: raise training.loss.pointwise or weight_decay, or "
            "lower the phase's lr. Ranks are not affected."
        )
    return found


def judge_epoch(
    record: Mapping[str, float | int | str], switches: PhaseSwitches, frozen: Collection[str], config: GuardConfig
) -> dict[str, str]:
    """What is wrong with an epoch, by guard.

    Raises:
        TrainingError: the loss is exactly zero, the graph has no edge, or its attention is dead and
            ``guards.dead_graph`` is stop.
    """
    phase = str(record["phase"])
    if not float(record["loss"]):
        raise TrainingError(
            f"The loss of epoch {record['epoch']} in phase {phase} is exactly zero, so nothing is learnt. Check the "
            "weights in training.loss and that the labels differ between stocks."
        )
    found = {}
    longest = float(record["gradient_norm_max"])
    if longest > config.max_gradient_norm:
        found["exploding gradient"] = _exploding(longest, config, f"phase {phase}, epoch {record['epoch']}")
    if switches.graph:
        found |= _judge_graph(record, phase, frozen, config)
    return found


def _judge_graph(
    record: Mapping[str, float | int | str], phase: str, frozen: Collection[str], config: GuardConfig
) -> dict[str, str]:
    if not float(record["edges_per_step"]):
        raise TrainingError(
            f"Phase {phase} has the graph switched on, but no batch of the epoch had an edge: the network would "
            "be trained without any graph. Check correlation_graph of this fold (lower its correlation threshold), or "
            "switch the graph off in the network."
        )
    found = {}
    attention, gate = float(record["gradient_attention"]), record.get("gradient_gate")
    if "gat" not in frozen and not attention >= config.min_gat_gradient:
        found["dead graph"] = (
            f"The graph attention gets almost no gradient in phase {phase} (norm {attention:.1e}, limit "
            f"{config.min_gat_gradient:.1e}): it would stay as it was initialised. Check the fusion weights and the "
            "gate, and raise gat_init_scale."
        )
    if gate is not None and "fusion" not in frozen and not float(gate) > 0:
        found["dead gate"] = (
            f"The gate between stock and graph features gets no gradient in phase {phase}: the share of the graph "
            "cannot be learnt. Check that the graph's output differs from the projected features (gat_output_clip)."
        )
    if found and config.dead_graph == "stop":
        raise TrainingError(" ".join(found.values()))
    return found


def _exploding(norm: float, config: GuardConfig, where: str) -> str:
    return (
        f"The gradient's norm reached {norm:.3g} in {where} (limit {config.max_gradient_norm:.3g}, before clipping). "
        "Lower the phase's lr, lengthen its warm-up, set training.layerwise_decay to 0.9, or look for extreme inputs "
        "(gogooku diagnose shows the features)."
    )
