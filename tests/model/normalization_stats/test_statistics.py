"""Statistics of a day's cross-section against NumPy, and what is fitted on train dates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.normalization_stats.statistics import (
    clip_bounds,
    cross_section,
    daily_statistics,
    in_time,
    target_scale,
    z_scores,
)


@given(seed=st.integers(0, 10**6), rows=st.integers(0, 60))
@settings(max_examples=25, deadline=None)
def test_a_days_statistics_are_those_of_its_own_values(seed: int, rows: int) -> None:
    rng = np.random.Generator(np.random.PCG64(seed))
    day = np.sort(rng.integers(0, 6, rows))
    x = np.round(rng.normal(0, 3, rows), 1)
    x[rng.random(rows) < 0.2] = np.nan
    daily = cross_section(x, day, 6)
    for number in range(6):
        values = x[(day == number) & ~np.isnan(x)]
        assert daily.n[number] == len(values)
        if not len(values):
            assert np.isnan([daily.mean[number], daily.std[number], daily.median[number], daily.mad[number]]).all()
            continue
        median = np.median(values)
        expected = [values.mean(), values.std(), median, np.median(np.abs(values - median))]
        found = [daily.mean[number], daily.std[number], daily.median[number], daily.mad[number]]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_other_days_and_more_names_on_them_change_no_bit() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    day, x = np.repeat(np.arange(5), 40), rng.normal(size=200)
    more_days, more = np.concatenate((day, np.full(300, 5))), np.concatenate((x, rng.normal(size=300)))
    for name in ("mean", "std", "median", "mad"):
        assert getattr(cross_section(x, day, 5), name).tobytes() == (
            getattr(cross_section(more, more_days, 6), name)[:5].tobytes()
        )


def test_equal_values_have_exactly_no_spread() -> None:
    daily = cross_section(np.full(7, 0.1), np.zeros(7, dtype=np.int64), 1)
    assert daily.std[0] == 0.0 and daily.mad[0] == 0.0
    assert np.isnan(z_scores(np.array([0.1]), daily.mean, daily.std)).all()


def test_a_market_feature_is_scaled_in_time_over_train_dates_only() -> None:
    day = np.repeat(np.arange(4), 3)
    x = np.repeat([1.0, 3.0, 100.0, np.nan], 3)
    daily = in_time(x, day, 4, np.array([True, True, False, False]))
    assert daily.mean.tolist() == [2.0] * 4 and daily.std.tolist() == [1.0] * 4
    assert daily.n.tolist() == [3, 3, 3, 0]
    both = daily_statistics({"m": x, "c": x}, {"m": "market", "c": "cross_section"}, day, np.ones(4, dtype=np.bool_))
    assert both["m"].mean[0] != both["c"].mean[0]


def test_clip_bounds_come_from_train_dates_and_stop_at_the_cap() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    day, x = np.repeat(np.arange(20), 200), rng.standard_t(3, 4000)
    train = np.arange(20) < 10
    daily = cross_section(x, day, 20)
    bounds = clip_bounds(x, day, daily, train, "zscore", (0.01, 0.99), 5.0)
    scores = ((x - daily.mean[day]) / daily.std[day])[day < 10]
    assert bounds == pytest.approx(tuple(np.quantile(scores, (0.01, 0.99))))
    wild = np.where(day >= 10, 1000.0 * x, x)
    assert bounds == clip_bounds(wild, day, cross_section(wild, day, 20), train, "zscore", (0.01, 0.99), 5.0)
    assert clip_bounds(x, day, daily, train, "zscore", (0.0, 1.0), 2.5) == (-2.5, 2.5)
    assert clip_bounds(np.full(4000, np.nan), day, daily, train, "zscore", (0.0, 1.0), 4.0) == (-4.0, 4.0)


def test_the_target_scale_skips_missing_labels() -> None:
    assert target_scale(np.array([1.0, np.nan, 3.0])) == (2.0, 1.0)
    assert np.isnan(target_scale(np.array([np.nan]))).all()
