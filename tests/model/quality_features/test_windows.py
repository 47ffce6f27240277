"""The rolling primitives against a plain loop, and the promises that no running sum can keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.quality_features import windows as w
from model.quality_features.windows import shorter
from model.quality_features.windows_regression import trends
from model.quality_features.windows_shared import Demand, SharedWindows, demands

Array = NDArray[np.float64]


def series(seed: int, days: int, codes: int = 3, missing: float = 0.2) -> Array:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = rng.normal(0, 1, (days, codes)) * 10.0 ** rng.integers(-3, 4, (days, codes))
    x[rng.random(x.shape) < missing] = np.nan
    return x


def window_at(x: Array, row: int, column: int, window: int) -> Array:
    return x[max(row - window + 1, 0) : row + 1, column]


def shared(x: Array, *asked: Demand, rows: int | None = None) -> SharedWindows:
    needs = demands(dict.fromkeys(asked, 0))
    return SharedWindows(x, needs, len(x) if rows is None else rows, max(needs.values()))


def last(x: Array | float, rows: int) -> Array:
    assert isinstance(x, np.ndarray)
    return np.ascontiguousarray(x[len(x) - rows :])


cases = given(seed=st.integers(0, 10**6), days=st.integers(1, 90), window=st.integers(1, 70))
few = settings(max_examples=15, deadline=None)


@given(
    seed=st.integers(0, 10**6),
    days=st.integers(1, 120),
    windows=st.lists(st.integers(1, 80), min_size=1, max_size=4),
    rows=st.integers(1, 130),
)
@few
def test_the_last_rows_of_joint_windows_alone_have_the_same_bits(
    seed: int, days: int, windows: list[int], rows: int
) -> None:
    x, y = series(seed, days), series(seed + 1, days)
    for kernel in (w.comoments, lambda x, _, *rest: trends(x, *rest)):
        whole, alone = kernel(x, y, windows), kernel(x, y, windows, rows)
        for window in windows:
            for part, same in zip(vars(whole[window]).values(), vars(alone[window]).values(), strict=True):
                assert len(same) >= min(rows, days)
                assert last(part, min(rows, days)).tobytes() == last(same, min(rows, days)).tobytes()


@cases
@few
def test_windows_agree_with_a_plain_loop(seed: int, days: int, window: int) -> None:
    x, y = series(seed, days), series(seed + 1, days, 1)
    joint, slow, deepest = w.comoments(x, y, (window,))[window], w.low_pass(x, window, 2, 0), w.drawdown(x, window, 0)
    for row, column in np.ndindex(*x.shape):
        here, other = window_at(x, row, column, window), window_at(y, row, 0, window)
        both = ~np.isnan(here) & ~np.isnan(other)
        assert joint.count[row, column] == both.sum()
        if both.sum() >= 3:
            covariance = np.cov(here[both], other[both])
            slope = covariance[0, 1] / covariance[1, 1]
            assert joint.slope(1)[row, column] == pytest.approx(slope, rel=1e-6, abs=1e-9)
            squared = covariance[0, 1] ** 2 / covariance[0, 0] / covariance[1, 1]
            assert joint.determination(1)[row, column] == pytest.approx(squared, rel=1e-6, abs=1e-9)
        filled = np.nan_to_num(here)[::-1]
        age = np.arange(len(filled))
        waves = 1 + 2 * np.cos(2 * np.pi * age / window) + 2 * np.cos(4 * np.pi * age / window)
        assert slow[row, column] == pytest.approx((waves * filled).sum() / window, rel=1e-9, abs=1e-8)
        level = np.concatenate(([0.0], np.cumsum(np.nan_to_num(here))))
        assert deepest[row, column] == pytest.approx(level[-1] - level.max(), rel=1e-9, abs=1e-6)


@given(seed=st.integers(0, 10**6), cut=st.integers(0, 40), window=st.integers(1, 40))
@few
def test_a_cell_has_the_same_bits_wherever_the_array_starts_and_ends(seed: int, cut: int, window: int) -> None:
    x, y = series(seed, 100), series(seed + 1, 100, 1)

    def everything(a: Array, b: Array) -> list[Array]:
        joint = w.comoments(a, b, (window,))[window]
        return [
            joint.products,
            joint.squares_y + 0 * joint.products,
            w.low_pass(a, window, 2, 0),
            w.drawdown(a, window, 0),
        ]

    whole = everything(x, y)
    part = everything(np.ascontiguousarray(x[cut:95, 1:2]), np.ascontiguousarray(y[cut:95]))
    for full, cropped in zip(whole, part, strict=True):
        first = cut + window - 1
        assert full[first:95, 1].tobytes() == cropped[window - 1 :, 0].tobytes()


@given(
    seed=st.integers(0, 10**6),
    window=st.integers(1, 64),
    others=st.lists(st.integers(1, 64), max_size=4),
    rows=st.integers(1, 20),
    missing=st.sampled_from([0.0, 0.2]),
)
@few
def test_neither_other_windows_nor_rows_nor_fullness_show_in_shared_windows(
    seed: int, window: int, others: list[int], rows: int, missing: float
) -> None:
    x = series(seed, 90, missing=missing)
    gap = x.copy()
    gap[0] = np.nan  # out of every window's reach, but the counts are arrays now
    plain: list[Demand] = [("sum", window, 0.0), ("moments", window, 0.0), ("max", window, 0.0)]
    more: list[Demand] = [(kind, days, 0.0) for days in others for kind in ("sum", "moments", "count", "min")]
    first, second = shared(x, *plain, rows=rows), shared(gap, *more, *plain, rows=rows + 5)
    for statistic in ("sum", "largest"):
        one, two = getattr(first, statistic)(window), getattr(second, statistic)(window)
        assert last(one, rows).tobytes() == last(two, rows).tobytes()
    (_, mean, squares), (count, mean_too, squares_too) = first.moments(window), second.moments(window)
    assert last(mean, rows).tobytes() == last(mean_too, rows).tobytes()
    assert (squares is None) == (squares_too is None) == (window == 1)
    if squares is not None and squares_too is not None:
        assert last(squares, rows).tobytes() == last(squares_too, rows).tobytes()
    here = np.isfinite(x[len(x) - window :]).sum(axis=0)
    assert (here == (count if isinstance(count, float) else count[-1])).all()


def test_days_before_the_array_are_the_same_as_missing_days() -> None:
    x = series(5, 30)
    padded = np.concatenate((np.full((50, 3), np.nan), x))
    for window in (1, 7, 20, 33):
        short, long = (
            shared(grid, ("moments", window, 0.0), ("decay", 32, 0.9), rows=30).moments(window) for grid in (x, padded)
        )
        for one, two in zip(short, long, strict=True):
            assert one is two is None or last(one, 30).tobytes() == last(two, 30).tobytes()  # type: ignore[arg-type]
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
    windows = shared(x, ("moments", 20, 0.0), ("sum", 20, 0.0))
    squares = windows.moments(20)[2]
    assert squares is not None
    return [squares, joint.products, windows.sum(20)]


@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
def test_an_infinity_is_missing(infinity: float) -> None:
    x, y = series(7, 60), series(8, 60, 1)
    infinite, other = np.where(np.isnan(x), infinity, x), np.where(np.isnan(y), infinity, y)
    for window in (1, 5, 20, 33):
        one, two = w.comoments(x, y, (window,))[window], w.comoments(infinite, other, (window,))[window]
        assert one.products.tobytes() == two.products.tobytes() and one.count.tobytes() == two.count.tobytes()
        assert w.drawdown(x, window, 1).tobytes() == w.drawdown(infinite, window, 1).tobytes()
        assert w.low_pass(x, window, 2, 1).tobytes() == w.low_pass(infinite, window, 2, 1).tobytes()


def test_a_constant_series_has_exactly_no_spread() -> None:
    squares = shared(np.full((50, 1), 0.1), ("moments", 37, 0.0)).moments(37)[2]
    assert squares is not None and (squares == 0.0).all()


def test_a_window_is_assembled_from_fives_doubled() -> None:
    assert [shorter(days) for days in (2, 4, 10, 20, 160)] == [(1, 1), (2, 2), (5, 5), (10, 10), (80, 80)]
    assert [shorter(days) for days in (3, 5, 7, 9, 14)] == [(2, 1), (4, 1), (5, 2), (5, 4), (10, 4)]
    assert [shorter(days) for days in (30, 60, 70, 252)] == [(20, 10), (40, 20), (60, 10), (250, 2)]
    for days in range(2, 2601):
        recent, older = shorter(days)
        assert recent + older == days and recent >= older >= 1
    needs = demands({("sum", 6, 0.0): 3})
    assert {days: back for (kind, days, _), back in needs.items() if kind == "sum"} == {6: 3, 5: 3, 4: 3, 2: 5, 1: 8}


def test_qlibs_windows_need_two_lengths_more_than_those_asked_for() -> None:
    asked = demands({("max", days, 0.0): 0 for days in (5, 10, 20, 30, 60)})
    assert sorted(days for _, days, _ in asked) == [1, 2, 4, 5, 10, 20, 30, 40, 60]


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("days", [1, 40, 511, 512, 513, 520])
def test_a_decayed_sum_of_few_days_has_the_bits_that_it_has_among_many(days: int, rows: int, missing: float) -> None:
    x = series(days, days, missing=missing)
    asked: Demand = ("decay", 512, 0.99)
    weights, totals = shared(x, asked).decayed(512, 0.99)
    weight, total = shared(x, asked, rows=rows).decayed(512, 0.99)
    kept = min(rows, days)
    assert np.array_equal(total, last(totals, kept))
    if isinstance(weight, float):
        assert days >= 512 + rows - 1
        weight = np.full((kept, x.shape[1]), weight)
    assert np.array_equal(weight, last(weights, kept))


def test_an_exponential_mean_is_assembled_from_halves() -> None:
    needs = demands({("decay", 32, 0.9): 7})
    assert needs == {("decay", days, 0.9): 7 + 32 - days for days in (1, 2, 4, 8, 16, 32)}
