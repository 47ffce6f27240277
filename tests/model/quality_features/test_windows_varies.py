"""The short cut to a standard deviation above a threshold gives what the standard deviation itself says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.quality_features import windows_varies
from model.quality_features.windows_order import present_counts
from model.quality_features.windows_shared import SharedWindows, demands
from model.quality_features.windows_varies import varies

Array = NDArray[np.float64]


def series(seed: int, days: int, step: float) -> Array:
    """Levels of all sizes that stand still at times, move by about ``step`` at others, and are missing at others."""
    rng = np.random.Generator(np.random.PCG64(seed))
    moves = rng.normal(0.0, step, (days, 6)) * (rng.random((days, 6)) < 0.3)
    x = np.cumsum(moves, axis=0) + 10.0 ** rng.integers(-3, 7, 6)
    x[rng.random(x.shape) < 0.1] = rng.choice([np.nan, np.inf])
    x[: days // 2, 0] = np.nan
    return x


@given(
    seed=st.integers(0, 10**6),
    days=st.integers(1, 80),
    windows=st.sets(st.integers(2, 40), min_size=1, max_size=3),
    scale=st.sampled_from([0.01, 0.3, 1.0, 3.0, 100.0]),
    low=st.sampled_from([2e-5, 0.0, -1.0, 3.0]),
    rows=st.integers(1, 90),
)
@settings(max_examples=150, deadline=None)
def test_it_is_the_comparison_with_the_standard_deviation(
    seed: int, days: int, windows: set[int], scale: float, low: float, rows: int
) -> None:
    x = series(seed, days, scale * max(low, 2e-5))
    rows = min(rows, days)
    found = varies(x, [(low, window) for window in windows], rows)
    for window in windows:
        shared = SharedWindows(x, demands({("moments", window, 0.0): 0}), rows, window - 1)
        above = np.sqrt(shared.variance(window, rows, 1)) > low
        count = present_counts(np.isfinite(x), (window,), rows)[window]
        expected = np.where(count >= 2.0, above, np.nan)
        np.testing.assert_array_equal(found[low, window].enough(2.0), expected)


def test_names_that_move_are_settled_without_a_standard_deviation(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    asked = []
    exact = windows_varies._computed
    monkeypatch.setattr(windows_varies, "_computed", lambda x, *rest: asked.append(x.shape[1]) or exact(x, *rest))
    x = np.random.Generator(np.random.PCG64(0)).normal(100.0, 1.0, (60, 5))
    assert (varies(x, [(2e-5, 20)])[2e-5, 20].enough(2.0)[1:] == 1.0).all()
    assert not asked
    x[10:, 2] = 100.0
    found = varies(x, [(2e-5, 20)])[2e-5, 20].enough(2.0)
    assert asked == [1]
    assert found[:, 2].tolist()[1:] == [1.0] * 28 + [0.0] * 31
