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
    pooled,
    z_scores,
)


@given(seed=st.integers(0, 10**6), rows=st.integers(0, 60))
@settings(max_examples=25, deadline=None)
def test_a_days_statistics_are_those_of_its_own_values(seed: int, rows: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    day = np.sort(rng.integers(0, 6, rows))
    x = np.round(rng.normal(0, 3, rows), 1)
    x[rng.random(rows) < 0.2] = np.nan
    daily = cross_section(x, day, 6, (0.1, 0.95))
    for number in range(6):
        values = x[(day == number) & ~np.isnan(x)]
        assert daily.n[number] == len(values)
        if not len(values):
            assert np.isnan([getattr(daily, name)[number] for name in STATISTICS]).all()
            continue
        median = np.median(values)
        spread = np.median(np.abs(values - median))
        expected = [values.mean(), values.std(), median, spread, *np.quantile(values, (0.1, 0.95))]
        found = [getattr(daily, name)[number] for name in STATISTICS]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_other_days_and_more_names_on_them_change_no_bit() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    day, x = np.repeat(np.arange(5), 40), rng.normal(size=200)
    more_days, more = np.concatenate((day, np.full(300, 5))), np.concatenate((x, rng.normal(size=300)))
    for name in STATISTICS:
        assert getattr(cross_section(x, day, 5), name).tobytes() == (
            getattr(cross_section(more, more_days, 6), name)[:5].tobytes()
        )


def test_equal_values_have_exactly_no_spread() -> None:
    daily = cross_section(np.full(7, 0.1), np.zeros(7, dtype=np.int64), 1)
    assert daily.std[0] == 0.0 and daily.mad[0] == 0.0
    assert np.isnan(z_scores(np.array([0.1]), daily.mean, daily.std)).all()


def test_a_market_feature_is_scaled_by_its_own_days() -> None:
    assert fitted_in_time(np.array([1.0, 3.0, np.nan]), "zscore") == (2.0, 1.0)
    center, scale = fitted_in_time(np.array([1.0, 2.0, 9.0]), "robust")
    assert (center, scale) == (2.0, pytest.approx(1.4826))
    assert np.isnan(fitted_in_time(np.array([np.nan]), "zscore")).all()


def test_clip_bounds_are_the_median_of_the_days_own_quantiles_and_stop_at_the_cap() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    day, x = np.repeat(np.arange(21), 200), rng.standard_t(3, 4200)
    daily = cross_section(x, day, 21, (0.01, 0.99))
    bounds = clip_bounds(daily.low, daily.high, daily.mean, daily.std, 5.0)
    scores = ((x - daily.mean[day]) / daily.std[day]).reshape(21, 200)
    expected = np.median(np.quantile(scores, (0.01, 0.99), axis=1), axis=1)
    assert bounds == pytest.approx(tuple(expected))
    assert clip_bounds(daily.low * 9, daily.high * 9, daily.mean, daily.std, 2.5) == (-2.5, 2.5)
    nothing = np.full(21, np.nan)
    assert clip_bounds(nothing, nothing, nothing, nothing, 4.0) == (-4.0, 4.0)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_moments_of_days_pool_to_those_of_all_their_labels(seed: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    day, x = np.sort(rng.integers(0, 5, 90)), 100.0 + rng.normal(size=90)
    x[rng.random(90) < 0.3] = np.nan
    assert pooled(*daily_moments(x, day, 5)) == pytest.approx((np.nanmean(x), np.nanstd(x)))


def test_labels_that_are_all_missing_have_no_scale() -> None:
    assert np.isnan(pooled(*daily_moments(np.array([np.nan]), np.zeros(1, dtype=np.int64), 2))).all()
