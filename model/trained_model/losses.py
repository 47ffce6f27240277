"""The losses, on whole days padded to one rectangle.

Every loss takes ``prediction`` and ``target`` of shape [groups, N], one group for a day and horizon, and a ``mask``
of the same shape that is True where the pair counts: one path for missing labels, padding and thin days. Targets
are in standard deviations of the training labels, demeaned within the day. A missing label that is not masked out
raises; it is never taken as zero.

Cross-sectional losses are means over groups with at least ``min_names`` pairs; pointwise ones are means over pairs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model.errors import TrainingError
from model.trained_model.config import LossConfig
from model.trained_model.evaluation import average_ranks

Weight = Tensor | float
"""Weight of values in a mean, broadcast against them."""

_FEWEST = 1e-12
"""Smallest sum of weights that a mean divides by; below it there is nothing to average."""
_VARIANCE_FLOOR = 1e-8
"""Added to variances, so that a constant side has correlation 0 and a bounded gradient."""
_SPREAD_FLOOR = 1e-2
"""Added to the variance of predictions (labels have variance 1) inside a correlation.

A correlation does not see the scale of predictions, so its gradient grows as one over their spread. Without a floor of
the order of what can be predicted, the first steps of a network that starts small have gradients thousands of times
those that follow, and an optimiser that remembers them (Adam) then hardly moves for a thousand steps."""
_PAIRS_AT_A_TIME, _PAIRS_AT_A_TIME_ON_A_GPU = 2**20, 2**26
"""Pairs of stocks that a block of the soft rank holds: on a GPU, enough to keep it busy (256 MB)."""


@dataclass(frozen=True)
class Padded:
    """The days of a batch as rectangles.

    Shapes, with D days of at most N stocks, H horizons and Q quantiles: ``prediction`` and ``target`` [D, N, H],
    ``quantiles`` [D, N, H, Q], ``mask`` [D, N, H] (True where there is a stock and its label is known).
    """

    prediction: Tensor
    quantiles: Tensor
    target: Tensor
    mask: Tensor


def masked_mean(values: Tensor, mask: Tensor, weight: Weight = 1.0) -> Tensor:
    """Weighted mean of the unmasked values; 0 (with zero gradient) where nothing is unmasked.

    Args:
        weight: positive, broadcast against ``values``.
    """
    counted = mask.to(values.dtype) * weight
    return (torch.where(mask, values, 0.0) * weight).sum() / counted.sum().clamp_min(_FEWEST)


def squared_error(prediction: Tensor, target: Tensor, mask: Tensor, weight: Weight = 1.0) -> Tensor:
    """Mean of (prediction - target)²."""
    return masked_mean((prediction - target).square(), mask, weight)


def huber(prediction: Tensor, target: Tensor, mask: Tensor, delta: float, weight: Weight = 1.0) -> Tensor:
    """Mean of e²/2 for |e| ≤ δ and δ(|e| - δ/2) beyond (Huber 1964)."""
    error = (prediction - target).abs()
    inner = error.clamp(max=delta)
    return masked_mean(inner * (error - 0.5 * inner), mask, weight)


def pinball(quantiles: Tensor, target: Tensor, mask: Tensor, levels: tuple[float, ...], weight: Weight = 1.0) -> Tensor:
    """Mean over pairs and levels q of max(q(y - ŷ), (q - 1)(y - ŷ)).

    Args:
        quantiles: [..., Q], ordered like ``levels``.
        target, mask: [...]
    """
    level = quantiles.new_tensor(levels)
    error = target.unsqueeze(-1) - quantiles
    return masked_mean(torch.maximum(level * error, (level - 1) * error).mean(-1), mask, weight)


def direction(prediction: Tensor, target: Tensor, mask: Tensor, weight: Weight = 1.0) -> Tensor:
    """Logistic loss of the target's sign, log(1 + exp(-sign(y) ŷ)); pairs with y = 0 do not count."""
    sign = target.sign()
    return masked_mean(torch.nn.functional.softplus(-sign * prediction), mask & (sign != 0), weight)


def information_coefficient(
    prediction: Tensor, target: Tensor, mask: Tensor, min_names: int, weight: Weight = 1.0
) -> Tensor:
    """One minus the mean Pearson correlation within a group (the day's IC), floored by ``_SPREAD_FLOOR``."""
    known = mask.to(prediction.dtype)
    count = known.sum(-1).clamp_min(1)
    product = _standardised(prediction, known, _SPREAD_FLOOR) * _standardised(target, known, _VARIANCE_FLOOR)
    correlation = product.sum(-1) / count
    return 1 - masked_mean(correlation, mask.sum(-1) >= min_names, weight)


