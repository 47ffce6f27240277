"""Statistics of a day's cross-section against NumPy, and what is fitted on train dates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.normalization_stats.statistics import (
    STATISTICS,
    clip_bounds,
    cross_section,
    daily_moments,
    fitted_in_time,
    one_value,
    pooled,
    z_scores,
)


@given(seed=st.integers(0, 10**6), names=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_a_days_statistics_are_those_of_its_values(seed: int, names: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    x = np.round(rng.normal(0, 3, (6, names)), 1)
    x[rng.random((6, names)) < 0.2] = np.nan
    x[5] = np.nan
    daily = cross_section(x, (0.1, 0.95))
    for number, row in enumerate(x):
        values = row[~np.isnan(row)]
        assert daily.n[number] == len(values)
        if not len(values):
            assert np.isnan([getattr(daily, name)[number] for name in STATISTICS]).all()
            continue
        median = np.median(values)
        spread = np.median(np.abs(values - median))
        expected = [values.mean(), values.std(), median, spread, *np.quantile(values, (0.1, 0.95))]
        found = [getattr(daily, name)[number] for name in STATISTICS]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_features_computed_together_change_no_bit_of_each_other() -> None:
    x = np.random.Generator(np.random.PCG64(1)).normal(size=(9, 83)).astype(np.float32)
    x[2, :30] = np.nan
    together, alone = cross_section(x), [cross_section(row[None, :]) for row in x]
    for name in STATISTICS:
        apart = np.concatenate([getattr(each, name) for each in alone])
        assert getattr(together, name).tobytes() == apart.tobytes()


def test_equal_values_have_exactly_no_spread() -> None:
    daily = cross_section(np.full((1, 7), 0.1))
    assert daily.std[0] == 0.0 and daily.mad[0] == 0.0
    assert np.isnan(z_scores(np.array([0.1]), daily.mean, daily.std)).all()


def test_a_market_feature_stands_for_itself_on_each_day() -> None:
    daily = one_value(np.array([2.5, np.nan], np.float32), np.array([40, 40]))
    assert daily.n.tolist() == [40, 0] and daily.median[0] == daily.mean[0] == daily.low[0] == 2.5
    assert daily.std[0] == 0.0 and np.isnan(daily.std[1])
    many = cross_section(np.full((1, 40), 2.5, np.float32))
    assert [getattr(many, name)[0] for name in STATISTICS] == [getattr(daily, name)[0] for name in STATISTICS]


def test_a_market_feature_is_scaled_by_its_own_days() -> None:
    assert fitted_in_time(np.array([1.0, 3.0, np.nan]), "zscore") == (2.0, 1.0)
    center, scale = fitted_in_time(np.array([1.0, 2.0, 9.0]), "robust")
    assert (center, scale) == (2.0, pytest.approx(1.4826))
    assert np.isnan(fitted_in_time(np.array([np.nan]), "zscore")).all()


def test_where_most_values_are_equal_the_robust_scale_is_the_standard_deviation() -> None:
    values = np.array([[0.0, 0.0, 0.0, 1.0], [1.0, 2.0, 4.0, 9.0], [0.1, 0.1, 0.1, 0.1], [np.nan] * 4])
    flag, spread, level, nothing = cross_section(values).scale("robust")
    assert flag == values[0].std()
    assert spread == pytest.approx(1.4826 * 1.5)
    assert level == 0.0 and np.isnan(nothing)


def test_clip_bounds_are_the_median_of_the_days_own_quantiles_and_stop_at_the_cap() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    x = rng.standard_t(3, (21, 200))  # a row a day
    daily = cross_section(x, (0.01, 0.99))
    low, high, mean, std = (each[:, None] for each in (daily.low, daily.high, daily.mean, daily.std))
    scores = (x - mean) / std
    expected = np.median(np.quantile(scores, (0.01, 0.99), axis=1), axis=1)
    assert np.ravel(clip_bounds(low, high, mean, std, 5.0)) == pytest.approx(expected)
    assert np.ravel(clip_bounds(low * 9, high * 9, mean, std, 2.5)).tolist() == [-2.5, 2.5]
    nothing = np.full((21, 1), np.nan)
    assert np.ravel(clip_bounds(nothing, nothing, nothing, nothing, 4.0)).tolist() == [-4.0, 4.0]


def test_the_bounds_of_a_feature_do_not_depend_on_the_others_nor_on_days_that_do_not_count() -> None:
    rng = np.random.Generator(np.random.PCG64(6))
    low, high, center = rng.normal(-3, 1, (20, 4)), rng.normal(3, 1, (20, 4)), rng.normal(size=(20, 4))
    scale = np.where(rng.random((20, 4)) < 0.3, np.nan, 1.5)
    scale[:, 2] = 0.0  # never varies
    together = clip_bounds(low, high, center, scale, 5.0)
    for feature in range(4):
        used = scale[:, feature] > 0.0
        scores = [(each[used, feature] - center[used, feature]) / 1.5 for each in (low, high)]
        expected = [np.median(each) for each in scores] if used.any() else [-5.0, 5.0]
        assert [each[feature] for each in together] == np.clip(expected, -5.0, 5.0).tolist()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_moments_of_days_pool_to_those_of_all_their_labels(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    day, x = np.sort(rng.integers(0, 5, 90)), 100.0 + rng.normal(size=90)
    x[rng.random(90) < 0.3] = np.nan
    assert pooled(*daily_moments(x, day, 5)) == pytest.approx((np.nanmean(x), np.nanstd(x)))


def test_labels_that_are_all_missing_have_no_scale() -> None:
    assert np.isnan(pooled(*daily_moments(np.array([np.nan]), np.zeros(1, dtype=np.int64), 2))).all()
