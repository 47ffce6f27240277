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
nothing: main = the label if the constant frequency is among the k, residual = the rest (:func:`fan_targets`
computes it from a daily path; for h = 1 there is one frequency and the residual is always zero). Trained
literally it would teach the network, the only part that sees the features, to output zero. So one term is kept,
``mean (Y_main - Y)^2`` (:func:`~model.trained_model.network.adaptive.forecast_loss`): the head learns what the
stock's own main frequencies say about the label, and the residual path learns through the main loss on the sum.

Everything happens inside the window that ends on the day of the prediction. Frequencies mix the days of the
window, which is harmless for an output at its end and would leak if outputs at earlier steps were trained.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.trained_model.network.adaptive import OwnHistory, start_small


def main_spectrum(spectrum: Tensor, top_k: int, dim: int) -> Tensor:
    """The spectrum with all but the ``top_k`` largest amplitudes along ``dim`` set to zero (k is clamped)."""
    bins = spectrum.shape[dim]
    if top_k >= bins:
        return spectrum
    amplitude = spectrum.abs()
    chosen = amplitude.topk(top_k, dim=dim, sorted=False).indices
    mask = torch.zeros_like(amplitude).scatter_(dim, chosen, 1.0)
    return torch.mul(spectrum, mask)


def frequency_split(x: Tensor, top_k: int, dim: int = 1) -> tuple[Tensor, Tensor]:
    """(residual, main) of windows along ``dim``, each of the shape of x; they add up to x."""
    main = torch.fft.irfft(main_spectrum(torch.fft.rfft(x, dim=dim), top_k, dim), n=x.shape[dim], dim=dim)
    return x - main, main


def drop_frequencies(x: Tensor, p: float, dim: int = 1) -> Tensor:
    """Augmentation: each frequency of each series is removed with chance p; the constant one always stays."""
    spectrum = torch.fft.rfft(x, dim=dim)
    keep = torch.rand(spectrum.shape, device=x.device) >= p
    keep.select(dim, 0).fill_(True)
    out: Tensor = torch.fft.irfft(spectrum * keep, n=x.shape[dim], dim=dim)
    return out


def fan_targets(path: Tensor, horizons: Sequence[int], top_k: int) -> tuple[Tensor, Tensor]:
    """The exact split of cumulative labels into (main, residual) sums, from the true daily path.

    path: [B, D] daily returns after the day of the prediction, D at least the longest horizon. Returns two
    [B, H] tensors that add up to the sum of the first h days. For study and tests: see the module's text on why
    training uses only the label.
    """
    if path.shape[1] < max(horizons):
        raise ValueError(f"The path has {path.shape[1]} days; the longest horizon is {max(horizons)}.")
    splits = [frequency_split(path[:, :h], top_k) for h in horizons]
    residual = torch.stack([part[0].sum(dim=1) for part in splits], dim=1)
    main = torch.stack([part[1].sum(dim=1) for part in splits], dim=1)
    return main, residual


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
        out: Tensor = self.w3(functional.relu(self.w2(torch.cat([frequency, history], dim=-1))))
        return out


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
