"""The stationary bootstrap."""

import numpy as np
import pytest

from model.metrics.bootstrap import FEWEST_BLOCKS, Blocks, Resampler, percentiles, ratio, stationary_indices


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
    interval = Resampler(2000, seed=0).interval(x, Blocks(1))
    assert interval is not None
    assert interval[1] - interval[0] == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
    assert interval[0] < x.mean() < interval[1]


def test_correlated_days_widen_the_interval_once_blocks_hold_them() -> None:
    x = np.convolve(np.random.default_rng(0).normal(size=800), np.ones(10), mode="valid")
    resampler = Resampler(1000, seed=0)
    narrow, wide = resampler.interval(x, Blocks(1)), resampler.interval(x, Blocks(20))
    assert narrow is not None and wide is not None
    assert wide[1] - wide[0] > 1.8 * (narrow[1] - narrow[0])


def test_a_paired_difference_cancels_what_moves_both() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(0, 5.0, 300)
    better, worse = common + 0.5 + rng.normal(0, 0.1, 300), common + rng.normal(0, 0.1, 300)
    resampler = Resampler(500, seed=0)
    paired, alone = resampler.paired_interval(better, worse, Blocks(5)), resampler.interval(better, Blocks(5))
    assert paired is not None and alone is not None
    assert 0.45 < paired[0] < 0.5 < paired[1] < 0.55
    assert alone[1] - alone[0] > 0.5


def test_pairs_with_a_missing_side_are_left_out() -> None:
    b = np.arange(10.0)
    a = b + 1.0
    a[2], b[5] = np.nan, np.nan
    resampler = Resampler(200, seed=0)
    assert resampler.paired_interval(a, b, Blocks(1)) == (1.0, 1.0)
    assert resampler.paired_interval(a[:7], b[:7], Blocks(1)) is None


def test_there_is_no_interval_without_days() -> None:
    resampler = Resampler(100, seed=0)
    assert resampler.interval([], Blocks(5)) is None
    assert resampler.interval([1.0], Blocks(5)) is None
    assert resampler.interval(np.ones(40), Blocks(5), ratio) is None
    assert percentiles([], 0.9) is None
    with pytest.raises(ValueError, match="mean_block"):
        stationary_indices(5, mean_block=0.5, draws=1, seed=0)


def test_too_few_blocks_give_no_interval_instead_of_a_narrow_one() -> None:
    x, resampler = np.random.default_rng(0).normal(size=60), Resampler(100, seed=0)
    assert resampler.interval(x, Blocks(60 / FEWEST_BLOCKS)) is not None
    for blocks in (Blocks(60 / FEWEST_BLOCKS + 0.1), Blocks(60), Blocks(5000), Blocks.of_labels(20, 10)):
        assert resampler.interval(x, blocks) is None
        assert resampler.paired_interval(x, -x, blocks) is None and resampler.slope_interval(x, -x, blocks) is None


def test_blocks_of_labels_hold_their_overlap_twice() -> None:
    assert Blocks.of_labels(1, 10) == Blocks(10, 1) and Blocks.of_labels(20, 10) == Blocks(40, 20)
    assert Blocks.of_labels(20, 10).count(100) == 2.5


def test_an_interval_is_widened_by_what_few_blocks_and_overlap_take_from_it() -> None:
    # 40 days in blocks of 2 with labels over 2: Student's t of 19 degrees of freedom is 2.0930; lag 1 keeps half of
    # its weight 1/2, so 3/4 of the variance (1 + 2 * 1/2 * 1/2) / (1 + 2 * 1/2); the mean takes 3/40 of it.
    assert Blocks(2, 2).widening(40, 0.95) == pytest.approx(2.0930 / 1.95996 / np.sqrt(0.75 * 37 / 40), rel=1e-4)
    many = Blocks(10).widening(487, 0.95)
    assert many == pytest.approx(1.05, abs=0.005)
    assert Blocks(10).widening(10**7, 0.95) == pytest.approx(1.0, abs=1e-5)


def series(horizon: int, days: int, count: int = 1000) -> np.ndarray:
    """[count, days] of mean 0 in which each value sums up ``horizon`` days that its neighbours share."""
    noise = np.random.default_rng(horizon + days).normal(size=(count, days + horizon - 1))
    sums = np.cumsum(np.pad(noise, ((0, 0), (1, 0))), axis=1)
    return np.asarray(sums[:, horizon:] - sums[:, :-horizon])


@pytest.mark.parametrize(("horizon", "days"), [(1, 60), (1, 250), (5, 60), (5, 120), (10, 120), (20, 240), (20, 500)])
def test_an_interval_of_95_percent_misses_the_truth_in_about_one_case_of_twenty(horizon: int, days: int) -> None:
    resampler, blocks = Resampler(400, seed=7), Blocks.of_labels(horizon, 10)
    found = [resampler.interval(own, blocks) for own in series(horizon, days)]
    missed = np.mean([interval is not None and not interval[0] <= 0.0 <= interval[1] for interval in found])
    assert None not in found and 0.015 < missed < 0.08


def widened(figures: np.ndarray, own: float, days: int, block: float) -> tuple[float, float]:
    """The interval by its definition."""
    wider, found = Blocks(block).widening(days, 0.95), percentiles(figures, 0.95)
    assert wider is not None and found is not None
    return own + wider * (found[0] - own), own + wider * (found[1] - own)


def test_counts_give_the_figures_of_the_resampled_days() -> None:
    x = np.random.default_rng(0).normal(0.1, 1.0, 60) ** 3
    drawn = x[stationary_indices(60, mean_block=4, draws=300, seed=7)]
    resampler = Resampler(300, seed=7)
    ratios = drawn.mean(axis=1) / drawn.std(axis=1, ddof=1)
    assert resampler.interval(x, Blocks(4)) == pytest.approx(widened(drawn.mean(axis=1), x.mean(), 60, 4))
    assert resampler.interval(x, Blocks(4), ratio) == pytest.approx(widened(ratios, x.mean() / x.std(ddof=1), 60, 4))


def test_a_ratio_of_a_large_mean_and_a_small_spread_is_not_lost_to_rounding() -> None:
    x = 1e6 + np.random.default_rng(0).normal(0.0, 1e-3, 50)
    drawn = x[stationary_indices(50, mean_block=3, draws=100, seed=2)]
    expected = widened(drawn.mean(axis=1) / drawn.std(axis=1, ddof=1), x.mean() / x.std(ddof=1), 50, 3)
    assert Resampler(100, seed=2).interval(x, Blocks(3), ratio) == pytest.approx(expected, rel=1e-5)


def test_the_interval_of_a_slope_is_that_of_the_normal_theory() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    y = 0.5 * x + rng.normal(size=500)
    interval = Resampler(2000, seed=0).slope_interval(x, y, Blocks(1))
    assert interval is not None
    assert interval[0] < 0.5 < interval[1]
    assert interval[1] - interval[0] == pytest.approx(2 * 1.96 / np.sqrt(500), rel=0.15)
    assert Resampler(100, seed=0).slope_interval(np.ones(20), y[:20], Blocks(2)) is None
