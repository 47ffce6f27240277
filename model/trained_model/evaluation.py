"""Rank correlation of predictions within a day, batched over days and horizons.

The trainer scores each epoch with it; the figures that are published come from ``model.metrics``, and a test keeps
the two equal.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def average_ranks(values: Tensor, mask: Tensor) -> Tensor:
    """Ranks 1 … n within the last axis, ties averaged, over the unmasked entries only.

    Args:
        values: [..., N]
        mask: [..., N], True where the entry counts.

    Returns:
        [..., N] ranks in the dtype of ``values``; 0 where masked.
    """
    filled = torch.where(mask, values.detach(), torch.inf).contiguous()
    ordered = filled.sort(dim=-1).values
    below = torch.searchsorted(ordered, filled)
    up_to = torch.searchsorted(ordered, filled, right=True)
    return torch.where(mask, (below + up_to + 1).to(values.dtype) / 2, 0.0)


def pearson(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """Pearson correlation within the last axis over the unmasked entries.

    Args:
        first, second: [..., N]; masked entries may hold any finite number.
        mask: [..., N]

    Returns:
        [...]; NaN where a side is constant.
    """
    weight = mask.to(first.dtype)
    count = weight.sum(-1).clamp_min(1)
    first = (first - ((first * weight).sum(-1) / count).unsqueeze(-1)) * weight
    second = (second - ((second * weight).sum(-1) / count).unsqueeze(-1)) * weight
    covariance = (first * second).sum(-1) / count
    spread = ((first.square().sum(-1) / count) * (second.square().sum(-1) / count)).sqrt()
    return covariance / spread


def rank_ic_by_day(
    prediction: NDArray[np.float32], target: NDArray[np.float32], *, min_names: int = 20
) -> NDArray[np.float64]:
    """Spearman correlation across stocks for each day and horizon.

    Args:
        prediction, target: [D, N, H]; NaN where there is none.
        min_names: fewest pairs with which a day counts.

    Returns:
        [D, H]; NaN for a day with too few pairs, and where a side is constant (a constant prediction has no rank IC).
    """
    first = torch.from_numpy(np.array(prediction, np.float64)).transpose(1, 2)
    second = torch.from_numpy(np.array(target, np.float64)).transpose(1, 2)
    mask = torch.isfinite(first) & torch.isfinite(second)
    result = pearson(average_ranks(first, mask), average_ranks(second, mask), mask)
    result = torch.where(mask.sum(-1) >= min_names, result, torch.nan)
    return result.numpy()


def spread_by_day(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standard deviation across stocks of each day and horizon: [D, N, H] with NaN where missing, to [D, H].

    A day without any value gives NaN.
    """
    known = np.isfinite(values)
    count = known.sum(axis=1)
    filled = np.where(known, values, 0.0).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=1) / count
        centred = np.where(known, filled - mean[:, None, :], 0.0)
        spread: NDArray[np.float64] = np.sqrt((centred**2).sum(axis=1) / count)
    return spread