def _standardised(values: Tensor, known: Tensor, floor: Weight) -> Tensor:
    """Values less their group's mean, over the root of their variance plus ``floor``; 0 where ``known`` is 0."""
    count = known.sum(-1, keepdim=True).clamp_min(1)
    centred = (values - (values * known).sum(-1, keepdim=True) / count) * known
    return centred / (centred.square().sum(-1, keepdim=True) / count + floor).sqrt()


def soft_rank(values: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """Differentiable ranks: r_i = 1/2 + Σ_j σ((x_i - x_j) / τ), the sum over the unmasked j of the group.

    σ is the logistic function, so τ → 0 gives average ranks exactly (ties included). Time grows with N² within a
    group; memory does not: pairs are taken in blocks and, where there are several, computed again for the gradient.

    Args:
        values: [groups, N]
        mask: [groups, N]
        temperature: τ, in the units of ``values``.

    Returns:
        [groups, N]; 0 where masked.
    """
    wins: Tensor = _SoftWins.apply(values, mask.to(values.dtype), temperature)
    return torch.where(mask, wins + 0.5, 0.0)


class _SoftWins(torch.autograd.Function):
    """w_i = Σ_j m_j σ((x_i - x_j) / τ), and as σ' is even, dx_i = (g_i Σ_j σ'_ij m_j - m_i Σ_j σ'_ij g_j) / τ."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, temperature: float) -> Tensor:
        shares: Iterable[Tensor] = _shares(values, temperature)
        kept: list[Tensor] = []
        if values.shape[0] * values.shape[1] ** 2 <= _pairs_at_a_time(values):
            kept = list(shares)
            shares = kept
        ctx.save_for_backward(values, weight, *kept)
        ctx.temperature = temperature
        wins = [share @ weight.unsqueeze(-1) for share in shares]
        return torch.cat(wins, dim=-2).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        values, weight, *kept = ctx.saved_tensors
        both = torch.stack([weight, gradients[0]], dim=-1)
        shares = kept or _shares(values, ctx.temperature)
        slopes = [torch.addcmul(share, share, share, value=-1.0) @ both for share in shares]
        by_weight, by_gradient = torch.cat(slopes, dim=-2).unbind(-1)
        return (gradients[0] * by_weight - weight * by_gradient) / ctx.temperature, None, None


def _shares(values: Tensor, temperature: float) -> Iterator[Tensor]:
    """σ((x_i - x_j) / τ) as blocks [groups, rows, N] over i."""
    groups, names = values.shape
    scaled = values / temperature
    for rows in scaled.split(max(1, _pairs_at_a_time(values) // max(groups * names, 1)), dim=1):
        yield torch.sub(rows.unsqueeze(-1), scaled.unsqueeze(-2)).sigmoid_()


def _pairs_at_a_time(values: Tensor) -> int:
    return _PAIRS_AT_A_TIME if values.device.type == "cpu" else _PAIRS_AT_A_TIME_ON_A_GPU


def rank_information_coefficient(
    prediction: Tensor, target: Tensor, mask: Tensor, temperature: float, min_names: int, weight: Weight = 1.0
) -> Tensor:
    """One minus the mean correlation of soft prediction ranks with average target ranks (the day's rank IC), with
    ``_SPREAD_FLOOR`` on the predictions and on their ranks.

    Predictions are standardised within the group first, so ``temperature`` is in standard deviations of the day's
    predictions, as far as these are well above the floor, and the loss does not depend on their scale there.
    """
    known = mask.to(prediction.dtype)
    count = known.sum(-1, keepdim=True).clamp_min(1)
    ranks = soft_rank(_standardised(prediction, known, _SPREAD_FLOOR), mask, temperature)
    # Distinct ranks have a variance of (n^2 - 1) / 12; soft ranks of predictions that hardly differ have next to none.
    # A single name's rank has no variance at all, and a root of zero no gradient: it counts as two, and for nothing.
    distinct = (count.clamp_min(2).square() - 1) / 12
    product = _standardised(ranks, known, _SPREAD_FLOOR * distinct) * (1 + _SPREAD_FLOOR) ** 0.5
    product = product * _standardised(average_ranks(target, mask), known, _VARIANCE_FLOOR)
    correlation = product.sum(-1) / count.squeeze(-1)
    return 1 - masked_mean(correlation, mask.sum(-1) >= min_names, weight)


def sharpe(prediction: Tensor, target: Tensor, mask: Tensor, min_names: int, weight: Weight = 1.0) -> Tensor:
    """One minus the mean over horizons of r̄ / √(mean r²) over the batch's days, r the long-short return of a day.

    The day's weights are the demeaned predictions over the sum of their absolute values (market neutral, gross 1).
    With S the Sharpe ratio r̄ / σ over the days, r̄ / √(mean r²) = S / √(1 + S²): it has the same optimum, stays
    within ±1 and exists for a single day.

    Args:
        prediction, target, mask: [H, D, N], the days of one horizon together.
    """
    known = mask.to(prediction.dtype)
    count = known.sum(-1, keepdim=True).clamp_min(1)
    centred = (prediction - (prediction * known).sum(-1, keepdim=True) / count) * known
    gross = centred.abs().sum(-1) + _VARIANCE_FLOOR**0.5
    earned = (centred * torch.where(mask, target, 0.0)).sum(-1) / gross
    days = (mask.sum(-1) >= min_names).to(earned.dtype)
    number = days.sum(-1).clamp_min(1)
    mean = (earned * days).sum(-1) / number
    square = (earned.square() * days).sum(-1) / number
    ratio = mean / (square + _VARIANCE_FLOOR).sqrt()
    return 1 - masked_mean(ratio, days.sum(-1) > 0, weight)


def total_loss(
    padded: Padded,
    auxiliary: dict[str, Tensor],
    levels: tuple[float, ...],
    config: LossConfig,
    horizon_weights: tuple[float, ...] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum, and each part on its own (without the part's weight, detached).

    Args:
        horizon_weights: [H] weight of each horizon in the means that run over horizons; 1 where left out.

    Raises:
        TrainingError: a target that counts is not a number, or none counts.
    """
    _check_targets(padded)
    mask = padded.mask.permute(2, 0, 1)  # [H, D, N]
    prediction = padded.prediction.permute(2, 0, 1)
    target = torch.where(mask, padded.target.permute(2, 0, 1), 0.0)
    flat = (prediction.flatten(0, 1), target.flatten(0, 1), mask.flatten(0, 1))
    weight = prediction.new_tensor(horizon_weights or (1.0,) * len(mask))  # [H]
    by_day = weight.repeat_interleave(mask.shape[1])  # [H * D]
    parts: dict[str, Tensor] = {}
    if config.rank_ic:
        parts["rank_ic"] = rank_information_coefficient(*flat, config.rank_temperature, config.min_names, by_day)
    if config.cs_ic:
        parts["cs_ic"] = information_coefficient(*flat, config.min_names, by_day)
    if config.sharpe:
        parts["sharpe"] = sharpe(prediction, target, mask, config.min_names, weight)
    if config.pointwise and config.pointwise_kind == "huber":
        parts["pointwise"] = huber(*flat, config.huber_delta, by_day[:, None])
    elif config.pointwise:
        parts["pointwise"] = squared_error(*flat, by_day[:, None])
    if config.pinball:
        quantiles = padded.quantiles.permute(2, 0, 1, 3)
        parts["pinball"] = pinball(quantiles, target, mask, levels, weight[:, None, None])
    if config.direction:
        parts["direction"] = direction(*flat, by_day[:, None])
    total = torch.stack([getattr(config, name) * value for name, value in parts.items()]).sum()
    for name, value in auxiliary.items():
        parts[name] = value
        total = total + config.auxiliary * value
    return total, {name: value.detach() for name, value in parts.items()}


def _check_targets(padded: Padded) -> None:
    missing, counted = torch.stack([(padded.mask & ~torch.isfinite(padded.target)).sum(), padded.mask.sum()]).tolist()
    if missing:
        raise TrainingError(
            f"{missing} of {counted} targets that count in the loss are not numbers. Missing labels must be masked "
            "out, never filled; look at how the mask was made."
        )
    if not counted:
        raise TrainingError(
            f"No label of a batch of {padded.target.shape[0]} days and {padded.target.shape[2]} horizons counts in "
            "the loss: the batch teaches nothing. Check the labels of these days and the horizons asked for."
        )
