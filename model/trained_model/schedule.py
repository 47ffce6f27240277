"""Learning rates: linear warm-up, then a cosine to zero, anew in each phase; lower parts slower if asked."""

import math


def rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """The rate of one optimiser step.

    Args:
        step: 0-based step of the phase.
        steps: steps the phase would take at most.
        warmup: steps of the linear warm-up, which ends at ``peak``.
        peak: the phase's learning rate.

    Returns:
        peak * (step + 1) / warmup while warming up, then peak * (1 + cos(pi * progress)) / 2, where progress runs
        from 0 at the first step after the warm-up to just under 1 at the last.
    """
    warmup = min(warmup, steps - 1)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def layer_factors(layers: int, decay: float) -> tuple[float, ...]:
    """Factor on the rate of each layer, lowest first: decay ** (L - 1 - l), so the top layer keeps the full rate."""
    return tuple(decay ** (layers - 1 - layer) for layer in range(layers))
