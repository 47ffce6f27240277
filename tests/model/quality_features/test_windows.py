"""The rolling primitives against a plain loop, and the promises that no running sum can keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.quality_features import windows as w

Array = NDArray[np.float64]


def series(seed: int, days: int, codes: int = 3, missing: float = 0.2) -> Array:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.normal(0, 1, (days, codes)) * 10.0 ** rng.integers(-3, 4, (days, codes))
    x[rng.random(x.shape) < missing] = np.nan
    return x


def window_at(x: Array, row: int, column: int, window: int) -> Array:
    return x[max(row - window + 1, 0) : row + 1, column]


cases = given(seed=st.integers(0, 10**6), days=st.integers(1, 90), window=st.integers(1, 70))
few = settings(max_examples=20, deadline=None)


@cases
@few
def test_windows_agree_with_a_plain_loop(seed: int, days: int, window: int) -> None:
    x = series(seed, days)
    y = series(seed + 1, days, 1)
    total, moment = w.totals(x, (window,))[window], w.moments(x, (window,))[window]
    joint = w.comoments(x, y, (window,))[window]
    high, low = w.maxima(x, (window,))[window], w.minima(x, (window,))[window]
    for row, column in np.ndindex(*x.shape):
        here = window_at(x, row, column, window)
        values = here[~np.isnan(here)]
        assert total.count[row, column] == moment.count[row, column] == len(values)
        assert total.sum[row, column] == pytest.approx(values.sum(), rel=1e-9, abs=1e-6)
        if len(values):
            assert moment.mean[row, column] == pytest.approx(values.mean(), rel=1e-9, abs=1e-9)
            assert moment.population_std(1)[row, column] == pytest.approx(values.std(), rel=1e-9, abs=1e-9)
            assert (low[row, column], high[row, column]) == (values.min(), values.max())
        else:
            assert np.isnan(low[row, column]) and np.isnan(high[row, column])
        other = window_at(y, row, 0, window)
        both = ~np.isnan(here) & ~np.isnan(other)
        assert joint.count[row, column] == both.sum()
        if both.sum() >= 3:
            covariance = np.cov(here[both], other[both])
            slope = covariance[0, 1] / covariance[1, 1]
            assert joint.slope(1)[row, column] == pytest.approx(slope, rel=1e-6, abs=1e-9)
            squared = covariance[0, 1] ** 2 / covariance[0, 0] / covariance[1, 1]
            assert joint.determination(1)[row, column] == pytest.approx(squared, rel=1e-6, abs=1e-9)


@cases
@few
def test_exponential_means_and_low_frequencies_agree_with_a_plain_loop(seed: int, days: int, window: int) -> None:
    x = series(seed, days)
    mean = w.exponential(x, 0.9, window, 0.0)
    slow = w.low_pass(x, window, 2, 0)
    for row, column in np.ndindex(*x.shape):
        here = window_at(x, row, column, window)[::-1]
        age = np.arange(len(here))
        present = ~np.isnan(here)
        weight = 0.9**age * present
        filled = np.where(present, here, 0.0)
        if present.any():
            assert mean[row, column] == pytest.approx((weight * filled).sum() / weight.sum(), rel=1e-9, abs=1e-9)
        waves = 1 + 2 * np.cos(2 * np.pi * age / window) + 2 * np.cos(4 * np.pi * age / window)
        assert slow[row, column] == pytest.approx((waves * filled).sum() / window, rel=1e-9, abs=1e-8)


@cases
@few
def test_drawdown_is_measured_from_the_peak_within_the_window(seed: int, days: int, window: int) -> None:
    x = series(seed, days)
    deepest = w.drawdown(x, window, 0)
    for row, column in np.ndindex(*x.shape):
        returns = np.nan_to_num(window_at(x, row, column, window))
        level = np.concatenate(([0.0], np.cumsum(returns)))
        assert deepest[row, column] == pytest.approx(level[-1] - level.max(), rel=1e-9, abs=1e-6)


@given(seed=st.integers(0, 10**6), cut=st.integers(0, 40), window=st.integers(1, 40))
@few
def test_a_cell_has_the_same_bits_wherever_the_array_starts_and_ends(seed: int, cut: int, window: int) -> None:
    x, y = series(seed, 100), series(seed + 1, 100, 1)

    def everything(a: Array, b: Array) -> list[Array]:
        moment, joint = w.moments(a, (window,))[window], w.comoments(a, b, (window,))[window]
        return [
            w.totals(a, (window,))[window].sum,
            w.maxima(a, (window,))[window],
            moment.mean,
            moment.squares,
            joint.products,
            joint.squares_y + 0 * joint.products,
            w.exponential(a, 0.93, window, 0.0),
            w.low_pass(a, window, 2, 0),
            w.drawdown(a, window, 0),
        ]

    whole = everything(x, y)
    part = everything(np.ascontiguousarray(x[cut:95, 1:2]), np.ascontiguousarray(y[cut:95]))
    for full, cropped in zip(whole, part, strict=True):
        first = cut + window - 1
        assert full[first:95, 1].tobytes() == cropped[window - 1 :, 0].tobytes()


def test_days_before_the_array_are_the_same_as_missing_days() -> None:
    x = series(5, 30)
    padded = np.concatenate((np.full((50, 3), np.nan), x))
    for window in (1, 7, 20, 33):
        for name in ("mean", "squares", "count"):
            short = getattr(w.moments(x, (window,))[window], name)
            long = getattr(w.moments(padded, (window,))[window], name)
            assert short.tobytes() == np.ascontiguousarray(long[50:]).tobytes()
        assert w.low_pass(x, window, 1, 0).tobytes() == w.low_pass(padded, window, 1, 0)[50:].tobytes()
        assert w.drawdown(x, window, 0).tobytes() == w.drawdown(padded, window, 0)[50:].tobytes()


def test_a_jump_of_a_million_leaves_no_trace_in_later_windows() -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    x = 1e-3 * rng.normal(size=(80, 1))
    poisoned = x.copy()
    poisoned[20] = 1e6
    for calm, wild in zip(_spreads(x), _spreads(poisoned), strict=True):
        assert calm[40:].tobytes() == wild[40:].tobytes()
        assert calm[25] != wild[25]


def _spreads(x: Array) -> list[Array]:
    joint = w.comoments(x, np.cos(np.arange(len(x)))[:, None], (20,))[20]
    return [w.moments(x, (20,))[20].std(20), joint.products, w.totals(x, (20,))[20].sum]


def test_a_constant_series_has_exactly_no_spread() -> None:
    x = np.full((50, 1), 0.1)
    assert (w.moments(x, (37,))[37].squares == 0.0).all()


def test_too_few_values_give_nothing() -> None:
    x = np.array([[1.0], [np.nan], [3.0], [np.nan], [np.nan]])
    mean = w.totals(x, (3,))[3].mean(2)
    np.testing.assert_array_equal(mean[:, 0], [np.nan, np.nan, 2.0, np.nan, np.nan])
    np.testing.assert_array_equal(w.lag(x, 2)[:, 0], [np.nan, np.nan, 1.0, np.nan, 3.0])


def test_mean_absolute_deviation_is_from_todays_centre() -> None:
    x = np.array([[1.0], [np.nan], [4.0]])
    deviation = w.mean_absolute_deviation(x, np.full((3, 1), 2.0), 3)
    np.testing.assert_allclose(deviation[:, 0], [1.0, 1.0, 1.5])
