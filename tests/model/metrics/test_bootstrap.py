"""The stationary bootstrap."""

import numpy as np
import pytest

from model.metrics.bootstrap import Resampler, percentiles, ratio, stationary_indices


def test_the_same_seed_draws_the_same_days_and_another_seed_others() -> None:
    first, again, other = (stationary_indices(50, mean_block=5, draws=20, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_blocks_go_on_day_by_day_and_have_the_mean_length_asked_for() -> None:
    index = stationary_indices(1000, mean_block=8, draws=50, seed=0)
    assert index.min() == 0 and index.max() == 999
    continued = (np.diff(index, axis=1) % 1000) == 1
    assert continued.mean() == pytest.approx(1 - 1 / 8, abs=0.01)


def test_every_day_is_as_likely_as_any_other() -> None:
    index = stationary_indices(20, mean_block=4, draws=4000, seed=0)
    assert np.bincount(index.ravel(), minlength=20) / index.size == pytest.approx(np.full(20, 0.05), abs=0.005)


def test_the_interval_of_independent_days_is_that_of_the_normal_theory() -> None:
    x = np.random.default_rng(0).normal(0.3, 1.0, 400)
    interval = Resampler(2000, seed=0).interval(x, 1)
    assert interval is not None
    assert interval[1] - interval[0] == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
    assert interval[0] < x.mean() < interval[1]


def test_correlated_days_widen_the_interval_once_blocks_hold_them() -> None:
    x = np.convolve(np.random.default_rng(0).normal(size=800), np.ones(10), mode="valid")
    resampler = Resampler(1000, seed=0)
    narrow, wide = resampler.interval(x, 1), resampler.interval(x, 20)
    assert narrow is not None and wide is not None
    assert wide[1] - wide[0] > 1.8 * (narrow[1] - narrow[0])


def test_a_paired_difference_cancels_what_moves_both() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(0, 5.0, 300)
    better, worse = common + 0.5 + rng.normal(0, 0.1, 300), common + rng.normal(0, 0.1, 300)
    resampler = Resampler(500, seed=0)
    paired, alone = resampler.paired_interval(better, worse, 5), resampler.interval(better, 5)
    assert paired is not None and alone is not None
    assert 0.45 < paired[0] < 0.5 < paired[1] < 0.55
    assert alone[1] - alone[0] > 0.5


def test_pairs_with_a_missing_side_are_left_out() -> None:
    a, b = np.array([1.0, np.nan, 3.0, 4.0]), np.array([0.0, 1.0, np.nan, 3.0])
    assert Resampler(200, seed=0).paired_interval(a, b, 1) == (1.0, 1.0)


def test_there_is_no_interval_without_days() -> None:
    resampler = Resampler(100, seed=0)
    assert resampler.interval([], 5) is None
    assert resampler.interval([1.0], 5) is None
    assert resampler.interval([1.0, 1.0], 5, ratio) is None
    assert percentiles([], 0.9) is None
    with pytest.raises(ValueError, match="mean_block"):
        stationary_indices(5, mean_block=0.5, draws=1, seed=0)


def test_counts_give_the_figures_of_the_resampled_days() -> None:
    x = np.random.default_rng(0).normal(0.1, 1.0, 60) ** 3
    drawn = x[stationary_indices(60, mean_block=4, draws=300, seed=7)]
    resampler = Resampler(300, seed=7)
    assert resampler.interval(x, 4) == pytest.approx(percentiles(drawn.mean(axis=1), 0.95))
    assert resampler.interval(x, 4, ratio) == pytest.approx(
        percentiles(drawn.mean(axis=1) / drawn.std(axis=1, ddof=1), 0.95)
    )


def test_a_ratio_of_a_large_mean_and_a_small_spread_is_not_lost_to_rounding() -> None:
    x = 1e6 + np.random.default_rng(0).normal(0.0, 1e-3, 50)
    drawn = x[stationary_indices(50, mean_block=3, draws=100, seed=2)]
    expected = percentiles(drawn.mean(axis=1) / drawn.std(axis=1, ddof=1), 0.95)
    assert Resampler(100, seed=2).interval(x, 3, ratio) == pytest.approx(expected, rel=1e-5)


def test_the_interval_of_a_slope_is_that_of_the_normal_theory() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    y = 0.5 * x + rng.normal(size=500)
    interval = Resampler(2000, seed=0).slope_interval(x, y, 1)
    assert interval is not None
    assert interval[0] < 0.5 < interval[1]
    assert interval[1] - interval[0] == pytest.approx(2 * 1.96 / np.sqrt(500), rel=0.15)
    assert Resampler(100, seed=0).slope_interval(np.ones(10), y[:10], 2) is None
