"""Frequency Adaptive Normalization (Ye et al., NeurIPS 2024, arXiv 2409.20371).

For a window X of L days:

    Z = rFFT(X);  K = the k largest |Z|;  X_main = irFFT(Z * 1_K, n=L);  X_res = X - X_main
    Y_main = W3 relu(W2 [relu(W1 X_main); X])          L -> 64, 64 + L -> 128, 128 -> H
    Y = Y_network(X_res) + Y_main

Two differences to the published code: ``n=L`` is passed (it fails for odd lengths otherwise) and k is clamped to
the L // 2 + 1 frequencies there are.

Horizons here are cumulative: a label is the return over h days, the *sum* of a path. Each of the H outputs of the
head is therefore the main part's sum over its own horizon, not one step of a path.

The auxiliary loss. The paper also asks Y_main and Y_network to match the same split of the true horizon. Over a
whole number of days every frequency but the constant one sums to zero, so for a sum that split is all or
nothing: main = the label if the constant frequency is among the k, residual = the rest (for h = 1 there is one
frequency and the residual is always zero). Trained literally it would teach the network, the only part that sees
the features, to output zero. So one term is kept, ``mean (Y_main - Y)^2``
(:func:`~model.trained_model.network.adaptive.forecast_loss`): the head learns what the stock's own main frequencies
say about the label, and the residual path learns through the main loss on the sum.

Everything happens inside the window that ends on the day of the prediction. Frequencies mix the days of the
window, which is harmless for an output at its end and would leak if outputs at earlier steps were trained.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.trained_model.network.adaptive import OwnHistory, start_small
from model.trained_model.network.products import unrounded

NUMBERS_AT_A_TIME = 400_000
"""Windows, days and series of a block on a CPU, multiplied: 1.6 MB, and as much for each array made of them."""
_TIE = 1e-5
"""Powers that differ by less than this share are equal: rounding in float32 makes a tenth of it."""


def frequency_split(x: Tensor, top_k: int, dim: int = 1) -> tuple[Tensor, Tensor]:
    """(residual, main) of windows along ``dim`` of x with 2 or 3 axes, each of the shape of x; they add up to x.

    Windows are some tens of days long, where the transform as a matrix product is faster than an FFT along an axis
    that is not the last one. Frequencies whose amplitude equals the k-th largest are all kept; what rounding makes of
    equal ones (``_TIE``) is equal. A window in which a price moved once has nothing but equal amplitudes.
    """
    if top_k >= x.shape[dim] // 2 + 1:
        return torch.zeros_like(x), x
    main = main_frequencies(x, top_k, dim)
    return x - main, main


def main_frequencies(x: Tensor, top_k: int, dim: int = 1) -> Tensor:
    """The main part alone; arguments as for :func:`frequency_split`.

    Where no gradient is asked for, a block of windows stays in the processor's cache from its transform to its main
    part.
    """
    length = x.shape[dim]
    if top_k >= length // 2 + 1:
        return x
    with torch.autocast(x.device.type, enabled=False):  # bfloat16 would round the residual away
        matrices = transform_matrices(length, x)
        series = x.movedim(dim, 1) if x.dim() == 3 else x.movedim(dim, 0).unsqueeze(0)
        if x.device.type != "cpu" or (torch.is_grad_enabled() and x.requires_grad):
            main = _main(series, top_k, *matrices)
        else:
            main = torch.empty_like(series, memory_format=torch.contiguous_format)
            step = max(1, NUMBERS_AT_A_TIME // max(1, series[:1].numel()))
            for windows, place in zip(series.split(step), main.split(step), strict=True):
                place.copy_(_main(windows, top_k, *matrices))
    return main.movedim(1, dim) if x.dim() == 3 else main.squeeze(0).movedim(0, dim)


def _main(series: Tensor, top_k: int, forward: Tensor, backward: Tensor) -> Tensor:
    """series, result: [B, L, S]; the matrices are those of :func:`transform_matrices`."""
    parts = torch.matmul(forward, series).unflatten(1, (2, -1))  # [B, cosine and sine, bins, S]
    power = parts[:, 0].square() + parts[:, 1].square()
    keep = (power >= (1 - _TIE) * kth_largest(power, top_k).unsqueeze(1)).to(series.dtype)
    return torch.matmul(backward, (parts * keep.unsqueeze(1)).flatten(1, 2))


def transform_matrices(length: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The real Fourier transform of ``length`` days as [2 * bins, length] (cosines, then sines), and its inverse."""
    bins = length // 2 + 1
    day = torch.arange(length, dtype=torch.float64, device=like.device)
    angle = 2.0 * math.pi / length * (torch.outer(day[:bins], day) % length)
    forward = torch.cat([angle.cos(), -angle.sin()])
    weight = torch.full_like(day[:bins], 2.0 / length)
    weight[0] = 1.0 / length
    if length % 2 == 0:
        weight[-1] = 1.0 / length
    return forward.to(like.dtype), (forward * weight.repeat(2).unsqueeze(1)).T.to(like.dtype)


