"""Quantiles that hold what they promise: shifts learnt on validation days, coverage measured on test days.

Split conformal prediction, level by level. With residuals e = y - q(x) of n labels of the validation days, the shift
of level a is the ceil(a (n + 1))-th smallest residual: were the labels exchangeable, the next one would lie below the
shifted quantile with chance a. Labels of one day, of overlapping horizons and of changing volatility are not
exchangeable, and the validation days also chose the epoch; so the shift is a correction and no guarantee, and the
coverage on the test days, before and after, stands beside it with its interval. Test days never enter a shift.

Where shifts differ so much that quantiles would cross, they are put in order, which never makes them worse
(Chernozhukov, Fernández-Val and Galichon, 2010).
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.atft_tensors.panel import FoldPanel
from model.metrics.bootstrap import Blocks, Resampler
from model.trained_model.inference import Predictions

FEWEST_LABELS = 200
"""Labels of a horizon below which its quantiles are left as they are."""
_BLOCK_DAYS = 5
_DRAWS = 500
_SEED = 0


@dataclass(frozen=True)
class Calibration:
    """Shifts of H horizons and Q levels, in the units of the labels, and what they were learnt from."""

    shift: NDArray[np.float32]
    """[H, Q]; 0 where there were too few labels."""
    labels: NDArray[np.int64]
    """[H] labels of the validation days."""
    days: int
    """Validation days."""


def excess_returns(panel: FoldPanel, days: NDArray[np.int64]) -> NDArray[np.float32]:
    """[D, N, H] labels of the members less their mean of the day, which is what is predicted; NaN where missing."""
    y = np.where(panel.member[days][:, :, None] & np.isfinite(panel.y[days]), panel.y[days], np.nan)
    count = np.isfinite(y).sum(axis=1, keepdims=True)
    mean = np.nansum(y, axis=1, keepdims=True, dtype=np.float64) / np.maximum(count, 1)
    excess: NDArray[np.float32] = (y - mean).astype(np.float32)
    return excess


def fit(found: Predictions, excess: NDArray[np.float32]) -> Calibration:
    """Learn the shifts.

    Args:
        found: predictions of the validation days.
        excess: [D, N, H] what happened there.
    """
    horizons, levels = excess.shape[2], len(found.levels)
    shift = np.zeros((horizons, levels), np.float32)
    known = np.isfinite(excess) & np.isfinite(found.point)
    labels = known.sum(axis=(0, 1))
    for h in range(horizons):
        n = int(labels[h])
        if n < FEWEST_LABELS:
            continue
        for q, level in enumerate(found.levels):
            residual = excess[:, :, h][known[:, :, h]] - found.quantiles[:, :, h, q][known[:, :, h]]
            place = min(max(math.ceil(level * (n + 1)), 1), n) - 1
            shift[h, q] = np.partition(residual, place)[place]
    return Calibration(shift=shift, labels=labels.astype(np.int64), days=len(found.days))


def apply(found: Predictions, calibration: Calibration) -> Predictions:
    """The predictions with shifted quantiles, which still never decrease along the levels."""
    return replace(found, quantiles=np.sort(found.quantiles + calibration.shift, axis=-1))


def coverage(found: Predictions, excess: NDArray[np.float32], horizons: tuple[int, ...]) -> dict[str, Any]:
    """Share of the labels below each quantile, and inside the widest pair of quantiles, by horizon.

    Every share is ``{value, n, interval}``: the mean of the days' shares, the number of days with a label, and a
    block-bootstrap interval over days (null where they are too few; blocks of twice the horizon at least). None without
    a label.
    """
    resampler = Resampler(_DRAWS, _SEED)
    result: dict[str, Any] = {}
    for h, horizon in enumerate(horizons):
        known = np.isfinite(excess[:, :, h]) & np.isfinite(found.point[:, :, h])
        quantiles, truth = found.quantiles[:, :, h, :], excess[:, :, h, None]
        below = truth <= quantiles
        inside = (truth[..., 0] >= quantiles[..., 0]) & below[..., -1]
        block = Blocks.of_labels(horizon, _BLOCK_DAYS)
        result[str(horizon)] = {
            "labels": int(known.sum()),
            "below": {
                f"{level:g}": _share(below[:, :, q], known, resampler, block) for q, level in enumerate(found.levels)
            },
            "inside": _share(inside, known, resampler, block),
        }
    return result


def _share(
    holds: NDArray[np.bool_], known: NDArray[np.bool_], resampler: Resampler, block: Blocks
) -> dict[str, Any] | None:
    count = known.sum(axis=1)
    days = count > 0
    if not days.any():
        return None
    daily = (holds & known).sum(axis=1)[days] / count[days]
    interval = resampler.interval(daily, block)
    return {
        "value": float(daily.mean()),
        "n": len(daily),
        "interval": None if interval is None else [float(bound) for bound in interval],
    }
