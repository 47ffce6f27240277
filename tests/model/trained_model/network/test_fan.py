"""FAN against an independent reference written from the definitions with explicit sums of cosines."""

import cmath
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.trained_model.network import fan as module
from model.trained_model.network.fan import (
    FrequencyAdaptiveNormalization,
    drop_frequencies,
    frequency_split,
    kth_largest,
    main_frequencies,
)
from model.trained_model.network.san import SliceAdaptiveNormalization


def _main_by_definition(series: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Sum of the k strongest frequencies of one series, from the definition of the discrete transform."""
    length = len(series)
    bins = length // 2 + 1
    z = [sum(series[t] * cmath.exp(-2j * math.pi * f * t / length) for t in range(length)) for f in range(bins)]
    chosen = sorted(range(bins), key=lambda f: -abs(z[f]))[:k]
    main = np.zeros(length)
    for f in chosen:
        twice = 1.0 if f == 0 or 2 * f == length else 2.0
        for t in range(length):
            main[t] += twice * (z[f] * cmath.exp(2j * math.pi * f * t / length)).real / length
    return main


@settings(max_examples=25, deadline=None)
@given(length=st.integers(2, 21), k=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_the_split_equals_the_definition_for_odd_and_even_lengths(length: int, k: int, seed: int) -> None:
    series = np.random.default_rng(seed).normal(size=(2, length))
    residual, main = frequency_split(torch.from_numpy(series), k)
    expected = np.stack([_main_by_definition(row, k) for row in series])
    np.testing.assert_allclose(main.numpy(), expected, atol=1e-9)
    np.testing.assert_allclose((residual + main).numpy(), series, atol=1e-12)


@pytest.mark.parametrize("length", [7, 20, 60, 61])
def test_a_window_that_moves_once_keeps_all_its_equal_frequencies_in_either_precision(length: int) -> None:
    window = torch.zeros(1, length, 2, dtype=torch.float64)
    window[0, length // 3, 0] = 0.37
    window[0, -1, 1] = -1.9
    for series in (window, window.float()):
        residual, main = frequency_split(series, 3)
        torch.testing.assert_close(main, series, atol=1e-6, rtol=0.0)
        torch.testing.assert_close(residual, torch.zeros_like(series), atol=1e-6, rtol=0.0)


@pytest.mark.parametrize(("length", "horizons"), [(61, (1,)), (60, (5,)), (7, (1, 5, 10, 20))])
def test_the_whole_module_equals_normalise_and_denormalise_written_out(length: int, horizons: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    fan = FrequencyAdaptiveNormalization(length, horizons, 4).double()
    history = torch.randn(3, length, dtype=torch.float64)
    main = torch.from_numpy(np.stack([_main_by_definition(row, 4) for row in history.numpy()]))
    inner = torch.relu(main @ fan.w1.weight.T + fan.w1.bias)
    joined = torch.cat([inner, history], dim=1) @ fan.w2.weight.T + fan.w2.bias
    shift = torch.relu(joined) @ fan.w3.weight.T + fan.w3.bias
    result = fan(history)
    backbone = torch.randn(3, len(horizons), dtype=torch.float64)
    torch.testing.assert_close(result.residual, history - main)
    torch.testing.assert_close(result.denormalise(backbone), backbone + shift)
    torch.testing.assert_close(result.denormalise(backbone[..., None]), (backbone + shift)[..., None])


def test_feature_windows_are_split_series_by_series() -> None:
    torch.manual_seed(1)
    fan = FrequencyAdaptiveNormalization(11, (1,), 2)
    x = torch.randn(4, 11, 3)
    residual, main = fan.split_features(x)
    for j in range(3):
        alone = frequency_split(x[:, :, j], 2)
        torch.testing.assert_close(residual[:, :, j], alone[0])
        torch.testing.assert_close(main[:, :, j], alone[1])


def test_top_k_is_clamped_to_the_frequencies_there_are() -> None:
    assert FrequencyAdaptiveNormalization(5, (1,), 99).top_k == 3
    residual, _ = frequency_split(torch.randn(2, 5), 99)
    assert residual.abs().max() < 1e-6


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 11))
def test_the_split_of_a_cumulative_label_is_all_or_nothing(seed: int, k: int) -> None:
    path = torch.from_numpy(np.random.default_rng(seed).normal(size=(6, 20)))
    for h in (1, 5, 10, 20):
        residual, main = (part.sum(dim=1) for part in frequency_split(path[:, :h], k))
        torch.testing.assert_close(main + residual, path[:, :h].sum(dim=1))
        nothing, everything = main.abs() < 1e-9, residual.abs() < 1e-9
        assert (nothing | everything).all()
        if h == 1:
            assert everything.all()


def test_dropped_frequencies_leave_the_mean_and_follow_the_generator() -> None:
    x = torch.randn(50, 21, 2)
    torch.manual_seed(3)
    out = drop_frequencies(x, 0.4)
    torch.testing.assert_close(out.mean(1), x.mean(1), atol=1e-6, rtol=1e-4)
    lost = (torch.fft.rfft(out, dim=1).abs() < 1e-4).float().mean()
    assert 0.3 < lost < 0.45
    torch.manual_seed(3)
    assert torch.equal(out, drop_frequencies(x, 0.4))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 9))
def test_the_kth_largest_is_that_of_a_sort(seed: int, k: int) -> None:
    values = torch.from_numpy(np.random.default_rng(seed).integers(0, 6, size=(3, 9, 4)).astype(np.float64))
    assert torch.equal(kth_largest(values, k), values.sort(dim=1, descending=True).values[:, k - 1])


def test_reduced_precision_does_not_round_the_split() -> None:
    x = torch.randn(3, 20, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        residual, main = frequency_split(x, 3)
    assert torch.equal(residual, frequency_split(x, 3)[0])
    assert torch.equal(main, frequency_split(x, 3)[1])


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("numbers", [1, 500, 10**6])
def test_blocks_of_windows_and_windows_that_want_a_gradient_split_as_all_at_once(
    dim: int, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(7, 11, 9)
    wanting = x.clone().requires_grad_()
    whole = frequency_split(wanting, 2, dim)[1].detach()
    monkeypatch.setattr(module, "NUMBERS_AT_A_TIME", numbers)
    torch.testing.assert_close(main_frequencies(x, 2, dim), whole)
    torch.testing.assert_close(frequency_split(x, 2, dim)[0], x - whole)
    assert torch.equal(main_frequencies(x, 2, dim), main_frequencies(x, 2, dim))


@pytest.mark.parametrize("norm", [FrequencyAdaptiveNormalization(9, (1,), 2), SliceAdaptiveNormalization(9, (1,), 3)])
def test_what_selection_reads_is_the_sum_of_residual_and_main(
    norm: FrequencyAdaptiveNormalization | SliceAdaptiveNormalization,
) -> None:
    x = torch.randn(4, 9, 3)
    residual, main = norm.split_features(x)
    for found, expected in zip(norm.sum_and_main(x), (residual + main, main), strict=True):
        torch.testing.assert_close(found, expected)
