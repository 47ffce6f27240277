"""FAN as published, on paths: its algebra, its odd lengths, and its benchmark."""

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.trained_model.network.fan import (
    FrequencyAdaptiveNormalization,
    PathFrequencyNormalization,
    frequency_split,
)

RATES = Path(__file__).resolve().parents[5] / "shared" / "data" / "exchange_rate.csv"
WINDOW = HORIZON = 96


@pytest.mark.parametrize(("lookback", "horizon"), [(96, 96), (61, 5), (60, 1), (7, 20)])
def test_residual_and_main_of_any_length_add_up_and_the_loss_is_its_three_terms(lookback: int, horizon: int) -> None:
    torch.manual_seed(0)
    fan = PathFrequencyNormalization(lookback, horizon, 3).double()
    x = torch.randn(4, lookback, 2, dtype=torch.float64)
    path = torch.randn(4, horizon, 2, dtype=torch.float64)
    residual, main = fan.normalise(x)
    torch.testing.assert_close(residual + main, x)
    y_main = fan.forecast_path(main, x)
    assert y_main.shape == path.shape
    y_residual = torch.randn_like(path)
    true_residual, true_main = frequency_split(path, min(3, horizon // 2 + 1))
    expected = sum(
        ((found - wanted) ** 2).mean()
        for found, wanted in ((y_residual + y_main, path), (y_main, true_main), (y_residual, true_residual))
    )
    torch.testing.assert_close(fan.loss(y_residual, y_main, path), expected)
    if horizon == 1:
        torch.testing.assert_close(true_main, path)  # one frequency, so nothing is left over


def test_channels_share_the_head_and_do_not_mix() -> None:
    torch.manual_seed(1)
    fan = PathFrequencyNormalization(11, 4, 2)
    x = torch.randn(3, 11, 2)
    together = fan.forecast_path(fan.normalise(x)[1], x)
    for channel in range(2):
        alone = x[:, :, channel : channel + 1]
        torch.testing.assert_close(
            together[:, :, channel : channel + 1], fan.forecast_path(fan.normalise(alone)[1], alone)
        )


def test_the_forms_for_paths_and_for_sums_are_one_head() -> None:
    path = PathFrequencyNormalization(9, 3, 2)
    sums = FrequencyAdaptiveNormalization(9, (1, 5, 10), 2)
    sums.load_state_dict(path.state_dict())
    history = torch.randn(5, 9)
    _, main = frequency_split(history, 2)
    torch.testing.assert_close(sums(history).shift, path.forecast_path(main[..., None], history[..., None])[..., 0])


class Linear(nn.Module):
    """DLinear (Zeng et al., 2023): one linear map of the moving average over 25 days, one of what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.trend, self.seasonal = nn.Linear(WINDOW, HORIZON), nn.Linear(WINDOW, HORIZON)
        for part in (self.trend, self.seasonal):
            nn.init.constant_(part.weight, 1 / WINDOW)

    def forward(self, x: Tensor) -> Tensor:
        series = x.transpose(1, 2)
        trend = functional.avg_pool1d(functional.pad(series, (12, 12), mode="replicate"), 25, 1)
        return (self.seasonal(series - trend) + self.trend(trend)).transpose(1, 2)


class Forecaster(nn.Module):
    """FAN around DLinear."""

    def __init__(self) -> None:
        super().__init__()
        self.fan = PathFrequencyNormalization(WINDOW, HORIZON, 2)
        self.backbone = Linear()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        residual, main = self.fan.normalise(x)
        return self.backbone(residual), self.fan.forecast_path(main, x)

    def error(self, windows: Tensor) -> float:
        """Mean squared error of the whole path over windows [n, WINDOW + HORIZON, C]."""
        with torch.no_grad():
            parts = [sum(self(part[:, :WINDOW])) - part[:, WINDOW:] for part in windows.split(512)]
        return float(torch.cat(parts).square().mean())


def windows_of_the_benchmark() -> tuple[Tensor, Tensor, Tensor]:
    """Train, validation and test windows: split 70/20/10 by days, scaled by all days as published.

    Validation and test reach back by one window and horizon less a day, so that their first windows end where the
    split before them ends.
    """
    raw = np.loadtxt(RATES, delimiter=",", skiprows=1, usecols=range(1, 9))
    series = torch.tensor((raw - raw.mean(0)) / raw.std(0), dtype=torch.float32)
    train, validation = int(0.7 * len(series)), int(0.2 * len(series))
    back = WINDOW + HORIZON - 1
    parts = (series[:train], series[train - back : train + validation], series[train + validation - back :])
    return tuple(part.unfold(0, WINDOW + HORIZON, 1).transpose(1, 2) for part in parts)  # type: ignore[return-value]


def epochs(model: Forecaster, train: Tensor) -> Iterator[Forecaster]:
    """After each epoch the moving average of the weights: Adam, rate 3e-4, batches of 32, decay 0.995 a step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    average = copy.deepcopy(model)
    pairs = list(zip(average.parameters(), model.parameters(), strict=True))
    while True:
        for chosen in torch.randperm(len(train)).split(32):
            batch = train[chosen]
            optimizer.zero_grad()
            model.fan.loss(*model(batch[:, :WINDOW]), batch[:, WINDOW:]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            with torch.no_grad():
                for mean, value in pairs:
                    mean.lerp_(value, 1 - 0.995)
        yield average


@pytest.mark.shared
@pytest.mark.skipif(not RATES.is_file(), reason="the shared data are not beside this checkout")
def test_fan_retrained_on_exchange_rates_lands_where_the_authors_seeds_land() -> None:
    """ExchangeRate-96, DLinear + FAN, k = 2: the authors' five seeds have a test MSE of 0.0535 to 0.0554.

    Early stopping on the validation windows (patience 5), test windows read once. Seeds 1, 2 and 5 gave 0.0543, 0.0544
    and 0.0542. Without the average of the weights, the best of noisy epochs is picked and two seeds of five miss the
    band (0.0557 and 0.0566).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            train, validation, test = windows_of_the_benchmark()
            assert test.shape == (760, WINDOW + HORIZON, 8)
            best, stale, error = float("inf"), 0, float("nan")
            for average in epochs(Forecaster(), train):
                score = average.error(validation)
                stale = 0 if score < best else stale + 1
                if score < best:
                    best, kept = score, copy.deepcopy(average)
                if stale == 5:
                    break
            error = kept.error(test)
    finally:
        torch.set_num_threads(threads)
    assert 0.0535 <= error <= 0.0554
