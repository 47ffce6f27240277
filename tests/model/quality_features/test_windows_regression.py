"""The regression on time against numpy.polyfit on each window, and what a running sum cannot promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.quality_features.windows_regression import Trend, trends

Array = NDArray[np.float64]
few = settings(max_examples=20, deadline=None)


def series(seed: int, days: int) -> Array:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = 10.0 ** rng.integers(-3, 5) + rng.normal(0, 1, (days, 3)).cumsum(axis=0)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[: rng.integers(0, days), 0] = np.nan
    return x


@given(seed=st.integers(0, 10**6), days=st.integers(1, 80), window=st.integers(2, 70))
@few
def test_the_trend_is_the_line_that_numpy_fits_to_the_values_present(seed: int, days: int, window: int) -> None:
    x = series(seed, days)
    trend = trends(x, (window,))[window]
    slope, explained, residual = trend.slope(1), trend.determination(1), trend.residual(1)
    for row, column in np.ndindex(*x.shape):
        first = max(row - window + 1, 0)
        here = x[first : row + 1, column]
        present = ~np.isnan(here)
        assert trend.count[row, column] == present.sum()
        if present.sum() < 2:
            assert np.isnan([slope[row, column], explained[row, column], residual[row, column]]).all()
            continue
        time = np.arange(len(here)) - len(here) + 1.0
        rise, today = np.polyfit(time[present], here[present], 1)
        assert slope[row, column] == pytest.approx(rise, rel=1e-7, abs=1e-7)
        assert residual[row, column] == pytest.approx(here[-1] - today, rel=1e-7, abs=1e-7, nan_ok=True)
        squared = np.corrcoef(time[present], here[present])[0, 1] ** 2
        assert explained[row, column] == pytest.approx(squared, rel=1e-6, abs=1e-8)


def everything(trend: Trend) -> Array:
    return np.stack((trend.slope(2), trend.determination(2), trend.residual(2)))


@given(seed=st.integers(0, 10**6), cut=st.integers(0, 40), window=st.integers(1, 40))
@few
def test_a_cell_has_the_same_bits_whatever_else_is_in_the_array_or_asked_of_it(
    seed: int, cut: int, window: int
) -> None:
    x = series(seed, 100)
    whole = everything(trends(x, (3, 17, 40, window))[window])
    part = everything(trends(np.ascontiguousarray(x[cut:95, 1:2]), (window,))[window])
    assert whole[:, cut + window - 1 : 95, 1].tobytes() == part[:, window - 1 :, 0].tobytes()


def test_days_before_the_array_are_the_same_as_missing_days() -> None:
    x = series(5, 30)
    padded = np.concatenate((np.full((50, 3), np.nan), x))
    for window in (2, 7, 20, 33):
        short, long = everything(trends(x, (window,))[window]), everything(trends(padded, (window,))[window])
        assert short.tobytes() == np.ascontiguousarray(long[:, 50:]).tobytes()


def test_a_jump_of_a_million_leaves_no_trace_in_later_windows() -> None:
    x = 1e-3 * np.random.Generator(np.random.PCG64(3)).normal(size=(80, 1))
    poisoned = x.copy()
    poisoned[20] = 1e6
    calm, wild = everything(trends(x, (20,))[20]), everything(trends(poisoned, (20,))[20])
    assert calm[:, 40:].tobytes() == wild[:, 40:].tobytes()
    assert (calm[:, 25] != wild[:, 25]).all()


def test_a_constant_series_has_no_trend_and_a_straight_one_is_all_trend() -> None:
    constant = trends(np.full((50, 1), 0.1), (37,))[37]
    assert (constant.slope(2)[1:] == 0.0).all() and (constant.residual(2)[1:] == 0.0).all()
    assert np.isnan(constant.determination(2)).all()
    straight = trends(np.arange(50.0)[:, None] * 0.3 + 1e6, (37,))[37]
    np.testing.assert_allclose(straight.slope(2)[1:], 0.3, rtol=1e-9)
    np.testing.assert_allclose(straight.determination(2)[1:], 1.0, rtol=1e-12)


def test_a_missing_last_day_has_a_slope_and_no_residual() -> None:
    trend = trends(np.array([[1.0], [2.0], [np.nan]]), (3,))[3]
    assert trend.slope(2)[2, 0] == pytest.approx(1.0) and np.isnan(trend.residual(2)[2, 0])
    assert np.isnan(trend.slope(3)[2, 0])
