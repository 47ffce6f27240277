"""Scores that learn nothing: what a model has to beat."""

import numpy as np
from numpy.typing import NDArray

from model.baseline.data import Design

Array = NDArray[np.float64]
STREAM_ID = 0x5C02E


def reversal_1d(design: Design) -> Array:
    """Minus the one-day return known at the close [R]; NaN where there is none."""
    return -design.past_return


def momentum_120d(design: Design) -> Array:
    """Return over 120 days without the last 20 (Jegadeesh and Titman 1993 skip the newest days too) [R]."""
    momentum: Array = (1.0 + design.past_return_120d) / (1.0 + design.past_return_20d) - 1.0
    return momentum


def random(design: Design, seed: int, horizon: int) -> Array:
    """Standard normal scores [R], drawn day by day in the order of codes.

    Every day has a stream of its own, so the scores of a day depend on the seed, the date, the horizon and the
    number of its rows only.
    """
    scores = np.empty(len(design.day))
    for date, block in zip(design.dates, design.blocks(), strict=True):
        entropy = np.random.SeedSequence([seed, STREAM_ID, horizon, date.toordinal()])
        scores[block] = np.random.Generator(np.random.PCG64(entropy)).standard_normal(block.stop - block.start)
    return scores
