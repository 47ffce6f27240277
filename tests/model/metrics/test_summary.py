"""Moments of daily series."""

import numpy as np
import pytest

from model.metrics.summary import newey_west_lags, newey_west_t, summarise


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


@pytest.mark.parametrize(("n", "horizon", "lags"), [(500, 20, 19), (500, 1, 5), (10, 20, 9), (100, 5, 4), (1, 5, 0)])
def test_lags_are_never_fewer_than_the_overlap_where_days_allow(n: int, horizon: int, lags: int) -> None:
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
