"""Positions and ranks against pandas and NumPy on each window's own values."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.quality_features import windows_order as order

Array = NDArray[np.float64]


def series(seed: int, days: int, codes: int = 3) -> Array:
    """Many ties, missing days and a late start."""
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.integers(-4, 5, (days, codes)) * 10.0 ** rng.integers(-1, 3)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[: rng.integers(0, days), 0] = np.nan
    return x


def window_at(x: Array, row: int, column: int, window: int) -> Array:
    return x[max(row - window + 1, 0) : row + 1, column]


cases = given(seed=st.integers(0, 10**6), days=st.integers(1, 90), window=st.integers(1, 140))
few = settings(max_examples=20, deadline=None)


@cases
@few
def test_positions_count_from_the_oldest_value_present_to_the_first_extreme(seed: int, days: int, window: int) -> None:
    x = series(seed, days)
    highest, lowest = order.max_position(x, (window,))[window], order.min_position(x, (window,))[window]
    for row, column in np.ndindex(*x.shape):
        here = window_at(x, row, column, window)
        assert highest.count[row, column] == lowest.count[row, column] == (~np.isnan(here)).sum()
        if np.isnan(here).all():
            assert np.isnan(highest.enough(0)[row, column])
            continue
        here = here[np.argmin(np.isnan(here)) :]
        assert highest.value[row, column] == np.nanargmax(here) + 1
        assert lowest.value[row, column] == np.nanargmin(here) + 1


@cases
@few
def test_the_rank_in_time_is_that_of_pandas(seed: int, days: int, window: int) -> None:
    x = series(seed, days)
    ranked = order.rank_in_time(x, (window,))[window].enough(1)
    expected = pd.DataFrame(x).rolling(window, min_periods=1).rank(pct=True).to_numpy()
    np.testing.assert_allclose(ranked, expected, rtol=1e-12)


@given(seed=st.integers(0, 10**6), cut=st.integers(0, 40), window=st.integers(1, 40))
@few
def test_a_cell_has_the_same_bits_whatever_else_is_in_the_array_or_asked_of_it(
    seed: int, cut: int, window: int
) -> None:
    x = np.random.Generator(np.random.PCG64(seed)).normal(size=(100, 3)) + series(seed, 100)
    part = np.ascontiguousarray(x[cut:95, 1:2])
    for kernel in (order.max_position, order.min_position, order.rank_in_time):
        whole = kernel(x, (3, 17, 40, window))[window]
        alone = kernel(part, (window,))[window]
        assert_same_bits(whole, alone, cut, window)


def assert_same_bits(whole: order.Counted, alone: order.Counted, cut: int, window: int) -> None:
    full, cropped = whole.enough(2)[cut + window - 1 : 95, 1], alone.enough(2)[window - 1 :, 0]
    assert full.tobytes() == cropped.tobytes()


def test_infinite_values_are_missing() -> None:
    x = np.array([[3.0], [np.inf], [-np.inf], [1.0], [2.0]])
    np.testing.assert_array_equal(order.max_position(x, (3,))[3].enough(1)[:, 0], [1, 1, 1, 1, 2])
    np.testing.assert_array_equal(order.rank_in_time(x, (5,))[5].enough(1)[:, 0], [1, np.nan, np.nan, 0.5, 2 / 3])


@pytest.mark.parametrize("window", [1, 2, 9, 255, 300])
def test_counts_are_whole_whatever_the_window(window: int) -> None:
    present = np.random.Generator(np.random.PCG64(window)).random((400, 2)) < 0.9
    running = np.cumsum(np.concatenate([np.zeros((window, 2)), present]), axis=0)
    expected = running[window:] - running[:-window]
    np.testing.assert_array_equal(order.present_counts(present, (window, 3))[window], expected)
    np.testing.assert_array_equal(order.present_counts(present, (3, window), 50)[window], expected[-50:])


def test_too_few_values_give_nothing() -> None:
    x = np.array([[1.0], [np.nan], [3.0], [2.0]])
    np.testing.assert_array_equal(order.rank_in_time(x, (3,))[3].enough(2)[:, 0], [np.nan, np.nan, 1.0, 0.5])
    np.testing.assert_array_equal(order.max_position(x, (3,))[3].enough(2)[:, 0], [np.nan, np.nan, 3.0, 1.0])


def test_ties_at_the_extreme_take_the_oldest() -> None:
    x = np.array([[5.0], [1.0], [5.0], [1.0], [5.0]])
    np.testing.assert_array_equal(order.max_position(x, (4,))[4].value[:, 0], [1, 1, 1, 1, 2])
    np.testing.assert_array_equal(order.min_position(x, (4,))[4].value[:, 0], [1, 2, 2, 2, 1])