def kth_largest(values: Tensor, k: int) -> Tensor:
    """values: [B, K, S] of 0 or above -> the k-th largest along K, [B, S]; no gradient.

    An insertion into k sorted rows, K times: whole rows at once, where ``topk`` walks along each column.
    """
    values = values.detach()
    best = [torch.full_like(values[:, 0], -1.0) for _ in range(k)]
    for value in values.unbind(1):
        left = value
        for place, held in enumerate(best):
            best[place] = torch.maximum(held, left)
            left = torch.minimum(held, left)
    return best[-1]


def drop_frequencies(x: Tensor, p: float) -> Tensor:
    """Augmentation: each frequency of each series of x [B, L, F] goes with chance p; the constant one always stays."""
    spectrum = torch.fft.rfft(x, dim=1)
    keep = torch.rand(spectrum.shape, device=x.device) >= p
    keep[:, 0] = True
    out: Tensor = torch.fft.irfft(spectrum * keep, n=x.shape[1], dim=1)
    return out


class FrequencyForecast(nn.Module):
    """The head of FAN: what the main frequencies of a window say about what follows it."""

    def __init__(self, lookback: int, outputs: int, top_k: int, *, widths: tuple[int, int] = (64, 128)) -> None:
        super().__init__()
        if lookback < 2:
            raise ValueError(f"FAN needs a lookback of at least 2 days, not {lookback}.")
        self.top_k = min(top_k, lookback // 2 + 1)
        self.w1 = nn.Linear(lookback, widths[0])
        self.w2 = nn.Linear(widths[0] + lookback, widths[1])
        self.w3 = nn.Linear(widths[1], outputs)

    def forecast(self, main: Tensor, history: Tensor) -> Tensor:
        """main, history: [..., L] -> [..., outputs], the main part's contribution to each output."""
        frequency = functional.relu(self.w1(main))
        return unrounded(self.w3, functional.relu(self.w2(torch.cat([frequency, history], dim=-1))))


class FrequencyAdaptiveNormalization(FrequencyForecast):
    """FAN over the target's own history, with the same split offered for feature windows."""

    def __init__(
        self,
        lookback: int,
        horizons: Sequence[int],
        top_k: int,
        *,
        widths: tuple[int, int] = (64, 128),
        small_init: bool = False,
    ) -> None:
        super().__init__(lookback, len(horizons), top_k, widths=widths)
        if small_init:
            start_small(self.w3)

    def split_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, L, F] -> (residual, main), both [B, L, F]."""
        return frequency_split(x, self.top_k, dim=1)

    def sum_and_main(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, L, F] -> (residual + main, which is x itself, and main), both [B, L, F]."""
        return x, main_frequencies(x, self.top_k, dim=1)

    def forward(self, history: Tensor) -> OwnHistory:
        """history: [B, L] own daily returns in units of one day's standard deviation."""
        residual, main = frequency_split(history, self.top_k, dim=1)
        return OwnHistory(residual=residual, shift=self.forecast(main, history), scale=None)


class PathFrequencyNormalization(FrequencyForecast):
    """FAN as published: the output is the path of the next H steps of the same C channels, not sums over horizons.

    For any backbone g that maps [B, L, C] to [B, H, C]:

        residual, main = fan.normalise(x)
        y_residual, y_main = g(residual), fan.forecast_path(main, x)
        y = y_residual + y_main
        loss = MSE(y, Y) + MSE(y_main, Y_main) + MSE(y_residual, Y_residual)        (fan.loss)

    with (Y_residual, Y_main) the same split of the true path. Channels share the head. Any L >= 2 and H >= 1, odd
    ones too; k is clamped to the frequencies of each. A path of one step has one frequency, so all of it is main.
    """

    def __init__(self, lookback: int, horizon: int, top_k: int, *, widths: tuple[int, int] = (64, 128)) -> None:
        if horizon < 1 or top_k < 1:
            raise ValueError(f"FAN needs a path and frequencies of at least 1, not {horizon} and {top_k}.")
        super().__init__(lookback, horizon, top_k, widths=widths)
        self.path_top_k = min(top_k, horizon // 2 + 1)

    def normalise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, L, C] -> (residual, main), both [B, L, C]."""
        return frequency_split(x, self.top_k, dim=1)

    def forecast_path(self, main: Tensor, x: Tensor) -> Tensor:
        """main, x: [B, L, C] -> the main part of the path, [B, H, C]."""
        return self.forecast(main.transpose(1, 2), x.transpose(1, 2)).transpose(1, 2)

    def loss(self, y_residual: Tensor, y_main: Tensor, path: Tensor) -> Tensor:
        """The three-term loss as a scalar; all arguments [B, H, C], ``path`` the true one."""
        residual, main = frequency_split(path, self.path_top_k, dim=1)
        whole = functional.mse_loss(y_residual + y_main, path)
        return whole + functional.mse_loss(y_main, main) + functional.mse_loss(y_residual, residual)
