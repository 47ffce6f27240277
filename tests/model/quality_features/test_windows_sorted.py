"""Quantiles by merging against NumPy on each window's own values, and the merges against sorting."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.quality_features import windows_sorted
from model.quality_features.windows_order import Counted

Array = NDArray[np.float64]
few = settings(max_examples=20, deadline=None)


def quantile(x: Array, requests: list[tuple[int, float]], rows: int | None = None) -> dict[tuple[int, float], Counted]:
    """The quantiles, once merged and once sorted window by window, which must not show."""
    found = []
    for merged in (True, False):
        with patch.object(windows_sorted, "_merging_pays", lambda *_, merged=merged: merged):
            found.append(windows_sorted.quantile(x, requests, rows))
    for request, one in found[0].items():
        assert one.value.tobytes() == found[1][request].value.tobytes()
    return found[0]


def series(seed: int, days: int, codes: int = 3) -> Array:
    """Many ties, missing days, a late start, zeros of both signs."""
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.integers(-4, 5, (days, codes)) * rng.choice([-1.0, 1.0], (days, codes)) * 10.0 ** rng.integers(-1, 3)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[: rng.integers(0, days), 0] = np.nan
    return x


@given(
    seed=st.integers(0, 10**6),
    days=st.integers(1, 90),
    window=st.integers(1, 70),
    q=st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0, 0.317]),
)
@few
def test_quantiles_are_those_of_numpy_on_the_values_present(seed: int, days: int, window: int, q: float) -> None:
    x = series(seed, days)
    found = quantile(x, [(window, 0.5), (window, q)])[window, q].enough(1)
    for row, column in np.ndindex(*x.shape):
        here = x[max(row - window + 1, 0) : row + 1, column]
        here = here[~np.isnan(here)]
        expected = np.quantile(here, q) if len(here) else np.nan
        assert found[row, column] == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)


@given(seed=st.integers(0, 10**6), cut=st.integers(0, 40), window=st.integers(1, 40))
@few
def test_a_cell_has_the_same_bits_whatever_else_is_in_the_array_or_asked_of_it(
    seed: int, cut: int, window: int
) -> None:
    x = np.random.Generator(np.random.PCG64(seed)).normal(size=(100, 3)) + series(seed, 100)
    part = np.ascontiguousarray(x[cut:95, 1:2])
    other = quantile(x, [(3, 0.2), (window, 0.8), (window, 0.3), (2 * window, 0.8)])[window, 0.3].enough(2)
    alone = quantile(part, [(window, 0.3)])[window, 0.3].enough(2)
    assert other[cut + window - 1 : 95, 1].tobytes() == alone[window - 1 :, 0].tobytes()


@given(seed=st.integers(0, 10**6), days=st.integers(1, 90), window=st.integers(1, 60), rows=st.integers(1, 100))
@few
def test_the_last_rows_alone_have_the_same_bits(seed: int, days: int, window: int, rows: int) -> None:
    x = series(seed, days)
    whole, last = (quantile(x, [(window, 0.7), (5, 0.1)], wanted) for wanted in (None, rows))
    for request, found in last.items():
        assert found.value.tobytes() == whole[request].value[-rows:].tobytes()
        assert found.count.tobytes() == whole[request].count[-rows:].tobytes()


@given(
    seed=st.integers(0, 10**6),
    windows=st.sets(st.integers(2, 90), min_size=1, max_size=4),
    share=st.floats(0.01, 1.0),
)
@few
def test_merges_give_the_values_that_sorting_gives(seed: int, windows: set[int], share: float) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.integers(0, 30, (max(windows) + 5, 2)).astype(np.float64)
    wanted = frozenset((days, rank) for days in windows for rank in range(days) if rng.random() < share or rank == 0)
    lists = windows_sorted._sorted_values(x, tuple(sorted(windows)), wanted)
    for days, rank in wanted:
        expected = np.sort(np.lib.stride_tricks.sliding_window_view(x, days, axis=0), axis=2)[:, :, rank]
        np.testing.assert_array_equal(lists[days][rank], expected)


def test_infinite_values_are_missing() -> None:
    x = np.array([[3.0], [np.inf], [-np.inf], [1.0], [2.0]])
    np.testing.assert_array_equal(quantile(x, [(4, 0.5)])[4, 0.5].enough(1)[:, 0], [3, 3, 3, 2, 1.5])


@pytest.mark.parametrize(
    ("window", "days", "codes", "merges"),
    [(20, 500, 40, True), (20, 3, 1, False), (252, 500, 40, False), (2000, 500, 40, False)],
)
def test_long_windows_and_few_days_are_sorted_one_by_one(window: int, days: int, codes: int, merges: bool) -> None:
    x = np.random.Generator(np.random.PCG64(window)).normal(size=(days, codes))
    with patch.object(windows_sorted, "_sorted_values", wraps=windows_sorted._sorted_values) as merged:
        windows_sorted.quantile(x, [(window, 0.5)])
    assert merged.called == merges
