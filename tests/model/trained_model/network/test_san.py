"""SAN: slices cover the window, the newest day never vanishes, statistics equal numpy's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.trained_model.network.san import SliceAdaptiveNormalization, slice_lengths, slice_statistics


@settings(max_examples=25, deadline=None)
@given(lookback=st.integers(3, 61), size=st.integers(3, 20), seed=st.integers(0, 2**32 - 1))
def test_slices_cover_the_window_and_the_last_step_is_not_zeroed(lookback: int, size: int, seed: int) -> None:
    lengths = slice_lengths(lookback, size)
    assert sum(lengths) == lookback
    assert all(n == size for n in lengths[1:])
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.normal(size=(4, lookback, 2))).requires_grad_()
    san = SliceAdaptiveNormalization(lookback, (1, 5), size).double()
    values, level = san.split_features(x)
    assert (values[:, -1].abs() > 0).all()
    (gradient,) = torch.autograd.grad(values[:, -1].sum(), x)
    assert (gradient[:, -1].abs() > 0).all()
    start = 0
    for n in lengths:
        part = x.detach().numpy()[:, start : start + n]
        np.testing.assert_allclose(level.detach().numpy()[:, start], part.mean(1), atol=1e-12)
        if n > 1:
            expected = (part - part.mean(1, keepdims=True)) / (part.std(1, ddof=1, keepdims=True) + 1e-5)
            np.testing.assert_allclose(values.detach().numpy()[:, start : start + n], expected, atol=1e-9)
        start += n


def test_constant_slices_give_zero_and_finite_gradients() -> None:
    san = SliceAdaptiveNormalization(7, (1,), 3)
    x = torch.ones(2, 7, 1, requires_grad=True)
    values, _ = san.split_features(x)
    assert torch.equal(values, torch.zeros_like(values))
    history = torch.zeros(2, 7, requires_grad=True)
    result = san(history)
    gradient = torch.autograd.grad(result.residual.sum() + result.shift.sum() + values.sum(), [history, x])
    assert all(torch.isfinite(g).all() for g in gradient)


def test_the_forecast_statistics_equal_their_formula() -> None:
    torch.manual_seed(0)
    san = SliceAdaptiveNormalization(8, (1, 4), 3).double()
    with torch.no_grad():
        san.w1.copy_(torch.tensor([0.5, 0.25]))
    history = torch.randn(3, 8, dtype=torch.float64)
    mean, deviation = slice_statistics(history, san.lengths)
    rho = history.mean(1, keepdim=True)
    head = san.mean_head
    joined = torch.cat([head.statistics(mean - rho), head.window(history - rho)], dim=1)
    level = head.output(torch.tanh(joined)) + san.w1 * rho
    head = san.scale_head
    joined = torch.cat([head.statistics(deviation), head.window(history)], dim=1)
    scale = torch.log1p(torch.exp(head.output(torch.relu(joined)))) + 1e-5
    result = san(history)
    torch.testing.assert_close(result.shift, level * torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert result.scale is not None
    torch.testing.assert_close(result.scale, scale)
    values = torch.randn(3, 2, 5, dtype=torch.float64)
    torch.testing.assert_close(result.denormalise(values), values * scale[..., None] + result.shift[..., None])


def test_sizes_that_would_keep_only_signs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        SliceAdaptiveNormalization(2, (1,), 5)
    with pytest.raises(ValueError, match="at least 3"):
        SliceAdaptiveNormalization(20, (1,), 2)
