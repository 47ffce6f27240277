"""Moments of daily series."""

import numpy as np
import pytest

from model.metrics.summary import most_within, newey_west_lags, newey_west_t, summarise, two_sided_p


def test_newey_west_is_the_formula_worked_by_hand() -> None:
    # mean 2, deviations -1, 1, 0, -1, 1: g0 = 4/5, g1 = (-1 + 0 + 0 - 1)/5 = -2/5; lag weight 1/2
    # S = 4/5 + 2 * 1/2 * -2/5 = 2/5, standard error sqrt(2/25), t = 2 / sqrt(0.08)
    assert newey_west_t([1, 3, 2, 1, 3], 1) == pytest.approx(2 / np.sqrt(0.08))


def test_without_lags_it_is_the_plain_t_statistic_with_n_in_the_variance() -> None:
    x = np.random.default_rng(0).normal(0.1, 1.0, 200)
    assert newey_west_t(x, 0) == pytest.approx(x.mean() / (x.std() / np.sqrt(200)))


def test_overlap_lowers_the_t_statistic() -> None:
    noise = np.random.default_rng(1).normal(size=600)
    overlapping = np.convolve(noise, np.ones(10) / 10, mode="valid") + 0.05
    naive, robust = newey_west_t(overlapping, 0), newey_west_t(overlapping, 9)
    assert naive is not None and robust is not None
    assert robust < 0.6 * naive
    assert summarise([1.0, 1.0]).nw_p is None


@pytest.mark.parametrize(("n", "horizon", "lags"), [(500, 20, 57), (500, 1, 5), (10, 20, 9), (100, 5, 12), (1, 5, 0)])
def test_lags_are_never_fewer_than_three_times_the_overlap_where_days_allow(n: int, horizon: int, lags: int) -> None:
    assert newey_west_lags(n, horizon) == lags


def test_missing_days_are_left_out_and_counted() -> None:
    found = summarise([1.0, np.nan, 3.0])
    assert (found.mean, found.n) == (2.0, 2)
    assert found.std == pytest.approx(np.sqrt(2))
    assert found.ir == pytest.approx(np.sqrt(2))


def test_what_cannot_be_said_is_none() -> None:
    assert summarise([]) == summarise([np.nan])
    assert summarise([]).mean is None
    constant = summarise([0.1, 0.1, 0.1])
    assert (constant.std, constant.ir, constant.nw_t) == (0.0, None, None)
    assert constant.mean == pytest.approx(0.1)


def test_a_t_of_196_has_a_p_of_one_in_twenty_where_lags_are_few() -> None:
    assert two_sided_p(-1.959964, 0.0) == pytest.approx(0.05, abs=1e-6)
    assert two_sided_p(1.959964, 1e-6) == pytest.approx(0.05, abs=1e-5)
    assert two_sided_p(0.0, 0.3) == 1.0


@pytest.mark.parametrize("b", [0.02, 0.05, 0.1, 0.15, 0.2])
def test_limits_are_those_of_kiefer_and_vogelsang(b: float) -> None:
    # Their table for the Bartlett kernel, as polynomials in b: two-sided 10, 5 and 2 percent.
    for level, (a0, a1, a2, a3) in {
        0.10: (1.6449, 2.1859, 0.3142, -0.3427),
        0.05: (1.9600, 2.9694, 0.4160, -0.5324),
        0.02: (2.3263, 4.1618, 0.5368, -0.9060),
    }.items():
        limit = a0 + a1 * b + a2 * b**2 + a3 * b**3
        assert two_sided_p(0.97 * limit, b) > level > two_sided_p(1.03 * limit, b)


@pytest.mark.parametrize(("horizon", "days"), [(1, 20), (1, 250), (5, 62), (5, 250), (20, 62), (20, 125), (20, 500)])
def test_nothing_is_called_something_in_about_one_case_of_twenty(horizon: int, days: int) -> None:
    noise = np.random.default_rng(3).normal(size=(2000, days + horizon - 1))
    sums = np.cumsum(np.pad(noise, ((0, 0), (1, 0))), axis=1)
    found = [summarise(own, horizon).nw_p for own in sums[:, horizon:] - sums[:, :-horizon]]
    assert 0.015 < np.mean([p is not None and p < 0.05 for p in found]) < 0.085


def test_labels_that_share_a_day_are_counted_on_the_days_that_have_one() -> None:
    daily = np.ones(40)
    assert [most_within(daily, days) for days in (1, 5, 20, 50)] == [1, 5, 20, 50]
    daily[[3, 17, 30]] = np.nan
    assert [most_within(daily, days) for days in (1, 5, 20)] == [1, 5, 19]
    weekly = np.full(60, np.nan)
    weekly[::5] = 1.0
    assert [most_within(weekly, days) for days in (1, 5, 6, 20)] == [1, 1, 2, 4]
    weekly[[9, 10]] = 1.0, np.nan  # a week of four days
    assert most_within(weekly, 5) == 2
    assert most_within(np.full(9, np.nan), 5) == 1


def test_days_that_hold_fewer_than_two_labels_have_no_t_statistic() -> None:
    x = np.random.default_rng(0).normal(size=40)
    assert summarise(x, 20).nw_t is not None and summarise(x, 20).nw_p is not None
    assert summarise(x[:39], 20).nw_t is None and summarise(x[:39], 20).nw_p is None
