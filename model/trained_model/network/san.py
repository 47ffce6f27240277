"""Slice-level Adaptive Normalization (Liu et al., NeurIPS 2023).

The window is cut into slices; each is normalised by its own mean and standard deviation, and small networks carry
those statistics forward to the horizon:

    x_j = (X_j - mu_j) / (sigma_j + eps)
    mu_hat = w0 * MLP_mu(mu - rho, X - rho) + w1 * rho        rho = mean of the window
    sigma_hat = softplus(MLP_sigma(sigma, X))
    Y = Y_network(x) * sigma_hat + mu_hat

Slices are cut from the newest day backwards and always cover the whole window: where the lookback is no multiple of
the slice, the *first* slice is shorter. (Padding instead left the newest day at exactly zero in the earlier
system, and with it every prediction.)

Differences to the paper, which predicts a path of future slices: labels are returns over h days, so each horizon
has one level and one scale, the level growing with sqrt(h) because labels come in units of their own standard
deviation. Softplus stands for ReLU so that a scale cannot die at zero. w0 and w1 start at 1 and 0: the mean of a
few daily returns is mostly noise, and starting from it would start from a bad forecast. Statistics and network
are trained jointly, with ``mean (mu_hat - Y)^2`` as auxiliary loss.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.trained_model.network.adaptive import OwnHistory, start_small
from model.trained_model.network.products import unrounded

EPSILON = 1e-5


def slice_lengths(lookback: int, size: int) -> tuple[int, ...]:
    """Lengths of the slices, oldest first; only the first may be shorter than ``size``."""
    first = lookback % size
    return ((first,) if first else ()) + (size,) * (lookback // size)


def slice_statistics(x: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    """x: [B, L, ...] -> mean and unbiased standard deviation of each slice, [B, S, ...] each.

    The variance is floored at eps squared, where its root would have no finite slope; one day alone varies by 0.
    """
    means, deviations = [], []
    for part in x.split(list(lengths), dim=1):
        mean = part.mean(dim=1, keepdim=True)
        variance = (part - mean).square().sum(dim=1) / max(part.shape[1] - 1, 1)
        means.append(mean.squeeze(1))
        deviations.append(variance.clamp(min=EPSILON**2).sqrt())
    return torch.stack(means, dim=1), torch.stack(deviations, dim=1)


class SliceAdaptiveNormalization(nn.Module):
    """SAN over the target's own history, with the same normalisation offered for feature windows."""

    def __init__(
        self, lookback: int, horizons: Sequence[int], size: int, *, width: int = 64, small_init: bool = False
    ) -> None:
        super().__init__()
        if lookback < 3 or size < 3:
            raise ValueError(f"SAN needs a lookback and a slice of at least 3 days, not {lookback} and {size}.")
        self.lengths = slice_lengths(lookback, size)
        slices = len(self.lengths)
        repeats = torch.tensor(self.lengths)
        self.register_buffer("slice_of_day", torch.arange(slices).repeat_interleave(repeats), persistent=False)
        growth = torch.tensor([math.sqrt(h) for h in horizons])
        self.register_buffer("growth", growth, persistent=False)
        self.mean_head = _StatisticHead(slices, lookback, len(horizons), width, torch.tanh)
        self.scale_head = _StatisticHead(slices, lookback, len(horizons), width, torch.relu)
        self.w0 = nn.Parameter(torch.ones(len(horizons)))
        self.w1 = nn.Parameter(torch.zeros(len(horizons)))
        if small_init:
            start_small(self.mean_head.output)
            start_small(self.scale_head.output)
        with torch.no_grad():
            self.scale_head.output.bias.fill_(math.log(math.e - 1.0))  # softplus gives 1

    def split_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, L, F] -> (normalised values, slice means repeated over their days), both [B, L, F]."""
        mean, deviation = slice_statistics(x, self.lengths)
        day = self.get_buffer("slice_of_day")
        level = mean[:, day]
        return (x - level) / (deviation[:, day] + EPSILON), level

    def sum_and_main(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, L, F] -> (normalised values + slice means, and the means), both [B, L, F]."""
        values, level = self.split_features(x)
        return values + level, level

    def forward(self, history: Tensor) -> OwnHistory:
        """history: [B, L] own daily returns in units of one day's standard deviation."""
        mean, deviation = slice_statistics(history, self.lengths)
        day = self.get_buffer("slice_of_day")
        residual = (history - mean[:, day]) / (deviation[:, day] + EPSILON)
        rho = history.mean(dim=1, keepdim=True)
        level = self.w0 * self.mean_head(mean - rho, history - rho) + self.w1 * rho
        scale = functional.softplus(self.scale_head(deviation, history)) + EPSILON
        return OwnHistory(residual=residual, shift=level * self.get_buffer("growth"), scale=scale)


class _StatisticHead(nn.Module):
    """The paper's two-branch MLP: one map of the statistics, one of the window, joined, activated, projected."""

    def __init__(
        self, slices: int, lookback: int, outputs: int, width: int, activation: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.statistics = nn.Linear(slices, width)
        self.window = nn.Linear(lookback, width)
        self.output = nn.Linear(2 * width, outputs)
        self.activation = activation

    def forward(self, statistics: Tensor, window: Tensor) -> Tensor:
        joined = torch.cat([self.statistics(statistics), self.window(window)], dim=-1)
        return unrounded(self.output, self.activation(joined))
